import type { Socket } from "node:net";
import { atTurnEnd, type Due, turnOrder } from "../base/turn-end.ts";
import type { FailureKind } from "../observe/events.ts";
import { type AnswerHead, AnswerReader, type AnswerSink } from "./answer-reader.ts";
import type { ConnectionUser, UpstreamConnection } from "./connection.ts";
import type { PoolMember } from "./pool-member.ts";
import type { RequestBody } from "./request-body.ts";

/**
 * Longest wait for a TCP connection to the one Odoo there is. Odoo listens with a backlog of 16 (two workers): in a burst the kernel lets the rest
 * try again after 1, 3, 7, 15 seconds, and they do get in.
 */
export const connectTimeoutMs = 30_000;
/** A connection that is not there after this was dropped on its way: Linux tries again after 1 s, and no line takes as long. */
export const connectStallMs = 1_000;
/** ... to one of several members: another may be quicker. */
export const connectTimeoutOfSeveralMs = 5_000;

/** A request that is ready to be sent whole. */
export interface UpstreamRequest {
  readonly method: string;
  /** Origin-form, byte for byte as the client sent it. */
  readonly target: string;
  /** Its fields, each with its line end: `outboundLines`. */
  readonly lines: string;
  readonly body: RequestBody | null;
  /** To the first byte, and between bytes. */
  readonly answerTimeoutMs: number;
  /** A WebSocket handshake: 101 is an answer, and what follows it belongs to the tunnel. */
  readonly wantsTunnel: boolean;
}

/** What the caller hears; exactly one of `end`, `tunnel`, `failure` comes last, and nothing after `abort`. */
export interface UpstreamListener {
  head(head: AnswerHead): void;
  data(chunk: Buffer): void;
  /** `isLonger`: more came behind the length that was declared, which is not told: who keeps answers does not keep this one. */
  end(isLonger?: boolean): void;
  /** After a head with status 101: the connection is the caller's from here on. */
  tunnel(socket: Socket, rest: Buffer): void;
  failure(kind: FailureKind, detail: string): void;
  /** A fresh connection is not there after `connectStallMs`; told again each time as long. The call may be aborted from inside. */
  stalled(): void;
}

/** Of a body's spool file, sent at once. */
const readBytes = 256 * 1024;

/**
 * Sends one request to a member and reads its answer. A request is sent twice only when a kept connection closed without
 * answering a byte and the method is safe (RFC 9110 §9.2.2, RFC 9112 §9.3.1); never after a byte came back.
 */
export class UpstreamCall implements ConnectionUser, AnswerSink, Due {
  readonly #member: PoolMember;
  readonly #request: UpstreamRequest;
  readonly #listener: UpstreamListener;
  readonly #connectMs: number;
  #connection: UpstreamConnection | null = null;
  #reader: AnswerReader | null = null;
  #head: AnswerHead | null = null;
  #reused = false;
  #sawBytes = false;
  #bodySent = false;
  #over = false;
  /** How the member's crowd counts us. */
  #counted: "connecting" | "established" | null = null;
  #connectingMs = 0;

  constructor(
    member: PoolMember,
    request: UpstreamRequest,
    listener: UpstreamListener,
    connectMs: number = connectTimeoutMs,
  ) {
    this.#connectMs = connectMs;
    this.#member = member;
    this.#request = request;
    this.#listener = listener;
  }

  /** On a connection that stands: the member may have it, or a part of it. */
  get isSent(): boolean {
    return this.#counted === "established";
  }

  /** Sends it at the end of this turn. */
  start(): void {
    atTurnEnd(turnOrder.request, this);
  }

