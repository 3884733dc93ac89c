import type { Server, Socket } from "node:net";
import { createAssets } from "./assets.ts";
import type { DemoContext, OdooVersion } from "./context.ts";
import { createRecorder, type RecordedRequest } from "./record.ts";
import { createBusServer } from "./server-bus.ts";
import { createPreforkServer } from "./server-prefork.ts";
import { createSessions } from "./sessions.ts";
import { createDelays, systemTimers, type Timers } from "./timers.ts";
import { DEMO_USERS, type DemoUser } from "./users.ts";
import { createBusHub } from "./websocket.ts";

/** How the stand-in behaves; everything has a default. */
export interface DemoOptions {
  /** Address to listen on; 127.0.0.1. */
  readonly host?: string;
  /** 0 (the default) lets the system choose. */
  readonly webPort?: number;
  readonly busPort?: number;
  /** Connections the web port handles at once; 2. 0: threaded, WebSockets on the web port, bus port refuses. */
  readonly workers?: number;
  /** How long a silent socket holds a worker; 2000. */
  readonly silentTimeoutMs?: number;
  readonly version?: OdooVersion;
  /** The database manager works; true. */
  readonly listDb?: boolean;
  /** URL codes, the first is the default; en, fr. */
  readonly languages?: readonly string[];
  readonly users?: readonly DemoUser[];
  readonly masterPassword?: string;
  /** Imitate Odoo's response times; false. */
  readonly latency?: boolean;
  /** Odoo runs with `x_sendfile`, and this folder is its filestore, of the database `prod`; left out: without. */
  readonly filestore?: string;
  /** How many requests are remembered; 1000. */
  readonly recordMax?: number;
  readonly onRequest?: (request: RecordedRequest) => void;
  readonly timers?: Timers;
  readonly wallMs?: () => number;
}

export interface DemoStats {
  readonly connections: number;
  readonly busConnections: number;
  readonly openSockets: number;
  readonly activeWorkers: number;
  readonly maxActiveWorkers: number;
  readonly waiting: number;
  readonly websockets: number;
}

/** A running stand-in. */
export interface Demo {
  readonly webPort: number;
  /** With `workers: 0` a port on which nothing listens. */
  readonly busPort: number;
  /** The latest requests of both ports, oldest first. */
  readonly requests: readonly RecordedRequest[];
  /** Called for each request as it is recorded, before it is answered. */
  onRequest: ((request: RecordedRequest) => void) | null;
  /** `web.base.url`, as the last administrator's log-in left it. */
  readonly webBaseUrl: string;
  readonly stats: DemoStats;
  /** Forgets the recorded requests. */
  forget(): void;
  /** Sends a bus message to all WebSockets. */
  notify(type: string, payload: unknown): void;
  /** Cuts all WebSockets without a close frame, as a restart of the gevent process does. */
  cutWebsockets(): void;
  /** Stops listening, cuts all connections (WebSockets without a close frame) and ends all waits. */
  close(): Promise<void>;
}

/**
 * Starts an Odoo-shaped upstream whose behaviour on the wire is that of Odoo 19 (or 16 to 18).
 * Rejects when a port cannot be taken.
 */
export async function startDemo(options: DemoOptions = {}): Promise<Demo> {
  const host = options.host ?? "127.0.0.1";
  const workers = options.workers ?? 2;
  const version = options.version ?? 19;
  const delays = createDelays(options.timers ?? systemTimers);
  const open = new Set<Socket>();
  const hub = createBusHub(delays, () => performance.now());
  const sessions = createSessions(version);
  sessions.onEnd = (sid) => hub.endSession(sid);
  let onRequest = options.onRequest ?? null;
  const recorder = createRecorder(options.recordMax ?? 1_000, () => onRequest);
  const settings = { webBaseUrl: "http://localhost:8069" };
  const context: DemoContext = {
    version,
    listDb: options.listDb ?? true,
    languages: options.languages ?? ["en", "fr"],
    users: options.users ?? DEMO_USERS,
    masterPassword: options.masterPassword ?? "demo-master",
    latency: options.latency ?? false,
    filestore: options.filestore ?? null,
    threaded: workers === 0,
    sessions,
    assets: createAssets(),
    hub,
    delays,
    wallMs: options.wallMs ?? Date.now,
    settings,
  };
  const webStats = { connections: 0, activeWorkers: 0, maxActiveWorkers: 0, waiting: 0 };
  const busStats = { busConnections: 0 };
  const prefork = { workers, silentTimeoutMs: options.silentTimeoutMs ?? 2_000 };
  const web = createPreforkServer(prefork, context, recorder, webStats, open);
  const bus = createBusServer(context, recorder, busStats, open);
  const webPort = await listen(web, host, options.webPort ?? 0);
  let busPort = 0;
  try {
    busPort = await listen(bus, host, options.busPort ?? 0);
  } catch (error) {
    await stop(web);
    throw error;
  }
  // Threaded Odoo has no gevent process: the port is known, and refuses.
  if (workers === 0) await stop(bus);

  return {
    webPort,
    busPort,
    requests: recorder.requests,
    get onRequest() {
      return onRequest;
    },
    set onRequest(next) {
      onRequest = next;
    },
    get webBaseUrl() {
      return settings.webBaseUrl;
    },
    get stats() {
      return { ...webStats, ...busStats, openSockets: open.size, websockets: hub.openCount };
    },
    forget() {
      recorder.requests.length = 0;
    },
    cutWebsockets: () => hub.destroyAll(),
    notify: (type, payload) => hub.notify(type, payload),
    async close() {
      delays.endAll();
      hub.destroyAll();
      const stopped = Promise.all([stop(web), stop(bus)]);
      for (const socket of open) socket.destroy();
      await stopped;
    },
  };
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, backlog: 511 }, () => {
      server.off("error", reject);
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

/** Resolves also when the server was not listening any more. */
function stop(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
