import type { EventSink, GatewayEvent } from "./events.ts";
import { type LineLevel, levelOf } from "./line.ts";

/** Different words counted in one table; further ones are counted as `other`. The words are ours, the bound is a belt. */
const wordsMax = 128;

/** Totals since the start, for `/status`. All monotonic. */
export interface CounterSnapshot {
  readonly exchanges: number;
  /** Answered with 101: the exchange became a tunnel, counted when it ends. */
  readonly tunnels: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly byVerdict: { readonly [verdict: string]: number };
  /** `1xx` to `5xx`, and `499`: the client left before the answer. */
  readonly byStatus: { readonly [statusClass: string]: number };
  readonly refused: { readonly [code: string]: number };
  readonly denied: { readonly [rule: string]: number };
  readonly limited: { readonly [limit: string]: number };
  /** Attempts to log in: success, pending (a second factor is asked), failure. */
  readonly logins: { readonly [outcome: string]: number };
  readonly strikes: { readonly [why: string]: number };
  readonly bans: { readonly [why: string]: number };
  /** Sessions that look like ones in two hands, by why. */
  readonly sessionsMoved: { readonly [why: string]: number };
  /** Look-ups of those who say they are a search engine's crawler, by verdict. */
  readonly crawlersChecked: { readonly [verdict: string]: number };
  /** Payments' requests that failed, by kind of route and status class, joined with a space. */
  readonly paymentsFailed: { readonly [routeAndStatus: string]: number };
  readonly failures: { readonly [failure: string]: number };
  /** Requests for which Odoo had no worker, by lane. */
  readonly shed: { readonly [lane: string]: number };
  /** Exchanges by what the cache was for them. */
  readonly cache: { readonly [word: string]: number };
  readonly untrustedForwarding: number;
  readonly unknownHost: number;
  readonly warnings: number;
  readonly errors: number;
}

export interface Counters extends EventSink {
  snapshot(): CounterSnapshot;
}

/** Counts events in memory. */
export function createCounters(): Counters {
  const totals = {
    exchanges: 0,
    tunnels: 0,
    bytesIn: 0,
    bytesOut: 0,
    untrustedForwarding: 0,
    unknownHost: 0,
    warnings: 0,
    errors: 0,
  };
  const byVerdict = new Map<string, number>();
  const byStatus = new Map<string, number>();
  const refused = new Map<string, number>();
  const denied = new Map<string, number>();
  const limited = new Map<string, number>();
  const logins = new Map<string, number>();
  const strikes = new Map<string, number>();
  const bans = new Map<string, number>();
  const sessionsMoved = new Map<string, number>();
  const crawlersChecked = new Map<string, number>();
  const paymentsFailed = new Map<string, number>();
  const failures = new Map<string, number>();
  const shed = new Map<string, number>();
  const cache = new Map<string, number>();
  const countLevel = (level: LineLevel): void => {
    if (level === "warn") totals.warnings += 1;
    else if (level === "error") totals.errors += 1;
  };
  return {
    emit(event: GatewayEvent) {
      switch (event.type) {
        case "access":
          totals.exchanges += 1;
          totals.bytesIn += event.bytesIn;
          totals.bytesOut += event.bytesOut;
          if (event.status === 101) totals.tunnels += 1;
          add(byVerdict, event.verdict);
          if (event.cache !== null) add(cache, event.cache);
          add(byStatus, statusWord(event.status));
          return;
        case "refused":
          return add(refused, event.code);
        case "denied":
          return add(denied, event.rule);
        case "limited":
          return add(limited, event.limit);
        case "login":
          return add(logins, event.outcome);
        case "strike":
          return add(strikes, event.why);
        case "ban":
          return add(bans, event.why);
        case "session-moved":
          return add(sessionsMoved, event.why);
        case "crawler-checked":
          return add(crawlersChecked, event.verdict);
        case "payment-failed":
          return add(paymentsFailed, `${event.route} ${statusWord(event.status)}`);
        case "upstream-failed":
          return add(failures, event.failure);
        case "shed":
          return add(shed, event.lane);
        case "untrusted-forwarding":
          totals.untrustedForwarding += 1;
          return;
        case "unknown-host":
          totals.unknownHost += 1;
          return;
        default:
          // Without a count of its own: what is told as a warning or an error is counted as one.
          return countLevel(levelOf(event));
      }
    },
    snapshot: () => ({
      ...totals,
      byVerdict: Object.fromEntries(byVerdict),
      byStatus: Object.fromEntries(byStatus),
      refused: Object.fromEntries(refused),
      denied: Object.fromEntries(denied),
      limited: Object.fromEntries(limited),
      logins: Object.fromEntries(logins),
      strikes: Object.fromEntries(strikes),
      bans: Object.fromEntries(bans),
      sessionsMoved: Object.fromEntries(sessionsMoved),
      crawlersChecked: Object.fromEntries(crawlersChecked),
      paymentsFailed: Object.fromEntries(paymentsFailed),
      failures: Object.fromEntries(failures),
      shed: Object.fromEntries(shed),
      cache: Object.fromEntries(cache),
    }),
  };
}

/** Sums of several processes' counters. */
export function sumCounters(parts: readonly CounterSnapshot[]): CounterSnapshot {
  const total = (pick: (part: CounterSnapshot) => number) => parts.reduce((sum, part) => sum + pick(part), 0);
  const words = (pick: (part: CounterSnapshot) => { readonly [word: string]: number }) => {
    const sums = new Map<string, number>();
    for (const part of parts)
      for (const [word, count] of Object.entries(pick(part))) sums.set(word, (sums.get(word) ?? 0) + count);
    return Object.fromEntries(sums);
  };
  return {
    exchanges: total((part) => part.exchanges),
    tunnels: total((part) => part.tunnels),
    bytesIn: total((part) => part.bytesIn),
    bytesOut: total((part) => part.bytesOut),
    byVerdict: words((part) => part.byVerdict),
    byStatus: words((part) => part.byStatus),
    refused: words((part) => part.refused),
    denied: words((part) => part.denied),
    limited: words((part) => part.limited),
    logins: words((part) => part.logins),
    strikes: words((part) => part.strikes),
    bans: words((part) => part.bans),
    sessionsMoved: words((part) => part.sessionsMoved),
    crawlersChecked: words((part) => part.crawlersChecked),
    paymentsFailed: words((part) => part.paymentsFailed),
    failures: words((part) => part.failures),
    shed: words((part) => part.shed),
    cache: words((part) => part.cache),
    untrustedForwarding: total((part) => part.untrustedForwarding),
    unknownHost: total((part) => part.unknownHost),
    warnings: total((part) => part.warnings),
    errors: total((part) => part.errors),
  };
}

const statusClass: readonly string[] = ["0xx", "1xx", "2xx", "3xx", "4xx", "5xx"];

/** A client that left has a word of its own. */
function statusWord(status: number): string {
  return status === 499 ? "499" : (statusClass[Math.floor(status / 100)] ?? "other");
}

function add(table: Map<string, number>, word: string): void {
  const count = table.get(word);
  if (count !== undefined || table.size < wordsMax) table.set(word, (count ?? 0) + 1);
  else table.set("other", (table.get("other") ?? 0) + 1);
}
