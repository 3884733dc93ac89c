import type { Clock } from "../base/clock.ts";
import type { ProbeAnswer } from "./probe.ts";

/** An Odoo that is away for longer than this is not restarting: requests are told so at once, and pages ask again by themselves. */
export const outageHeldMs = 60_000;
/** While Odoo is away it is asked this often, after the first seconds less often. */
const lookFirstMs = 250;
const lookLaterMs = 1_000;
const lookFirstSpanMs = 5_000;
/** Held requests are sent so many at a time, so that an Odoo that has just started is not run over. */
const releaseAtOnce = 10;
const releaseEveryMs = 50;

/** `go`: Odoo is back, or it is worth a last try. `full`: too many wait already. */
export type HoldOutcome = "go" | "late" | "full";

export interface HoldOptions {
  readonly clock: Clock;
  /** Waits are real time, whatever clock the rest is given: somebody sits in front of a browser. */
  readonly waitClock: Clock;
  /** Longest wait of one request, milliseconds; 0: nothing waits. */
  readonly timeoutMs: number;
  /** Most requests that wait at once. */
  readonly waitingMax: number;
  /** How the members are: `up` when one answers, `down` when none takes a connection, else `silent`. Never rejects. */
  readonly look: () => Promise<ProbeAnswer>;
  readonly onAway: () => void;
  readonly onBack: (awayMs: number, held: number) => void;
}

interface Held {
  readonly deadlineMs: number;
  readonly go: (outcome: HoldOutcome) => void;
}

/**
 * Holds requests while Odoo restarts. Closed by a request that found no member to connect to; open again as soon as a probe or a
 * request finds one. One timer, and only while the gate is closed or somebody waits behind it.
 */
export class HoldGate {
  readonly #options: HoldOptions;
  readonly #held = new Set<Held>();
  #awaySinceMs: number | null = null;
  #heldCount = 0;
  #closedMs = 0;
  #lookedMs = 0;
  #looking: Promise<ProbeAnswer> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isStopped = false;

  constructor(options: HoldOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#held.size;
  }

  /** Milliseconds since Odoo was found away; null: it is there. */
  get awayMs(): number | null {
    return this.#awaySinceMs === null ? null : this.#options.clock.nowMs() - this.#awaySinceMs;
  }

  /** Are requests to wait instead of being tried. */
  get isClosed(): boolean {
    return this.#awaySinceMs !== null && this.mayHold;
  }

  /** May a request wait here, now or once the gate is closed. */
  get mayHold(): boolean {
    return !this.#isStopped && this.#options.timeoutMs > 0 && (this.awayMs ?? 0) < outageHeldMs;
  }

  /** No member could be connected to. */
  close(): void {
    if (this.#awaySinceMs !== null) return;
    this.#awaySinceMs = this.#options.clock.nowMs();
    this.#heldCount = 0;
    this.#closedMs = this.#options.waitClock.nowMs();
    // Just asked: the first look comes after a pause.
    this.#lookedMs = this.#closedMs;
    this.#options.onAway();
    this.#run();
  }

  /**
   * Somebody was hung up on without a word: looks, and closes the gate when nobody is there. An Odoo that takes the connection and does
   * not answer is busy, and busy is no reason to hold everybody.
   */
  async ask(): Promise<void> {
    if ((await this.#look()) === "down") this.close();
  }

  /** A request that was sent at `begunMs` got an answer; one from before the outage proves nothing. */
  answered(begunMs: number): void {
    if (this.#awaySinceMs !== null && begunMs >= this.#awaySinceMs) this.open();
  }

  /** A member answered. */
  open(): void {
    if (this.#awaySinceMs === null) return;
    const awayMs = this.awayMs ?? 0;
    this.#awaySinceMs = null;
    this.#options.onBack(awayMs, this.#heldCount);
    this.#release();
  }

  /** When a request that begins to wait now has waited long enough, for `wait` and `isPast`. */
  deadlineMs(): number {
    return this.#options.waitClock.nowMs() + this.#options.timeoutMs;
  }

  isPast(deadlineMs: number): boolean {
    return this.#options.waitClock.nowMs() >= deadlineMs;
  }

  /** Waits for Odoo until the deadline. `go` is called once, never from inside this call, and not after the answer's `leave`. */
  wait(deadlineMs: number, go: (outcome: HoldOutcome) => void): { leave(): void } {
    const held: Held = { deadlineMs, go };
    if (this.#held.size >= this.#options.waitingMax) {
      let left = false;
      queueMicrotask(() => {
        if (!left) go("full");
      });
      return {
        leave: () => {
          left = true;
        },
      };
    }
    this.#held.add(held);
    this.#heldCount += 1;
    this.#run();
    return { leave: () => this.#held.delete(held) };
  }

  /** The gateway stops: whoever waits is tried a last time, and nobody waits any more. */
  stop(): void {
    this.#isStopped = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    for (const held of [...this.#held]) this.#end(held, "late");
  }

  /** What the timer does; a test with a manual clock calls it. */
  tick(): void {
    for (const held of this.#held) {
      if (this.isPast(held.deadlineMs)) this.#end(held, "late");
    }
    if (this.#awaySinceMs === null) return this.#release();
    const nowMs = this.#options.waitClock.nowMs();
    const everyMs = nowMs - this.#closedMs < lookFirstSpanMs ? lookFirstMs : lookLaterMs;
    if (this.#looking !== null || nowMs - this.#lookedMs < everyMs) return;
    void this.#look();
  }

  /** One look at a time, whoever asks. */
  #look(): Promise<ProbeAnswer> {
    this.#looking ??= this.#options.look().then((answer) => {
      this.#looking = null;
      this.#lookedMs = this.#options.waitClock.nowMs();
      if (answer === "up") this.open();
      return answer;
    });
    return this.#looking;
  }

  #run(): void {
    if (this.#timer !== null) return;
    this.#timer = setInterval(() => this.tick(), releaseEveryMs);
    this.#timer.unref();
  }

  /** The next few, oldest first. */
  #release(): void {
    let left = releaseAtOnce;
    for (const held of this.#held) {
      if (left === 0) return;
      left -= 1;
      this.#end(held, "go");
    }
    if (this.#timer !== null && this.#held.size === 0 && this.#awaySinceMs === null) {
      clearInterval(this.#timer);
      this.#timer = null;
    }
  }

  #end(held: Held, outcome: HoldOutcome): void {
    if (this.#held.delete(held)) held.go(outcome);
  }
}
