import { constants, type ServerHttp2Stream } from "node:http2";
import type { Ip } from "../base/ip.ts";
import type { Downstream, ReplyFraming } from "../exchange.ts";
import type { Likeness, Protocol, RawFields } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import type { Connection, EdgeHandlers } from "./http1.ts";
import { answerFields, type Http2Head } from "./http2-fields.ts";
import type { Http2Toll } from "./http2-toll.ts";
import { readPriority, type Sender, type SendOrder } from "./send-order.ts";
import { StreamBody } from "./stream-body.ts";
import type { Beginner } from "./stream-turns.ts";

/** What a stream needs of its session. */
export interface Http2Carrier {
  readonly connection: Connection;
  readonly toll: Http2Toll;
  /** Of the answers that are sent in pieces. */
  readonly order: SendOrder;
  readonly handlers: EdgeHandlers;
  /** A client that takes no byte of its answer for this long is cut. */
  readonly sendTimeoutMs: number;
  /** The stream is closed. */
  over(stream: Http2Downstream): void;
}

/** A body of at most this many bytes is handed over whole when it came with its head. */
const wholeBytesMax = 64 * 1024;

const endsWithHead = { endStream: true };
const ignored = (): void => {};

/** One HTTP/2 stream as the gateway sees it. */
export class Http2Downstream implements Downstream, Beginner {
  readonly protocol: Protocol = "HTTP/2";
  readonly method: string;
  readonly target: string;
  readonly fields: RawFields;
  readonly likeness: Likeness | null;
  readonly authority: string | null;
  readonly scheme: string | null;
  readonly peer: Ip;
  readonly secure: boolean;
  readonly localPort: number;
  readonly body: StreamBody | null;
  readonly isReport: boolean;
  readonly expectsContinue: boolean;
  readonly arrivedMs: number;
  readonly #stream: ServerHttp2Stream;
  readonly #carrier: Http2Carrier;
  readonly #bodyBytes: number | null;
  #goneListener: (() => void) | null = null;
  #sentListener: (() => void) | null = null;
  #drainListener: (() => void) | null = null;
  /** Its place among the session's answers, while it is sent in pieces. */
  #sender: Sender | null = null;
  /** All of the answer was handed to Node. */
  #ended = false;
  #isSending = false;
  #isWatched = false;
  #over = false;

