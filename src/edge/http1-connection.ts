import type { Socket } from "node:net";
import { Gathered } from "../base/gathered.ts";
import type { Ip } from "../base/ip.ts";
import type { Placed } from "../base/roster.ts";
import { type EdgeBounds, quietMs } from "./bounds.ts";
import { closeSoon } from "./close-soon.ts";
import type { Connection, EdgeHandlers } from "./http1.ts";
import { type Carrier, Http1Downstream } from "./http1-downstream.ts";
import { InboundBody } from "./inbound-body.ts";
import { type RequestHead, RequestReader, type RequestSink } from "./request-reader.ts";

/** Bytes kept of requests that wait behind a running one, or behind a handshake that is not answered yet; past it the socket is not read. */
const waitingBytesMax = 64 * 1024;

/** Later than any moment that is asked about. */
const never = Number.POSITIVE_INFINITY;

/**
 * One HTTP/1 connection: one exchange at a time (RFC 9112 §9.3.2). What is pipelined waits in bytes, unread: nothing behind a
 * refused message is run, and one connection keeps one worker of Odoo busy at most.
 */
export class Http1Connection implements Carrier, RequestSink, Placed {
  place = -1;
  readonly socket: Socket;
  readonly peer: Ip;
  readonly secure: boolean;
  readonly localPort: number;
  readonly isReport: boolean;
  readonly #handlers: EdgeHandlers;
  readonly #bounds: EdgeBounds;
  readonly #connection: Connection;
  readonly #onClosed: (connection: Http1Connection) => void;
  readonly #reader: RequestReader;
  #turn: Http1Downstream | null = null;
  #body: InboundBody | null = null;
  #requests = 0;
  /** Since when the head, or the next request, is waited for. */
  #sinceMs = performance.now();
  #waitsForHead = true;
  #isEnding = false;
  #isWatched = false;
  /** Since when not all has gone out that was written. */
  #stuckSinceMs = never;
  /** The bytes that are read now came while an exchange was under way. */
  #isPiped = false;
  readonly #early = new Gathered();

