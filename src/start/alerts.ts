import { constants } from "node:fs";
import { access, statfs } from "node:fs/promises";
import { hostname } from "node:os";
import type { AlertSender } from "../alert/message.ts";
import type { AlertReading } from "../alert/watch.ts";
import { packageRoot } from "../base/package-root.ts";
import { formatBytes } from "../base/units.ts";
import type { SupervisorSeam } from "../cluster/seams.ts";
import { type CounterSnapshot, sumCounters } from "../observe/counters.ts";
import type { TallySnapshot } from "../observe/tally-sum.ts";
import { tallySnapshot } from "../observe/tally-sum.ts";
import type { MemberState, QueueState } from "../road/ways.ts";
import type { Settings } from "../settings/settings.ts";
import type { MetricsParts } from "./metrics.ts";

/** While Odoo answers it is asked with every third look only: each question is a line in its log. */
const looksBetween = 3;

export interface AlertParts extends Omit<MetricsParts, "alerts"> {
  /** The last reload kept what was before. */
  readonly isReloadRefused: boolean;
  /** The gateway before this one ended without being told to. */
  readonly endedBadly: boolean;
}

/** Who tells it. */
export function alertSender({ domains }: Pick<Settings, "domains">): AlertSender {
  return { site: domains[0]?.host ?? "", instance: hostname(), version: packageRoot().version };
}

/** What the processes that serve did, together. */
interface Served {
  readonly counters: CounterSnapshot;
  readonly tallies: readonly TallySnapshot[];
  readonly queue: QueueState;
  readonly members: readonly MemberState[];
  readonly spoolBytes: number;
}

/** Makes what tells how things stand, over all processes, from what /status and /metrics show. Each reading takes a few seconds at most. */
export function alertReading(parts: () => AlertParts): () => Promise<AlertReading> {
  let looks = 0;
  let odoo: { readonly web: AlertReading["odoo"]; readonly isBusUp: boolean } = { web: "up", isBusUp: true };
  let wasBusSeen = false;
  const disk = new DiskLook();
  return async () => {
    const now = parts();
    const { ways, maintenance, certificates, supervisor } = now;
    const { settings } = now.plan();
    const served = await servedBy(now, supervisor);
    // Odoo with workers = 0 has no bus, and that is no fault.
    const isNamed = settings.odooBus !== null || settings.odooWorkers !== null;
    const isBusMissed = !odoo.isBusUp && (isNamed || wasBusSeen);
    const isDoubtful = odoo.web !== "up" || isBusMissed || served.queue.awayMs !== null;
    if (isDoubtful || looks % looksBetween === 0) {
      odoo = await ways.look();
      // While Odoo is away nobody asked its bus.
      wasBusSeen ||= odoo.isBusUp && odoo.web !== "down";
    }
    looks += 1;
    const { counters, tallies } = served;
    const { issuer, tls } = certificates;
    const total = (pick: (one: TallySnapshot) => number) => tallies.reduce((sum, one) => sum + pick(one), 0);
    return {
      odoo: odoo.web,
      odooAwayMs: served.queue.awayMs,
      isBusUp: odoo.isBusUp,
      isBusExpected: isNamed || wasBusSeen,
      members: served.members.map(({ name, member, up }) => ({ pool: name, member, up })),
      maintenance: maintenance.current === null ? null : { hasEnd: maintenance.current.untilWallMs !== null },
      notReady: notReady(issuer.reasons.length > 0, supervisor),
      certificates: tls.certificates.map(({ names, notBeforeMs, notAfterMs }) => ({
        name: names[0] ?? "",
        notBeforeMs,
        notAfterMs,
      })),
      certificateFailures: issuer.status?.failures ?? 0,
      spoolBytes: served.spoolBytes,
      spoolBytesMax: now.spoolBytesMax,
      disk: disk.look(settings),
      isRestarted: now.endedBadly,
      isReloadRefused: now.isReloadRefused || certificates.isRefused,
      totals: {
        exchanges: counters.exchanges,
        failures: sum(counters.failures),
        serverErrors: counters.byStatus["5xx"] ?? 0,
        shed: sum(counters.shed) - (counters.shed["crawler"] ?? 0),
        loginFailures: counters.logins["failure"] ?? 0,
        bans: sum(counters.bans) - (counters.bans["operator"] ?? 0),
        paymentErrors: paymentErrors(counters),
        sessionsMoved: sum(counters.sessionsMoved),
        logLinesDropped: now.logLinesDropped(),
        workersLost: supervisor?.lost ?? 0,
        // These two are told as errors, too, and have conditions of their own.
        errors:
          counters.errors - total((one) => one.certificateFailures) - total((one) => one.reloadsRefused),
      },
    };
  };
}

async function servedBy(
  { counters, tally, ways, spool }: AlertParts,
  supervisor: SupervisorSeam | undefined,
): Promise<Served> {
  const own = { counters: counters.snapshot(), tally: tallySnapshot(tally) };
  if (supervisor === undefined)
    return {
      counters: own.counters,
      tallies: [own.tally],
      queue: ways.queue(),
      members: ways.members(),
      spoolBytes: spool.bytes,
    };
  const all = await supervisor.gather(false);
  const { queue, members, spoolBytes } = all;
  return {
    counters: sumCounters([own.counters, ...all.counters]),
    tallies: [own.tally, ...all.tallies],
    queue,
    members,
    spoolBytes,
  };
}

/** In words of ours: what an authority says has no place in a message. */
function notReady(isCertificateMissing: boolean, supervisor: SupervisorSeam | undefined): string {
  const reasons = [
    ...(isCertificateMissing ? ["no trusted certificate yet"] : []),
    ...(supervisor?.reasons() ?? []),
  ];
  return reasons.join(", ");
}

/** By route and status, as they are counted. */
function paymentErrors({ paymentsFailed }: CounterSnapshot): number {
  return Object.entries(paymentsFailed).reduce(
    (total, [words, one]) => (words.endsWith(" 5xx") ? total + one : total),
    0,
  );
}

function sum(table: Readonly<Record<string, number>>): number {
  return Object.values(table).reduce((total, one) => total + one, 0);
}

/** The disk of STATE_DIR. It is asked behind each look, and never waited for: a file system that is gone answers nothing. */
class DiskLook {
  #words = "";
  #isAsking = false;

  /** What was found last; empty: nothing is wrong. */
  look({ stateDir, bodyBytesMax }: Pick<Settings, "stateDir" | "bodyBytesMax">): string {
    if (!this.#isAsking) {
      this.#isAsking = true;
      void diskWords(stateDir, bodyBytesMax).then((words) => {
        this.#words = words;
        this.#isAsking = false;
      });
    }
    return this.#words;
  }
}

async function diskWords(directory: string, leastBytes: number): Promise<string> {
  try {
    await access(directory, constants.W_OK);
    const { bavail, bsize } = await statfs(directory);
    const free = bavail * bsize;
    // One body has to fit (BODY_MAX).
    return free < leastBytes ? `${formatBytes(free)} are free` : "";
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    return `it cannot be written (${code})`;
  }
}
