import { createServer, type Server, type Socket } from "node:net";
import type { DemoContext } from "./context.ts";
import { oneRequest } from "./conversation.ts";
import type { Recorder } from "./record.ts";
import { createSocketReader } from "./socket-reader.ts";
import { createWire } from "./wire.ts";

/** Counters of the web port. */
export interface PreforkStats {
  /** TCP connections accepted since the start. */
  connections: number;
  activeWorkers: number;
  maxActiveWorkers: number;
  /** Accepted and waiting for a worker. */
  waiting: number;
}

export interface PreforkOptions {
  /** Connections handled at once; 0: threaded, all of them, and no silence time-out. */
  readonly workers: number;
  readonly silentTimeoutMs: number;
}

/** Further connections are closed: the queue of a real Odoo is bounded by its backlog. */
const WAITING_MAX = 4_096;

/**
 * Odoo's prefork port. A worker takes one connection at a time, in order of arrival, and holds it until it is
 * answered; a silent socket holds it until the time-out. One request a connection.
 */
export function createPreforkServer(
  options: PreforkOptions,
  context: DemoContext,
  recorder: Recorder,
  stats: PreforkStats,
  open: Set<Socket>,
): Server {
  const threaded = options.workers === 0;
  const waiting: { readonly socket: Socket; readonly connection: number }[] = [];
  const style = { dialect: "prefork", threaded } as const;

  async function work(socket: Socket, connection: number): Promise<void> {
    const timeoutMs = threaded ? null : options.silentTimeoutMs;
    const reader = createSocketReader(socket, timeoutMs, context.delays);
    const wire = createWire(socket, timeoutMs, context.delays);
    const after = await oneRequest(
      { port: "web", connection, socket, reader, wire, style },
      context,
      recorder,
    );
    if (after === "taken") return;
    await wire.end();
  }

  function next(): void {
    while (waiting.length > 0 && (threaded || stats.activeWorkers < options.workers)) {
      const one = waiting.shift();
      stats.waiting = waiting.length;
      if (one === undefined) return;
      stats.activeWorkers += 1;
      stats.maxActiveWorkers = Math.max(stats.maxActiveWorkers, stats.activeWorkers);
      void work(one.socket, one.connection)
        .catch(() => one.socket.destroy())
        .finally(() => {
          stats.activeWorkers -= 1;
          next();
        });
    }
  }

  // Half-open: a client that has sent its FIN still gets its answer. Nothing is read before a worker is free.
  return createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
    stats.connections += 1;
    open.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => open.delete(socket));
    if (waiting.length >= WAITING_MAX) return void socket.destroy();
    waiting.push({ socket, connection: stats.connections });
    stats.waiting = waiting.length;
    next();
  });
}
