import type { CounterSnapshot } from "./counters.ts";
import { byWord, type MetricFamily, single } from "./metrics.ts";
import { ownMetrics } from "./own-metrics.ts";
import type { ProcessFigures } from "./process-figures.ts";
import { statusClasses, type Tally } from "./tally.ts";

/** How things stand at this moment, for gauges. */
export interface MetricsNow {
  readonly version: string;
  readonly startedWallMs: number;
  readonly planRevision: number;
  readonly ready: boolean;
  readonly exchanges: number;
  readonly tunnels: number;
  /** Open connections by listener: https, http, report. */
  readonly connections: readonly { readonly listener: string; readonly open: number }[];
  readonly bans: number;
  /** Reports of the content security policy: counted ones by directive, and noise. */
  readonly cspReports: { readonly byDirective: ReadonlyMap<string, number>; readonly ignored: number };
  readonly maintenance: boolean;
  readonly spoolBytes: number;
  readonly spoolBytesMax: number;
  readonly logLinesDropped: number;
  /** First name, which is ours, and end of each certificate shown. */
  readonly certificates: readonly { readonly name: string; readonly notAfterMs: number }[];
  readonly nowWallMs: number;
  readonly members: readonly { readonly pool: string; readonly member: string; readonly up: boolean }[];
  /** What waits for Odoo. */
  readonly queue: {
    readonly held: number;
    readonly awayMs: number | null;
    /** Requests Odoo takes at once; null: not known. */
    readonly capacity: number | null;
    readonly learnt: boolean;
    readonly lanes: readonly { readonly lane: string; readonly inFlight: number; readonly waiting: number }[];
  };
  /** Files in memory. */
  readonly cache: {
    readonly entries: number;
    readonly bytes: number;
    readonly bytesMax: number;
    readonly fetching: number;
  };
  /** One a process that serves. */
  readonly workerStates: readonly ("starting" | "ready" | "retiring")[];
  /** Of those, how many ended without being told to, since the start. */
  readonly workersLost: number;
  /** Messages to people; `firing`: names of what they were told and was not taken back. */
  readonly alerts: {
    readonly delivered: number;
    readonly failed: number;
    readonly dropped: number;
    readonly firing: readonly string[];
  };
  readonly process: ProcessFigures;
}

export interface MetricsSources {
  readonly counters: () => CounterSnapshot;
  readonly tally: Omit<Tally, "emit">;
  readonly now: () => MetricsNow;
}

/**
 * Every metric of the gateway's own. docs/operations lists them, docs/grafana and docs/prometheus use them. Labels hold what
 * the plan and the code name: rules, codes, limits, doors, pools, the names of certificates.
 */
export function gatewayMetrics({ counters, tally, now }: MetricsSources): readonly MetricFamily[] {
  return [
    ...exchangeMetrics(tally, counters),
    ...guardMetrics(tally, counters, now),
    ...upstreamMetrics(tally, counters, now),
    ...cacheMetrics(counters, now),
    ...certificateMetrics(tally, now),
    ...ownMetrics(tally, counters, now),
  ];
}

function exchangeMetrics(
  tally: Omit<Tally, "emit">,
  counters: () => CounterSnapshot,
): readonly MetricFamily[] {
  return [
    {
      kind: "counter",
      name: "odoo_gateway_exchanges_total",
      help: "Exchanges that ended, by rule (or the refusal's code) and status class; 499: the client left before the answer.",
      labels: ["rule", "status"],
      *read() {
        for (const [rule, counts] of tally.byRule)
          for (const [at, status] of statusClasses.entries()) {
            const value = counts[at] ?? 0;
            if (value > 0) yield { labels: [rule, status], value };
          }
      },
    },
    byWord(
      "odoo_gateway_verdicts_total",
      "Exchanges that ended, by verdict.",
      "verdict",
      () => counters().byVerdict,
    ),
    {
      kind: "histogram",
      name: "odoo_gateway_exchange_gateway_seconds",
      help: "Time of an exchange without Odoo's and the wait for it: in the gateway, and on the client's line. Tunnels are left out.",
      labels: [],
      read: () => [{ labels: [], histogram: tally.gateway }],
    },
    single(
      "counter",
      "odoo_gateway_received_bytes_total",
      "Body bytes from clients.",
      () => counters().bytesIn,
    ),
    single("counter", "odoo_gateway_sent_bytes_total", "Body bytes to clients.", () => counters().bytesOut),
    single(
      "counter",
      "odoo_gateway_tunnels_total",
      "Websocket tunnels that ended.",
      () => counters().tunnels,
    ),
  ];
}

