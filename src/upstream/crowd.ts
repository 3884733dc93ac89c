/**
 * Our requests at one member, by whether their connection stands. Odoo's listen queue is seen from outside only as connections
 * that come about or do not; this is what `LearntBound` goes by. Other programs at the same Odoo are not seen.
 */
export class Crowd {
  /** On a fresh connection that is not established yet. */
  connecting = 0;
  /** On an established connection: at work, or in Odoo's listen queue. */
  established = 0;
  /** Most that were established at once since the last moment at which none was connecting. */
  peak = 0;
  /** When the member last answered one, milliseconds of the monotonic clock. */
  answeredMs = Number.NEGATIVE_INFINITY;

  begins(): void {
    if (this.connecting === 0) this.peak = this.established;
    this.connecting += 1;
  }

  stands(): void {
    this.established += 1;
    if (this.established > this.peak) this.peak = this.established;
  }
}
