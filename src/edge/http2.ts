import {
  constants,
  createServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import type { Ip } from "../base/ip.ts";
import type { Downstream, ReplyFraming } from "../exchange.ts";
import type { Protocol, RawFields } from "../message/facts.ts";
import type { BodySource } from "../upstream/body-source.ts";
import { type EdgeBounds, edgeBounds } from "./bounds.ts";
import { closeSoon } from "./close-soon.ts";
import type { Connection, EdgeHandlers } from "./http1.ts";
import { Http2Toll } from "./http2-toll.ts";
import { readPriority, type Sender, SendOrder } from "./send-order.ts";
import { streamBody } from "./stream-body.ts";
import { StreamTurns, type TurnLine } from "./stream-turns.ts";

/** What belongs to a session. */
interface Held {
  readonly connection: Connection;
  readonly toll: Http2Toll;
  readonly line: TurnLine;
  readonly order: SendOrder;
}

const sessions = new WeakMap<ServerHttp2Session, Held>();

/** The HTTP/2 side: Node's nghttp2 with every bound set, fed by hand with TLS sockets that chose `h2`. */
export function createHttp2(
  handlers: EdgeHandlers,
  bounds: EdgeBounds = edgeBounds,
): {
  accept(socket: Socket, connection: Connection): void;
  /** GOAWAY to all; running streams finish. */
  close(): void;
  /** GOAWAY in two steps, so that requests on their way are served (RFC 9113 §6.8). */
  retire(): void;
} {
  const server = createServer({
    maxSessionMemory: bounds.http2SessionMemoryMiB,
    maxHeaderListPairs: 128,
    maxOutstandingPings: 10,
    maxSessionInvalidFrames: bounds.http2ControlBurst,
    streamResetBurst: bounds.http2ResetBurst,
    streamResetRate: bounds.http2ResetsPerSecond,
    unknownProtocolTimeout: 1_000,
    settings: {
      maxConcurrentStreams: bounds.http2StreamsMax,
      maxHeaderListSize: bounds.http2HeaderListBytesMax,
      initialWindowSize: bounds.http2StreamWindowBytes,
      enablePush: false,
      enableConnectProtocol: false,
    },
  });
  const open = new Map<ServerHttp2Session, Http2Toll>();
  const turns = new StreamTurns(bounds.http2StreamsPerTurn);
  let stopped = false;
  let isRetiring = false;
  const check = setInterval(() => {
    const nowMs = performance.now();
    for (const toll of open.values()) toll.look(nowMs);
    if (stopped && open.size === 0) clearInterval(check);
  }, bounds.http2LookMs);
  check.unref();
  let accepting: Connection | null = null;
  let acceptedSocket: Socket | null = null;
  server.on("session", (session) => {
    if (accepting === null || acceptedSocket === null) return session.destroy();
    const socket = acceptedSocket;
    const toll = new Http2Toll(session, socket, bounds, performance.now());
    sessions.set(session, { connection: accepting, toll, line: turns.line(), order: new SendOrder() });
    open.set(session, toll);
    // A connection whose handshake ended afterwards gets its first answer: some clients give up what they could not send yet.
    if (isRetiring) session.once("stream", () => leaveSoon(session));
    session.on("error", () => {});
    session.on("close", () => open.delete(session));
    let streams = 0;
    let leaving = false;
    const left = () => {
      if (leaving && streams === 0) closeSoon(socket);
    };
    session.on("goaway", () => {
      leaving = true;
      left();
    });
    session.on("stream", (stream: ServerHttp2Stream) => {
      streams += 1;
      stream.on("close", () => {
        streams -= 1;
        left();
      });
    });
    session.setTimeout(bounds.keepAliveTimeoutMs, () => {
      // Streams have their own bounds; a session without one has nothing left to wait for.
      if (streams === 0) session.close();
      // Behind a client's GOAWAY Node may stop reading for good without an event, and its streams would never end.
      else if (leaving) session.destroy(new Error("the client said GOAWAY"), constants.NGHTTP2_CANCEL);
      else return;
      closeSoon(socket);
    });
  });
  server.on("sessionError", () => {});
  server.on("stream", (stream, headers, _flags, rawHeaders) => {
    const held =
      stream.session === undefined ? undefined : sessions.get(stream.session as ServerHttp2Session);
    stream.on("error", () => {});
    if (held === undefined) return stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    const fields = rawHeaders as unknown as string[];
    const down = new Http2Downstream(stream, headers, fields, held, handlers, bounds.sendTimeoutMs);
    turns.take(held.line, () => {
      // A client that left before its turn asked for nothing; how often it may is nghttp2's budget of resets.
      if (!stream.destroyed && !stream.closed) handlers.exchange(down);
    });
  });
  return {
    accept(socket, connection) {
      // HTTP/2 has no half-closed connection: whoever ended his side takes no more of any answer (RFC 9113 §5.4.1, §9.1).
      socket.on("end", () => socket.destroy());
      accepting = connection;
      acceptedSocket = socket;
      server.emit("connection", socket);
      accepting = null;
      acceptedSocket = null;
    },
    close() {
      stopped = true;
      for (const session of open.keys()) session.close();
      if (open.size === 0) clearInterval(check);
    },
    retire() {
      isRetiring = true;
      for (const session of open.keys()) leaveSoon(session);
    },
  };
}

/** Above every stream there can be: "open no more", which says nothing about those that are on their way. */
const lastStreamMost = 2 ** 31 - 1;
/** More than a round trip: a client that heard the first GOAWAY opens nothing afterwards. */
const leaveMs = 2_000;

function leaveSoon(session: ServerHttp2Session): void {
  if (session.closed || session.destroyed) return;
  session.goaway(constants.NGHTTP2_NO_ERROR, lastStreamMost);
  setTimeout(() => session.close(), leaveMs).unref();
}

/** Splits nghttp2's list into pseudo-fields and field lines; cookie crumbs become one line (RFC 9113 §8.2.3). */
function readFields(raw: readonly string[]): string[] {
  const fields: string[] = [];
  let cookieAt = -1;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? "";
    const value = raw[i + 1] ?? "";
    if (name.startsWith(":")) continue;
    if (name === "cookie") {
      if (cookieAt >= 0) {
        fields[cookieAt] = `${fields[cookieAt]}; ${value}`;
        continue;
      }
      cookieAt = fields.length + 1;
    }
    fields.push(name, value);
  }
  return fields;
}