  constructor(
    socket: Socket,
    connection: Connection,
    handlers: EdgeHandlers,
    bounds: EdgeBounds,
    onClosed: (connection: Http1Connection) => void,
  ) {
    this.socket = socket;
    this.peer = connection.peer;
    this.secure = connection.secure;
    this.localPort = connection.localPort;
    this.isReport = connection.isReport;
    this.#connection = connection;
    this.#handlers = handlers;
    this.#bounds = bounds;
    this.#onClosed = onClosed;
    this.#reader = new RequestReader(this, bounds);
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("close", this.#onClose);
    socket.on("drain", this.#onDrain);
    socket.on("timeout", this.#onTimeout);
  }

  get isDraining(): boolean {
    return this.#handlers.draining();
  }

  /** No exchange, and no byte of the next one. */
  get isIdle(): boolean {
    return this.#turn === null && !this.#isEnding && !this.#reader.isInsideHead;
  }

  /** Looks at the bounds in time; called every `connectionsCheckMs`. */
  check(nowMs: number): void {
    if (nowMs - this.#stuckSinceMs > this.#bounds.sendStuckTimeoutMs) this.#turn?.cut();
    if (this.#turn !== null || this.#isEnding) return;
    const waitedMs = nowMs - this.#sinceMs;
    if (this.#waitsForHead || this.#reader.isInsideHead) {
      if (waitedMs <= this.#bounds.headerTimeoutMs) return;
      this.#isPiped = false;
      this.broken(408, "header-timeout");
    } else if (waitedMs > this.#bounds.keepAliveTimeoutMs) this.close();
    else if (waitedMs > quietMs) this.#reader.forget();
  }

  /** Ends a connection on which nothing is under way. */
  close(): void {
    this.#isEnding = true;
    this.socket.destroySoon();
    closeSoon(this.socket);
  }

  head(head: RequestHead, whole: Buffer | null, isOpen: boolean): void {
    // A handshake waits for the answer before it (RFC 9110 §7.8): behind one the connection ends.
    if (head.leaves && this.#isPiped) return this.close();
    this.#requests += 1;
    this.#waitsForHead = false;
    const body = isOpen || whole !== null ? new InboundBody(this.socket, whole) : null;
    this.#body = body;
    const isLast = !head.persists || this.#requests >= this.#bounds.requestsPerConnectionMax;
    const turn = new Http1Downstream(this, head, body, this.#handlers.clock.nowMs(), isLast);
    this.#turn = turn;
    if (head.leaves) this.#keepEarly(this.#reader.stop());
    this.#handlers.exchange(turn);
  }

  data(chunk: Buffer): void {
    this.#body?.data(chunk);
  }

  end(): void {
    this.#body?.end();
  }

  broken(status: number, code: string): void {
    const turn = this.#turn;
    // What stands behind a whole message and is no request gets no answer: whose would it be?
    if (turn === null && this.#isPiped) return this.close();
    if (turn === null) return this.#endWith(this.#handlers.broken(this.#connection, status, code));
    // The body turned out malformed: the exchange refuses it, in its own one record.
    if (turn.hasStarted) this.#destroy();
    else turn.breakOff(status, code);
  }

  over(): void {
    const turn = this.#turn;
    if (turn === null) return;
    this.#turn = null;
    this.#stuckSinceMs = never;
    if (this.#isWatched) {
      this.#isWatched = false;
      this.socket.setTimeout(0);
    }
    if (turn.closes) return this.#finish();
    this.#body = null;
    this.#sinceMs = performance.now();
    if (this.socket.isPaused()) this.socket.resume();
    this.#isPiped = true;
    this.#reader.next();
    if (this.#turn === null) this.#isPiped = this.#reader.waitingBytes > 0;
  }

  watchSending(): void {
    if (this.#stuckSinceMs === never) this.#stuckSinceMs = performance.now();
    if (this.#isWatched) return;
    this.#isWatched = true;
    // The socket's own timer sees progress inside a write: a slow reader is not a dead one.
    this.socket.setTimeout(this.#bounds.sendTimeoutMs);
  }

  reset(): void {
    this.#connection.reset();
  }

  leave(): Buffer | null {
    if (this.#turn?.leaves !== true || this.socket.destroyed) return null;
    this.#turn = null;
    this.#detach();
    this.socket.pause();
    return this.#early.take();
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#isEnding) return;
    const turn = this.#turn;
    if (turn === null) {
      // The head's time runs from its first byte.
      if (!this.#waitsForHead && !this.#reader.isInsideHead) {
        this.#sinceMs = performance.now();
        this.#isPiped = false;
      }
    } else if (turn.leaves) return this.#keepEarly(chunk);
    this.#reader.push(chunk);
    if (this.#turn !== null && !this.#reader.isInsideBody && this.#reader.waitingBytes > waitingBytesMax)
      this.socket.pause();
  };

  readonly #onEnd = (): void => {
    const turn = this.#turn;
    if (this.#isEnding) return void this.socket.destroy();
    if (turn === null) {
      if (this.#reader.isInsideHead) this.broken(400, "message-malformed");
      else this.close();
      return;
    }
    if (this.#body?.isOpen === true && !turn.hasStarted) return this.broken(400, "message-malformed");
    // Who ends his side while he waits has given up: an answer would go nowhere, and a handshake cannot be half-closed.
    this.#destroy();
  };

  readonly #onClose = (): void => {
    this.#onClosed(this);
    this.#reader.stop();
    this.#turn?.gone();
    this.#turn = null;
  };

  readonly #onDrain = (): void => {
    this.#stuckSinceMs = never;
    this.#turn?.drained();
  };

  readonly #onTimeout = (): void => {
    if (this.#turn !== null && this.socket.writableLength > 0) this.#turn.cut();
  };

  /** What was decided in this turn still leaves. */
  #destroy(): void {
    this.#turn?.due();
    this.socket.destroy();
  }

  #keepEarly(chunk: Buffer): void {
    this.#early.push(chunk);
    if (this.#early.bytes > waitingBytesMax) this.socket.pause();
  }

  /** The last answer is out. */
  #finish(): void {
    const isWhole = this.#body === null || !this.#body.isOpen;
    this.#isEnding = true;
    const rest = this.#reader.stop();
    if (isWhole && rest.length === 0 && this.#early.bytes === 0) this.socket.destroySoon();
    else this.#linger();
    closeSoon(this.socket);
  }

  /** Writes the last bytes of a connection and closes it. */
  #endWith(bytes: Buffer): void {
    this.#isEnding = true;
    this.#reader.stop();
    this.socket.write(bytes);
    this.#linger();
    closeSoon(this.socket);
  }

  /** Ends our side and reads on for a moment: closing over unread bytes would reset the answer away (RFC 9112 §9.6). */
  #linger(): void {
    this.#body?.drop();
    this.socket.end();
    this.socket.resume();
  }

  #detach(): void {
    const { socket } = this;
    socket.off("data", this.#onData);
    socket.off("end", this.#onEnd);
    socket.off("close", this.#onClose);
    socket.off("drain", this.#onDrain);
    socket.off("timeout", this.#onTimeout);
    socket.setTimeout(0);
    this.#onClosed(this);
  }
}
