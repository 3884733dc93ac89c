import { sumCaches } from "../admin/cache.ts";
import type { AdminWorker } from "../admin/state.ts";
import type { Alerts } from "../alert/alerts.ts";
import { packageRoot } from "../base/package-root.ts";
import type { SupervisorSeam } from "../cluster/seams.ts";
import type { BanTable } from "../guard/ban-table.ts";
import type { CspReports } from "../guard/csp-reports.ts";
import type { Maintenance } from "../guard/maintenance.ts";
import { sumCounters } from "../observe/counters.ts";
import { gatewayMetrics, type MetricsNow } from "../observe/gateway-metrics.ts";
import type { LoopDelay } from "../observe/loop-delay.ts";
import type { MetricsText } from "../observe/metrics.ts";
import { createMetricsPage } from "../observe/metrics-prom.ts";
import { processFigures, sumProcesses } from "../observe/process-figures.ts";
import type { Tally } from "../observe/tally.ts";
import { TallySum, tallySnapshot } from "../observe/tally-sum.ts";
import type { MemberState, Ways } from "../road/ways.ts";
import type { Spool } from "../upstream/spool.ts";
import type { FileCache } from "./file-cache.ts";
import type { StatusParts } from "./status.ts";

export interface MetricsParts extends StatusParts {
  readonly tally: Tally;
  readonly bans: BanTable;
  readonly cspReports: CspReports;
  readonly maintenance: Maintenance;
  readonly spool: Spool;
  readonly spoolBytesMax: number;
  readonly files: FileCache;
  readonly loopDelay: LoopDelay;
  readonly alerts: Pick<Alerts, "figures">;
  /** Reasons why it is not ready; empty: it is. */
  readonly readiness: () => readonly string[];
}

/** Makes the page `/metrics`; with workers, of all of them together. */
export function createMetrics(parts: MetricsParts): () => Promise<MetricsText> {
  const { supervisor, counters, tally } = parts;
  if (supervisor !== undefined) return metricsOfAll(parts, supervisor);
  const now = () => metricsNow(parts);
  return createMetricsPage(gatewayMetrics({ counters: () => counters.snapshot(), tally, now }));
}

/** Each page shows one moment: all workers are asked, then the figures are written. */
function metricsOfAll(parts: MetricsParts, all: SupervisorSeam): () => Promise<MetricsText> {
  const { counters, tally, ways, loopDelay } = parts;
  const sum = new TallySum();
  let seen: Awaited<ReturnType<SupervisorSeam["gather"]>> | null = null;
  const total = (pick: (one: AdminWorker) => number) =>
    (seen?.workers ?? []).reduce((total, one) => total + pick(one), 0);
  const page = createMetricsPage(
    gatewayMetrics({
      counters: () => sumCounters([counters.snapshot(), ...(seen?.counters ?? [])]),
      tally: sum,
      now: () => ({
        ...metricsNow(parts),
        exchanges: total((one) => one.exchanges),
        tunnels: total((one) => one.tunnels),
        spoolBytes: seen?.spoolBytes ?? 0,
        queue: seen?.queue ?? ways.queue(),
        members: shownMembers(ways, seen?.members ?? [], seen?.busFallback ?? false),
        cache: sumCaches(seen?.caches ?? []),
        workerStates: (seen?.workers ?? []).map((one) => one.state),
        process: sumProcesses([processFigures(loopDelay), ...(seen?.processes ?? [])]),
      }),
    }),
  );
  return async () => {
    seen = await all.gather();
    sum.fill([tallySnapshot(tally), ...seen.tallies]);
    return page();
  };
}

/** How things stand in this process. */
function metricsNow(parts: MetricsParts): MetricsNow {
  const { clock, gateway, ways, listeners, spool } = parts;
  return {
    version: packageRoot().version,
    startedWallMs: parts.startedWallMs,
    planRevision: parts.plan().revision,
    ready: parts.readiness().length === 0,
    exchanges: gateway.exchanges,
    tunnels: gateway.tunnels,
    connections: listeners.all.map(({ name, listener }) => ({ listener: name, open: listener.connections })),
    bans: parts.bans.held(clock.wallMs()),
    cspReports: parts.cspReports,
    maintenance: parts.maintenance.current !== null,
    spoolBytes: spool.bytes,
    spoolBytesMax: parts.spoolBytesMax,
    logLinesDropped: parts.logLinesDropped(),
    certificates: parts.certificates.tls.certificates.map(({ names, notAfterMs }) => ({
      name: names[0] ?? "",
      notAfterMs,
    })),
    nowWallMs: clock.wallMs(),
    members: shownMembers(ways, ways.members(), ways.busFallback()),
    queue: ways.queue(),
    cache: parts.files.figures(),
    workerStates: ["ready"],
    workersLost: parts.supervisor?.lost ?? 0,
    alerts: parts.alerts.figures,
    process: processFigures(parts.loopDelay),
  };
}

/** Where the bus port is not there and websockets go to the web port, the bus is told as what it is: away. */
function shownMembers(ways: Ways, rows: readonly MemberState[], busFallback: boolean): MetricsNow["members"] {
  return rows.map(({ name, member, up }) =>
    name === "bus" && busFallback
      ? { pool: name, member: ways.busName, up: false }
      : { pool: name, member, up },
  );
}
