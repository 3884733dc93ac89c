import type { Transform } from "node:stream";
import type { Coding } from "../message/accept-encoding.ts";
import { plainUrgency } from "../message/priority.ts";
import { GrowingBytes } from "./growing.ts";
import type { Turns } from "./turns.ts";

/** Bodies below this many bytes are not compressed: a packet is a packet. */
export const codedBytesMin = 1_024;

/**
 * What a compressor is given at once, bytes. Each piece costs a way to another thread and back, on which a loaded processor loses more time than
 * compressing takes; and after each it gives out what it has, because brotli alone keeps a file of megabytes to itself
 * until it is whole, and the first visitor's line idles meanwhile (1 % larger). The first piece is small: nothing is under way yet.
 */
const encoderPieces = { most: 256 * 1024, first: 64 * 1024, least: 256 * 1024 };

/** Makes a compressor for one body that gives out what it has with every piece; `bytes` is how many will be written. */
export type MakeEncoder = (coding: Coding, bytes: number) => Transform;

/**
 * One body, as it came and in every coding somebody asked for. A coding is made once, off the event loop, while the body still comes
 * in; all who want it read the same bytes.
 */
export class Content {
  readonly identity: GrowingBytes;
  readonly bytes: number;
  /** Called when a coding is whole: the content takes more memory now. Null: the store does not hold it, or no longer. */
  onGrown: (() => void) | null = null;
  /** Called once when the store gives it up: who wanted to work on it would keep its memory. */
  onGivenUp: (() => void) | null = null;
  /** Called when the last reader has left. */
  onLeft: (() => void) | null = null;
  readonly #compressible: boolean;
  readonly #makeEncoder: MakeEncoder;
  readonly #turns: Turns;
  readonly #coded = new Map<Coding, GrowingBytes>();
  /** Each ends one coding that is just being made. */
  readonly #stops = new Set<() => void>();
  #readers = 0;
  #isGivenUp = false;

  constructor(bytes: number, compressible: boolean, makeEncoder: MakeEncoder, turns: Turns) {
    this.bytes = bytes;
    this.identity = new GrowingBytes(bytes);
    this.#compressible = compressible && bytes >= codedBytesMin;
    this.#makeEncoder = makeEncoder;
    this.#turns = turns;
  }

  get isCompressible(): boolean {
    return this.#compressible;
  }

  /** Bytes of memory held. */
  get memoryBytes(): number {
    let total = this.bytes;
    for (const bytes of this.#coded.values()) total += bytes.filled;
    return total;
  }

  /** Somebody reads at his own pace, and so long holds the memory; he leaves by what is answered, exactly once. */
  enter(): () => void {
    this.#readers += 1;
    return () => {
      this.#readers -= 1;
      if (this.#readers > 0) return;
      this.onLeft?.();
      if (this.#isGivenUp) this.#stop();
    };
  }

  /** It is not kept, or no longer: without a reader nothing more is made of it, for what waits to be compressed is memory that nobody counts. */
  giveUp(): void {
    this.#isGivenUp = true;
    this.onGrown = null;
    this.onGivenUp?.();
    this.onGivenUp = null;
    if (this.#readers === 0) this.#stop();
  }

  get isRead(): boolean {
    return this.#readers > 0;
  }

  /** Has the body been compressed so, or is it just being? */
  has(coding: Coding): boolean {
    return this.#coded.has(coding);
  }

  /** The bytes in this coding; null is identity. `urgency`: of who asks, where they have yet to be made. */
  in(coding: Coding | null, urgency = plainUrgency): GrowingBytes {
    if (coding === null || !this.#compressible) return this.identity;
    const before = this.#coded.get(coding);
    if (before !== undefined && before.state !== "failed") return before;
    const made = this.#encode(coding, urgency);
    this.#coded.set(coding, made);
    return made;
  }

  /** Puts a better compressed form in the place of the first one; who reads that one reads on. */
  replace(coding: Coding, better: Buffer): void {
    const before = this.#coded.get(coding)?.buffer;
    if (before !== undefined && before !== null && before.length <= better.length) return;
    this.#coded.set(coding, GrowingBytes.whole(better));
    // What was quick to make has done its service; who reads it reads on.
    if (coding === "br") this.#coded.delete("zstd");
    this.onGrown?.();
  }

  #stop(): void {
    for (const stop of [...this.#stops]) stop();
  }

  #encode(coding: Coding, urgency: number): GrowingBytes {
    const coded = new GrowingBytes(Math.max(4_096, Math.ceil(this.bytes / 4)));
    const encoder = this.#makeEncoder(coding, this.bytes);
    const order = this.#turns.enter(urgency);
    let over = (): void => {};
    // Not held by its turn: that may be far off when nobody wants it any more.
    let next: Buffer | null = null;
    const reading = this.identity.read(
      {
        write: (piece) => {
          next = piece;
          this.#turns.take(order, (turnOver) => {
            const now = next;
            if (now === null) return queueMicrotask(turnOver);
            next = null;
            over = turnOver;
            encoder.write(now, () => {
              // Its next piece is in the order again before the others are asked.
              reading.drained();
              turnOver();
            });
          });
          return false;
        },
        end: () => encoder.end(),
        fail: () => encoder.destroy(new Error("the body was not whole")),
      },
      encoderPieces,
    );
    encoder.on("data", (piece: Buffer) => coded.push(piece));
    encoder.on("end", () => {
      this.#stops.delete(stop);
      coded.end();
      this.onGrown?.();
    });
    const stop = () => {
      this.#stops.delete(stop);
      next = null;
      reading.close();
      encoder.destroy();
      over();
      coded.fail();
    };
    this.#stops.add(stop);
    encoder.on("error", stop);
    return coded;
  }
}
