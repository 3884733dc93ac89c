/** Longer blocks are read anew each time. */
const blockBytesMax = 8 * 1024;
/** Digits of a number below 2^53 in any case. */
const digitsMax = 15;

/**
 * A block of field lines that was read before, to know it again when it differs in nothing but the number in Content-Length: two
 * comparisons of memory instead of reading it line by line.
 */
export class KnownBlock {
  readonly #bytes: Buffer;
  /** Where the digits begin and end; both the block's end where there is no Content-Length. */
  readonly #digits: number;
  readonly #rest: number;

  private constructor(bytes: Buffer, digits: number, rest: number) {
    this.#bytes = bytes;
    this.#digits = digits;
    this.#rest = rest;
  }

  /**
   * `block`: bytes that begin with the line end before the first field, or with a line before it. `length`: the text of its one Content-Length; null:
   * it has none. Null: it is too long, or Content-Length is spelt in a way nobody uses.
   */
  static of(block: Buffer, length: string | null): KnownBlock | null {
    if (block.length > blockBytesMax) return null;
    // A copy: the piece it came in may be much larger.
    const bytes = Buffer.allocUnsafeSlow(block.length);
    block.copy(bytes);
    if (length === null) return new KnownBlock(bytes, bytes.length, bytes.length);
    const digits = digitsOf(bytes);
    return digits < 0 ? null : new KnownBlock(bytes, digits, digits + length.length);
  }

  /** Its Content-Length, 0 where the block has none; -1: other bytes. */
  match(input: Buffer, from: number, to: number): number {
    const bytes = this.#bytes;
    const at = from + this.#digits;
    const rest = to - (bytes.length - this.#rest);
    if (at > to || rest < at || rest - at > digitsMax) return -1;
    if (input.compare(bytes, 0, this.#digits, from, at) !== 0) return -1;
    if (this.#digits === bytes.length) return at === to ? 0 : -1;
    const number = decimal(input, at, rest);
    if (number < 0 || input.compare(bytes, this.#rest, bytes.length, rest, to) !== 0) return -1;
    return number;
  }
}

/** Where the value of Content-Length begins, in the two spellings that are in use; -1: in another. */
function digitsOf(block: Buffer): number {
  for (const name of ["\r\nContent-Length: ", "\r\ncontent-length: "]) {
    const at = block.indexOf(name, 0, "latin1");
    if (at >= 0) return at + name.length;
  }
  return -1;
}

/** A number without leading zeros, at least one digit; -1: none. */
function decimal(input: Buffer, from: number, to: number): number {
  if (to === from || (input[from] === 0x30 && to - from > 1)) return -1;
  let number = 0;
  for (let i = from; i < to; i += 1) {
    const digit = (input[i] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
  }
  return number;
}
