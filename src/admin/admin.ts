import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { http } from "../base/node-http.ts";
import type { Problem } from "../base/problem.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { MetricsText } from "../observe/metrics.ts";
import type { ListenAddress } from "../settings/settings.ts";
import { type AdminAlerts, alertsField, answerAlerts } from "./alerts.ts";
import { type AdminBans, answerBans, bansField } from "./bans.ts";
import { type AdminCache, answerCache, cacheField } from "./cache.ts";
import { type AdminCsp, answerCsp, cspField } from "./csp.ts";
import { isLoopback, isOwnHost } from "./host.ts";
import { type AdminMaintenance, answerMaintenance } from "./maintenance.ts";
import { type AdminState, type LoopDelay, statusJson } from "./state.ts";

const bounds = {
  connectionsMax: 64,
  headersMax: 50,
  headerBytesMax: 8_192,
  /** From the first byte to the end of the request. */
  requestTimeoutMs: 5_000,
  connectionsCheckMs: 1_000,
  keepAliveTimeoutMs: 5_000,
} as const;

type LoopHistogram = ReturnType<typeof monitorEventLoopDelay>;

/** Delays are sampled this often; the histogram costs one timer. */
const loopSampleMs = 20;

export interface AdminOptions {
  readonly listen: ListenAddress;
  /** Called for `/status` only. */
  readonly state: () => AdminState | Promise<AdminState>;
  /** Reasons why no exchange should be sent here now; empty: ready. */
  readonly ready: () => readonly string[];
  /** Left out: there are no bans to see or change. */
  readonly bans?: AdminBans;
  /** Left out: there is no cache to see or empty. */
  readonly cache?: AdminCache;
  /** Left out: there are no reports of the content security policy to see. */
  readonly csp?: AdminCsp;
  /** Left out: there is no maintenance to see or change. */
  readonly maintenance?: AdminMaintenance;
  /** Left out: there is nobody to tell. */
  readonly alerts?: AdminAlerts;
  /** The text for `/metrics`; left out: there is none. */
  readonly metrics?: () => Promise<MetricsText>;
}

export interface Admin {
  readonly port: number;
  /** `host:port` as bound. */
  readonly address: string;
  readonly warnings: readonly Problem[];
  /** Stops listening and closes every connection. */
  close(): Promise<void>;
}

/**
 * Opens the admin listener (plain HTTP, GET and HEAD): `/healthz` says that the process runs, `/readyz` whether it should
 * get exchanges (503 with reasons), `/status` tells its state, `/metrics` its numbers for Prometheus. Nobody is asked for a password, so the address should be a
 * loopback one; another gives a warning. `/bans` lists and changes bans (admin/bans), `/cache` shows and empties the cache (admin/cache),
 * `/maintenance` closes the site and opens it (admin/maintenance), `/csp` shows what the content security policy met (admin/csp), `/alerts` what people were told
 * (admin/alerts). Requests under a foreign name get 421.
 */
export function startAdmin(options: AdminOptions): Promise<Result<Admin, Problem>> {
  const { listen } = options;
  const loop = monitorEventLoopDelay({ resolution: loopSampleMs });
  loop.enable();
  const server = http.createServer(
    {
      headersTimeout: bounds.requestTimeoutMs,
      requestTimeout: bounds.requestTimeoutMs,
      connectionsCheckingInterval: bounds.connectionsCheckMs,
      keepAliveTimeout: bounds.keepAliveTimeoutMs,
      maxHeaderSize: bounds.headerBytesMax,
    },
    (request, response) => {
      const answered = safely(request, options, loop);
      if (!(answered instanceof Promise)) return send(request, response, answered);
      void answered.catch(() => ourMistake).then((late) => send(request, response, late));
    },
  );
  server.maxConnections = bounds.connectionsMax;
  server.maxHeadersCount = bounds.headersMax;
  server.on("clientError", (_error, socket) => socket.destroy());
  return new Promise((resolve) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      loop.disable();
      resolve(err(listenProblem(error, listen)));
    });
    server.listen(
      listen.host === "" ? { port: listen.port } : { port: listen.port, host: listen.host },
      () => {
        server.removeAllListeners("error");
        // Accept can fail later (no descriptors left); the listener goes on when they are back.
        server.on("error", () => {});
        resolve(ok(opened(server, listen, loop)));
      },
    );
  });
}

