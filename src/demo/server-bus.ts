import { createServer, type Server, type Socket } from "node:net";
import type { DemoContext } from "./context.ts";
import { oneRequest } from "./conversation.ts";
import type { Recorder } from "./record.ts";
import { createSocketReader } from "./socket-reader.ts";
import { createWire } from "./wire.ts";

/** Counters of the bus port. */
export interface BusStats {
  busConnections: number;
}

/** Odoo's gevent port: HTTP/1.1 with keep-alive and pipelining, no time-outs, WebSockets. */
export function createBusServer(
  context: DemoContext,
  recorder: Recorder,
  stats: BusStats,
  open: Set<Socket>,
): Server {
  const style = { dialect: "gevent", threaded: false } as const;

  async function talk(socket: Socket, connection: number): Promise<void> {
    const reader = createSocketReader(socket, null, context.delays);
    const wire = createWire(socket, null, context.delays);
    for (;;) {
      const after = await oneRequest(
        { port: "bus", connection, socket, reader, wire, style },
        context,
        recorder,
      );
      if (after === "taken") return;
      if (after === "close") return wire.end();
    }
  }

  return createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    stats.busConnections += 1;
    open.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => open.delete(socket));
    void talk(socket, stats.busConnections).catch(() => socket.destroy());
  });
}
