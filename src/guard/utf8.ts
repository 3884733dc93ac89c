import { isUtf8 } from "node:buffer";

/**
 * Checks that bytes which come in pieces are UTF-8 (RFC 3629) as a whole: a character may be cut by a piece's end. Keeps at
 * most three bytes.
 */
export class Utf8Pieces {
  #tail: Buffer = Buffer.alloc(0);

  /** The whole characters so far that were not handed out yet; null when the bytes are no UTF-8. */
  whole(piece: Uint8Array): Buffer | null {
    const given = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    const bytes = this.#tail.length === 0 ? given : Buffer.concat([this.#tail, given]);
    const end = wholeCharacters(bytes);
    this.#tail = Buffer.from(bytes.subarray(end));
    const whole = bytes.subarray(0, end);
    return isUtf8(whole) ? whole : null;
  }

  /** Did the bytes end behind a whole character. */
  get isComplete(): boolean {
    return this.#tail.length === 0;
  }
}

/** Where the last whole character ends: one cut by the piece's end waits for the next piece. */
function wholeCharacters(bytes: Buffer): number {
  const { length } = bytes;
  for (let back = 1; back <= 3 && back <= length; back += 1) {
    const byte = bytes[length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const needs = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return needs > back ? length - back : length;
  }
  return length;
}
