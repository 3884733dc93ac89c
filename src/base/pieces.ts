/** So many bytes of pieces, and those that are of no use any more are collected. */
const collectEachBytes = 8 * 1024 * 1024;
/** Smaller ones share their memory with others, and are collected like any object. */
const pieceBytesMin = 4 * 1024;

let bytesSince = 0;
let collect: (() => void) | null = null;

/** What collects fresh garbage, called now and then where large bodies pass. */
export function collectPiecesBy(collector: () => void): void {
  collect = collector;
}

/**
 * So much memory was taken for a piece of a body, which is garbage as soon as it went on. It is no part of the heap, and its object is small: V8 would not clear them away with
 * other fresh garbage, which there is little of, but count the bytes until it looks through everything that lasts.
 */
export function countPiece(bytes: number): void {
  if (bytes < pieceBytesMin) return;
  bytesSince += bytes;
  if (bytesSince < collectEachBytes) return;
  bytesSince = 0;
  collect?.();
}

/** Memory for a piece of a body, to be filled. */
export function newPiece(bytes: number): Buffer {
  countPiece(bytes);
  return Buffer.allocUnsafe(bytes);
}
