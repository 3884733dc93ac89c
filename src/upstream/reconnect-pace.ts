import type { Clock } from "../base/clock.ts";

/** So many tunnels ended by Odoo within a second are a restart of its bus, not one client's bad luck. */
const cutAtOnce = 20;
const cutSpanMs = 1_000;
/** After a restart, handshakes go to Odoo at this pace for this long: each costs it a session and a subscription. */
export const handshakesAtOnce = 50;
export const handshakesPerSecond = 50;
export const pacedMs = 60_000;
/** Told to a client whose turn has not come: a number of seconds between these, so that they do not all come back together. */
const retryLeastSeconds = 2;
const retryMostSeconds = 15;

/**
 * Thousands of web clients lose their websocket in the same moment when Odoo's bus restarts. Lets a bounded number of handshakes a second
 * through until they are back; the others are told to come again, at different times (Odoo's own client tries again with a growing,
 * random pause).
 */
export class ReconnectPace {
  readonly #clock: Clock;
  readonly #random: () => number;
  #pacedUntilMs = Number.NEGATIVE_INFINITY;
  #tokens = handshakesAtOnce;
  #filledMs = 0;
  #cuts = 0;
  #cutsSinceMs = Number.NEGATIVE_INFINITY;

  /** `random`: 0 to 1, as Math.random. */
  constructor(clock: Clock, random: () => number) {
    this.#clock = clock;
    this.#random = random;
  }

  /** The bus refused a connection: whoever was connected comes back. */
  wentAway(): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs >= this.#pacedUntilMs) {
      this.#tokens = handshakesAtOnce;
      this.#filledMs = nowMs;
    }
    this.#pacedUntilMs = nowMs + pacedMs;
  }

  /** Odoo ended a tunnel without a close frame. */
  wasCut(): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#cutsSinceMs > cutSpanMs) {
      this.#cutsSinceMs = nowMs;
      this.#cuts = 0;
    }
    this.#cuts += 1;
    if (this.#cuts === cutAtOnce) this.wentAway();
  }

  /** Null: go on. Otherwise the seconds after which to try again. */
  handshake(): number | null {
    const nowMs = this.#clock.nowMs();
    if (nowMs >= this.#pacedUntilMs) return null;
    this.#tokens = Math.min(
      handshakesAtOnce,
      this.#tokens + ((nowMs - this.#filledMs) * handshakesPerSecond) / 1_000,
    );
    this.#filledMs = nowMs;
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return null;
    }
    return retryLeastSeconds + Math.floor(this.#random() * (retryMostSeconds - retryLeastSeconds + 1));
  }
}
