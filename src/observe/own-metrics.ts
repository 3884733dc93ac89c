import type { CounterSnapshot } from "./counters.ts";
import type { MetricsNow } from "./gateway-metrics.ts";
import { byWord, type MetricFamily, single } from "./metrics.ts";
import type { Tally } from "./tally.ts";

const processStates = ["starting", "ready", "retiring"] as const;

/** Metrics of the gateway's own condition: versions, plans, connections, disk, memory, log. */
export function ownMetrics(
  tally: Omit<Tally, "emit">,
  counters: () => CounterSnapshot,
  now: () => MetricsNow,
): readonly MetricFamily[] {
  const yes = (value: boolean) => (value ? 1 : 0);
  return [
    {
      kind: "gauge",
      name: "odoo_gateway_info",
      help: "Always 1; the version is its label.",
      labels: ["version"],
      read: () => [{ labels: [now().version], value: 1 }],
    },
    single(
      "gauge",
      "odoo_gateway_start_timestamp_seconds",
      "Moment of the start, seconds since 1970.",
      () => now().startedWallMs / 1000,
    ),
    single("gauge", "odoo_gateway_ready", "1 when /readyz answers 200.", () => yes(now().ready)),
    single(
      "gauge",
      "odoo_gateway_plan_revision",
      "Revision of the plan; a reload adds one.",
      () => now().planRevision,
    ),
    single(
      "counter",
      "odoo_gateway_reloads_refused_total",
      "Reloads that kept the old plan or certificate because of a problem.",
      () => tally.reloadsRefused,
    ),
    single("gauge", "odoo_gateway_maintenance", "1 while maintenance is on.", () => yes(now().maintenance)),
    single(
      "gauge",
      "odoo_gateway_exchanges_in_flight",
      "Exchanges under way, tunnels included.",
      () => now().exchanges,
    ),
    single("gauge", "odoo_gateway_tunnels", "Websocket tunnels that are open.", () => now().tunnels),
    {
      kind: "gauge",
      name: "odoo_gateway_connections",
      help: "Connections of clients that are open, by listener.",
      labels: ["listener"],
      read: () => now().connections.map(({ listener, open }) => ({ labels: [listener], value: open })),
    },
    single(
      "gauge",
      "odoo_gateway_spool_bytes",
      "Bytes of bodies and answers that wait on disk.",
      () => now().spoolBytes,
    ),
    single(
      "gauge",
      "odoo_gateway_spool_max_bytes",
      "Most that may wait on disk (SPOOL_MAX).",
      () => now().spoolBytesMax,
    ),
    single(
      "counter",
      "odoo_gateway_log_lines_dropped_total",
      "Log lines nobody took in time.",
      () => now().logLinesDropped,
    ),
    {
      kind: "gauge",
      name: "odoo_gateway_processes",
      help: "Processes that serve, by state: starting, ready, retiring (docs/operations, several workers).",
      labels: ["state"],
      read: () => {
        const { workerStates } = now();
        return processStates.map((state) => ({
          labels: [state],
          value: workerStates.filter((one) => one === state).length,
        }));
      },
    },
    single(
      "counter",
      "odoo_gateway_workers_lost_total",
      "Worker processes that ended without being told to.",
      () => now().workersLost,
    ),
    {
      kind: "gauge",
      name: "odoo_gateway_alerts_firing",
      help: "1 for each condition people were told of (ALERT_URL) and that is not over.",
      labels: ["alert"],
      read: () => now().alerts.firing.map((name) => ({ labels: [name], value: 1 })),
    },
    byWord(
      "odoo_gateway_alert_messages_total",
      "Messages to ALERT_URL by outcome: delivered, failed (a try that came to nothing), dropped (given up).",
      "outcome",
      () => {
        const { delivered, failed, dropped } = now().alerts;
        return { delivered, failed, dropped };
      },
    ),
    single(
      "gauge",
      "odoo_gateway_resident_memory_bytes",
      "Memory of all processes of the gateway together, the one that looks after the others included.",
      () => now().process.residentBytes,
    ),
    single(
      "gauge",
      "odoo_gateway_event_loop_delay_p99_seconds",
      "Delay of the event loop, 99th percentile of the last 15 to 30 s, of the process that is latest.",
      () => now().process.loopDelayP99Ms / 1_000,
    ),
    single(
      "gauge",
      "odoo_gateway_descriptors_used_ratio",
      "File descriptors in use, 0 to 1, of the process that is nearest to its bound (Linux).",
      () => now().process.descriptorsUsedRatio,
    ),
    single("counter", "odoo_gateway_warnings_total", "Warning events.", () => counters().warnings),
    single("counter", "odoo_gateway_errors_total", "Error events.", () => counters().errors),
  ];
}
