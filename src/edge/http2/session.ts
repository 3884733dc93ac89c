import type { Socket } from "node:net";
import type { Placed } from "../../base/roster.ts";
import { type EdgeBounds, quietMs } from "../bounds.ts";
import type { Connection, EdgeHandlers } from "../http1.ts";
import type { StreamTurns, TurnLine } from "../stream-turns.ts";
import {
  frameHeadBytes,
  frameOfNumbers,
  frameType,
  goawayFrame,
  type Http2Error,
  http2Error,
  pingAck,
  settingsAck,
  windowBytesAtFirst,
  windowBytesMax,
} from "./frame.ts";
import { FrameReader, type FrameSink } from "./frame-reader.ts";
import { type FieldSection, HpackDecoder } from "./hpack-decoder.ts";
import { KnownHttp2Fields } from "./known-fields.ts";
import type { Outlet } from "./outflow.ts";
import { Http2Output } from "./output.ts";
import { ourSettings, parameter, settingFault } from "./settings.ts";
import { type Http2Carrier, Http2Stream } from "./stream.ts";
import { Http2Toll } from "./toll.ts";

/** What the connections of one listener share. */
export interface Http2Shared {
  readonly handlers: EdgeHandlers;
  readonly bounds: EdgeBounds;
  readonly turns: StreamTurns;
}

/** Streams that we have reset and whose frames may still be on their way; of those before, a frame is a fault. */
const resetsKeptMax = 128;
/** Above every stream there can be: "open no more", which says nothing about those that are on their way. */
const lastStreamMost = windowBytesMax;
/** More than a round trip: a client that heard the first GOAWAY opens nothing afterwards. */
const leaveMs = 2_000;

/** One HTTP/2 connection (RFC 9113): its streams, its windows, what it costs, and when it ends. */
export class Http2Session implements FrameSink, Http2Carrier, Placed {
  place = -1;
  readonly connection: Connection;
  readonly handlers: EdgeHandlers;
  /** SETTINGS_INITIAL_WINDOW_SIZE of the client. */
  sendWindowBytes = windowBytesAtFirst;
  readonly #bounds: EdgeBounds;
  readonly #turns: StreamTurns;
  readonly #line: TurnLine;
  readonly #onClosed: (session: Http2Session) => void;
  readonly #reader: FrameReader;
  readonly #decoder: HpackDecoder;
  readonly #known = new KnownHttp2Fields();
  readonly #toll: Http2Toll;
  readonly #output: Http2Output;
  /** Open ones, at most `http2StreamsMax`. */
  readonly #streams: Http2Stream[] = [];
  /** Came in what is being read, and wait for its end: their bodies, or their resets, may stand in it too. */
  #fresh: Http2Stream[] = [];
  #lastStream = 0;
  readonly #resetStreams: number[] = [];
  #receiveWindowBytes: number;
  /** Taken since the client was told last. */
  #creditBytes = 0;
  /** Of bodies that nobody will take: they may still come. */
  #lateBytes = 0;
  /** The client said GOAWAY, or we did: when the streams have ended, all has. */
  #isLeaving = false;
  /** We said GOAWAY: what is above this stream is not served. */
  #lastServed = lastStreamMost;
  #isEnding = false;
  /** There was a request, an answer's end, or PING or SETTINGS since the last look. */
  #wasActive = false;
  #activeMs: number;
  /** Since when a frame or a field block has come in part; 0: none has. */
  #insideMs = 0;
  #leavesWithFirst = false;

