import type { AdminState, AdminWorker } from "../admin/state.ts";
import type { Clock } from "../base/clock.ts";
import { packageRoot } from "../base/package-root.ts";
import type { SupervisorSeam } from "../cluster/seams.ts";
import type { Gateway } from "../gateway.ts";
import { type Counters, sumCounters } from "../observe/counters.ts";
import type { Plan } from "../plan.ts";
import type { Ways } from "../road/ways.ts";
import type { Certificates } from "./certificates.ts";
import type { Listeners } from "./open-listeners.ts";
import { policiesDirOf } from "./policy-files.ts";

export interface StatusParts {
  readonly clock: Clock;
  readonly startedWallMs: number;
  /** The one that holds now. */
  readonly plan: () => Plan;
  readonly gateway: Pick<Gateway, "exchanges" | "tunnels">;
  readonly ways: Ways;
  readonly listeners: Listeners;
  readonly certificates: Certificates;
  readonly counters: Counters;
  /** Log lines lost since the start. */
  readonly logLinesDropped: () => number;
  /** Asked for what its workers do; undefined: this process serves by itself. */
  readonly supervisor: SupervisorSeam | undefined;
}

/** What `/status` shows at this moment; with workers, what all of them do together. */
export async function statusOf(parts: StatusParts): Promise<AdminState> {
  const own = ownStatus(parts);
  if (parts.supervisor === undefined) return own;
  const { counters, workers, queue, members } = await parts.supervisor.gather();
  const total = (pick: (one: AdminWorker) => number) => workers.reduce((sum, one) => sum + pick(one), 0);
  return {
    ...own,
    counters: sumCounters([own.counters, ...counters]),
    inFlight: { exchanges: total((one) => one.exchanges), tunnels: total((one) => one.tunnels) },
    pools: members.length === 0 ? own.pools : members,
    queue,
    workers,
  };
}

function ownStatus(parts: StatusParts): AdminState {
  const { clock, gateway, ways, certificates } = parts;
  const plan = parts.plan();
  return {
    version: packageRoot().version,
    startedWallMs: parts.startedWallMs,
    nowWallMs: clock.wallMs(),
    listeners: parts.listeners.all.map(({ name, listener }) => ({ what: name, address: listener.address })),
    plan: {
      revision: plan.revision,
      rules: plan.policy.rules.length,
      preset: plan.settings.preset,
      policiesDir: policiesDirOf(plan.settings),
    },
    certificates: certificates.outlook(),
    issuer: certificates.issuer.status,
    counters: parts.counters.snapshot(),
    logLinesDropped: parts.logLinesDropped(),
    inFlight: { exchanges: gateway.exchanges, tunnels: gateway.tunnels },
    pools: ways.members(),
    queue: ways.queue(),
  };
}
