/** A piece handed over at once: what a client that reads slowly has waiting is not more than a few of these. */
const pieceBytes = 64 * 1024;

/** How large the pieces are; bytes. */
export interface Pieces {
  /** At most. */
  readonly most: number;
  /** At least, of the first piece and of each further one; only the last may be smaller. */
  readonly first: number;
  readonly least: number;
}

/** As they come. */
const anyPieces: Pieces = { most: pieceBytes, first: 1, least: 1 };

/** Takes bytes. `write` answers false when it has enough for now; call `Reading.drained` when it can take more. */
export interface Taker {
  write(piece: Buffer): boolean;
  end(): void;
  /** What came so far will never be whole. */
  fail(): void;
}

/** One taker on its way through the bytes. */
export interface Reading {
  drained(): void;
  /** The taker is gone; it hears nothing more. */
  close(): void;
}

/**
 * Bytes that are still coming, read by many at their own pace from the beginning on. Memory is bounded by who writes: nothing is
 * given up before it is whole or has failed.
 */
export class GrowingBytes {
  #buffer: Buffer;
  #filled = 0;
  #state: "growing" | "whole" | "failed" = "growing";
  readonly #readings = new Set<BytesReading>();
  readonly #enders: (() => void)[] = [];

  /** `bytes`: how many will come, or a guess. */
  constructor(bytes: number) {
    // Not from Node's shared pool: a small file would keep 8 KiB of neighbours alive.
    this.#buffer = Buffer.allocUnsafeSlow(bytes);
  }

  static whole(buffer: Buffer): GrowingBytes {
    const bytes = new GrowingBytes(0);
    bytes.#buffer = buffer;
    bytes.#filled = buffer.length;
    bytes.#state = "whole";
    return bytes;
  }

  get filled(): number {
    return this.#filled;
  }

  get state(): "growing" | "whole" | "failed" {
    return this.#state;
  }

  /** All bytes; null until they are there. */
  get buffer(): Buffer | null {
    return this.#state === "whole" ? this.#buffer : null;
  }

  push(piece: Uint8Array): void {
    if (this.#state !== "growing") return;
    const needed = this.#filled + piece.length;
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
      larger.set(this.#buffer.subarray(0, this.#filled));
      this.#buffer = larger;
    }
    this.#buffer.set(piece, this.#filled);
    this.#filled = needed;
    for (const reading of this.#readings) reading.pump();
  }

  end(): void {
    if (this.#state !== "growing") return;
    if (this.#filled < this.#buffer.length) {
      const exact = Buffer.allocUnsafeSlow(this.#filled);
      exact.set(this.#buffer.subarray(0, this.#filled));
      this.#buffer = exact;
    }
    this.#settle("whole");
  }

  fail(): void {
    if (this.#state === "growing") this.#settle("failed");
  }

  /** Calls back once when the bytes are whole or have failed; at once when they are. */
  onSettled(then: () => void): void {
    if (this.#state === "growing") this.#enders.push(then);
    else then();
  }

  /** Hands the bytes over, those there are at once and the others as they come, then `end` or `fail`. */
  read(taker: Taker, pieces: Pieces = anyPieces): Reading {
    const reading = new BytesReading(this, taker, pieces, () => this.#readings.delete(reading));
    this.#readings.add(reading);
    reading.pump();
    return reading;
  }

  /** The next piece from `position`; null: there is none yet. */
  pieceAt(position: number, { most, first, least }: Pieces): Buffer | null {
    const there = this.#filled - position;
    if (there <= 0) return null;
    if (this.#state === "growing" && there < (position === 0 ? first : least)) return null;
    return this.#buffer.subarray(position, position + Math.min(there, most));
  }

  #settle(state: "whole" | "failed"): void {
    this.#state = state;
    for (const reading of this.#readings) reading.pump();
    for (const then of this.#enders.splice(0)) then();
  }
}

class BytesReading implements Reading {
  readonly #bytes: GrowingBytes;
  readonly #taker: Taker;
  readonly #pieces: Pieces;
  readonly #leave: () => void;
  #position = 0;
  #blocked = false;
  #pumping = false;
  #over = false;

  constructor(bytes: GrowingBytes, taker: Taker, pieces: Pieces, leave: () => void) {
    this.#bytes = bytes;
    this.#taker = taker;
    this.#pieces = pieces;
    this.#leave = leave;
  }

  drained(): void {
    this.#blocked = false;
    this.pump();
  }

  close(): void {
    this.#over = true;
    this.#leave();
  }

  pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    while (!this.#blocked && !this.#over) {
      // What will not be whole is not told to its end.
      const piece = this.#bytes.state === "failed" ? null : this.#bytes.pieceAt(this.#position, this.#pieces);
      if (piece === null) break;
      this.#position += piece.length;
      this.#blocked = !this.#taker.write(piece);
    }
    this.#pumping = false;
    if (this.#over || this.#bytes.state === "growing") return;
    if (this.#bytes.state === "failed") {
      this.close();
      this.#taker.fail();
    } else if (!this.#blocked && this.#position >= this.#bytes.filled) {
      this.close();
      this.#taker.end();
    }
  }
}
