import type { Clock } from "../base/clock.ts";
import { checkBounds } from "./bounds.ts";

/** Why something was not asked, or not answered. `spent` and `late` are our own bounds, the rest is the site's doing. */
export interface Trouble {
  readonly kind: "spent" | "late" | "connect" | "tls" | "timeout" | "closed" | "garbage";
  /** One sentence without a final dot. */
  readonly detail: string;
}

/** Counts what is asked of a site and until when. Every connection to it and request goes through `take`. */
export class Budget {
  readonly #clock: Clock;
  readonly #requestsMax: number;
  readonly #requestTimeoutMs: number;
  readonly #endMs: number;
  #used = 0;
  #failuresInRow = 0;
  #ranOut: "requests" | "time" | null = null;

  constructor(
    clock: Clock,
    bounds: {
      readonly requestsMax: number;
      readonly wholeTimeoutMs: number;
      readonly requestTimeoutMs: number;
    },
  ) {
    this.#clock = clock;
    this.#requestsMax = bounds.requestsMax;
    this.#requestTimeoutMs = bounds.requestTimeoutMs;
    this.#endMs = clock.nowMs() + bounds.wholeTimeoutMs;
  }

  get used(): number {
    return this.#used;
  }

  get left(): number {
    return this.#requestsMax - this.#used;
  }

  /** What something was not asked for want of; null: everything was asked. */
  get ranOut(): "requests" | "time" | null {
    return this.#ranOut;
  }

  /** Now, on the clock that the end is measured by. */
  nowMs(): number {
    return this.#clock.nowMs();
  }

  /** Counts one; answers how long it may take in milliseconds, or why it may not be asked at all. */
  take(): number | Trouble {
    if (this.left <= 0) {
      this.#ranOut ??= "requests";
      return {
        kind: "spent",
        detail: `not asked: the ${this.#requestsMax} requests of one look are used up`,
      };
    }
    const timeMs = this.elsewhere();
    if (typeof timeMs === "number") this.#used += 1;
    return timeMs;
  }

  /** As `take` for a connection to something else than the site, which counts none of its requests. */
  elsewhere(): number | Trouble {
    if (this.#failuresInRow >= checkBounds.failuresInRowMax)
      return { kind: "late", detail: `not asked: ${this.#failuresInRow} connections in a row failed` };
    const leftMs = this.#endMs - this.#clock.nowMs();
    if (leftMs <= 0) {
      this.#ranOut ??= "time";
      return { kind: "late", detail: "not asked: the time of one look is used up" };
    }
    return Math.min(this.#requestTimeoutMs, leftMs);
  }

  /** Tells how a connection went; a site that does not answer is left alone soon. */
  went(well: boolean): void {
    this.#failuresInRow = well ? 0 : this.#failuresInRow + 1;
  }
}
