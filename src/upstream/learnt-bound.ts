import type { Clock } from "../base/clock.ts";
import type { Crowd } from "./crowd.ts";
import { connectTimeoutMs } from "./forward.ts";

/** With fewer established requests than this no Odoo is full: one worker alone has a listen queue of 8. */
const establishedLeast = 4;
/** The bound is never lower. */
export const boundLeast = 2;
/** Something waited this long and no connection stalled: one place more. */
export const oneMoreAfterMs = 5_000;
/** Nothing waited for this long: the bound is forgotten. */
export const forgottenAfterMs = 600_000;

export interface LearntBoundOptions {
  readonly clock: Clock;
  /** Most requests of one member at once from now on; null: not known any more. */
  readonly changed: (perMember: number | null) => void;
  /** Odoo's listen queue was full, and this is what is sent to it at once from now on. */
  readonly full: (perMember: number) => void;
}

/**
 * How many requests one Odoo takes at once, learnt where ODOO_WORKERS does not say it. The only sign is a connection that is not there
 * after a second: Linux drops the SYN when the listen queue is full and the client's kernel tries again after 1 s or more, which no
 * line takes. Answer times are no sign. What was established then fills Odoo's workers and its listen queue (workers + 8 × workers + 1);
 * seven eighths of it fit into that queue alone, so that all workers may end at once and nothing new is dropped before they take the
 * next. Learnt at one member, it holds for each: members are equal, and the lowest number is the safe one.
 */
export class LearntBound {
  readonly #options: LearntBoundOptions;
  #value: number | null = null;
  #learntMs = Number.NEGATIVE_INFINITY;
  /** Since when something waits and no connection stalled; null: nothing waits. */
  #steadySinceMs: number | null = null;
  #waitedMs = 0;

  constructor(options: LearntBoundOptions) {
    this.#options = options;
  }

  /** Requests at once to one member; null: not known. */
  get value(): number | null {
    return this.#value;
  }

  /**
   * A connection to this member, begun at `begunMs`, is not established after a second. True: Odoo is full, the connection is to be
   * given up and its request to wait. False: it may be a member that is gone, or a lost packet.
   */
  stalled(crowd: Crowd, begunMs: number): boolean {
    const nowMs = this.#options.clock.nowMs();
    const bound = this.#value;
    // Begun before we knew: of the same burst.
    const isKnown = bound !== null && begunMs <= this.#learntMs;
    if (!isKnown && !this.#isFull(crowd, nowMs)) return false;
    if (this.#steadySinceMs !== null) this.#steadySinceMs = nowMs;
    if (isKnown) return true;
    const seen = Math.floor((crowd.peak * 7) / 8);
    const next = Math.max(boundLeast, bound === null ? seen : Math.min(bound - 1, seen));
    crowd.peak = crowd.established;
    this.#learntMs = nowMs;
    this.#waitedMs = nowMs;
    this.#set(next);
    this.#options.full(next);
    return true;
  }

  /** To be called every now and then while a bound is known. */
  tick(isWaiting: boolean): void {
    if (this.#value === null) return;
    const nowMs = this.#options.clock.nowMs();
    if (!isWaiting) {
      this.#steadySinceMs = null;
      if (nowMs - this.#waitedMs >= forgottenAfterMs) this.#set(null);
      return;
    }
    this.#waitedMs = nowMs;
    this.#steadySinceMs ??= nowMs;
    if (nowMs - this.#steadySinceMs < oneMoreAfterMs) return;
    this.#steadySinceMs = nowMs;
    this.#set(this.#value + 1);
  }

  #isFull({ connecting, peak, answeredMs }: Crowd, nowMs: number): boolean {
    // Who has answered nobody for as long as a connection may take is gone, or hangs.
    if (peak < establishedLeast || nowMs - answeredMs > connectTimeoutMs) return false;
    // One alone may have lost its packet on the line; near a bound that is known it is Odoo again.
    return connecting > 1 || (this.#value !== null && peak * 2 >= this.#value);
  }

  #set(value: number | null): void {
    this.#value = value;
    this.#options.changed(value);
  }
}