  constructor(stream: ServerHttp2Stream, head: Http2Head, carrier: Http2Carrier) {
    const { connection, toll, handlers } = carrier;
    this.#stream = stream;
    this.#carrier = carrier;
    this.method = head.method;
    this.target = head.target;
    this.authority = head.authority;
    this.scheme = head.scheme;
    this.fields = head.fields;
    this.likeness = head.likeness;
    this.peer = connection.peer;
    this.secure = connection.secure;
    this.localPort = connection.localPort;
    this.isReport = connection.isReport;
    this.expectsContinue = head.expectsContinue;
    this.arrivedMs = handlers.clock.nowMs();
    this.#bodyBytes = head.bodyBytes;
    if (stream.endAfterHeaders) this.body = null;
    else {
      this.body = new StreamBody(stream, (bytes) => toll.body(bytes));
      toll.openBody(stream);
    }
    stream.on("error", ignored);
    stream.on("close", () => this.#closed());
  }

  /** Its turn has come. */
  begin(): void {
    const stream = this.#stream;
    // A client that left before its turn asked for nothing; how often it may is nghttp2's budget of resets.
    if (stream.destroyed || stream.closed) return;
    const bytes = this.#bodyBytes;
    if (this.body !== null && bytes !== null && bytes > 0 && bytes <= wholeBytesMax)
      this.body.takeWhole(bytes);
    this.#carrier.handlers.exchange(this);
  }

  /** By the clock: what is still being sent is watched from now on. As a rule an answer is gone before. */
  look(): void {
    const stream = this.#stream;
    // All of the body came and was answered, but the client does not say that it ends here.
    if (this.#ended && stream.writableFinished && !stream.closed)
      return stream.close(constants.NGHTTP2_NO_ERROR);
    if (!this.#isSending || this.#isWatched || stream.writableLength === 0) return;
    this.#isWatched = true;
    stream.setTimeout(this.#carrier.sendTimeoutMs);
    stream.on("timeout", () => {
      if (stream.writableLength > 0) this.cut();
    });
  }

  sendContinue(): void {
    if (!this.#stream.destroyed) this.#stream.additionalHeaders({ ":status": 100 });
  }

  answer(status: number, fields: readonly string[], body: Buffer | null, _close: boolean): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    this.#ended = true;
    const length = status === 204 || status === 304 ? null : (body?.length ?? 0);
    const isUnread = this.#isUnread();
    if (isUnread) this.#awaitFinish();
    if (body === null || body.length === 0 || this.method === "HEAD") {
      stream.respond(answerFields(status, fields, length), endsWithHead);
      // The rest of an unread body is not wanted (RFC 9113 §8.1): reset without error after the answer.
      if (isUnread) stream.close(constants.NGHTTP2_NO_ERROR);
      return;
    }
    stream.respond(answerFields(status, fields, length));
    // A window that stays shut holds short answers too.
    this.#isSending = true;
    stream.end(body);
    if (isUnread) stream.once("finish", () => stream.close(constants.NGHTTP2_NO_ERROR));
  }

  start(status: number, fields: readonly string[], framing: ReplyFraming): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    const length = framing.kind === "length" ? framing.bytes : null;
    stream.respond(answerFields(status, fields, length), framing.kind === "none" ? endsWithHead : undefined);
    this.#ended = framing.kind === "none";
    this.#isSending = !this.#ended;
    if (this.#isUnread()) this.#awaitFinish();
    if (this.#ended) return;
    const priority = readPriority(firstField(this.fields, "priority"));
    const sender = this.#carrier.order.enter(stream, stream.id ?? 0, priority, () => this.#drainListener?.());
    this.#sender = sender;
    stream.on("drain", () => sender.drained());
    // With an unread request the stream is open for long after.
    stream.on("finish", () => sender.leave());
  }

  write(chunk: Buffer): boolean {
    if (this.#sender === null || this.#stream.destroyed || this.#stream.closed) return true;
    return this.#sender.write(chunk);
  }

  end(): void {
    this.#ended = true;
    if (!this.#stream.destroyed) this.#stream.end();
  }

  cut(): void {
    // Not `close(code)`: that ends the writable side first, and its END_STREAM would make half an answer look whole.
    this.#stream.destroy(new Error("the answer was cut"));
  }

  onGone(listener: () => void): void {
    this.#goneListener = listener;
  }

  /** A malformed body ends the stream in nghttp2: it arrives as `gone`. */
  onBroken(): void {}

  onDrain(listener: () => void): void {
    this.#drainListener = listener;
  }

  onSent(listener: () => void): void {
    this.#sentListener = listener;
  }

  upgrade(): null {
    return null;
  }

  /** The request's body has not come to its end: the stream stays open behind the answer. */
  #isUnread(): boolean {
    return this.body !== null && this.body.whole === null && !this.#stream.readableEnded;
  }

  /** The answer may be sent long before the stream is closed. */
  #awaitFinish(): void {
    const stream = this.#stream;
    stream.on("finish", () => {
      if (this.#over || stream.rstCode !== constants.NGHTTP2_NO_ERROR || stream.aborted) return;
      this.#over = true;
      this.#sentListener?.();
    });
  }

  /** A stream whose request ended first is closed with its last frame, and Node emits no "finish" then. */
  #closed(): void {
    const stream = this.#stream;
    this.#sender?.leave();
    if (this.body !== null) this.#carrier.toll.closeBody(stream, !this.#isUnread());
    this.#carrier.over(this);
    if (this.#over) return;
    this.#over = true;
    const isWhole =
      stream.writableEnded && stream.writableLength === 0 && stream.rstCode === constants.NGHTTP2_NO_ERROR;
    if (isWhole) this.#sentListener?.();
    else this.#goneListener?.();
  }
}
