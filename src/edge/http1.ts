import { createServer, type IncomingMessage, type Server, ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import type { Clock } from "../base/clock.ts";
import type { Ip } from "../base/ip.ts";
import type { Downstream, ReplyFraming } from "../exchange.ts";
import type { Protocol, RawFields } from "../message/facts.ts";
import { type EdgeBounds, edgeBounds } from "./bounds.ts";
import { closeSoon } from "./close-soon.ts";
import { EarlyBytes } from "./early-bytes.ts";
import { Lane } from "./lane.ts";

/** What the edge knows about a connection from accepting it. */
export interface Connection {
  readonly peer: Ip;
  readonly secure: boolean;
  readonly localPort: number;
  /** Accepted by the report listener. */
  readonly isReport: boolean;
  /** Ends the TCP connection with a reset. */
  reset(): void;
}

export interface EdgeHandlers {
  readonly clock: Clock;
  exchange(downstream: Downstream): void;
  /** A message that could not even be parsed: records it and returns the bytes to answer with. */
  broken(connection: Connection, status: number, code: string): Buffer;
  /** Connections cannot be accepted, and why; told each time, the sink is quiet about repetition. */
  trouble(detail: string): void;
  /** The gateway is stopping: every answer closes its connection. */
  draining(): boolean;
}

const connections = new WeakMap<Socket, Connection>();
const current = new WeakMap<Socket, Http1Downstream>();
const lanes = new WeakMap<Socket, Lane>();
/** Sockets that got their last bytes; the parser reports every further piece as another error. */
const ending = new WeakSet<Socket>();

/**
 * The HTTP/1 side: Node's parser with every bound set, fed by hand with accepted sockets (`accept`). Its time-outs run
 * only because `listening` was emitted once: without it a slow head is never cut.
 */
export function createHttp1(
  handlers: EdgeHandlers,
  bounds: EdgeBounds = edgeBounds,
): {
  accept(socket: Socket, connection: Connection): void;
  server: Server;
} {
  const server = createServer({
    maxHeaderSize: bounds.headerBlockBytesMax,
    headersTimeout: bounds.headerTimeoutMs,
    requestTimeout: 0,
    keepAliveTimeout: bounds.keepAliveTimeoutMs,
    connectionsCheckingInterval: bounds.connectionsCheckMs,
    requireHostHeader: false,
    highWaterMark: 64 * 1024,
  });
  server.maxHeadersCount = 0;
  server.maxRequestsPerSocket = bounds.requestsPerConnectionMax;
  server.timeout = 0;
  const run = (
    req: IncomingMessage,
    res: ServerResponse,
    connection: Connection,
    early: EarlyBytes | null,
    isLast: boolean,
  ): Http1Downstream => {
    const lane = lanes.get(req.socket);
    const downstream = new Http1Downstream(req, res, connection, handlers, early, () => lane?.next());
    current.set(req.socket, downstream);
    if (isLast) downstream.closeBehind();
    if (req.httpVersion === "1.1" || req.httpVersion === "1.0") handlers.exchange(downstream);
    else {
      downstream.closeBehind();
      end(req.socket, handlers.broken(connection, 505, "version-unsupported"));
    }
    return downstream;
  };
  const take = (req: IncomingMessage, res: ServerResponse) => {
    const connection = connections.get(req.socket);
    if (connection === undefined) return void req.socket.destroy();
    // A late error of a body that nobody reads must not end the process.
    req.on("error", () => {});
    let lane = lanes.get(req.socket);
    if (lane === undefined) {
      lane = new Lane((next, answer, isLast) => run(next, answer, connection, null, isLast));
      lanes.set(req.socket, lane);
    }
    lane.add(req, res);
  };
  server.on("request", take);
  server.on("checkContinue", take);
  server.on("checkExpectation", take);
  const takeRaw = (req: IncomingMessage, socket: Socket, head: Buffer) => {
    const connection = connections.get(req.socket);
    if (connection === undefined) return void socket.destroy();
    // Behind an answer that is still under way the connection cannot change hands: it closes behind that answer.
    if (lanes.get(req.socket)?.mayLeave() === false) return void new EarlyBytes(socket, head);
    // Node 26 hands over a wrapper when the request has a body, which no handshake has (RFC 6455 §4.1).
    if (socket !== req.socket) return end(req.socket, handlers.broken(connection, 400, "upgrade-body"));
    const res = new ServerResponse(req);
    res.shouldKeepAlive = false;
    res.assignSocket(socket);
    res.on("finish", () => {
      res.detachSocket(socket);
      socket.end();
      // The client may keep its side open; nobody reads it any more.
      closeSoon(socket);
    });
    socket.on("error", () => socket.destroy());
    run(req, res, connection, new EarlyBytes(socket, head), false);
  };
  server.on("upgrade", takeRaw);
  server.on("connect", takeRaw);
  server.on("clientError", (error: NodeJS.ErrnoException & { rawPacket?: Buffer }, socket) => {
    onClientError(error, socket as Socket, handlers);
  });
  server.emit("listening");
  return {
    server,
    accept(socket, connection) {
      connections.set(socket, connection);
      server.emit("connection", socket);
    },
  };
}

/** Status and stable code for what Node's parser refused. */
function parserRefusal(error: NodeJS.ErrnoException & { rawPacket?: Buffer }): {
  status: number;
  code: string;
} {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      // Without a line end yet, it was the request line that had no end (RFC 9112 §3: 414).
      if (error.rawPacket !== undefined && error.rawPacket.indexOf(10) < 0)
        return { status: 414, code: "target-too-long" };
      return { status: 431, code: "fields-too-large" };
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return { status: 408, code: "header-timeout" };
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return { status: 413, code: "chunk-extensions-too-large" };
    default:
      return { status: 400, code: "message-malformed" };
  }
}