function guardMetrics(
  tally: Omit<Tally, "emit">,
  counters: () => CounterSnapshot,
  now: () => MetricsNow,
): readonly MetricFamily[] {
  return [
    byWord(
      "odoo_gateway_refused_total",
      "Requests refused by the screen or the road, by code (docs/exchange).",
      "code",
      () => counters().refused,
    ),
    byWord(
      "odoo_gateway_denied_total",
      "Requests denied, by rule (docs/policies).",
      "rule",
      () => counters().denied,
    ),
    byWord(
      "odoo_gateway_limited_total",
      "Requests answered with 429, by the limit that was exhausted.",
      "limit",
      () => counters().limited,
    ),
    {
      kind: "counter",
      name: "odoo_gateway_logins_total",
      help: "Attempts to log in, by door and outcome: success, pending (a second factor is asked), failure.",
      labels: ["door", "outcome"],
      read: () => [...tally.logins].map(([words, value]) => ({ labels: words.split(" "), value })),
    },
    byWord(
      "odoo_gateway_strikes_total",
      "Marks against addresses: login, scanner.",
      "why",
      () => counters().strikes,
    ),
    byWord(
      "odoo_gateway_bans_total",
      "Bans made, by what led to them: pair, address, scanner, operator.",
      "why",
      () => counters().bans,
    ),
    single("counter", "odoo_gateway_bans_lifted_total", "Bans an operator ended.", () => tally.bansLifted),
    single("gauge", "odoo_gateway_bans", "Addresses that are banned now.", () => now().bans),
    byWord(
      "odoo_gateway_sessions_moved_total",
      "Sessions that look like ones in two hands: other-browser, two-networks (docs/operations).",
      "why",
      () => counters().sessionsMoved,
    ),
    byWord(
      "odoo_gateway_crawlers_checked_total",
      "Look-ups of addresses that say they are a search engine's crawler (FAKE_CRAWLERS): verified, false, unknown.",
      "verdict",
      () => counters().crawlersChecked,
    ),
    {
      kind: "counter",
      name: "odoo_gateway_payments_failed_total",
      help: "Requests to payment routes that failed, by kind of route (webhook, return, payment) and status class; 499: a provider left before the answer.",
      labels: ["route", "status"],
      read: () =>
        Object.entries(counters().paymentsFailed).map(([words, value]) => ({
          labels: words.split(" "),
          value,
        })),
    },
    byWord(
      "odoo_gateway_csp_reports_total",
      "Browsers' reports of what the content security policy blocked or would have, by directive. Anybody can send them.",
      "directive",
      () => Object.fromEntries(now().cspReports.byDirective),
    ),
    single(
      "counter",
      "odoo_gateway_csp_reports_ignored_total",
      "Such reports that say nothing about the site: of browser extensions, of other sites' pages.",
      () => now().cspReports.ignored,
    ),
    single(
      "counter",
      "odoo_gateway_unknown_host_total",
      "Requests for a name that is not served.",
      () => counters().unknownHost,
    ),
    single(
      "counter",
      "odoo_gateway_untrusted_forwarding_total",
      "Requests with forwarding fields from a peer that is no trusted proxy.",
      () => counters().untrustedForwarding,
    ),
  ];
}

