/** First and longest time a member is passed over after a failure; it doubles with each further one. */
export const markFirstMs = 1_000;
export const markMostMs = 30_000;
/** A member that is back gets its full share only after this long: a fresh Odoo compiles its pages and fills its caches. */
export const slowStartMs = 10_000;
/** Its share at the beginning. */
const slowStartLeast = 0.1;

/**
 * What is known of one member. Pure: times are arguments, milliseconds of a clock that never jumps. A mark lets other members go
 * first; it never means that a member is not asked when there is no other.
 */
export class MemberHealth {
  #failures = 0;
  #markedAtMs = Number.NEGATIVE_INFINITY;
  #downUntilMs = Number.NEGATIVE_INFINITY;
  #backSinceMs = Number.NEGATIVE_INFINITY;

  /** Failures in a row. */
  get failures(): number {
    return this.#failures;
  }

  isUp(nowMs: number): boolean {
    return nowMs >= this.#downUntilMs;
  }

  /** How large a share of requests it may have: 1, or less while it starts slowly. */
  weight(nowMs: number): number {
    if (this.#failures > 0) return slowStartLeast;
    const sinceMs = nowMs - this.#backSinceMs;
    return sinceMs >= slowStartMs ? 1 : Math.max(slowStartLeast, sinceMs / slowStartMs);
  }

  /** Refused, reset, or closed without a byte. True: it was not marked before. Failures of the same moment are one. */
  failed(nowMs: number): boolean {
    if (!this.isUp(nowMs)) return false;
    const isNew = this.#failures === 0;
    this.#failures += 1;
    this.#markedAtMs = nowMs;
    this.#downUntilMs = nowMs + Math.min(markFirstMs * 2 ** Math.min(this.#failures - 1, 10), markMostMs);
    return isNew;
  }

  /** A probe found it down still. Changes nothing for a member that is not marked. */
  staysDown(untilMs: number): void {
    if (this.#failures > 0) this.#downUntilMs = Math.max(this.#downUntilMs, untilMs);
  }

  /**
   * It answered a request or probe that was begun at `begunMs`. True: it was marked before. What was begun before the mark says
   * nothing: a stopping Odoo finishes what it has and takes nothing new.
   */
  answered(begunMs: number, nowMs: number): boolean {
    if (this.#failures === 0 || begunMs < this.#markedAtMs) return false;
    this.#failures = 0;
    this.#downUntilMs = Number.NEGATIVE_INFINITY;
    this.#backSinceMs = nowMs;
    return true;
  }
}
