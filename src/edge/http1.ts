import type { Socket } from "node:net";
import type { Clock } from "../base/clock.ts";
import type { Ip } from "../base/ip.ts";
import { Roster } from "../base/roster.ts";
import type { Downstream } from "../exchange.ts";
import { type EdgeBounds, edgeBounds } from "./bounds.ts";
import { Http1Connection } from "./http1-connection.ts";

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
  /** A request over HTTP/2 that was reset without an answer, or a connection that was ended, and why; it is recorded. */
  malformed(connection: Connection, code: "message-malformed" | "header-timeout" | "http2-flood"): void;
  /** Connections cannot be accepted, and why; told each time, the sink is quiet about repetition. */
  trouble(detail: string): void;
  /** Closed a connection of this address, which is none of those that may connect. */
  shutOut(address: string): void;
  /** The gateway is stopping: every answer closes its connection. */
  draining(): boolean;
}

/** The HTTP/1 side of a listener: its connections, fed by hand with accepted sockets, and one clock for all their bounds in time. */
export interface Http1 {
  accept(socket: Socket, connection: Connection): void;
  /** Closes what waits for a request; what runs closes behind its answer. */
  stop(): void;
}

/** Opens the HTTP/1 side. Its check of bounds in time stops when the listener stops and the last connection is gone. */
export function createHttp1(handlers: EdgeHandlers, bounds: EdgeBounds = edgeBounds): Http1 {
  const open = new Roster<Http1Connection>();
  const closed = (connection: Http1Connection) => open.delete(connection);
  const check = setInterval(() => {
    const nowMs = performance.now();
    for (const connection of open.all()) connection.check(nowMs);
    if (stopped && open.size === 0) clearInterval(check);
  }, bounds.connectionsCheckMs);
  check.unref();
  let stopped = false;
  return {
    accept(socket, connection) {
      open.add(new Http1Connection(socket, connection, handlers, bounds, closed));
    },
    stop() {
      stopped = true;
      for (const connection of open.all()) {
        if (connection.isIdle) connection.close();
      }
      if (open.size === 0) clearInterval(check);
    },
  };
}