function upstreamMetrics(
  tally: Omit<Tally, "emit">,
  counters: () => CounterSnapshot,
  now: () => MetricsNow,
): readonly MetricFamily[] {
  return [
    {
      kind: "histogram",
      name: "odoo_gateway_exchange_odoo_seconds",
      help: "Time from connecting to Odoo to the first byte of its answer, or to the end of an exchange that got none, by lane (docs/reliability); bus: websockets and long polling.",
      labels: ["lane"],
      read: () => Array.from(tally.odoo, ([lane, histogram]) => ({ labels: [lane], histogram })),
    },
    byWord(
      "odoo_gateway_upstream_failures_total",
      "Exchanges Odoo did not answer properly, by failure (docs/exchange).",
      "failure",
      () => counters().failures,
    ),
    {
      kind: "gauge",
      name: "odoo_gateway_member_up",
      help: "1: exchanges are sent to this member of the pool; 0: it is left out, or another stands in for it.",
      labels: ["pool", "member"],
      read: () =>
        now().members.map(({ pool, member, up }) => ({ labels: [pool, member], value: up ? 1 : 0 })),
    },
    single(
      "gauge",
      "odoo_gateway_held",
      "Requests that wait for an Odoo that is away.",
      () => now().queue.held,
    ),
    single(
      "gauge",
      "odoo_gateway_odoo_away_seconds",
      "How long Odoo has taken no connections; 0: it does.",
      () => (now().queue.awayMs ?? 0) / 1_000,
    ),
    {
      kind: "gauge",
      name: "odoo_gateway_odoo_capacity",
      help: "Most requests that are with Odoo at once: ODOO_WORKERS (set), or learnt without it from an overflow; missing: not known.",
      labels: ["source"],
      read: () => {
        const { capacity, learnt } = now().queue;
        return capacity === null ? [] : [{ labels: [learnt ? "learnt" : "set"], value: capacity }];
      },
    },
    {
      kind: "gauge",
      name: "odoo_gateway_lane_requests",
      help: "Requests of each lane that are with Odoo, or wait for a place there (docs/reliability).",
      labels: ["lane", "state"],
      read: () =>
        now().queue.lanes.flatMap(({ lane, inFlight, waiting }) => [
          { labels: [lane, "odoo"], value: inFlight },
          { labels: [lane, "waiting"], value: waiting },
        ]),
    },
    {
      kind: "histogram",
      name: "odoo_gateway_exchange_queue_seconds",
      help: "Exchanges that waited for Odoo to be back or for a worker: how long.",
      labels: [],
      read: () => [{ labels: [], histogram: tally.queue }],
    },
    byWord(
      "odoo_gateway_shed_total",
      "Requests that found no worker in time, by lane (docs/reliability).",
      "lane",
      () => counters().shed,
    ),
  ];
}

function cacheMetrics(counters: () => CounterSnapshot, now: () => MetricsNow): readonly MetricFamily[] {
  return [
    byWord(
      "odoo_gateway_cache_total",
      "Exchanges by what the cache was for them: hit, miss, revalidated, stale, pass (docs/operations, logs).",
      "cache",
      () => counters().cache,
    ),
    single("gauge", "odoo_gateway_cache_entries", "Files in memory.", () => now().cache.entries),
    single("gauge", "odoo_gateway_cache_bytes", "Bytes of files in memory.", () => now().cache.bytes),
    single(
      "gauge",
      "odoo_gateway_cache_max_bytes",
      "Most bytes of files in memory (CACHE_BYTES).",
      () => now().cache.bytesMax,
    ),
    single(
      "gauge",
      "odoo_gateway_cache_fetching",
      "Files on their way from Odoo into memory.",
      () => now().cache.fetching,
    ),
  ];
}

const daySeconds = 86_400;

function certificateMetrics(tally: Omit<Tally, "emit">, now: () => MetricsNow): readonly MetricFamily[] {
  return [
    {
      kind: "gauge",
      name: "odoo_gateway_certificate_expiry_timestamp_seconds",
      help: "End of the certificate shown for this name, seconds since 1970.",
      labels: ["name"],
      read: () =>
        now().certificates.map(({ name, notAfterMs }) => ({ labels: [name], value: notAfterMs / 1000 })),
    },
    {
      kind: "gauge",
      name: "odoo_gateway_certificate_days_left",
      help: "Days until the certificate shown for this name ends; below 0 when it has ended.",
      labels: ["name"],
      read: () => {
        const { certificates, nowWallMs } = now();
        return certificates.map(({ name, notAfterMs }) => ({
          labels: [name],
          value: (notAfterMs - nowWallMs) / 1000 / daySeconds,
        }));
      },
    },
    single(
      "counter",
      "odoo_gateway_certificates_issued_total",
      "Certificates that came from an authority.",
      () => tally.certificatesIssued,
    ),
    single(
      "counter",
      "odoo_gateway_certificate_failures_total",
      "Orders and renewals that failed.",
      () => tally.certificateFailures,
    ),
  ];
}
