import type { Ip } from "../../base/ip.ts";
import type { Attendant, Downstream, ReplyFraming } from "../../exchange.ts";
import type { Likeness, Protocol, RawFields } from "../../message/facts.ts";
import { firstField } from "../../message/fields.ts";
import { mergedPriority, type Priority, readPriority } from "../../message/priority.ts";
import type { Connection, EdgeHandlers } from "../http1.ts";
import type { Beginner } from "../stream-turns.ts";
import { Http2Body } from "./body.ts";
import type { Http2Head } from "./fields.ts";
import { type Http2Error, http2Error } from "./frame.ts";
import { Outlet, type OutletOwner } from "./outflow.ts";

/** What a stream needs of its connection. */
export interface Http2Carrier {
  readonly connection: Connection;
  readonly handlers: EdgeHandlers;
  /** The window that the client gives every stream at its beginning. */
  readonly sendWindowBytes: number;
  /** HEADERS of an answer, or of an interim one. `ends`: the stream ends with it. */
  sendHead(
    stream: Http2Stream,
    status: number,
    fields: readonly string[],
    length: number | null,
    ends: boolean,
  ): void;
  /** HEADERS of a whole answer; true: its body went with it, and the stream has ended. */
  sendAnswer(stream: Http2Stream, status: number, fields: readonly string[], body: Buffer): boolean;
  /** The frame that ends its answer is in the next write. */
  ending(stream: Http2Stream): void;
  /** Its outlet has room again: it is told so behind the write. */
  hasRoom(stream: Http2Stream): void;
  /** The body of its answer begins: from here on the outlet is asked for what may be sent. */
  openOutlet(outlet: Outlet): void;
  /** Something was written to an outlet, or it ends. */
  wake(): void;
  /** So much was written to an outlet that it is not to wait for more. */
  hurry(): void;
  /** RST_STREAM; nothing of the stream is sent behind it. */
  sendReset(stream: Http2Stream, code: Http2Error): void;
  /** So many bytes of a body wait no more. */
  taken(stream: Http2Stream, bytes: number): void;
  /** Both sides have ended. */
  closed(stream: Http2Stream): void;
}

/** A body of at most this many bytes is handed over whole when it came with its head. */
const wholeBytesMax = 64 * 1024;
/** Above this whoever writes is told to wait, until less than half of it is left. */
const waitingBytesMax = 64 * 1024;

/** One HTTP/2 stream as the gateway sees it. */
export class Http2Stream implements Downstream, Beginner, OutletOwner {
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
  readonly body: Http2Body | null;
  readonly isReport: boolean;
  readonly expectsContinue: boolean;
  readonly arrivedMs: number;
  /** Its number (RFC 9113 §5.1.1). */
  readonly id: number;
  /** What the client may send on it. */
  receiveWindowBytes: number;
  /** Taken since the client was told last. */
  creditBytes = 0;
  readonly #carrier: Http2Carrier;
  /** What Content-Length says; null: nothing plain. */
  readonly #bodyBytes: number | null;
  #receivedBytes = 0;
  /** Of the client, until there is an outlet. */
  #sendWindowBytes: number;
  #outlet: Outlet | null = null;
  #priority: Priority | null = null;
  /** What the answer's own `priority` field says; null: nothing. */
  #ownPriority: string | null = null;
  #attendant: Attendant | null = null;
  #drainListener: (() => void) | null = null;
  /** Whoever writes was told to wait. */
  #isHeld = false;
  #requestEnded: boolean;
  /** The frame that ends the answer is on its way. */
  #answerEnded = false;
  /** Reset, by either side, or gone with its connection. */
  #isReset = false;
  #over = false;
  #lookedBytes = -1;
  #movedMs = 0;

