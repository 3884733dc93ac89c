import { newPiece } from "../base/pieces.ts";
import { atTurnEnd, type Due, turnOrder } from "../base/turn-end.ts";
import type { Spool, SpoolFile } from "./spool.ts";

/** Bytes of one answer kept in memory for a slow client before the spool file takes over. */
export const answerMemoryBytesMax = 64 * 1024;
/** Bytes of one answer kept in its spool file; past it Odoo is read only as fast as the client reads. */
export const answerFileBytesMax = 1024 * 1024 * 1024;
/** Bytes waiting for the disk before the upstream is paused. */
const waitingBytesMax = 1024 * 1024;
const readBytes = 64 * 1024;

/** Where the bytes go. `write` answers false when the client reads too slowly; `drained()` follows. */
export interface AnswerTarget {
  write(chunk: Buffer): boolean;
  end(): void;
  /** Bytes set aside are lost (disk failure): the answer must be cut so that it does not look complete. */
  fail(): void;
}

/** Where the bytes come from. */
export interface AnswerFlow {
  pause(): void;
  resume(): void;
}

/**
 * Stands between Odoo and a slow client: Odoo's worker is free as soon as it has written its answer (it
 * gives up after 2 s of a stalled reader), the client takes the time it takes. Order is kept:
 * memory queue, then the file, then what waits for the file. Nothing goes to the file before the end of the turn in which it came: until
 * then nobody knows whether the client is slow. When the spool is full or the disk fails nothing is lost: the upstream is paused instead.
 * So it is without a spool, where nobody is kept by that: then a slow client holds a piece or two.
 */
export class AnswerBuffer implements Due {
  readonly #target: AnswerTarget;
  readonly #flow: AnswerFlow;
  readonly #spool: Pick<Spool, "create"> | null;
  readonly #fileBytesMax: number;
  #queue: Buffer[] = [];
  #queueBytes = 0;
  #file: SpoolFile | null = null;
  #readPosition = 0;
  #writePosition = 0;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #writing = false;
  #willWrite = false;
  #pumping = false;
  #blocked = false;
  #paused = false;
  #spoolBroken = false;
  #finished = false;
  #closed = false;

  constructor(
    target: AnswerTarget,
    flow: AnswerFlow,
    spool: Pick<Spool, "create"> | null,
    fileBytesMax = answerFileBytesMax,
  ) {
    this.#target = target;
    this.#flow = flow;
    this.#spool = spool;
    this.#fileBytesMax = fileBytesMax;
  }

