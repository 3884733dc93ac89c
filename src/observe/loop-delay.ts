import { monitorEventLoopDelay } from "node:perf_hooks";

/** How late the event loop is, by a timer of this length. */
const sampleMs = 20;
const windowMs = 15_000;
const nanosecondsPerMs = 1e6;

type Samples = Pick<
  ReturnType<typeof monitorEventLoopDelay>,
  "count" | "percentile" | "reset" | "enable" | "disable"
>;

/**
 * Delay of this process's event loop in the last 15 to 30 s, however often and by whomever it is read: the one that is shown is
 * the worse of the running window and the one before.
 */
export class LoopDelay {
  readonly #histogram: Samples;
  readonly #timer: NodeJS.Timeout;
  #beforeMs = 0;

  /** `histogram`: nanoseconds from one sample to the next; Node's, unless a test has its own. */
  constructor(histogram: Samples = monitorEventLoopDelay({ resolution: sampleMs })) {
    this.#histogram = histogram;
    this.#histogram.enable();
    this.#timer = setInterval(() => this.turn(), windowMs).unref();
  }

  /** 99th percentile, milliseconds. */
  get p99Ms(): number {
    return Math.max(this.#beforeMs, this.#nowMs());
  }

  /** A window is over, and another begins; called by its timer. */
  turn(): void {
    this.#beforeMs = this.#nowMs();
    this.#histogram.reset();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#histogram.disable();
  }

  #nowMs(): number {
    if (this.#histogram.count === 0) return 0;
    // Node counts the sampling interval in.
    return Math.max(0, this.#histogram.percentile(99) / nanosecondsPerMs - sampleMs);
  }
}
