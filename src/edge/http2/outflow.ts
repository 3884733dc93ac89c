import type { Priority } from "../../message/priority.ts";
import {
  dataBytesMax,
  flag,
  frameHeadBytes,
  frameType,
  windowBytesAtFirst,
  writeFrameHead,
} from "./frame.ts";

/** Bytes that those ahead may send before one who waits sends a piece too: a download of gigabytes keeps nobody from working. */
export const passedBytesMax = 256 * 1024;
/** As `passedBytesMax`, for who said himself that he may wait. */
export const patientBytesMax = 4 * 1024 * 1024;
/** What he sends then. */
export const overtakingBytes = 4 * dataBytesMax;

/** Whose body it is. */
export interface OutletOwner {
  /** Frames of it are on their way; `ended`: the one that ends the stream is among them. */
  sending(ended: boolean): void;
}

/** The body of one answer on its way, as far as it was written: pieces that wait for windows and for their turn. */
export class Outlet {
  readonly owner: OutletOwner;
  readonly stream: number;
  priority: Priority;
  /** Its server said how urgent it is. */
  isPatient = false;
  /** What the client takes on this stream (RFC 9113 §6.9); below zero after it shrank its windows. */
  windowBytes: number;
  #pieces: Buffer[] = [];
  /** Sent of the first piece. */
  #at = 0;
  #bytes = 0;
  #ends = false;
  /** Sent by those ahead since it waits. */
  passedBytes = 0;
  /** It may send so much although others are ahead. */
  overtakesBytes = 0;
  /** When it sent last; the others of its rank come first. */
  turn = 0;
  /** Grows with what is sent: who looks now and then sees whether the client takes anything. */
  sentBytes = 0;

  constructor(owner: OutletOwner, stream: number, windowBytes: number, priority: Priority) {
    this.owner = owner;
    this.stream = stream;
    this.windowBytes = windowBytes;
    this.priority = priority;
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** All was written, and all of it is sent but the frame that ends the stream. */
  get isEmpty(): boolean {
    return this.#bytes === 0;
  }

  /** Nothing comes behind what was written. */
  get ends(): boolean {
    return this.#ends;
  }

  push(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#pieces.push(piece);
    this.#bytes += piece.length;
  }

  end(): void {
    this.#ends = true;
  }

  /** What waits will never be sent. */
  drop(): void {
    this.#pieces = [];
    this.#bytes = 0;
    this.#at = 0;
  }

  /** Moves `bytes` of what waits into `out`. */
  copy(out: Buffer, start: number, bytes: number): void {
    let at = start;
    const end = start + bytes;
    while (at < end) {
      const [piece] = this.#pieces;
      if (piece === undefined) return;
      const part = Math.min(end - at, piece.length - this.#at);
      piece.copy(out, at, this.#at, this.#at + part);
      at += part;
      this.#at += part;
      if (this.#at < piece.length) continue;
      this.#pieces.shift();
      this.#at = 0;
    }
    this.#bytes -= bytes;
    this.sentBytes += bytes;
  }
}

/**
 * The order in which the bodies of one connection's answers are sent, under its windows: the more urgent first; of the same urgency one after the other as they were asked for,
 * but for those of which parts are of use, which take turns with the first of the others (RFC 9218 §10). What has nothing to send, or may not, stops nobody.
 */
export class Outflow {
  /** What the client takes on this connection (RFC 9113 §6.9). */
  windowBytes = windowBytesAtFirst;
  /** At most the streams of a connection. */
  #outlets: Outlet[] = [];
  #turn = 0;

  /** Its body is written from now on. */
  enter(outlet: Outlet): void {
    this.#outlets.push(outlet);
  }

  leave(outlet: Outlet): void {
    const at = this.#outlets.indexOf(outlet);
    if (at >= 0) this.#outlets.splice(at, 1);
  }

  /** Writes frames of DATA into `out` from `start` on, while there is room for one; where they end. */
  fill(out: Buffer, start: number): number {
    let at = start;
    while (out.length - at >= frameHeadBytes) {
      const outlet = this.#outlets.length === 1 ? this.#only() : this.#next();
      if (outlet === null) break;
      const bytes = Math.min(this.#mayBytes(outlet), out.length - at - frameHeadBytes);
      if (bytes === 0 && !isLast(outlet)) break;
      const ended = outlet.ends && bytes === outlet.bytes;
      writeFrameHead(out, at, bytes, frameType.data, ended ? flag.endStream : 0, outlet.stream);
      outlet.copy(out, at + frameHeadBytes, bytes);
      at += frameHeadBytes + bytes;
      outlet.windowBytes -= bytes;
      this.windowBytes -= bytes;
      this.#passed(outlet, bytes);
      if (ended) this.leave(outlet);
      outlet.owner.sending(ended);
    }
    return at;
  }

  /** Bytes of frames that `fill` could write now, `bytesMax` at most. */
  readyBytes(bytesMax: number): number {
    let bytes = 0;
    for (const outlet of this.#outlets) {
      const may = Math.max(0, Math.min(outlet.bytes, outlet.windowBytes, this.windowBytes));
      if (may > 0 || isLast(outlet))
        bytes += may + frameHeadBytes * Math.max(1, Math.ceil(may / dataBytesMax));
      if (bytes >= bytesMax) return bytesMax;
    }
    return bytes;
  }

  /** Of the next frame's payload. */
  #mayBytes(outlet: Outlet): number {
    return Math.max(0, Math.min(outlet.bytes, dataBytesMax, outlet.windowBytes, this.windowBytes));
  }

  /** Whose turn it is; null: nobody can send. */
  #next(): Outlet | null {
    let urgency = Number.POSITIVE_INFINITY;
    for (const outlet of this.#outlets) {
      if (!this.#isReady(outlet)) continue;
      if (outlet.overtakesBytes > 0) return outlet;
      urgency = Math.min(urgency, outlet.priority.urgency);
    }
    let first: Outlet | null = null;
    let next: Outlet | null = null;
    for (const outlet of this.#outlets) {
      if (outlet.priority.urgency !== urgency || !this.#isReady(outlet)) continue;
      // Of those that are of no use in parts only the one that was asked for first takes turns.
      if (!outlet.priority.incremental) {
        if (first === null || outlet.stream < first.stream) first = outlet;
      } else if (next === null || outlet.turn < next.turn) next = outlet;
    }
    return next === null || (first !== null && first.turn < next.turn) ? first : next;
  }

  #only(): Outlet | null {
    const [only] = this.#outlets;
    return only !== undefined && this.#isReady(only) ? only : null;
  }

  #isReady(outlet: Outlet): boolean {
    return this.#mayBytes(outlet) > 0 || isLast(outlet);
  }

  /** Who waits behind it counts its bytes. */
  #passed(from: Outlet, bytes: number): void {
    this.#turn += 1;
    from.turn = this.#turn;
    from.passedBytes = 0;
    if (from.overtakesBytes > 0) from.overtakesBytes -= bytes;
    if (this.#outlets.length < 2) return;
    for (const outlet of this.#outlets) {
      if (outlet === from || !this.#isReady(outlet)) continue;
      outlet.passedBytes += bytes;
      if (outlet.passedBytes < (outlet.isPatient ? patientBytesMax : passedBytesMax)) continue;
      outlet.passedBytes = 0;
      outlet.overtakesBytes = overtakingBytes;
    }
  }
}

/** Nothing waits but the end. */
function isLast(outlet: Outlet): boolean {
  return outlet.ends && outlet.isEmpty;
}