  constructor(id: number, head: Http2Head, ends: boolean, receiveWindowBytes: number, carrier: Http2Carrier) {
    const { connection, handlers } = carrier;
    this.id = id;
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
    this.receiveWindowBytes = receiveWindowBytes;
    this.#sendWindowBytes = carrier.sendWindowBytes;
    this.#bodyBytes = head.bodyBytes;
    this.#requestEnded = ends;
    this.body = ends ? null : new Http2Body((bytes) => carrier.taken(this, bytes));
  }

  /** The client has ended its side. */
  get requestEnded(): boolean {
    return this.#requestEnded;
  }

  /** Nothing has to be waited for: the request has no body, or all of it is here. */
  get isComplete(): boolean {
    return this.#requestEnded || this.#receivedBytes === this.#bodyBytes;
  }

  /** What the client takes on it, before there is an outlet. */
  get sendWindowBytes(): number {
    return this.#sendWindowBytes;
  }

  get isReset(): boolean {
    return this.#isReset;
  }

  /** It had its turn: it is an exchange, and has its record. */
  get hasBegun(): boolean {
    return this.#attendant !== null;
  }

  get outlet(): Outlet | null {
    return this.#outlet;
  }

  // What the client says.

  /** A piece of the body, and whether it is the last; false: it breaks Content-Length (RFC 9113 §8.1.1). */
  take(chunk: Buffer, ends: boolean): boolean {
    this.#receivedBytes += chunk.length;
    if (this.#bodyBytes !== null && this.#receivedBytes > this.#bodyBytes) {
      this.#carrier.taken(this, chunk.length);
      return false;
    }
    if (this.body?.whole === null) this.body.data(chunk);
    return !ends || this.endRequest();
  }