  /** The next bytes from Odoo. */
  push(chunk: Buffer): void {
    if (this.#closed) return;
    if (!this.#blocked && !this.#pumping && this.#isEmpty()) {
      this.#blocked = !this.#target.write(chunk);
      if (this.#blocked && this.#spool === null) this.#pause();
      return;
    }
    if (this.#spool === null) {
      this.#queue.push(chunk);
      this.#queueBytes += chunk.length;
      return this.#pause();
    }
    const fileIdle = this.#unread() === 0 && !this.#writing && this.#waiting.length === 0;
    if (fileIdle && this.#queueBytes + chunk.length <= answerMemoryBytesMax) {
      this.#queue.push(chunk);
      this.#queueBytes += chunk.length;
      return;
    }
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
    if (this.#spoolBroken || this.#waitingBytes > waitingBytesMax || this.#unread() > this.#fileBytesMax)
      this.#pause();
    if (this.#willWrite) return;
    this.#willWrite = true;
    atTurnEnd(turnOrder.request, this);
  }

  due(): void {
    this.#willWrite = false;
    if (this.#closed || this.#spoolBroken || this.#writing || this.#waiting.length === 0) return;
    if (this.#unread() <= this.#fileBytesMax) void this.#write();
  }

  /** Odoo's answer is whole: end the target once everything is out. */
  finish(): void {
    this.#finished = true;
    if (!this.#closed && !this.#pumping && this.#isEmpty()) this.#target.end();
  }

  /** The client took what was written. */
  drained(): void {
    this.#blocked = false;
    if (!this.#pumping) void this.#pump();
  }

  /** Frees the file; nothing is written any more. */
  close(): void {
    this.#closed = true;
    this.#queue = [];
    this.#waiting = [];
    this.#file?.close();
    this.#file = null;
  }

  #unread(): number {
    return this.#writePosition - this.#readPosition;
  }

  #isEmpty(): boolean {
    return this.#queue.length === 0 && this.#unread() === 0 && this.#waiting.length === 0 && !this.#writing;
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#flow.pause();
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#flow.resume();
  }

  async #write(): Promise<void> {
    const spool = this.#spool;
    if (spool === null) return;
    this.#writing = true;
    while (this.#waiting.length > 0 && this.#unread() <= this.#fileBytesMax && !this.#closed) {
      if (this.#file === null) {
        const made = await spool.create();
        if (made.ok && this.#closed) made.value.close();
        if (this.#closed) return;
        if (!made.ok) return this.#breakSpool();
        this.#file = made.value;
      }
      // What comes meanwhile is put behind them.
      const pieces = this.#waiting.slice();
      const bytes = this.#waitingBytes;
      const written = await this.#file.write(pieces, this.#writePosition);
      if (this.#closed) return;
      if (!written.ok) return this.#breakSpool();
      this.#waiting.splice(0, pieces.length);
      this.#waitingBytes -= bytes;
      this.#writePosition += bytes;
    }
    this.#writing = false;
    if (this.#waitingBytes <= waitingBytesMax && this.#unread() <= this.#fileBytesMax) this.#resume();
    if (!this.#blocked && !this.#pumping) void this.#pump();
  }

  /** What waits stays in memory and goes out behind the file; the upstream waits meanwhile. */
  #breakSpool(): void {
    this.#spoolBroken = true;
    this.#writing = false;
    this.#pause();
    if (!this.#blocked && !this.#pumping) void this.#pump();
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    while (!this.#blocked && !this.#closed) {
      const chunk = this.#queue.shift();
      if (chunk !== undefined) {
        this.#queueBytes -= chunk.length;
        this.#blocked = !this.#target.write(chunk);
      } else if (this.#unread() > 0) {
        if (!(await this.#pumpFile())) return;
      } else if (this.#writing) {
        break;
      } else if (this.#waiting.length > 0) {
        this.#takeWaiting();
      } else {
        break;
      }
    }
    this.#pumping = false;
    if (this.#closed || this.#blocked || !this.#isEmpty()) return;
    if (this.#finished) return this.#target.end();
    this.#resume();
  }

  /** One piece of the file; false when the answer cannot go on. */
  async #pumpFile(): Promise<boolean> {
    const file = this.#file;
    if (file === null) return false;
    const piece = newPiece(Math.min(readBytes, this.#unread()));
    const read = await file.read(piece, this.#readPosition);
    if (this.#closed) return false;
    if (!read.ok || read.value === 0) {
      this.close();
      this.#target.fail();
      return false;
    }
    this.#readPosition += read.value;
    if (this.#unread() === 0 && !this.#writing) {
      this.#readPosition = 0;
      this.#writePosition = 0;
    }
    if (this.#paused && !this.#spoolBroken && this.#unread() <= this.#fileBytesMax / 2) {
      if (this.#waiting.length > 0 && !this.#writing) void this.#write();
      else this.#resume();
    }
    this.#blocked = !this.#target.write(piece.subarray(0, read.value));
    return true;
  }

  /** Past the file, which is read to its end. */
  #takeWaiting(): void {
    this.#queue = this.#waiting;
    this.#queueBytes = this.#waitingBytes;
    this.#waiting = [];
    this.#waitingBytes = 0;
    // Where nothing can be set aside Odoo waits until all of it is out.
    if (!this.#spoolBroken) this.#resume();
    this.#spoolBroken = false;
  }
}