function onClientError(error: NodeJS.ErrnoException, socket: Socket, handlers: EdgeHandlers): void {
  const connection = connections.get(socket);
  const running = current.get(socket);
  if (connection === undefined || error.code === "ECONNRESET" || (!socket.writable && !ending.has(socket))) {
    socket.destroy();
    return;
  }
  const lane = lanes.get(socket);
  if (lane?.isBroken === true || ending.has(socket)) return;
  if (lane !== undefined) lane.isBroken = true;
  if (lane?.breakOff() === true) return;
  const refusal = parserRefusal(error);
  if (running?.isRunning === true) {
    // The bytes behind a whole request are broken: its own answer goes out first, then the connection closes.
    if (running.requestComplete) return running.closeBehind();
    if (running.hasStarted) return void socket.destroy();
    // The body turned out malformed: the exchange refuses it, in its own one record.
    return running.breakOff(refusal.status, refusal.code);
  }
  end(socket, handlers.broken(connection, refusal.status, refusal.code));
}

/** Writes the last bytes of a connection and closes it, reading a little on so that they arrive (RFC 9112 §9.6). */
function end(socket: Socket, bytes: Buffer): void {
  ending.add(socket);
  socket.end(bytes);
  socket.on("data", () => {});
  socket.resume();
  closeSoon(socket);
}

/** One HTTP/1 exchange as the gateway sees it. */
class Http1Downstream implements Downstream {
  readonly protocol: Protocol;
  readonly method: string;
  readonly target: string;
  readonly fields: RawFields;
  readonly authority = null;
  readonly scheme = null;
  readonly peer: Ip;
  readonly secure: boolean;
  readonly localPort: number;
  readonly isReport: boolean;
  readonly body: Readable | null;
  readonly expectsContinue: boolean;
  readonly arrivedMs: number;
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #handlers: EdgeHandlers;
  readonly #early: EarlyBytes | null;
  readonly #reset: () => void;
  #endsWithConnection = false;
  #goneListener: (() => void) | null = null;
  #sentListener: (() => void) | null = null;
  #brokenListener: ((status: number, code: string) => void) | null = null;
  #close = false;
  #over = false;

