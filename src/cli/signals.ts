import { type Problem, problemLine } from "../base/problem.ts";

/** What signals act on. */
export interface Served {
  stop(): Promise<unknown>;
  /** Ends whatever else runs, without waiting for it. */
  kill(): void;
  reload(): Promise<readonly Problem[]>;
  change(): void;
  /** Log lines were asked to go to another file. */
  reopen(): void;
}

/**
 * SIGTERM and SIGINT stop (a second one at once), SIGHUP reloads, SIGUSR2 replaces the workers. Made first of all: what comes
 * while the gateway starts would end the process by the system's default, and is done when there is something to do it to.
 * SIGUSR1 is taken so that Node does not: it would open its debugger, by which every user of the machine runs code as this one.
 */
export class Signals {
  /** Resolves when all has stopped that was to be stopped. */
  readonly stopped: Promise<void>;
  #resolveStopped = () => {};
  #served: Served | null = null;
  #isStopping = false;
  #wantsReload = false;

  constructor() {
    this.stopped = new Promise((resolve) => {
      this.#resolveStopped = resolve;
    });
    process.on("SIGTERM", () => this.#stop());
    process.on("SIGINT", () => this.#stop());
    process.on("SIGHUP", () => this.#reload());
    // Workers that are not there yet will be new ones.
    process.on("SIGUSR2", () => this.#served?.change());
    process.on("SIGUSR1", () => this.#served?.reopen());
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** From now on there is something to act on; does what was asked for until now. */
  serve(served: Served): void {
    this.#served = served;
    if (this.#isStopping) return this.#end(served);
    if (this.#wantsReload) this.#reload();
  }

  #stop(): void {
    if (this.#isStopping) {
      this.#served?.kill();
      process.exit(1);
    }
    this.#isStopping = true;
    if (this.#served !== null) this.#end(this.#served);
  }

  #end(served: Served): void {
    void served.stop().then(() => this.#resolveStopped());
  }

  #reload(): void {
    if (this.#isStopping) return;
    if (this.#served === null) {
      this.#wantsReload = true;
      return;
    }
    void this.#served.reload().then((problems) => {
      for (const problem of problems) process.stderr.write(`reload refused: ${problemLine(problem)}\n`);
    });
  }
}