  constructor(
    socket: Socket,
    connection: Connection,
    { handlers, bounds, turns }: Http2Shared,
    onClosed: (session: Http2Session) => void,
  ) {
    this.connection = connection;
    this.handlers = handlers;
    this.#bounds = bounds;
    this.#turns = turns;
    this.#line = turns.line();
    this.#onClosed = onClosed;
    this.#reader = new FrameReader(this, bounds);
    this.#decoder = new HpackDecoder(bounds.http2HeaderListBytesMax);
    this.#toll = new Http2Toll(bounds, () => performance.now());
    this.#activeMs = performance.now();
    this.#receiveWindowBytes = windowBytesAtFirst;
    this.#output = new Http2Output(socket, bounds, this.#toll);
    this.#output.send(ourSettings(bounds));
    this.#widenConnection(bounds.http2SessionWindowBytes - windowBytesAtFirst);
    socket.on("data", this.#onData);
    // HTTP/2 has no half-closed connection: whoever ended his side takes no more of any answer (RFC 9113 §5.4.1, §9.1).
    socket.on("end", () => socket.destroy());
    socket.on("close", this.#onClose);
  }

  /** GOAWAY; running streams finish. */
  close(): void {
    if (this.#isEnding) return;
    this.#lastServed = Math.min(this.#lastServed, this.#lastStream);
    this.#goaway(this.#lastServed, http2Error.none);
    this.#isLeaving = true;
    this.#leaveWhenDone();
  }

  /** GOAWAY in two steps, so that requests on their way are served (RFC 9113 §6.8). */
  leaveSoon(): void {
    if (this.#isEnding || this.#isLeaving) return;
    this.#goaway(lastStreamMost, http2Error.none);
    setTimeout(() => this.close(), leaveMs).unref();
  }

  /** Its handshake ended when we were leaving already. It gets its first answer: some clients give up what they could not send yet. */
  leaveWithFirst(): void {
    this.#leavesWithFirst = true;
  }

  /** By the clock, every `http2LookMs`. */
  look(nowMs: number): void {
    const { keepAliveTimeoutMs, headerTimeoutMs, sendTimeoutMs } = this.#bounds;
    this.#toll.look();
    this.#output.look(nowMs);
    if (this.#streams.length > 0) {
      const isShut = this.#output.outflow.windowBytes <= 0;
      for (const stream of this.#streams.slice()) stream.look(nowMs, sendTimeoutMs, isShut);
    }
    if (this.#isEnding) return;
    if (this.#streams.length > 0 || this.#wasActive) this.#activeMs = nowMs;
    else if (nowMs - this.#activeMs >= keepAliveTimeoutMs) return this.#end(http2Error.none, "idle");
    if (nowMs - this.#activeMs >= quietMs) this.#known.forget();
    this.#wasActive = false;
    if (!this.#reader.isInside) this.#insideMs = 0;
    else if (this.#insideMs === 0) this.#insideMs = nowMs;
    else if (nowMs - this.#insideMs >= headerTimeoutMs) {
      this.handlers.malformed(this.connection, "header-timeout");
      this.#end(http2Error.enhanceYourCalm, "a frame that does not end");
    }
  }

  // What came in.

  readonly #onData = (chunk: Buffer): void => {
    if (this.#isEnding) return;
    this.#reader.push(chunk);
    if (this.#fresh.length > 0) this.#beginFresh();
  };

  #beginFresh(): void {
    const fresh = this.#fresh;
    this.#fresh = [];
    for (const stream of fresh) this.#turns.take(this.#line, stream, stream.isComplete);
  }

  data(id: number, bytes: Buffer, ends: boolean, flowBytes: number): void {
    this.#toll.data(bytes.length, flowBytes);
    this.#receiveWindowBytes -= flowBytes;
    if (this.#receiveWindowBytes < 0)
      return this.connectionError(http2Error.flowControl, "more than the connection's window");
    const stream = this.#find(id);
    if (stream === null || stream.requestEnded) {
      this.#credit(flowBytes);
      // As much as a window lets through may have been on its way.
      this.#lateBytes -= flowBytes;
      if (this.#lateBytes < 0) this.#toll.idle(flowBytes);
      this.#late(id, stream);
      return this.#checkToll();
    }
    stream.receiveWindowBytes -= flowBytes;
    const padding = flowBytes - bytes.length;
    if (stream.receiveWindowBytes < 0) {
      this.#credit(flowBytes);
      this.#fault(stream, http2Error.flowControl);
    } else {
      if (padding > 0) this.taken(stream, padding);
      if (!stream.take(bytes, ends)) this.#fault(stream, http2Error.protocol);
    }
    this.#checkToll();
  }

  headers(id: number, block: Buffer, ends: boolean, frameBytes: number): void {
    const section = this.#decoder.decode(block);
    if (section === null) return this.connectionError(http2Error.compression, "a field block");
    if (id <= this.#lastStream) this.#trailers(id, section, ends, frameBytes);
    else if (id % 2 === 0) this.connectionError(http2Error.protocol, "a stream of ours");
    else {
      this.#toll.head(section.raw, frameBytes);
      this.#open(id, section.isMalformed ? null : this.#known.read(section.raw), ends);
    }
    this.#checkToll();
  }

  #open(id: number, head: ReturnType<KnownHttp2Fields["read"]>, ends: boolean): void {
    this.#lastStream = id;
    this.#wasActive = true;
    if (id > this.#lastServed) return;
    if (this.#streams.length >= this.#bounds.http2StreamsMax)
      return this.#refuse(id, http2Error.refusedStream);
    if (head === null) {
      this.handlers.malformed(this.connection, "message-malformed");
      return this.#refuse(id, http2Error.protocol);
    }
    const stream = new Http2Stream(id, head, ends, this.#bounds.http2StreamWindowBytes, this);
    if (ends && head.bodyBytes !== null && head.bodyBytes > 0) {
      this.handlers.malformed(this.connection, "message-malformed");
      return this.#refuse(id, http2Error.protocol);
    }
    this.#streams.push(stream);
    this.#fresh.push(stream);
    if (!this.#leavesWithFirst) return;
    this.#leavesWithFirst = false;
    this.leaveSoon();
  }

  /** RFC 9113 §8.1: they end the request, and have no pseudo-fields. What they say is not looked at. */
  #trailers(id: number, { raw, isMalformed }: FieldSection, ends: boolean, frameBytes: number): void {
    const stream = this.#find(id);
    if (stream === null || stream.requestEnded) {
      this.#toll.idle(frameBytes);
      return this.#late(id, stream);
    }
    this.#toll.head(raw, frameBytes);
    const isWhole = ends && !isMalformed && !raw.some((text, i) => i % 2 === 0 && text.startsWith(":"));
    if (!isWhole || !stream.endRequest()) this.#fault(stream, http2Error.protocol);
  }

  /** DATA or HEADERS of a stream on which the client may send none. */
  #late(id: number, stream: Http2Stream | null): void {
    if (stream !== null) return this.#fault(stream, http2Error.streamClosed);
    if (id > this.#lastStream || id % 2 === 0)
      return this.connectionError(http2Error.protocol, "a stream that is not open");
    // Those were on their way when we reset it (RFC 9113 §5.1), or when we said that it is not served.
    if (this.#resetStreams.includes(id) || id > this.#lastServed) return;
    this.connectionError(http2Error.streamClosed, "a stream that is closed");
  }

  reset(id: number, _code: number): void {
    this.#toll.idle(frameHeadBytes + 4);
    const stream = this.#find(id);
    if (stream !== null) {
      this.#toll.reset();
      this.#remove(stream);
      stream.lost();
    } else if (this.#isIdle(id))
      return this.connectionError(http2Error.protocol, "RST_STREAM before its stream");
    this.#checkToll();
  }

  settings(payload: Buffer): void {
    this.#wasActive = true;
    this.#toll.control(frameHeadBytes + payload.length);
    for (let at = 0; at < payload.length; at += 6) {
      const id = payload.readUInt16BE(at);
      const value = payload.readUInt32BE(at + 2);
      const fault = settingFault(id, value) ?? this.#obey(id, value);
      if (fault !== null) return this.connectionError(fault, "SETTINGS");
    }
    this.#output.send(settingsAck);
    this.#checkToll();
  }

  #obey(id: number, value: number): Http2Error | null {
    if (id === parameter.headerTableSize) this.#output.encoder.resize(value);
    if (id !== parameter.initialWindowSize) return null;
    const more = value - this.sendWindowBytes;
    this.sendWindowBytes = value;
    for (const stream of this.#streams)
      if (stream.widen(more) > windowBytesMax) return http2Error.flowControl;
    this.wake();
    return null;
  }

  settingsAck(): void {
    this.other(frameHeadBytes);
  }

  ping(payload: Buffer): void {
    this.#wasActive = true;
    this.#toll.control(frameHeadBytes + payload.length);
    this.#output.send(pingAck(payload));
    this.#checkToll();
  }

  pingAck(): void {
    this.other(frameHeadBytes + 8);
  }

  goaway(): void {
    this.#toll.idle(frameHeadBytes + 8);
    this.#isLeaving = true;
    this.#leaveWhenDone();
    this.#checkToll();
  }

  window(id: number, bytes: number): void {
    this.#toll.idle(frameHeadBytes + 4);
    if (id === 0) {
      if (bytes === 0) return this.connectionError(http2Error.protocol, "WINDOW_UPDATE of nothing");
      this.#output.outflow.windowBytes += bytes;
      if (this.#output.outflow.windowBytes > windowBytesMax)
        return this.connectionError(http2Error.flowControl, "a window above the bound");
    } else {
      const stream = this.#find(id);
      if (stream === null && this.#isIdle(id))
        return this.connectionError(http2Error.protocol, "WINDOW_UPDATE before its stream");
      if (stream !== null && bytes === 0) this.#fault(stream, http2Error.protocol);
      else if (stream !== null && stream.widen(bytes) > windowBytesMax)
        this.#fault(stream, http2Error.flowControl);
    }
    this.wake();
    this.#checkToll();
  }

  priorityUpdate(id: number, value: string): void {
    this.#toll.idle(frameHeadBytes + 4 + value.length);
    this.#find(id)?.prioritize(value);
    this.#checkToll();
  }

  other(frameBytes: number): void {
    this.#toll.idle(frameBytes);
    this.#checkToll();
  }

  streamError(id: number, code: Http2Error): void {
    const stream = this.#find(id);
    if (stream !== null) this.#fault(stream, code);
    else if (this.#isIdle(id)) this.connectionError(code, "a frame of a stream that is not open");
    this.#checkToll();
  }

  connectionError(code: Http2Error, why: string): void {
    this.handlers.malformed(this.connection, "message-malformed");
    this.#end(code, why);
  }

  #isIdle(id: number): boolean {
    return id > this.#lastStream || id % 2 === 0;
  }

  #find(id: number): Http2Stream | null {
    const streams = this.#streams;
    for (let i = streams.length - 1; i >= 0; i -= 1) {
      const stream = streams[i];
      if (stream?.id === id) return stream;
    }
    return null;
  }

  /** The client broke the rules of a stream: it is reset, and counted like one that the client took back (CVE-2025-8671). */
  #fault(stream: Http2Stream, code: Http2Error): void {
    this.#toll.reset();
    this.sendReset(stream, code);
    if (!stream.hasBegun && !stream.isReset) this.handlers.malformed(this.connection, "message-malformed");
    stream.lost();
  }

  /** The same of a stream that was never begun. */
  #refuse(id: number, code: Http2Error): void {
    this.#toll.reset();
    this.#writeReset(id, code);
  }

  #checkToll(): void {
    if (!this.#toll.isOver || this.#isEnding) return;
    this.handlers.malformed(this.connection, "http2-flood");
    this.#end(http2Error.enhanceYourCalm, "too many frames that ask for nothing");
  }

  // Windows for the client.

  taken(stream: Http2Stream, bytes: number): void {
    this.#credit(bytes);
    if (stream.requestEnded || stream.isReset) return;
    stream.creditBytes += bytes;
    if (stream.creditBytes < this.#bounds.http2StreamWindowBytes / 2) return;
    stream.receiveWindowBytes += stream.creditBytes;
    this.#output.send(frameOfNumbers(frameType.window, stream.id, stream.creditBytes));
    stream.creditBytes = 0;
  }

  #credit(bytes: number): void {
    this.#creditBytes += bytes;
    if (this.#creditBytes < this.#bounds.http2SessionWindowBytes / 2) return;
    const credit = this.#creditBytes;
    this.#creditBytes = 0;
    this.#widenConnection(credit);
  }

  #widenConnection(bytes: number): void {
    if (bytes <= 0) return;
    this.#receiveWindowBytes += bytes;
    this.#output.send(frameOfNumbers(frameType.window, 0, bytes));
  }

  // What goes out.

  sendHead(
    stream: Http2Stream,
    status: number,
    fields: readonly string[],
    length: number | null,
    ends: boolean,
  ): void {
    this.#output.head(stream.id, status, fields, length, ends);
    if (ends) stream.ended();
  }

  sendAnswer(stream: Http2Stream, status: number, fields: readonly string[], body: Buffer): boolean {
    return this.#output.answer(stream.id, status, fields, body, stream.sendWindowBytes);
  }

  openOutlet(outlet: Outlet): void {
    this.#output.outflow.enter(outlet);
  }

  sendReset(stream: Http2Stream, code: Http2Error): void {
    this.#writeReset(stream.id, code);
    this.#remove(stream);
  }

  #writeReset(id: number, code: Http2Error): void {
    this.#lateBytes += this.#bounds.http2StreamWindowBytes;
    this.#resetStreams.push(id);
    if (this.#resetStreams.length > resetsKeptMax) this.#resetStreams.shift();
    this.#output.send(frameOfNumbers(frameType.reset, id, code));
  }

  closed(stream: Http2Stream): void {
    this.#remove(stream);
  }

  #remove(stream: Http2Stream): void {
    if (stream.outlet !== null) this.#output.outflow.leave(stream.outlet);
    const at = this.#streams.lastIndexOf(stream);
    if (at < 0) return;
    const last = this.#streams.pop();
    if (last !== undefined && last !== stream) this.#streams[at] = last;
    this.#wasActive = true;
    if (this.#isLeaving) this.#leaveWhenDone();
  }

  #goaway(last: number, code: Http2Error, why = ""): void {
    this.#output.send(goawayFrame(last, code, why));
  }

  wake(): void {
    this.#output.wake();
  }

  hurry(): void {
    this.#output.hurry();
  }

  ending(stream: Http2Stream): void {
    this.#output.ending(stream);
  }

  hasRoom(stream: Http2Stream): void {
    this.#output.hasRoom(stream);
  }

  // How it ends.

  /** GOAWAY with what is wrong, and the connection is closed behind it. */
  #end(code: Http2Error, why: string): void {
    if (this.#isEnding) return;
    this.#goaway(Math.min(this.#lastStream, this.#lastServed), code, why);
    this.#isEnding = true;
    this.#reader.stop();
    this.#loseAll();
    this.#output.end();
  }

  #leaveWhenDone(): void {
    if (this.#streams.length > 0 || this.#isEnding) return;
    this.#isEnding = true;
    this.#reader.stop();
    this.#output.end();
  }

  #loseAll(): void {
    for (const stream of this.#streams.splice(0)) stream.lost();
  }

  readonly #onClose = (): void => {
    this.#isEnding = true;
    this.#reader.stop();
    this.#loseAll();
    this.#output.gone();
    this.#onClosed(this);
  };
}