  constructor(
    req: IncomingMessage,
    res: ServerResponse,
    connection: Connection,
    handlers: EdgeHandlers,
    early: EarlyBytes | null,
    onOver: () => void,
  ) {
    this.#req = req;
    this.#res = res;
    this.#handlers = handlers;
    this.#early = early;
    this.#reset = () => connection.reset();
    this.protocol = req.httpVersion === "1.0" ? "HTTP/1.0" : "HTTP/1.1";
    this.method = req.method ?? "";
    this.target = req.url ?? "";
    this.fields = req.rawHeaders;
    this.peer = connection.peer;
    this.secure = connection.secure;
    this.localPort = connection.localPort;
    this.isReport = connection.isReport;
    const headers = req.headers;
    const framed = headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined;
    this.body = framed && early === null ? req : null;
    this.expectsContinue = headers.expect !== undefined && /^100-continue$/i.test(headers.expect);
    this.arrivedMs = handlers.clock.nowMs();
    // A late error of a body that nobody reads must not end the process.
    req.on("error", () => {});
    res.on("error", () => {});
    res.on("finish", () => {
      this.#over = true;
      this.#sentListener?.();
      if (this.#close && early === null) this.#linger();
      onOver();
    });
    res.on("close", () => {
      if (this.#over) return;
      this.#over = true;
      this.#goneListener?.();
      onOver();
    });
  }

  get isRunning(): boolean {
    return !this.#over;
  }

  /** No request behind this one is taken: we close, or the client said that it does. */
  get isClosing(): boolean {
    return this.#close || !this.#res.shouldKeepAlive;
  }

  get requestComplete(): boolean {
    return this.#req.complete;
  }

  get hasStarted(): boolean {
    return this.#res.headersSent;
  }

  /** No further request is taken from this connection; its answer says so when it can. */
  closeBehind(): void {
    this.#close = true;
    this.#res.shouldKeepAlive = false;
    if (this.#over) this.#linger();
  }

  breakOff(status: number, code: string): void {
    this.#brokenListener?.(status, code);
  }

  sendContinue(): void {
    this.#res.writeContinue();
  }

  answer(status: number, fields: string[], body: Buffer | null, close: boolean): void {
    const unread = this.body !== null && !this.#req.complete;
    if (close || unread) this.#close = true;
    if (status !== 204 && status !== 304)
      fields.push("Content-Length", String(body === null ? 0 : body.length));
    this.#writeHead(status, fields);
    if (body === null || this.method === "HEAD") this.#res.end();
    else this.#res.end(body);
  }

  start(status: number, fields: string[], framing: ReplyFraming): void {
    if (framing.kind === "length") fields.push("Content-Length", String(framing.bytes));
    this.#endsWithConnection = framing.kind === "stream" && this.protocol === "HTTP/1.0";
    this.#writeHead(status, fields);
    if (framing.kind === "none") return;
    // The socket's own timer sees progress inside a write (a slow reader is not a dead one); Node's keep-alive resets it.
    this.#req.socket.setTimeout(edgeBounds.sendTimeoutMs);
    this.#res.on("timeout", () => {
      if (this.#res.writableLength > 0) this.cut();
    });
  }

  write(chunk: Buffer): boolean {
    return this.#res.write(chunk);
  }

  end(): void {
    this.#res.end();
  }

  cut(): void {
    // Where the end of the connection is the end of the answer, only a reset tells the two apart (RFC 9112 §8).
    if (this.#endsWithConnection) this.#reset();
    this.#req.socket.destroy();
  }

  onGone(listener: () => void): void {
    this.#goneListener = listener;
  }

  onBroken(listener: (status: number, code: string) => void): void {
    this.#brokenListener = listener;
  }

  onDrain(listener: () => void): void {
    this.#res.on("drain", listener);
  }

  onSent(listener: () => void): void {
    this.#sentListener = listener;
  }

  upgrade(status: number, fields: string[]): { readonly socket: Socket; readonly head: Buffer } | null {
    const early = this.#early;
    if (early === null) return null;
    const head = early.end();
    const socket = this.#req.socket;
    this.#over = true;
    this.#res.detachSocket(socket);
    socket.removeAllListeners("error");
    socket.removeAllListeners("timeout");
    let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n`;
    for (let i = 0; i < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`;
    socket.write(`${text}\r\n`, "latin1");
    return { socket, head };
  }

  #writeHead(status: number, fields: string[]): void {
    if (this.#handlers.draining()) this.#close = true;
    if (this.#close || this.#early !== null) {
      // RFC 9110 §7.8: an Upgrade field (426) goes with the connection option of that name.
      fields.push("Connection", status === 426 ? "close, upgrade" : "close");
      this.#res.shouldKeepAlive = false;
    }
    this.#res.writeHead(status, STATUS_CODES[status] ?? "", fields);
  }

  /** Closes after the answer, reading on for a moment: closing over unread bytes would reset the answer away. */
  #linger(): void {
    const socket = this.#req.socket;
    if (socket.destroyed) return;
    if (this.#req.complete) return void socket.destroySoon();
    this.#req.resume();
    closeSoon(socket);
  }
}
