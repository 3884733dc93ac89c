import { Gathered } from "../../base/gathered.ts";
import {
  flag,
  frameHeadBytes,
  frameType,
  type Http2Error,
  http2Error,
  payloadBytesMax,
  windowBytesMax,
} from "./frame.ts";

/** Who hears the frames of one connection, whole and in the form RFC 9113 §6 gives them. Buffers are views of what came in. */
export interface FrameSink {
  /** `flowBytes`: of the payload with its padding, as flow control counts it; `frameBytes`: of the whole frame. */
  data(stream: number, bytes: Buffer, ends: boolean, flowBytes: number): void;
  /** The field block is whole; `frameBytes`: of HEADERS and all CONTINUATION. */
  headers(stream: number, block: Buffer, ends: boolean, frameBytes: number): void;
  reset(stream: number, code: number): void;
  settings(payload: Buffer): void;
  settingsAck(): void;
  ping(payload: Buffer): void;
  pingAck(): void;
  goaway(): void;
  window(stream: number, bytes: number): void;
  priorityUpdate(stream: number, value: string): void;
  /** PRIORITY, and what we do not know: of no use to us. */
  other(frameBytes: number): void;
  /** The frame breaks the rules of its stream only. */
  streamError(stream: number, code: Http2Error): void;
  /** Nothing behind this is read. */
  connectionError(code: Http2Error, why: string): void;
}