function opened(server: Server, listen: ListenAddress, loop: LoopHistogram): Admin {
  const bound = server.address();
  const host = typeof bound === "object" && bound !== null ? bound.address : "";
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  const warnings: Problem[] = [];
  if (!isLoopback(host)) {
    warnings.push({
      place: "environment",
      thing: `ADMIN_LISTEN ${place(listen)} can be reached from other machines, and asks for no password`,
      remedy: `use 127.0.0.1:${listen.port}, or make sure that a firewall stands before it`,
    });
  }
  return {
    port,
    address: place({ host, port }),
    warnings,
    close() {
      loop.disable();
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

const reading = "GET, HEAD";
const changing = "GET, HEAD, POST, DELETE";
/** What there is, and by which methods. */
const methods: ReadonlyMap<string, string> = new Map([
  ["/healthz", reading],
  ["/readyz", reading],
  ["/status", reading],
  ["/metrics", reading],
  ["/cache", reading],
  ["/cache/clear", "POST"],
  ["/csp", reading],
  ["/csp/clear", "POST"],
  ["/alerts", reading],
  ["/alerts/test", "POST"],
  ["/bans", changing],
  ["/maintenance", changing],
]);

interface Answer {
  readonly status: number;
  /** Text, or what becomes it as JSON. */
  readonly body: object | string;
  /** JSON when left out. */
  readonly contentType?: string;
}

const ourMistake: Answer = { status: 500, body: { error: "internal error" } };

function safely(
  request: IncomingMessage,
  options: AdminOptions,
  loop: LoopHistogram,
): Answer | Promise<Answer> {
  try {
    return answer(request, options, loop);
  } catch {
    // A bug in what we were asked to show must not end the gateway.
    return ourMistake;
  }
}

function answer(
  request: IncomingMessage,
  options: AdminOptions,
  loop: LoopHistogram,
): Answer | Promise<Answer> {
  const { rawHeaders } = request;
  const hosts = rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === "host").length;
  // HTTP/1.0 probes may send no Host; a browser always does.
  if (hosts > 1) return { status: 400, body: { error: "Host is repeated" } };
  const { host } = request.headers;
  if (host !== undefined && !isOwnHost(host, options.listen.host, request.socket.localAddress ?? "")) {
    return { status: 421, body: { error: "ask for this listener by its address, 127.0.0.1 or localhost" } };
  }
  const target = request.url ?? "";
  const path = pathOf(request);
  if (path === "/bans" && options.bans !== undefined) {
    return answerBans(options.bans, request.method ?? "", target, request.headers[bansField]);
  }
  if ((path === "/cache" || path === "/cache/clear") && options.cache !== undefined) {
    return answerCache(options.cache, request.method ?? "", path, request.headers[cacheField]);
  }
  if ((path === "/csp" || path === "/csp/clear") && options.csp !== undefined) {
    return answerCsp(options.csp, request.method ?? "", path, request.headers[cspField]);
  }
  if ((path === "/alerts" || path === "/alerts/test") && options.alerts !== undefined) {
    return answerAlerts(options.alerts, request.method ?? "", path, request.headers[alertsField]);
  }
  if (path === "/maintenance" && options.maintenance !== undefined) {
    const field = request.headers[bansField];
    return answerMaintenance(options.maintenance, request.method ?? "", target, field);
  }
  const { metrics } = options;
  const wantsMetrics = path === "/metrics" && metrics !== undefined;
  if (!wantsMetrics && path !== "/healthz" && path !== "/readyz" && path !== "/status")
    return { status: 404, body: { error: "not found", paths: [...methods.keys()] } };
  if (request.method !== "GET" && request.method !== "HEAD") {
    return { status: 405, body: { error: "only GET and HEAD" } };
  }
  if (wantsMetrics)
    return metrics().then(({ contentType, text }) => ({ status: 200, body: text.trimEnd(), contentType }));
  if (path === "/healthz") return { status: 200, body: { status: "pass" } };
  if (path === "/status") {
    const state = options.state();
    const shown = (now: AdminState): Answer => ({ status: 200, body: statusJson(now, takeDelay(loop)) });
    return state instanceof Promise ? state.then(shown) : shown(state);
  }
  const reasons = options.ready();
  if (reasons.length === 0) return { status: 200, body: { status: "pass" } };
  return { status: 503, body: { status: "fail", reasons } };
}

function pathOf({ url = "" }: IncomingMessage): string {
  return url.split("?", 1)[0] ?? "";
}

function send(request: IncomingMessage, response: ServerResponse, answered: Answer): void {
  const { status, body, contentType = "application/json; charset=utf-8" } = answered;
  const bytes = Buffer.from(`${typeof body === "string" ? body : JSON.stringify(body)}\n`);
  response.statusCode = status;
  response.setHeader("Content-Type", contentType);
  response.setHeader("Content-Length", bytes.length);
  response.setHeader("Cache-Control", "no-store");
  response.setHeader("X-Content-Type-Options", "nosniff");
  response.setHeader("Cross-Origin-Resource-Policy", "same-origin");
  if (status === 405) response.setHeader("Allow", methods.get(pathOf(request)) ?? reading);
  const { headers } = request;
  const hasBody = headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined;
  // A body we did not ask for is not waited for.
  if (hasBody || status === 400 || status === 421) response.setHeader("Connection", "close");
  response.end(request.method === "HEAD" ? undefined : bytes);
}

/** Reads and empties the histogram: each reading tells of the time since the one before. */
function takeDelay(loop: LoopHistogram): LoopDelay {
  // Node counts the sampling interval in; without a sample the figures are not numbers.
  const ms = (nanoseconds: number) =>
    Number.isFinite(nanoseconds) ? Math.max(0, Math.round(nanoseconds / 1e4 - loopSampleMs * 100) / 100) : 0;
  const taken = {
    meanMs: ms(loop.mean),
    p99Ms: ms(loop.percentile(99)),
    maxMs: loop.count === 0 ? 0 : ms(loop.max),
  };
  loop.reset();
  return taken;
}

function listenProblem(error: NodeJS.ErrnoException, listen: ListenAddress): Problem {
  const thing = `ADMIN_LISTEN ${place(listen)}`;
  switch (error.code) {
    case "EADDRINUSE":
      return {
        place: "environment",
        thing: `${thing} is taken by another program`,
        remedy: "stop it, choose another address, or set ADMIN_LISTEN=off",
      };
    case "EACCES":
      return {
        place: "environment",
        thing: `${thing} is not allowed to this user`,
        remedy: "choose a port above 1023",
      };
    default:
      return {
        place: "environment",
        thing: `${thing} cannot be opened: ${error.message}`,
        remedy: "choose an address of this machine",
      };
  }
}

function place(listen: ListenAddress): string {
  return `${listen.host.includes(":") ? `[${listen.host}]` : listen.host}:${listen.port}`;
}
