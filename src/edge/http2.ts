import { constants, createServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { type EdgeBounds, edgeBounds } from "./bounds.ts";
import { closeSoon } from "./close-soon.ts";
import type { Connection, EdgeHandlers } from "./http1.ts";
import { type Http2Carrier, Http2Downstream } from "./http2-downstream.ts";
import { Http2Toll } from "./http2-toll.ts";
import { StreamTurns } from "./stream-turns.ts";

/** What belongs to a session. */
interface Held {
  readonly toll: Http2Toll;
  /** At most `http2StreamsMax`. */
  readonly streams: ReadonlySet<Http2Downstream>;
}

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
    // What an answer says once is ours to see to (`answerFields`): Node would throw.
    strictSingleValueFields: false,
    settings: {
      maxConcurrentStreams: bounds.http2StreamsMax,
      maxHeaderListSize: bounds.http2HeaderListBytesMax,
      initialWindowSize: bounds.http2StreamWindowBytes,
      enablePush: false,
      enableConnectProtocol: false,
    },
  });
  const open = new Map<ServerHttp2Session, Held>();
  const turns = new StreamTurns(bounds.http2StreamsPerTurn);
  let stopped = false;
  let isRetiring = false;
  const check = setInterval(() => {
    const nowMs = performance.now();
    for (const { toll, streams } of open.values()) {
      toll.look(nowMs);
      for (const stream of streams) stream.look();
    }
    if (stopped && open.size === 0) clearInterval(check);
  }, bounds.http2LookMs);
  check.unref();
  let accepting: Connection | null = null;
  let acceptedSocket: Socket | null = null;
  server.on("session", (session) => {
    if (accepting === null || acceptedSocket === null) return session.destroy();
    const socket = acceptedSocket;
    const toll = new Http2Toll(session, socket, bounds, performance.now());
    const line = turns.line();
    const streams = new Set<Http2Downstream>();
    let leaving = false;
    const left = () => {
      if (leaving && streams.size === 0) closeSoon(socket);
    };
    const carrier: Http2Carrier = {
      connection: accepting,
      toll,
      handlers,
      sendTimeoutMs: bounds.sendTimeoutMs,
      over(stream) {
        streams.delete(stream);
        left();
      },
    };
    open.set(session, { toll, streams });
    // A connection whose handshake ended afterwards gets its first answer: some clients give up what they could not send yet.
    if (isRetiring) session.once("stream", () => leaveSoon(session));
    session.on("error", () => {});
    session.on("close", () => open.delete(session));
    session.on("goaway", () => {
      leaving = true;
      left();
    });
    session.on("stream", (stream: ServerHttp2Stream, _headers, _flags, rawHeaders) => {
      const raw = rawHeaders as unknown as string[];
      toll.head(raw);
      const down = new Http2Downstream(stream, raw, carrier);
      streams.add(down);
      turns.take(line, down);
    });
    session.setTimeout(bounds.keepAliveTimeoutMs, () => {
      // Streams have their own bounds; a session without one has nothing left to wait for.
      if (streams.size === 0) session.close();
      // Behind a client's GOAWAY Node may stop reading for good without an event, and its streams would never end.
      else if (leaving) session.destroy(new Error("the client said GOAWAY"), constants.NGHTTP2_CANCEL);
      else return;
      closeSoon(socket);
    });
  });
  server.on("sessionError", () => {});
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
