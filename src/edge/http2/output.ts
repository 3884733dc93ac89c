import type { Socket } from "node:net";
import { newPiece } from "../../base/pieces.ts";
import { atTurnEnd, type Due, turnOrder } from "../../base/turn-end.ts";
import type { EdgeBounds } from "../bounds.ts";
import { closeSoon } from "../close-soon.ts";
import { httpDate } from "../http-date.ts";
import { answerFields } from "./fields.ts";
import { flag, frameHeadBytes, frameType, payloadBytesMax, writeFrameHead } from "./frame.ts";
import { HpackEncoder } from "./hpack-encoder.ts";
import { Outflow } from "./outflow.ts";
import type { Http2Toll } from "./toll.ts";

/** Bytes that one write holds at most, but for what has to be in one piece. */
const writeBytesMax = 64 * 1024;

/** A body of at most this many bytes leaves with its head, whatever else waits: less than a frame of those that would be before it. */
const smallBytesMax = 8 * 1024;

/** Whose answer goes out. */
export interface Answerer {
  /** Its outlet has room again. */
  drained(): void;
  /** The system has all bytes of its answer; or it will not have them: the connection is gone. */
  written(isWhole: boolean): void;
}

/**
 * What one HTTP/2 connection writes: heads and control frames at once, bodies in their order and under their windows, all that there is in one write a turn. What the
 * system does not take waits, and nothing more is read meanwhile when that is much.
 */
export class Http2Output implements Due {
  readonly encoder = new HpackEncoder();
  readonly outflow = new Outflow();
  readonly #socket: Socket;
  readonly #bounds: EdgeBounds;
  readonly #toll: Http2Toll;
  /** Frames that wait for the next write: all but DATA. */
  #frames: Buffer[] = [];
  #framesBytes = 0;
  /** Whose last frame is in the next write. */
  #ending: Answerer[] = [];
  /** Whose outlets have room again. */
  #roomy: Answerer[] = [];
  /** Of each write under way, whose answers end with it. */
  readonly #writes: (readonly Answerer[])[] = [];
  #willFlush = false;
  /** The system does not take more for now. */
  #isBlocked = false;
  /** It took no more when that was last looked at, and has not taken all since then. */
  #isStuck = false;
  #stuckSinceMs = 0;
  /** Nothing is read until what waits is out. */
  #isPaused = false;
  #isEnding = false;
  #isGone = false;

