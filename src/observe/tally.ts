import type { AccessRecord, EventSink, GatewayEvent } from "./events.ts";
import { SecondsHistogram } from "./histogram.ts";

/** Rules told apart; further ones are counted as `other`. Rules are ours and the operator's, the bound is a belt. */
export const talliedRulesMax = 512;
/** Columns of a rule's counts, in order; 499 is a client that left before the answer. */
export const statusClasses = ["1xx", "2xx", "3xx", "4xx", "499", "5xx"] as const;

/** What metrics need beyond the counters of `/status`. All monotonic. */
export interface Tally extends EventSink {
  /** Exchanges that ended, by rule; one count for each of `statusClasses`. */
  readonly byRule: ReadonlyMap<string, Float64Array>;
  /** Exchanges but tunnels: all their time but Odoo's and the wait for it. */
  readonly gateway: SecondsHistogram;
  /** Exchanges that asked Odoo: to its first byte, by lane; `bus` has none. */
  readonly odoo: ReadonlyMap<string, SecondsHistogram>;
  /** Exchanges that waited for Odoo to be back or for a worker: how long. */
  readonly queue: SecondsHistogram;
  /** Attempts to log in, by door and outcome, joined with a space. */
  readonly logins: ReadonlyMap<string, number>;
  readonly bansLifted: number;
  readonly certificatesIssued: number;
  readonly certificateFailures: number;
  readonly reloadsRefused: number;
}

/** Counts for metrics. An access record costs one look-up and two short loops: nothing is built, nothing is formatted. */
export function createTally(): Tally {
  const byRule = new Map<string, Float64Array>();
  const logins = new Map<string, number>();
  const gateway = new SecondsHistogram();
  const odoo = new Map<string, SecondsHistogram>();
  const queue = new SecondsHistogram();
  const totals = { bansLifted: 0, certificatesIssued: 0, certificateFailures: 0, reloadsRefused: 0 };

  const row = (rule: string): Float64Array => {
    const known = byRule.get(rule);
    if (known !== undefined) return known;
    if (byRule.size >= talliedRulesMax && rule !== "other") return row("other");
    const fresh = new Float64Array(statusClasses.length);
    byRule.set(rule, fresh);
    return fresh;
  };
  const ofLane = (lane: string): SecondsHistogram => {
    const known = odoo.get(lane);
    if (known !== undefined) return known;
    const fresh = new SecondsHistogram();
    odoo.set(lane, fresh);
    return fresh;
  };
  const access = (record: AccessRecord) => {
    const counts = row(record.rule);
    const column = columnOf(record.status);
    counts[column] = (counts[column] ?? 0) + 1;
    if (record.upstreamMs !== null) ofLane(record.lane ?? "bus").observeMs(record.upstreamMs);
    if (record.queueMs > 0) queue.observeMs(record.queueMs);
    // A tunnel's time is how long somebody had a page open.
    if (record.status !== 101) gateway.observeMs(record.totalMs - record.queueMs - (record.upstreamMs ?? 0));
  };
  return {
    emit(event: GatewayEvent) {
      switch (event.type) {
        case "access":
          return access(event);
        case "login": {
          const word = `${event.door} ${event.outcome}`;
          logins.set(word, (logins.get(word) ?? 0) + 1);
          return;
        }
        case "ban-lifted":
          totals.bansLifted += 1;
          return;
        case "certificate-ordered":
        case "certificate-renewed":
          totals.certificatesIssued += 1;
          return;
        case "certificate-failed":
          totals.certificateFailures += 1;
          return;
        case "reload-refused":
          totals.reloadsRefused += 1;
          return;
        default:
          // The others are counted in observe/counters, where every event has its place.
          return;
      }
    },
    byRule,
    gateway,
    odoo,
    queue,
    logins,
    get bansLifted() {
      return totals.bansLifted;
    },
    get certificatesIssued() {
      return totals.certificatesIssued;
    },
    get certificateFailures() {
      return totals.certificateFailures;
    },
    get reloadsRefused() {
      return totals.reloadsRefused;
    },
  };
}

function columnOf(status: number): number {
  if (status === 499) return 4;
  if (status >= 500) return 5;
  return Math.max(0, Math.floor(status / 100) - 1);
}
