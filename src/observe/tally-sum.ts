import { SecondsHistogram } from "./histogram.ts";
import { statusClasses, type Tally, talliedRulesMax } from "./tally.ts";

interface PlainHistogram {
  readonly counts: readonly number[];
  readonly sum: number;
}

/** A tally as plain values, for another process. */
export interface TallySnapshot {
  readonly byRule: readonly (readonly [rule: string, counts: readonly number[]])[];
  readonly logins: readonly (readonly [words: string, count: number])[];
  readonly gateway: PlainHistogram;
  readonly odoo: readonly (readonly [lane: string, times: PlainHistogram])[];
  readonly queue: PlainHistogram;
  readonly bansLifted: number;
  readonly certificatesIssued: number;
  readonly certificateFailures: number;
  readonly reloadsRefused: number;
}

type Figures = Omit<Tally, "emit">;

export function tallySnapshot(tally: Figures): TallySnapshot {
  const plain = ({ counts, sum }: SecondsHistogram) => ({ counts: [...counts], sum });
  const { bansLifted, certificatesIssued, certificateFailures, reloadsRefused } = tally;
  return {
    byRule: Array.from(tally.byRule, ([rule, counts]) => [rule, [...counts]] as const),
    logins: [...tally.logins],
    gateway: plain(tally.gateway),
    odoo: Array.from(tally.odoo, ([lane, times]) => [lane, plain(times)] as const),
    queue: plain(tally.queue),
    bansLifted,
    certificatesIssued,
    certificateFailures,
    reloadsRefused,
  };
}

/** The sum of several processes' tallies, for the metrics that were made over it: filled anew before each reading. */
export class TallySum implements Figures {
  readonly byRule = new Map<string, Float64Array>();
  readonly logins = new Map<string, number>();
  readonly gateway = new SecondsHistogram();
  readonly odoo = new Map<string, SecondsHistogram>();
  readonly queue = new SecondsHistogram();
  bansLifted = 0;
  certificatesIssued = 0;
  certificateFailures = 0;
  reloadsRefused = 0;

  fill(parts: readonly TallySnapshot[]): void {
    this.byRule.clear();
    this.logins.clear();
    for (const part of parts) {
      for (const [rule, counts] of part.byRule) this.#add(rule, counts);
      for (const [words, count] of part.logins) this.logins.set(words, (this.logins.get(words) ?? 0) + count);
    }
    this.gateway.become(parts.map((part) => part.gateway));
    this.#fillLanes(parts);
    this.queue.become(parts.map((part) => part.queue));
    const total = (pick: (part: TallySnapshot) => number) => parts.reduce((sum, part) => sum + pick(part), 0);
    this.bansLifted = total((part) => part.bansLifted);
    this.certificatesIssued = total((part) => part.certificatesIssued);
    this.certificateFailures = total((part) => part.certificateFailures);
    this.reloadsRefused = total((part) => part.reloadsRefused);
  }

  #fillLanes(parts: readonly TallySnapshot[]): void {
    const byLane = new Map<string, PlainHistogram[]>();
    for (const [lane, times] of parts.flatMap((part) => part.odoo))
      byLane.set(lane, [...(byLane.get(lane) ?? []), times]);
    this.odoo.clear();
    for (const [lane, times] of byLane) {
      const sum = new SecondsHistogram();
      sum.become(times);
      this.odoo.set(lane, sum);
    }
  }

  #add(rule: string, counts: readonly number[]): void {
    const name = this.byRule.has(rule) || this.byRule.size < talliedRulesMax ? rule : "other";
    const row = this.byRule.get(name) ?? new Float64Array(statusClasses.length);
    this.byRule.set(name, row);
    for (let at = 0; at < row.length; at += 1) row[at] = (row[at] ?? 0) + (counts[at] ?? 0);
  }
}