  due(): void {
    if (this.#over) return;
    if (this.#request.wantsTunnel) return this.#use(this.#member.connectForTunnel());
    const idle = this.#member.takeIdle();
    this.#reused = idle !== null;
    this.#use(idle ?? this.#member.connect());
  }

  /** The client is gone or the exchange is over for another reason: nothing more is told. */
  abort(): void {
    this.#over = true;
    this.#uncount();
    this.#connection?.destroy();
    this.#connection = null;
  }

  pause(): void {
    this.#connection?.socket.pause();
    this.#connection?.bound(0);
  }

  resume(): void {
    this.#connection?.bound(this.#request.answerTimeoutMs);
    this.#connection?.socket.resume();
  }

  #use(connection: UpstreamConnection): void {
    this.#connection = connection;
    this.#sawBytes = false;
    this.#bodySent = false;
    this.#reader = new AnswerReader(this.#request.method, this.#request.wantsTunnel, this);
    connection.use(this);
    this.#uncount();
    if (this.#reused) return this.connected();
    this.#counted = "connecting";
    this.#member.crowd.begins();
    this.#connectingMs = 0;
    connection.bound(Math.min(connectStallMs, this.#connectMs));
  }

  #uncount(): void {
    const counted = this.#counted;
    if (counted === null) return;
    this.#counted = null;
    this.#member.crowd[counted] -= 1;
  }

  connected(): void {
    const connection = this.#connection;
    if (connection === null) return;
    this.#uncount();
    this.#counted = "established";
    this.#member.crowd.stands();
    connection.bound(this.#request.answerTimeoutMs);
    this.#send(connection.socket);
  }

  received(chunk: Buffer): void {
    if (this.#over) return;
    this.#sawBytes = true;
    this.#reader?.push(chunk);
  }

  head(head: AnswerHead): void {
    this.#head = head;
    this.#listener.head(head);
  }

  data(chunk: Buffer): void {
    this.#listener.data(chunk);
  }

  /** Head and body in as few writes as can be: the worker that accepts us must find everything there. */
  #send(socket: Socket): void {
    const { method, target, lines, body } = this.#request;
    const text = `${method} ${target} HTTP/1.1\r\n${lines}\r\n`;
    if (body === null || body.bytes === 0) {
      this.#bodySent = true;
      socket.write(text, "latin1");
      return;
    }
    // One buffer, one packet: the worker finds head and body together.
    const whole = Buffer.allocUnsafe(text.length + body.memory.length);
    whole.write(text, 0, "latin1");
    body.memory.copy(whole, text.length);
    socket.write(whole);
    if (body.file === null) this.#bodySent = true;
    else void this.#sendFile(socket, body);
  }

  async #sendFile(socket: Socket, body: RequestBody): Promise<void> {
    const file = body.file;
    if (file === null) return;
    let position = 0;
    const total = body.bytes - body.memory.length;
    const piece = Buffer.allocUnsafeSlow(Math.min(readBytes, total));
    while (position < total && !this.#over && !socket.destroyed) {
      const read = await file.read(piece.subarray(0, total - position), position);
      if (this.#over || socket.destroyed) return;
      if (!read.ok || read.value === 0)
        return this.failure("spool-full", "the request body could not be read back");
      position += read.value;
      await written(socket, piece.subarray(0, read.value));
    }
    this.#bodySent = true;
  }

  ended(): void {
    if (this.#over) return;
    if (!this.#sawBytes && this.#mayRetry()) return this.#retry();
    this.#reader?.eof();
  }

  errored(error: NodeJS.ErrnoException): void {
    if (this.#over) return;
    if (this.#sawBytes) {
      // A reset is no end, not even for an answer that ends with the connection (RFC 9112 §8).
      if (this.#head !== null) return this.failure("answer-cut", errorText(error));
      return this.failure("answer-malformed", errorText(error));
    }
    if (this.#mayRetry()) return this.#retry();
    if (error.code === "ECONNREFUSED") return this.failure("connect-refused", errorText(error));
    if (
      this.#connection?.socket.connecting === true ||
      error.syscall === "connect" ||
      error.syscall === "getaddrinfo"
    ) {
      return this.failure("connect-failed", errorText(error));
    }
    this.failure("closed-without-answer", errorText(error));
  }

  silent(): void {
    if (this.#over) return;
    if (this.#connection?.socket.connecting === true) return this.#stalled(this.#connection);
    if (!this.#bodySent) return this.failure("body-stalled", "Odoo stopped reading the request body");
    if (this.#head === null)
      return this.failure("answer-timeout", `no answer in ${this.#request.answerTimeoutMs} ms`);
    this.failure("answer-cut", `no byte in ${this.#request.answerTimeoutMs} ms`);
  }

  #stalled(connection: UpstreamConnection): void {
    this.#connectingMs += connectStallMs;
    if (this.#connectingMs >= this.#connectMs)
      return this.failure("connect-timeout", `no connection in ${this.#connectMs} ms`);
    // The same length again begins anew only after none.
    connection.bound(0);
    connection.bound(connectStallMs);
    this.#listener.stalled();
  }

  #mayRetry(): boolean {
    const { method, body } = this.#request;
    return this.#reused && body === null && (method === "GET" || method === "HEAD" || method === "OPTIONS");
  }

  #retry(): void {
    this.#connection?.destroy();
    this.#reused = false;
    this.#use(this.#member.connect());
  }

  end(rest: Buffer): void {
    if (this.#over) return;
    this.#over = true;
    this.#uncount();
    const connection = this.#connection;
    // From here on the connection is somebody else's: a late abort must not reach it.
    this.#connection = null;
    if (connection === null) return;
    if (this.#head?.status === 101) {
      this.#listener.tunnel(connection.release(), rest);
      return;
    }
    // Bytes behind the answer, or an answer before the whole body was sent: the connection is not trusted again.
    const isClean = rest.length === 0 && this.#bodySent;
    if (isClean && this.#head?.reusable === true) this.#member.giveBack(connection);
    else if (isClean && !this.#request.wantsTunnel) connection.finish();
    else connection.destroy();
    this.#listener.end(rest.length > 0);
  }

  failure(kind: FailureKind, detail: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#uncount();
    this.#connection?.destroy();
    this.#connection = null;
    this.#listener.failure(kind, detail);
  }
}

/** Resolves when the system took it, and its memory may be used again, or the socket is closed. */
function written(socket: Socket, piece: Buffer): Promise<void> {
  return new Promise((resolve) => {
    socket.write(piece, () => resolve());
  });
}

function errorText(error: NodeJS.ErrnoException): string {
  return error.code ?? error.message;
}
