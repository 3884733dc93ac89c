import { constants, createServer, type ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import { type EdgeBounds, edgeBounds } from "./bounds.ts";
import type { Connection, EdgeHandlers } from "./http1.ts";
import { Http2Session, type Http2Shared } from "./http2-session.ts";
import { StreamTurns } from "./stream-turns.ts";

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
  const open = new Map<ServerHttp2Session, Http2Session>();
  const shared: Http2Shared = { handlers, bounds, turns: new StreamTurns(bounds.http2StreamsPerTurn) };
  let stopped = false;
  let isRetiring = false;
  const check = setInterval(() => {
    const nowMs = performance.now();
    for (const held of open.values()) held.look(nowMs);
    if (stopped && open.size === 0) clearInterval(check);
  }, bounds.http2LookMs);
  check.unref();
  let accepting: Connection | null = null;
  let acceptedSocket: Socket | null = null;
  server.on("session", (session) => {
    if (accepting === null || acceptedSocket === null) return session.destroy();
    open.set(session, new Http2Session(session, acceptedSocket, accepting, shared, performance.now()));
    session.on("close", () => open.delete(session));
    // A connection whose handshake ended afterwards gets its first answer: some clients give up what they could not send yet.
    if (isRetiring) session.once("stream", () => leaveSoon(session));
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
