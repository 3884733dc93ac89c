import { constants, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { type EdgeBounds, quietMs } from "./bounds.ts";
import { closeSoon } from "./close-soon.ts";
import type { Connection, EdgeHandlers } from "./http1.ts";
import { type Http2Carrier, Http2Downstream } from "./http2-downstream.ts";
import { Http2Toll } from "./http2-toll.ts";
import { KnownHttp2Fields } from "./known-http2-fields.ts";
import { SendOrder } from "./send-order.ts";
import type { StreamTurns, TurnLine } from "./stream-turns.ts";

/** What the sessions of one listener share. */
export interface Http2Shared {
  readonly handlers: EdgeHandlers;
  readonly bounds: EdgeBounds;
  readonly turns: StreamTurns;
}

/** One HTTP/2 connection: its streams, its toll, and when it ends. Its times are looked at by the clock: a timer would be set again for each frame. */
export class Http2Session implements Http2Carrier {
  readonly connection: Connection;
  readonly handlers: EdgeHandlers;
  readonly sendTimeoutMs: number;
  readonly toll: Http2Toll;
  #order: SendOrder | null = null;
  readonly #session: ServerHttp2Session;
  readonly #socket: Socket;
  readonly #turns: StreamTurns;
  readonly #line: TurnLine;
  readonly #keepAliveTimeoutMs: number;
  /** Open ones, at most `http2StreamsMax`. */
  readonly #streams = new Set<Http2Downstream>();
  readonly #known = new KnownHttp2Fields();
  /** The client said GOAWAY. */
  #isLeaving = false;
  /** There was a request, an answer's end, or PING or SETTINGS since the last look. */
  #wasActive = false;
  #activeMs: number;
  #movedBytes = 0;
  #movedMs: number;
  #isEnding = false;

  constructor(
    session: ServerHttp2Session,
    socket: Socket,
    connection: Connection,
    shared: Http2Shared,
    nowMs: number,
  ) {
    const { handlers, bounds, turns } = shared;
    this.#session = session;
    this.#socket = socket;
    this.connection = connection;
    this.handlers = handlers;
    this.sendTimeoutMs = bounds.sendTimeoutMs;
    this.#keepAliveTimeoutMs = bounds.keepAliveTimeoutMs;
    this.toll = new Http2Toll(session, socket, bounds, nowMs);
    this.#turns = turns;
    this.#line = turns.line();
    this.#activeMs = nowMs;
    this.#movedMs = nowMs;
    session.on("error", () => {});
    session.on("goaway", () => {
      this.#isLeaving = true;
      this.#left();
    });
    const active = () => {
      this.#wasActive = true;
    };
    session.on("ping", active);
    session.on("remoteSettings", active);
    session.on("stream", (stream: ServerHttp2Stream, _headers, _flags, rawHeaders) => {
      const raw = rawHeaders as unknown as string[];
      this.toll.head(raw);
      const down = new Http2Downstream(stream, this.#known.read(raw), this);
      this.#streams.add(down);
      this.#turns.take(this.#line, down);
    });
  }

  /** Made when first needed: most sessions never send an answer in pieces. */
  get order(): SendOrder {
    this.#order ??= new SendOrder();
    return this.#order;
  }

  over(stream: Http2Downstream): void {
    this.#streams.delete(stream);
    this.#wasActive = true;
    this.#left();
  }

  /** By the clock, every `http2LookMs`. */
  look(nowMs: number): void {
    this.toll.look(nowMs);
    for (const stream of this.#streams) stream.look();
    if (this.#isEnding) return;
    if (this.#streams.size > 0) this.#lookAtStreams(nowMs);
    else if (this.#wasActive) this.#activeMs = nowMs;
    else if (nowMs - this.#activeMs >= this.#keepAliveTimeoutMs) {
      this.#isEnding = true;
      this.#session.close();
      closeSoon(this.#socket);
    }
    if (nowMs - this.#activeMs >= quietMs) this.#known.forget();
    this.#wasActive = false;
  }

  /** Streams have their own bounds. But behind a client's GOAWAY Node may stop reading for good without an event, and they would never end. */
  #lookAtStreams(nowMs: number): void {
    this.#activeMs = nowMs;
    if (!this.#isLeaving) return;
    const { bytesRead, bytesWritten } = this.#socket;
    if (bytesRead + bytesWritten !== this.#movedBytes) {
      this.#movedBytes = bytesRead + bytesWritten;
      this.#movedMs = nowMs;
    } else if (nowMs - this.#movedMs >= this.#keepAliveTimeoutMs) {
      this.#isEnding = true;
      this.#session.destroy(new Error("the client said GOAWAY"), constants.NGHTTP2_CANCEL);
      closeSoon(this.#socket);
    }
  }

  #left(): void {
    if (this.#isLeaving && this.#streams.size === 0) closeSoon(this.#socket);
  }
}
