import { type ChildProcess, fork } from "node:child_process";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import type { FromWorker, ListenerName, ToWorker, WorkerReport } from "./messages.ts";
import type { Owner, Seat } from "./owner.ts";

/** How long a worker may take to say how it stands. */
const reportMsMax = 1_000;
/** How long it may take to read and compile everything anew. */
const prepareMsMax = 30_000;
/** The longest line of a worker's log that is put together from pieces; a longer one goes out as it comes. */
const lineLengthMax = 1024 * 1024;

const program = fileURLToPath(new URL("../main.js", import.meta.url));

export interface WorkerEvents {
  /** It speaks: is it of this program's version. */
  hello(protocol: number, version: string): void;
  ready(): void;
  /** Its process is gone, in order (status 0) or not. */
  ended(how: string, isInOrder: boolean): void;
  /** Whole lines of its log. */
  lines(text: string): void;
}

/** One worker's process as the supervisor sees it. */
export class WorkerProcess {
  readonly seat: Seat;
  /** Its part of what is for all (cluster/share). */
  readonly share: number;
  state: "starting" | "ready" | "retiring" = "starting";
  /** Why it ends, if it said so. */
  problems: readonly string[] = [];
  /** What it counted, as last told. */
  report: WorkerReport | null = null;
  cut = 0;
  readonly #child: ChildProcess;
  readonly #connections = new Map<number, () => void>();
  readonly #waiting = new Map<number, (message: FromWorker | null) => void>();
  #next = 0;
  #isGone = false;

  constructor(owner: Owner, share: number, events: WorkerEvents) {
    this.share = share;
    this.#child = fork(program, ["worker"], { stdio: ["ignore", "pipe", "inherit", "ipc"] });
    this.seat = owner.seat((message) => this.send(message));
    this.#child.on("message", (message) => this.#heard(message as FromWorker, events));
    // A channel that broke is followed by the end of the process.
    this.#child.on("error", () => {});
    this.#child.on("exit", (status, signal) => {
      this.#end();
      events.ended(signal === null ? `with status ${status}` : `by ${signal}`, status === 0);
    });
    forwardLines(this.#child, events.lines);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** `socket` comes along and is not ours any more. */
  send(message: ToWorker, socket?: Socket): void {
    if (this.#isGone || !this.#child.connected) return;
    if (socket === undefined) this.#child.send(message, ignore);
    else this.#child.send(message, socket, ignore);
  }

  /** Hands an accepted connection over. */
  connect(listener: ListenerName, socket: Socket, closed: () => void): void {
    this.#next += 1;
    this.#connections.set(this.#next, closed);
    this.send({ type: "connection", id: this.#next, listener }, socket);
  }

  /** How it stands now; null when it does not say in time. */
  async ask(): Promise<WorkerReport | null> {
    const answer = await this.#question(reportMsMax, (id) => ({ type: "report", id }));
    if (answer?.type !== "report") return null;
    this.report = answer.report;
    return answer.report;
  }

  /** Lets it read and compile everything anew: its problems, and how to put the new plan in place or drop it. */
  async prepare(): Promise<{ readonly problems: readonly string[]; readonly commit: (go: boolean) => void }> {
    const answer = await this.#question(prepareMsMax, (id) => ({ type: "prepare-reload", id }));
    // One that ended meanwhile has no plan; what takes its place reads the new files.
    if (answer === null && this.#isGone) return { problems: [], commit: () => {} };
    if (answer?.type !== "prepared")
      return {
        problems: [`${this.pid} did not answer in ${prepareMsMax / 1000} s`],
        commit: () => {},
      };
    const { id, problems } = answer;
    return { problems, commit: (go) => this.send({ type: "commit-reload", id, go }) };
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #question(msMax: number, message: (id: number) => ToWorker): Promise<FromWorker | null> {
    if (this.#isGone) return Promise.resolve(null);
    this.#next += 1;
    const id = this.#next;
    return new Promise((resolve) => {
      const timer = setTimeout(() => done(null), msMax);
      const done = (answer: FromWorker | null) => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        resolve(answer);
      };
      this.#waiting.set(id, done);
      this.send(message(id));
    });
  }

  #heard(message: FromWorker, events: WorkerEvents): void {
    switch (message.type) {
      case "hello":
        return events.hello(message.protocol, message.version);
      case "ready":
        return events.ready();
      case "problems":
        this.problems = message.problems;
        return;
      case "batch":
        return this.seat.take(message.items);
      case "closed":
        for (const id of message.ids) this.#closed(id);
        return;
      case "prepared":
      case "report":
        return this.#waiting.get(message.id)?.(message);
      case "ended":
        this.report = message.report;
        this.cut = message.cut;
        return;
      default: {
        const never: never = message;
        return never;
      }
    }
  }

  #closed(id: number): void {
    const closed = this.#connections.get(id);
    this.#connections.delete(id);
    closed?.();
  }

  #end(): void {
    this.#isGone = true;
    this.seat.end();
    for (const id of [...this.#connections.keys()]) this.#closed(id);
    for (const done of [...this.#waiting.values()]) done(null);
  }
}

/** Several processes would write into one another's lines: each has a pipe of its own, and whole lines go on. */
function forwardLines(child: ChildProcess, lines: (text: string) => void): void {
  let rest = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    const end = text.lastIndexOf("\n") + 1;
    if (end === 0 && rest.length < lineLengthMax) {
      rest += text;
      return;
    }
    lines(rest + text.slice(0, end));
    rest = text.slice(end);
  });
  child.stdout?.on("end", () => {
    if (rest !== "") lines(`${rest}\n`);
  });
}

function ignore(): void {
  // What could not be sent was meant for a process that is ending; its end is told by "exit".
}