/** How much of a field block is put together. Past a bound the connection ends. */
export interface BlockBounds {
  readonly headerBlockBytesMax: number;
  readonly http2ContinuationsMax: number;
}

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** Finds the frames in the bytes of one connection. */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #bounds: BlockBounds;
  /** Of a frame that is not whole. */
  readonly #held = new Gathered();
  #neededBytes = 1;
  #hasPreface = false;
  #hasSettings = false;
  /** The stream whose field block is open; 0: none. */
  #blockStream = 0;
  #block: Buffer[] = [];
  #blockBytes = 0;
  #blockFrameBytes = 0;
  #blockEnds = false;
  #continuations = 0;
  #isStopped = false;

  constructor(sink: FrameSink, bounds: BlockBounds) {
    this.#sink = sink;
    this.#bounds = bounds;
  }

  /** The preface, a frame or a field block has come in part. */
  get isInside(): boolean {
    return this.#held.bytes > 0 || this.#blockStream !== 0 || !this.#hasSettings;
  }

  /** Nothing more is heard. */
  stop(): void {
    this.#isStopped = true;
    this.#held.take();
    this.#block = [];
  }

  push(chunk: Buffer): void {
    if (this.#isStopped) return;
    let input = chunk;
    if (this.#held.bytes > 0) {
      this.#held.push(chunk);
      if (this.#held.bytes < this.#neededBytes) return;
      input = this.#held.take();
    }
    const end = this.#read(input);
    if (end < input.length && !this.#isStopped) this.#held.push(input.subarray(end));
  }

  /** Where the last whole frame ends. */
  #read(input: Buffer): number {
    let at = 0;
    if (!this.#hasPreface) {
      const length = Math.min(input.length, preface.length);
      if (input.compare(preface, 0, length, 0, length) !== 0) {
        this.#error(http2Error.protocol, "no preface");
        return input.length;
      }
      if (length < preface.length) {
        this.#neededBytes = length + 1;
        return 0;
      }
      this.#hasPreface = true;
      at = preface.length;
    }
    while (input.length - at >= frameHeadBytes) {
      const bytes = ((input[at] ?? 0) << 16) | ((input[at + 1] ?? 0) << 8) | (input[at + 2] ?? 0);
      if (bytes > payloadBytesMax) {
        this.#error(http2Error.frameSize, "a frame above the bound");
        return input.length;
      }
      const end = at + frameHeadBytes + bytes;
      if (end > input.length) {
        this.#neededBytes = frameHeadBytes + bytes;
        return at;
      }
      this.#frame(input, at, end);
      if (this.#isStopped) return input.length;
      at = end;
    }
    this.#neededBytes = frameHeadBytes;
    return at;
  }

  #frame(input: Buffer, at: number, end: number): void {
    const type = input[at + 3] ?? 0;
    const flags = input[at + 4] ?? 0;
    const stream = input.readUInt32BE(at + 5) & windowBytesMax;
    const start = at + frameHeadBytes;
    const bytes = end - start;
    if (!this.#hasSettings) {
      if (type !== frameType.settings || (flags & flag.ack) !== 0)
        return this.#error(http2Error.protocol, "the first frame is not SETTINGS");
      this.#hasSettings = true;
    }
    if (this.#blockStream !== 0 && (type !== frameType.continuation || stream !== this.#blockStream))
      return this.#error(http2Error.protocol, "a field block is interrupted");
    switch (type) {
      case frameType.data:
        return this.#data(input, start, end, flags, stream);
      case frameType.headers:
        return this.#headers(input, start, end, flags, stream);
      case frameType.priority:
        if (stream === 0) return this.#error(http2Error.protocol, "PRIORITY without a stream");
        this.#sink.other(bytes + frameHeadBytes);
        if (bytes !== 5) return this.#sink.streamError(stream, http2Error.frameSize);
        return this.#checkDependency(input, start, stream);
      case frameType.reset:
        if (stream === 0) return this.#error(http2Error.protocol, "RST_STREAM without a stream");
        if (bytes !== 4) return this.#error(http2Error.frameSize, "RST_STREAM");
        return this.#sink.reset(stream, input.readUInt32BE(start));
      case frameType.settings:
        if (stream !== 0) return this.#error(http2Error.protocol, "SETTINGS of a stream");
        if ((flags & flag.ack) !== 0)
          return bytes === 0 ? this.#sink.settingsAck() : this.#error(http2Error.frameSize, "SETTINGS");
        if (bytes % 6 !== 0) return this.#error(http2Error.frameSize, "SETTINGS");
        return this.#sink.settings(input.subarray(start, end));
      case frameType.push:
        return this.#error(http2Error.protocol, "PUSH_PROMISE of a client");
      case frameType.ping:
        if (stream !== 0) return this.#error(http2Error.protocol, "PING of a stream");
        if (bytes !== 8) return this.#error(http2Error.frameSize, "PING");
        return (flags & flag.ack) !== 0 ? this.#sink.pingAck() : this.#sink.ping(input.subarray(start, end));
      case frameType.goaway:
        if (stream !== 0) return this.#error(http2Error.protocol, "GOAWAY of a stream");
        if (bytes < 8) return this.#error(http2Error.frameSize, "GOAWAY");
        return this.#sink.goaway();
      case frameType.window:
        if (bytes !== 4) return this.#error(http2Error.frameSize, "WINDOW_UPDATE");
        return this.#sink.window(stream, input.readUInt32BE(start) & windowBytesMax);
      case frameType.continuation:
        return this.#continuation(input, start, end, flags);
      case frameType.priorityUpdate:
        return this.#priorityUpdate(input, start, end, stream);
      default:
        return this.#sink.other(bytes + frameHeadBytes);
    }
  }

  #data(input: Buffer, start: number, end: number, flags: number, stream: number): void {
    if (stream === 0) return this.#error(http2Error.protocol, "DATA without a stream");
    const padding = this.#padding(input, start, end, flags);
    if (padding < 0) return;
    const from = (flags & flag.padded) === 0 ? start : start + 1;
    this.#sink.data(stream, input.subarray(from, end - padding), (flags & flag.endStream) !== 0, end - start);
  }

  /** Bytes of padding behind the payload (RFC 9113 §6.1); -1: more than there are, and the connection has ended. */
  #padding(input: Buffer, start: number, end: number, flags: number): number {
    if ((flags & flag.padded) === 0) return 0;
    const bytes = start < end ? (input[start] ?? 0) : end;
    if (start + 1 + bytes <= end) return bytes;
    this.#error(http2Error.protocol, "more padding than payload");
    return -1;
  }

  #headers(input: Buffer, start: number, end: number, flags: number, stream: number): void {
    if (stream === 0) return this.#error(http2Error.protocol, "HEADERS without a stream");
    const padding = this.#padding(input, start, end, flags);
    if (padding < 0) return;
    let from = (flags & flag.padded) === 0 ? start : start + 1;
    if ((flags & flag.priority) !== 0) {
      if (from + 5 > end - padding) return this.#error(http2Error.frameSize, "HEADERS");
      this.#checkDependency(input, from, stream);
      if (this.#isStopped) return;
      from += 5;
    }
    const ends = (flags & flag.endStream) !== 0;
    const block = input.subarray(from, end - padding);
    const frameBytes = end - start + frameHeadBytes;
    if ((flags & flag.endHeaders) !== 0) return this.#sink.headers(stream, block, ends, frameBytes);
    this.#blockStream = stream;
    this.#blockEnds = ends;
    this.#block = [block];
    this.#blockBytes = block.length;
    this.#blockFrameBytes = frameBytes;
    this.#continuations = 0;
  }

  #continuation(input: Buffer, start: number, end: number, flags: number): void {
    const stream = this.#blockStream;
    if (stream === 0) return this.#error(http2Error.protocol, "CONTINUATION without HEADERS");
    this.#block.push(input.subarray(start, end));
    this.#blockBytes += end - start;
    this.#blockFrameBytes += end - start + frameHeadBytes;
    this.#continuations += 1;
    // CVE-2024-27316's class: a block without end.
    if (
      this.#blockBytes > this.#bounds.headerBlockBytesMax ||
      this.#continuations > this.#bounds.http2ContinuationsMax
    )
      return this.#error(http2Error.enhanceYourCalm, "a field block above the bound");
    if ((flags & flag.endHeaders) === 0) return;
    const block = Buffer.concat(this.#block, this.#blockBytes);
    this.#block = [];
    this.#blockStream = 0;
    this.#sink.headers(stream, block, this.#blockEnds, this.#blockFrameBytes);
  }

  /** RFC 7540 §5.3.1; RFC 9113 leaves it to us, and nobody who means well does it. */
  #checkDependency(input: Buffer, at: number, stream: number): void {
    if ((input.readUInt32BE(at) & windowBytesMax) === stream)
      this.#error(http2Error.protocol, "a stream that depends on itself");
  }

  /** RFC 9218 §7.1. */
  #priorityUpdate(input: Buffer, start: number, end: number, stream: number): void {
    if (stream !== 0) return this.#error(http2Error.protocol, "PRIORITY_UPDATE of a stream");
    if (end - start < 4) return this.#error(http2Error.frameSize, "PRIORITY_UPDATE");
    const prioritized = input.readUInt32BE(start) & windowBytesMax;
    if (prioritized === 0) return this.#error(http2Error.protocol, "PRIORITY_UPDATE without a stream");
    this.#sink.priorityUpdate(prioritized, input.toString("latin1", start + 4, end));
  }

  #error(code: Http2Error, why: string): void {
    this.stop();
    this.#sink.connectionError(code, why);
  }
}