  /** END_STREAM; false: Content-Length said more. */
  endRequest(): boolean {
    this.#requestEnded = true;
    if (this.#bodyBytes !== null && this.#receivedBytes !== this.#bodyBytes) return false;
    this.body?.end();
    if (this.#answerEnded) this.#carrier.closed(this);
    return true;
  }

  /** WINDOW_UPDATE, or SETTINGS that change all windows (RFC 9113 §6.9). The window, whose bound is looked at by who called. */
  widen(bytes: number): number {
    const outlet = this.#outlet;
    if (outlet === null) {
      this.#sendWindowBytes += bytes;
      return this.#sendWindowBytes;
    }
    outlet.windowBytes += bytes;
    return outlet.windowBytes;
  }

  /** PRIORITY_UPDATE (RFC 9218 §7). */
  prioritize(value: string): void {
    this.#priority = readPriority(value);
    if (this.#outlet !== null) this.#outlet.priority = mergedPriority(this.#priority, this.#ownPriority);
  }

  /** It was reset, by either side, or is gone with its connection. */
  lost(): void {
    if (this.#isReset) return;
    this.#isReset = true;
    this.#outlet?.drop();
    this.#tellGone();
  }

  // What the connection tells.

  /** Its turn has come. */
  begin(): void {
    // A client that left before its turn asked for nothing.
    if (this.#isReset) return;
    const { body } = this;
    if (body !== null && this.isComplete && this.#receivedBytes <= wholeBytesMax && this.#receivedBytes > 0)
      body.becomeWhole();
    this.#carrier.handlers.exchange(this);
  }

  sending(ended: boolean): void {
    if (ended) this.ended();
    const outlet = this.#outlet;
    if (!this.#isHeld || outlet === null || outlet.bytes > waitingBytesMax / 2) return;
    this.#isHeld = false;
    this.#carrier.hasRoom(this);
  }

  /** Whoever writes may go on. */
  drained(): void {
    if (!this.#isReset) this.#drainListener?.();
  }

  /** END_STREAM is on its way. */
  ended(): void {
    this.#answerEnded = true;
    this.#carrier.ending(this);
    if (this.#requestEnded) return this.#carrier.closed(this);
    // A body that is all here has only not said so yet.
    if (!this.isComplete) this.#endUnread();
  }

  /** The system has all bytes of the answer; or it will not have them: the connection is gone. */
  written(isWhole: boolean): void {
    if (this.#over) return;
    if (!isWhole) return this.#tellGone();
    this.#over = true;
    this.#attendant?.sent();
  }

  /** By the clock. `isShut`: the client takes nothing on its connection. */
  look(nowMs: number, sendTimeoutMs: number, isShut: boolean): void {
    // All of the body came and was answered, but the client does not say that it ends here.
    if (this.#answerEnded && !this.#requestEnded && !this.#isReset) return this.#endUnread();
    const outlet = this.#outlet;
    if (outlet === null || this.#isReset) return;
    const mustWait = outlet.windowBytes <= 0 || isShut;
    if (outlet.sentBytes !== this.#lookedBytes || outlet.isEmpty || !mustWait) {
      this.#lookedBytes = outlet.sentBytes;
      this.#movedMs = nowMs;
    } else if (nowMs - this.#movedMs >= sendTimeoutMs) this.cut();
  }

  // What the gateway does.

  sendContinue(): void {
    if (!this.#isReset) this.#carrier.sendHead(this, 100, [], null, false);
  }

  sendHints(fields: readonly string[]): void {
    if (!this.#isReset) this.#carrier.sendHead(this, 103, fields, null, false);
  }

  answer(status: number, fields: readonly string[], body: Buffer | null, _close: boolean): void {
    if (this.#isReset) return;
    const length = status === 204 || status === 304 ? null : (body?.length ?? 0);
    if (body === null || body.length === 0 || this.method === "HEAD") {
      this.#carrier.sendHead(this, status, fields, length, true);
      return;
    }
    if (this.#carrier.sendAnswer(this, status, fields, body)) return this.ended();
    const outlet = this.#open(fields);
    outlet.push(body);
    outlet.end();
    this.#carrier.wake();
  }

  start(status: number, fields: readonly string[], framing: ReplyFraming): void {
    if (this.#isReset) return;
    const length = framing.kind === "length" ? framing.bytes : null;
    this.#carrier.sendHead(this, status, fields, length, framing.kind === "none");
    if (framing.kind !== "none") this.#open(fields);
  }

  write(chunk: Buffer): boolean {
    const outlet = this.#outlet;
    if (outlet === null || this.#isReset) return true;
    outlet.push(chunk);
    if (outlet.bytes < waitingBytesMax) {
      this.#carrier.wake();
      return true;
    }
    this.#carrier.hurry();
    this.#isHeld = true;
    return false;
  }

  end(): void {
    const outlet = this.#outlet;
    if (outlet === null || outlet.ends || this.#isReset) return;
    outlet.end();
    this.#carrier.wake();
  }

  cut(): void {
    if (this.#isReset || this.#over) return;
    this.#isReset = true;
    this.#outlet?.drop();
    this.#carrier.sendReset(this, http2Error.internal);
    // Not from within whatever found out.
    process.nextTick(this.#tellGone);
  }

  /** A malformed body ends the stream: it is told as `gone`. */
  attend(attendant: Attendant): void {
    this.#attendant = attendant;
  }

  onDrain(listener: () => void): void {
    this.#drainListener = listener;
  }

  upgrade(): null {
    return null;
  }

  #open(fields: readonly string[]): Outlet {
    const said = this.#priority ?? readPriority(firstField(this.fields, "priority"));
    this.#ownPriority = firstField(fields, "priority");
    const outlet = new Outlet(this, this.id, this.#sendWindowBytes, mergedPriority(said, this.#ownPriority));
    outlet.isPatient = this.#ownPriority !== null;
    this.#outlet = outlet;
    this.#carrier.openOutlet(outlet);
    return outlet;
  }

  /** The rest of an unread body is not wanted (RFC 9113 §8.1). */
  #endUnread(): void {
    this.#isReset = true;
    this.#carrier.sendReset(this, http2Error.none);
    this.body?.gone();
  }

  readonly #tellGone = (): void => {
    this.body?.gone();
    if (this.#over) return;
    this.#over = true;
    this.#attendant?.gone();
  };
}
