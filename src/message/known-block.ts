/** Longer blocks are read anew each time. */
const blockBytesMax = 8 * 1024;
/** Digits of a number below 2^53 in any case. */
const digitsMax = 15;

/** Heads in a row that were not known again, after which only each eighth is learnt. */
const missesMax = 4;
const learnEach = 8;

/**
 * Is it worth remembering a head: not the first of a connection, which may be the only one, and seldom where each brings other fields, since
 * remembering costs as much as reading.
 */
export class Worth {
  #heads = 0;
  #misses = 0;

  /** A head had to be read. */
  missed(): boolean {
    this.#heads = Math.min(this.#heads + 1, 2);
    if (this.#heads === 1) return false;
    this.#misses += 1;
    return this.#misses <= missesMax || this.#misses % learnEach === 0;
  }

  /** A head was known. */
  matched(): void {
    this.#misses = 0;
  }
}

/**
 * The end of a head that was read before, to know it again when it differs in nothing but the number in Content-Length: two
 * comparisons of memory instead of looking for its end and reading it line by line.
 */
export class KnownBlock {
  readonly #bytes: Buffer;
  /** Where the digits begin and end; both the block's end where there is no Content-Length. */
  readonly #digits: number;
  readonly #rest: number;
  #end = 0;

  private constructor(bytes: Buffer, digits: number, rest: number) {
    this.#bytes = bytes;
    this.#digits = digits;
    this.#rest = rest;
  }

  /**
   * `block`: bytes that begin with the line end before the first field, or with a line before it, and end with the empty line. `length`: the
   * text of its one Content-Length; null: it has none. Null: it is too long, or Content-Length is spelt in a way nobody uses.
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

  /** Where the bytes that matched last end, their empty line included. */
  get end(): number {
    return this.#end;
  }

  /** Does this block stand there: its Content-Length, 0 where it has none; -1: other bytes, or not all of them yet. */
  match(input: Buffer, from: number): number {
    const bytes = this.#bytes;
    const at = from + this.#digits;
    if (at > input.length || input.compare(bytes, 0, this.#digits, from, at) !== 0) return -1;
    this.#end = at;
    if (this.#digits === bytes.length) return 0;
    let rest = at;
    let number = 0;
    for (; rest - at < digitsMax; rest += 1) {
      const digit = (input[rest] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) break;
      number = number * 10 + digit;
    }
    // No digit, or a zero in front, is nothing the screen would take.
    if (rest === at || (input[at] === 0x30 && rest - at > 1)) return -1;
    const end = rest + bytes.length - this.#rest;
    if (end > input.length || input.compare(bytes, this.#rest, bytes.length, rest, end) !== 0) return -1;
    this.#end = end;
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
