import type { Clock } from "../base/clock.ts";
import { Gathered } from "../base/gathered.ts";
import { countPiece } from "../base/pieces.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { BodySource, BodyTaker } from "./body-source.ts";
import type { Spool, SpoolFile } from "./spool.ts";

/** Body bytes kept in memory before the spool file takes over. */
export const bodyMemoryBytesMax = 64 * 1024;
/** Longest silence inside a body. */
export const bodyIdleTimeoutMs = 30_000;
/** A body must come at this rate on average once the grace is over (Kestrel's published figures), and in each minute: who was quick at first may not drip for hours. */
export const bodyBytesPerSecondMin = 240;
export const bodyGraceMs = 10_000;
const bodyMinuteMs = 60_000;
/** Bytes that may come while others are written to the disk; past it the client waits. */
const waitingBytesMax = 128 * 1024;
/** How often a running body is looked at; idle and rate bounds are exact to this much. */
const bodyCheckIntervalMs = 1_000;

/** Why a body was not taken: larger than allowed, too slow, the client left, or there was no room for it. */
export type BodyTrouble = "too-large" | "too-slow" | "client-left" | "no-room";

/** A whole request body, set aside so that Odoo gets it at once: its worker waits 2 s for a byte, not longer. */
export interface RequestBody {
  readonly bytes: number;
  /** The first bytes, at most `bodyMemoryBytesMax`. */
  readonly memory: Buffer;
  /** The rest, from its offset 0; null when memory holds all. */
  readonly file: SpoolFile | null;
  /** Frees the spool file. Call exactly once, when the exchange is over. */
  release(): void;
}

export interface CollectOptions {
  readonly bytesMax: number;
  readonly spool: Spool;
  readonly clock: Clock;
  /** Whose part of the spool it takes; left out: nobody's. */
  readonly owner?: string | null;
  readonly idleTimeoutMs?: number;
  /** Where the bytes that came are counted, also those of a body that never becomes whole. */
  readonly counts?: { bytesIn: number };
}

/**
 * Reads a body to its end. Settles as soon as the answer is known, at once for a small one that came with its head; on trouble the source
 * is left paused.
 */
export function collectBody(
  source: BodySource,
  options: CollectOptions,
): Result<RequestBody, BodyTrouble> | Promise<Result<RequestBody, BodyTrouble>> {
  const { whole } = source;
  if (whole !== null) {
    if (whole.length > options.bytesMax) return err("too-large");
    return ok({ bytes: whole.length, memory: whole, file: null, release: nothing });
  }
  return new Promise((resolve) => {
    new Collector(source, options, resolve).start();
  });
}

/** Bytes of the spool file that are read at once. */
const pieceBytes = 64 * 1024;

/**
 * Hands over the whole body piece by piece, until `take` answers false. False: the spool file could not be read. A piece is
 * only good until `take` returns.
 */
export async function eachPiece(body: RequestBody, take: (piece: Uint8Array) => boolean): Promise<boolean> {
  if (!take(body.memory)) return true;
  const { file } = body;
  const bytes = body.bytes - body.memory.length;
  if (file === null) return true;
  const piece = Buffer.allocUnsafe(pieceBytes);
  for (let position = 0; position < bytes; ) {
    const read = await file.read(piece, position);
    if (!read.ok || read.value === 0) return false;
    if (!take(piece.subarray(0, read.value))) return true;
    position += read.value;
  }
  return true;
}

function nothing(): void {}

class Collector implements BodyTaker {
  readonly #source: BodySource;
  readonly #options: CollectOptions;
  readonly #resolve: (result: Result<RequestBody, BodyTrouble>) => void;
  readonly #memory = new Gathered();
  #bytes = 0;
  #file: SpoolFile | null = null;
  #fileBytes = 0;
  readonly #waiting = new Gathered();
  #writing = false;
  #isPaused = false;
  #ended = false;
  #settled = false;
  #timer: NodeJS.Timeout | null = null;
  #startedMs = 0;
  #lastByteMs = 0;
  /** Since when the minute runs, and what had come then. */
  #minuteMs = 0;
  #minuteBytes = 0;

