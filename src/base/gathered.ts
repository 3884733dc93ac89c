import { countPiece } from "./pieces.ts";

/** A piece of so many bytes may be kept as it is; a smaller one costs its object and all that was read with it. */
const wholeBytesMin = 16 * 1024;
const firstBytes = 1_024;

/**
 * Bytes that are put together in one store which doubles. A list of pieces would cost many times their bytes where somebody sends them one by
 * one: each is an object, and holds the whole read that it came with.
 */
export class Gathered {
  #store: Buffer | null = null;
  #isOurs = false;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  push(piece: Buffer): void {
    const needed = this.#bytes + piece.length;
    if (this.#bytes === 0 && piece.length >= wholeBytesMin && piece.length * 2 >= piece.buffer.byteLength) {
      this.#store = piece;
      this.#isOurs = false;
    } else {
      let store = this.#store;
      if (store === null || !this.#isOurs || needed > store.length) {
        const larger = Buffer.allocUnsafeSlow(Math.max(firstBytes, 2 * needed));
        countPiece(larger.length);
        store?.copy(larger, 0, 0, this.#bytes);
        store = larger;
      }
      piece.copy(store, this.#bytes);
      this.#store = store;
      this.#isOurs = true;
    }
    this.#bytes = needed;
  }

  /** All of it; nothing is left here. */
  take(): Buffer {
    const all = this.#store?.subarray(0, this.#bytes) ?? Buffer.alloc(0);
    this.#store = null;
    this.#bytes = 0;
    return all;
  }
}
