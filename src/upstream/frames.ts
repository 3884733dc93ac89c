/**
 * Follows WebSocket frame boundaries (RFC 6455 §5.2) in a stream of bytes without looking at payloads, so that a
 * close frame of ours is never written into the middle of somebody's message.
 */
export class FrameBoundary {
  #header = 0;
  #length7 = 0;
  #masked = false;
  #extended = 0;
  #extendedLeft = 0;
  #payloadLeft = 0;

  /** True when the bytes fed so far end exactly where a frame ends. */
  get atBoundary(): boolean {
    return this.#header === 0 && this.#payloadLeft === 0;
  }

  feed(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#payloadLeft > 0) {
        const skip = Math.min(this.#payloadLeft, chunk.length - at);
        this.#payloadLeft -= skip;
        at += skip;
        continue;
      }
      this.#feedHeader(chunk[at] ?? 0);
      at += 1;
    }
  }

  #feedHeader(byte: number): void {
    if (this.#header === 0) {
      this.#header = 1;
      return;
    }
    if (this.#header === 1) {
      this.#length7 = byte & 0x7f;
      this.#masked = (byte & 0x80) !== 0;
      this.#extended = 0;
      this.#extendedLeft = this.#length7 === 126 ? 2 : this.#length7 === 127 ? 8 : 0;
      this.#header = 2;
      if (this.#extendedLeft === 0) this.#headerRead(this.#length7);
      return;
    }
    this.#extended = this.#extended * 256 + byte;
    this.#extendedLeft -= 1;
    if (this.#extendedLeft === 0) this.#headerRead(this.#extended);
  }

  #headerRead(payloadBytes: number): void {
    this.#header = 0;
    this.#payloadLeft = payloadBytes + (this.#masked ? 4 : 0);
  }
}

/** Unmasked close frames (server to client, RFC 6455 §7.4.1): 1001, the server goes away; 1008, the client may not go on. */
export const closeGoingAway = Buffer.from([0x88, 0x02, 0x03, 0xe9]);
export const closePolicy = Buffer.from([0x88, 0x02, 0x03, 0xf0]);
