import type { Clock } from "../base/clock.ts";
import type { EventSink } from "../observe/events.ts";

/** A name that was told is not told again for this long. */
export const tellAgainMs = 3_600_000;
/** At most so many lines in a window, whatever names strangers think of; the rest is counted and told with the next line. */
export const linesMax = 10;
export const windowMs = 600_000;

/**
 * Tells of names that clients asked for in the TLS hello and that have no certificate: a name that DNS leads here and
 * DOMAIN has forgotten, or a scanner's. They are shown the default certificate.
 */
export class UnknownNames {
  readonly #sink: EventSink;
  readonly #clock: Clock;
  /** When a name was told last. At most `linesMax` are added in a window and kept for `tellAgainMs`: some sixty. */
  readonly #told = new Map<string, number>();
  #windowOpenMs = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #untold = 0;

  constructor(sink: EventSink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  /** Called in the handshake: never throws, and does a bounded little. */
  met(name: string, shown: readonly string[]): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#windowOpenMs >= windowMs) {
      this.#windowOpenMs = nowMs;
      this.#lines = 0;
      for (const [known, atMs] of this.#told) if (nowMs - atMs >= tellAgainMs) this.#told.delete(known);
    }
    const last = this.#told.get(name);
    if (this.#lines >= linesMax || (last !== undefined && nowMs - last < tellAgainMs)) {
      this.#untold += 1;
      return;
    }
    this.#lines += 1;
    this.#told.set(name, nowMs);
    const untold = this.#untold;
    this.#untold = 0;
    this.#sink.emit({ type: "certificate-missing", name, shown, untold });
  }
}