/** The value of a pseudo-field, or of a field that stands there once. */
function pseudo(headers: IncomingHttpHeaders, name: string): string | null {
  const value = headers[name];
  return typeof value === "string" ? value : null;
}

/** One HTTP/2 stream as the gateway sees it. */
class Http2Downstream implements Downstream {
  readonly protocol: Protocol = "HTTP/2";
  readonly method: string;
  readonly target: string;
  readonly fields: RawFields;
  readonly authority: string | null;
  readonly scheme: string | null;
  readonly peer: Ip;
  readonly secure: boolean;
  readonly localPort: number;
  readonly body: BodySource | null;
  readonly isReport: boolean;
  readonly expectsContinue: boolean;
  readonly arrivedMs: number;
  readonly #stream: ServerHttp2Stream;
  readonly #sendTimeoutMs: number;
  readonly #order: SendOrder;
  readonly #priority: string | null;
  /** Its place among the session's answers, from `start` on. */
  #sender: Sender | null = null;
  #drainListener: (() => void) | null = null;
  #goneListener: (() => void) | null = null;
  #sentListener: (() => void) | null = null;
  #over = false;

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    rawHeaders: readonly string[],
    { connection, toll, order }: Held,
    handlers: EdgeHandlers,
    sendTimeoutMs: number,
  ) {
    this.#sendTimeoutMs = sendTimeoutMs;
    this.#stream = stream;
    this.#order = order;
    this.#priority = pseudo(headers, "priority");
    this.method = pseudo(headers, ":method") ?? "";
    this.target = pseudo(headers, ":path") ?? "";
    this.authority = pseudo(headers, ":authority");
    this.scheme = pseudo(headers, ":scheme");
    this.fields = readFields(rawHeaders);
    this.peer = connection.peer;
    this.secure = connection.secure;
    this.localPort = connection.localPort;
    this.body = stream.endAfterHeaders ? null : streamBody(stream, (bytes) => toll.body(bytes));
    if (this.body !== null) toll.openBody(stream);
    this.isReport = connection.isReport;
    const expect = headers["expect"];
    this.expectsContinue = typeof expect === "string" && /^100-continue$/i.test(expect);
    this.arrivedMs = handlers.clock.nowMs();
    stream.on("finish", () => {
      if (this.#over || stream.rstCode !== constants.NGHTTP2_NO_ERROR || stream.aborted) return;
      this.#over = true;
      this.#sentListener?.();
    });
    stream.on("close", () => {
      if (this.#over) return;
      this.#over = true;
      // A stream whose request body ended first is closed with its last frame, and Node emits no "finish" then.
      const whole =
        stream.writableEnded && stream.writableLength === 0 && stream.rstCode === constants.NGHTTP2_NO_ERROR;
      if (whole) this.#sentListener?.();
      else this.#goneListener?.();
    });
  }

  sendContinue(): void {
    if (!this.#stream.destroyed) this.#stream.additionalHeaders({ ":status": 100 });
  }

  answer(status: number, fields: string[], body: Buffer | null, _close: boolean): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    if (status !== 204 && status !== 304)
      fields.push("content-length", String(body === null ? 0 : body.length));
    const empty = body === null || body.length === 0 || this.method === "HEAD";
    stream.respond(headerObject(status, fields), { endStream: empty });
    if (!empty) {
      // A window that stays shut holds short answers too.
      this.#watchSending();
      stream.end(body);
    }
    // The rest of an unread body is not wanted (RFC 9113 §8.1): reset without error after the answer.
    if (this.body !== null && !stream.readableEnded) {
      stream.once("finish", () => stream.close(constants.NGHTTP2_NO_ERROR));
      if (empty) stream.close(constants.NGHTTP2_NO_ERROR);
    }
  }

  start(status: number, fields: string[], framing: ReplyFraming): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    if (framing.kind === "length") fields.push("content-length", String(framing.bytes));
    stream.respond(headerObject(status, fields), { endStream: framing.kind === "none" });
    if (framing.kind === "none") return;
    this.#watchSending();
    const sender = this.#order.enter(stream, stream.id ?? 0, readPriority(this.#priority), () =>
      this.#drainListener?.(),
    );
    this.#sender = sender;
    stream.on("drain", () => sender.drained());
    stream.on("finish", () => sender.leave());
    stream.on("close", () => sender.leave());
  }

  #watchSending(): void {
    const stream = this.#stream;
    stream.setTimeout(this.#sendTimeoutMs);
    stream.on("timeout", () => {
      if (stream.writableLength > 0) this.cut();
    });
  }

  write(chunk: Buffer): boolean {
    if (this.#sender === null || this.#stream.destroyed || this.#stream.closed) return true;
    return this.#sender.write(chunk);
  }

  end(): void {
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
}

/** Fields with one value, which Node's HTTP/2 refuses to send twice (its kSingleValueFields, those of an answer). */
const saidOnce: ReadonlySet<string> = new Set([
  "access-control-allow-credentials",
  "access-control-allow-origin",
  "access-control-max-age",
  "age",
  "content-encoding",
  "content-language",
  "content-length",
  "content-location",
  "content-md5",
  "content-range",
  "content-type",
  "date",
  "dnt",
  "etag",
  "expires",
  "last-modified",
  "location",
  "retry-after",
  "tk",
  "x-content-type-options",
]);

function headerObject(status: number, fields: readonly string[]): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = Object.create(null) as OutgoingHttpHeaders;
  headers[":status"] = status;
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] ?? "").toLowerCase();
    const value = fields[i + 1] ?? "";
    const before = headers[name];
    if (before === undefined) headers[name] = value;
    // Odoo or an add-on said it twice. The first holds: Node would throw, and a client choose.
    else if (saidOnce.has(name)) continue;
    else if (Array.isArray(before)) before.push(value);
    else headers[name] = [String(before), value];
  }
  return headers;
}