  constructor(socket: Socket, bounds: EdgeBounds, toll: Http2Toll) {
    this.#socket = socket;
    this.#bounds = bounds;
    this.#toll = toll;
    socket.on("drain", () => {
      this.#isBlocked = false;
      this.#isStuck = false;
      socket.setTimeout(0);
      this.#flush();
    });
    // Node sees progress inside a write: a slow reader is not a dead one.
    socket.on("timeout", () => {
      if (this.#isBlocked || this.#isEnding) socket.destroy();
    });
  }

  /** By the clock. Frames of the client keep Node's timer from running out. */
  look(nowMs: number): void {
    if (!this.#isBlocked) return;
    if (!this.#isStuck) {
      this.#isStuck = true;
      this.#stuckSinceMs = nowMs;
    } else if (nowMs - this.#stuckSinceMs >= this.#bounds.sendStuckTimeoutMs) this.#socket.destroy();
  }

  /** A frame that is no DATA. */
  send(frame: Buffer): void {
    this.#frames.push(frame);
    this.#framesBytes += frame.length;
    this.wake();
    if (this.#framesBytes <= this.#bounds.http2OutputBytesMax || this.#isPaused) return;
    // Who asks and does not take the answers is not read any more.
    this.#isPaused = true;
    this.#socket.pause();
  }

  /** The head of an answer, or of an interim one. `length`: what Content-Length says; null: nothing. */
  head(
    stream: number,
    status: number,
    fields: readonly string[],
    length: number | null,
    ends: boolean,
  ): void {
    this.#sendBlock(stream, this.#block(status, fields, length), ends);
  }

  /** The head of a whole answer; true: its body went with it, since it is small and the windows let it through. `windowBytes`: of its stream. */
  answer(
    stream: number,
    status: number,
    fields: readonly string[],
    body: Buffer,
    windowBytes: number,
  ): boolean {
    const block = this.#block(status, fields, body.length);
    const bytes = block.length - frameHeadBytes;
    const isLetThrough = body.length <= Math.min(smallBytesMax, windowBytes, this.outflow.windowBytes);
    if (!isLetThrough || bytes > payloadBytesMax) {
      this.#sendBlock(stream, block, false);
      return false;
    }
    const frames = Buffer.allocUnsafe(block.length + frameHeadBytes + body.length);
    block.copy(frames);
    writeFrameHead(frames, 0, bytes, frameType.headers, flag.endHeaders, stream);
    writeFrameHead(frames, block.length, body.length, frameType.data, flag.endStream, stream);
    body.copy(frames, block.length + frameHeadBytes);
    this.outflow.windowBytes -= body.length;
    this.#toll.sent(frameHeadBytes + body.length);
    this.send(frames);
    return true;
  }

  /** With room for a frame's head in front; good until the next one. */
  #block(status: number, fields: readonly string[], length: number | null): Buffer {
    const { fields: own, more } = answerFields(fields, length, httpDate());
    return this.encoder.encode(status, own, status < 200 ? [] : more, frameHeadBytes);
  }

  #sendBlock(stream: number, block: Buffer, ends: boolean): void {
    const bytes = block.length - frameHeadBytes;
    const endFlag = ends ? flag.endStream : 0;
    if (bytes <= payloadBytesMax) {
      const frame = Buffer.allocUnsafe(block.length);
      block.copy(frame);
      writeFrameHead(frame, 0, bytes, frameType.headers, flag.endHeaders | endFlag, stream);
      return this.send(frame);
    }
    // RFC 9113 §6.10: the rest in CONTINUATION.
    for (let at = 0; at < bytes; at += payloadBytesMax) {
      const part = Math.min(payloadBytesMax, bytes - at);
      const frame = Buffer.allocUnsafe(frameHeadBytes + part);
      const type = at === 0 ? frameType.headers : frameType.continuation;
      const flags = (at === 0 ? endFlag : 0) | (at + part === bytes ? flag.endHeaders : 0);
      writeFrameHead(frame, 0, part, type, flags, stream);
      block.copy(frame, frameHeadBytes, frameHeadBytes + at, frameHeadBytes + at + part);
      this.send(frame);
    }
  }

  /** The last frame of its answer is in the next write. */
  ending(answerer: Answerer): void {
    this.#ending.push(answerer);
  }

  /** It is told behind the write that its outlet has room. */
  hasRoom(answerer: Answerer): void {
    this.#roomy.push(answerer);
  }

  /** There may be something to write: at the end of this turn it is. */
  wake(): void {
    if (this.#willFlush || this.#isBlocked) return;
    this.#willFlush = true;
    atTurnEnd(turnOrder.answer, this);
  }

  /** As `wake`, of as much as one write takes: it gains nothing from waiting, and what Odoo still has would be taken for a slow client's. */
  hurry(): void {
    if (!this.#isBlocked) process.nextTick(this.#leave);
  }

  due(): void {
    this.#willFlush = false;
    this.#flush();
  }

  readonly #leave = (): void => this.#flush();

  /** Nothing more is sent than the frames that wait; then our side ends. */
  end(): void {
    this.#isEnding = true;
    this.wake();
  }

  /** The connection is gone. */
  gone(): void {
    this.#isGone = true;
    for (const answerer of this.#ending.splice(0)) answerer.written(false);
    for (const write of this.#writes.splice(0)) for (const answerer of write) answerer.written(false);
  }

  #flush(): void {
    while (!this.#isBlocked && !this.#isGone) {
      const bytes = this.#nextBytes();
      if (bytes === null) break;
      this.#writes.push(this.#ending);
      this.#ending = [];
      if (!this.#socket.write(bytes, this.#onWritten)) {
        this.#isBlocked = true;
        this.#socket.setTimeout(this.#bounds.sendTimeoutMs);
      }
      // Before the next write is filled: the urgent ones are to be in it with what they have by then.
      if (this.#roomy.length > 0) this.#tellRoom();
    }
    if (this.#isGone || this.#framesBytes > 0) return;
    if (this.#isEnding) return this.#finish();
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#socket.resume();
  }

  /** All frames that wait, and as much of the bodies as fits. */
  #nextBytes(): Buffer | null {
    const room = this.#isEnding ? 0 : Math.max(0, writeBytesMax - this.#framesBytes);
    const dataBytes = this.outflow.readyBytes(room);
    if (this.#framesBytes === 0 && dataBytes === 0) return null;
    const [first] = this.#frames;
    if (first !== undefined && first.length === this.#framesBytes && dataBytes === 0) {
      this.#frames = [];
      this.#framesBytes = 0;
      return first;
    }
    const bytes = newPiece(this.#framesBytes + dataBytes);
    let at = 0;
    for (const frame of this.#frames) {
      frame.copy(bytes, at);
      at += frame.length;
    }
    this.#frames = [];
    this.#framesBytes = 0;
    if (dataBytes === 0) return bytes;
    const end = this.outflow.fill(bytes, at);
    this.#toll.sent(end - at);
    return end === bytes.length ? bytes : bytes.subarray(0, end);
  }

  #tellRoom(): void {
    const roomy = this.#roomy;
    this.#roomy = [];
    for (const answerer of roomy) answerer.drained();
  }

  readonly #onWritten = (error?: Error | null): void => {
    const isWhole = error === null || error === undefined;
    for (const answerer of this.#writes.shift() ?? []) answerer.written(isWhole);
  };

  /** Our side ends, and what still comes is read for a moment: closing over unread bytes would reset the last ones away. */
  #finish(): void {
    const socket = this.#socket;
    if (socket.writableEnded) return;
    socket.setTimeout(this.#bounds.sendTimeoutMs);
    socket.resume();
    socket.end(() => closeSoon(socket));
  }
}
