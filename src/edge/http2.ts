import type { Socket } from "node:net";
import { Roster } from "../base/roster.ts";
import { type EdgeBounds, edgeBounds } from "./bounds.ts";
import type { Connection, EdgeHandlers } from "./http1.ts";
import { Http2Session, type Http2Shared } from "./http2/session.ts";
import { StreamTurns } from "./stream-turns.ts";

/** The HTTP/2 side of a listener: its connections, fed by hand with TLS sockets that chose `h2`, and one clock for all their bounds in time. */
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
  const open = new Roster<Http2Session>();
  const closed = (session: Http2Session) => open.delete(session);
  const shared: Http2Shared = { handlers, bounds, turns: new StreamTurns(bounds.http2StreamsPerTurn) };
  let stopped = false;
  let isRetiring = false;
  const check = setInterval(() => {
    const nowMs = performance.now();
    for (const session of open.all()) session.look(nowMs);
    if (stopped && open.size === 0) clearInterval(check);
  }, bounds.http2LookMs);
  check.unref();
  return {
    accept(socket, connection) {
      const session = new Http2Session(socket, connection, shared, closed);
      open.add(session);
      if (isRetiring) session.leaveWithFirst();
    },
    close() {
      stopped = true;
      for (const session of open.all()) session.close();
      if (open.size === 0) clearInterval(check);
    },
    retire() {
      isRetiring = true;
      for (const session of open.all()) session.leaveSoon();
    },
  };
}