  constructor(
    source: BodySource,
    options: CollectOptions,
    resolve: (result: Result<RequestBody, BodyTrouble>) => void,
  ) {
    this.#source = source;
    this.#options = options;
    this.#resolve = resolve;
  }

  start(): void {
    this.#startedMs = this.#options.clock.nowMs();
    this.#lastByteMs = this.#startedMs;
    this.#minuteMs = this.#startedMs;
    this.#timer = setInterval(this.#onTimer, bodyCheckIntervalMs);
    this.#timer.unref();
    this.#source.take(this);
  }

  data(chunk: Buffer): void {
    if (this.#settled) return;
    this.#bytes += chunk.length;
    const { counts } = this.#options;
    if (counts !== undefined) counts.bytesIn = this.#bytes;
    this.#lastByteMs = this.#options.clock.nowMs();
    if (this.#bytes > this.#options.bytesMax) return this.#settle(err("too-large"));
    if (this.#file === null && !this.#writing && this.#memory.bytes + chunk.length <= bodyMemoryBytesMax)
      return this.#memory.push(chunk);
    countPiece(chunk.length);
    this.#waiting.push(chunk);
    if (this.#waiting.bytes > waitingBytesMax) this.#pause();
    if (!this.#writing) void this.#flush();
  }

  #pause(): void {
    this.#isPaused = true;
    this.#source.pause();
  }

  end(): void {
    this.#ended = true;
    if (!this.#writing) this.#finish();
  }

  gone(): void {
    if (!this.#ended) this.#settle(err("client-left"));
  }

  #onTimer = (): void => {
    if (this.#writing || this.#ended) return;
    const nowMs = this.#options.clock.nowMs();
    const idleMs = this.#options.idleTimeoutMs ?? bodyIdleTimeoutMs;
    const lateMs = nowMs - this.#startedMs - bodyGraceMs;
    const owed = (lateMs / 1000) * bodyBytesPerSecondMin;
    if (nowMs - this.#lastByteMs > idleMs || (lateMs > 0 && this.#bytes < owed) || this.#drips(nowMs))
      this.#settle(err("too-slow"));
  };

  #drips(nowMs: number): boolean {
    const ms = nowMs - this.#minuteMs;
    if (ms < bodyMinuteMs) return false;
    const bytes = this.#bytes - this.#minuteBytes;
    this.#minuteMs = nowMs;
    this.#minuteBytes = this.#bytes;
    return bytes < (ms / 1000) * bodyBytesPerSecondMin;
  }

  /** Moves what waits into the file, one write at a time. */
  async #flush(): Promise<void> {
    this.#writing = true;
    if (this.#file === null) {
      const made = await this.#options.spool.create(this.#options.owner ?? null);
      if (!made.ok) return this.#settle(err("no-room"));
      this.#file = made.value;
      if (this.#settled) return made.value.close();
    }
    while (this.#waiting.bytes > 0) {
      const piece = this.#waiting.take();
      this.#resume();
      const written = await this.#file.write([piece], this.#fileBytes);
      if (this.#settled) return;
      if (!written.ok) return this.#settle(err("no-room"));
      this.#fileBytes += piece.length;
    }
    this.#writing = false;
    if (this.#ended) return this.#finish();
    this.#lastByteMs = this.#options.clock.nowMs();
  }

  #resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#source.resume();
  }

  #finish(): void {
    const file = this.#file;
    this.#settle(ok({ bytes: this.#bytes, memory: this.#memory.take(), file, release: () => file?.close() }));
  }

  #settle(result: Result<RequestBody, BodyTrouble>): void {
    if (this.#settled) return;
    this.#settled = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    if (!result.ok) {
      this.#source.pause();
      this.#file?.close();
    }
    this.#resolve(result);
  }
}
