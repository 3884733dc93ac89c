import { BoundedMap } from "../base/bounded-map.ts";
import type { Clock } from "../base/clock.ts";
import { once } from "../base/once.ts";
import { type Ban, type BanReason, BanTable } from "./ban-table.ts";
import type { JailRules, Threshold } from "./jail-rules.ts";

/** Entries of each table of counts (pairs, addresses, accounts); past it what was touched longest ago is forgotten. */
export const countsMax = 50_000;
/** Attempts of one address that wait for the outcome of earlier ones; the next is refused. */
export const waitersPerAddressMax = 64;
/** All waiting attempts. */
export const waitersMax = 4_096;
/** How long an attempt waits before it is refused. */
export const waitMsMax = 10_000;
/** How long a right password makes a pair trusted, so that programs may call in parallel. */
const provenMs = 10 * 60_000;
/** Strangers may try an account that is attacked from everywhere this often, all together. */
export const slowMs = 30_000;
/** Whatever else succeeds: so many times the address rule's failures are a ban. */
const hardFactor = 5;

/** Who tries. */
export interface Attempt {
  /** The client's whole address, for the log. */
  readonly client: string;
  /** `ipKey64` of the client. */
  readonly address: string;
  /** Hash of the account's name as it is counted; null: not known. */
  readonly account: string | null;
  /** Hash of the name as Odoo compares it; null: not known, and a success is good for nobody. Odoo's names may differ in capitals alone. */
  readonly written: string | null;
  /** The browser has logged in to this account before: an id of its own, counted apart; null: a stranger. */
  readonly device: string | null;
}

/** May go on; `settle` is called once, when the outcome is known. */
export interface Ticket {
  readonly kind: "go";
  settle(outcome: "success" | "failure" | "unknown"): void;
}

export type Entry =
  | Ticket
  /** The account is attacked, or too many attempts of this address are under way. */
  | { readonly kind: "slow"; readonly limit: string; readonly retryAfterSeconds: number }
  | { readonly kind: "banned"; readonly ban: Ban };

/** What the jail tells: a strike for each mark, a ban when one begins. */
export interface JailNews {
  strike(client: string, why: "login" | "scanner", account: string | null, marks: number): void;
  /** An address that must not be banned (`JailOptions.isSpared`) would have been. */
  spared(address: string, reason: BanReason): void;
  ban(ban: Ban): void;
}

export interface JailOptions {
  readonly clock: Clock;
  readonly news: JailNews;
  readonly bans?: BanTable;
  readonly countsMax?: number;
  /** Addresses that carry many people for sure: never banned, attacked accounts are slowed there instead. Default: none. */
  readonly isSpared?: (address: string) => boolean;
  /** Calls back once after `ms`; answers how to call it off. Default: a timer that does not keep the process alive. */
  readonly later?: (ms: number, then: () => void) => () => void;
}

/** Marks of one key, oldest first, at most as many as its threshold asks for. */
interface Marks {
  failures: number[];
  successes: number[];
  inFlight: number;
  /** Whose right password it was, as Odoo compares names, and how long that holds. */
  proven: string | null;
  provenUntilMs: number;
  /** Whose failures these are; null: of more than one writing. */
  failed: string | null;
}

/** The jail as the road knows it: this process's own, or the one that all workers share. */
export type JailDoor = Pick<Jail, "banOf" | "enter" | "failed" | "scanned"> & {
  /** The ban that holds once all that was settled before has been counted. */
  banAfter(address: string): Ban | null | Promise<Ban | null>;
};

interface Waiter {
  readonly attempt: Attempt;
  readonly rules: JailRules;
  readonly resolve: (entry: Entry) => void;
  readonly callOff: () => void;
}

/**
 * Turns failed attempts into bans. Counts for each pair of address and account, for each address over all accounts,
 * and for each account over all addresses; time slides, no counter starts anew on the minute. An attempt whose outcome is not
 * known yet counts as failed already: when that would be one too many it waits for the others, so that fifty guesses
 * at once are not fifty tries, while thirty people with the right password all get in.
 */
export class Jail {
  readonly bans: BanTable;
  readonly #clock: Clock;
  readonly #news: JailNews;
  readonly #isSpared: (address: string) => boolean;
  readonly #later: (ms: number, then: () => void) => () => void;
  readonly #pairs: BoundedMap<string, Marks>;
  readonly #addresses: BoundedMap<string, Marks>;
  readonly #accounts: BoundedMap<string, Marks>;
  readonly #scanners: BoundedMap<string, Marks>;
  /** When a stranger may next try an attacked account. */
  readonly #slots: BoundedMap<string, number>;
  /** Lives while something waits, so `waitersMax` bounds it. */
  readonly #waiting = new Map<string, Waiter[]>();
  #waiters = 0;

  constructor(options: JailOptions) {
    const max = options.countsMax ?? countsMax;
    this.bans = options.bans ?? new BanTable();
    this.#clock = options.clock;
    this.#news = options.news;
    this.#isSpared = options.isSpared ?? (() => false);
    this.#later = options.later ?? unrefTimer;
    this.#pairs = new BoundedMap(max);
    this.#addresses = new BoundedMap(max);
    this.#accounts = new BoundedMap(max);
    this.#scanners = new BoundedMap(max);
    this.#slots = new BoundedMap(max);
  }

  /** The ban of an address that holds now; null when none does. */
  banOf(address: string): Ban | null {
    return this.bans.holds(address, this.#clock.wallMs());
  }

  banAfter(address: string): Ban | null {
    return this.banOf(address);
  }

  /** Asks before Odoo is asked. Waits only for attempts of the same address that are under way. */
  enter(attempt: Attempt, rules: JailRules): Entry | Promise<Entry> {
    const ban = this.banOf(attempt.address);
    if (ban !== null) return { kind: "banned", ban };
    const slow = this.#slowed(attempt, rules);
    if (slow !== null) return slow;
    if (this.#mayGo(attempt, rules)) return this.#go(attempt, rules);
    const queue = this.#waiting.get(attempt.address) ?? [];
    if (queue.length >= waitersPerAddressMax || this.#waiters >= waitersMax) return crowded;
    return new Promise((resolve) => {
      const waiter: Waiter = {
        attempt,
        rules,
        resolve,
        callOff: this.#later(waitMsMax, () => this.#giveUp(waiter)),
      };
      queue.push(waiter);
      this.#waiting.set(attempt.address, queue);
      this.#waiters += 1;
    });
  }

  /** A failure that could not be foreseen: nothing in the request said that a password is tried. */
  failed(attempt: Attempt, rules: JailRules): void {
    const { address, account } = attempt;
    const pair = account === null ? null : this.#marksOf(this.#pairs, `${address} ${account}`);
    this.#failed(attempt, rules, pair, this.#marksOf(this.#addresses, address));
  }

  /** A request only scanners make. */
  scanned({ address, client }: Pick<Attempt, "address" | "client">, rules: JailRules): void {
    const marks = this.#marksOf(this.#scanners, address);
    const count = this.#mark(marks.failures, rules.scanner);
    this.#news.strike(client, "scanner", null, count);
    if (count >= rules.scanner.marks) this.#ban(address, "scanner", rules);
  }

  /** An operator's ban; `untilWallMs` in the future. */
  ban(address: string, untilWallMs: number): Ban {
    const times = this.bans.times(address, this.#clock.wallMs()) + 1;
    const ban: Ban = { address, untilWallMs, reason: "operator", times };
    this.#begin(ban);
    return ban;
  }

  /** Ends a ban early and forgets what led to it. Answers whether there was one. */
  lift(address: string): boolean {
    this.#addresses.delete(address);
    this.#scanners.delete(address);
    for (const [key] of [...this.#pairs.entries()])
      if (key.startsWith(`${address} `)) this.#pairs.delete(key);
    const held = this.banOf(address) !== null;
    this.bans.delete(address);
    return held;
  }

  #go(attempt: Attempt, rules: JailRules): Ticket {
    const { address, account } = attempt;
    const pairKey = account === null ? null : `${address} ${account}`;
    const pair = pairKey === null ? null : this.#marksOf(this.#pairs, pairKey);
    const whole = this.#marksOf(this.#addresses, address);
    if (pair !== null) pair.inFlight += 1;
    // What is proven does not make others wait.
    const counts = !this.#isProven(pair, attempt);
    if (counts) whole.inFlight += 1;
    return {
      kind: "go",
      settle: once((outcome) => {
        if (pair !== null) pair.inFlight -= 1;
        if (counts) whole.inFlight -= 1;
        if (outcome === "failure") this.#failed(attempt, rules, pair, whole);
        else if (outcome === "success") this.#succeeded(attempt, rules, pair, whole);
        this.#wake(address);
      }),
    };
  }

  #failed(attempt: Attempt, rules: JailRules, pair: Marks | null, whole: Marks): void {
    const { address, account } = attempt;
    const hardMarks = rules.address.marks * hardFactor;
    const ofAddress = this.#mark(whole.failures, { ...rules.address, marks: hardMarks });
    let marks = ofAddress;
    let reason: BanReason | null = null;
    if (pair !== null && rules.pair !== null) {
      pair.provenUntilMs = 0;
      pair.failed = pair.failures.length === 0 || pair.failed === attempt.written ? attempt.written : null;
      marks = this.#mark(pair.failures, rules.pair);
      if (marks >= rules.pair.marks) reason = "pair";
    }
    if (account !== null && rules.account !== null)
      this.#mark(this.#marksOf(this.#accounts, account).failures, rules.account);
    const successes = this.#within(whole.successes, rules.address.windowMs);
    const mostFail = !rules.mostlyFailing || ofAddress > successes;
    if ((ofAddress >= rules.address.marks && mostFail) || ofAddress >= hardMarks) reason ??= "address";
    if (attempt.device !== null && rules.pair !== null)
      this.#mark(this.#marksOf(this.#pairs, deviceKey(attempt.device)).failures, rules.pair);
    this.#news.strike(attempt.client, "login", account, marks);
    if (reason !== null) this.#ban(address, reason, rules);
  }

  #succeeded({ written }: Attempt, rules: JailRules, pair: Marks | null, whole: Marks): void {
    this.#mark(whole.successes, { ...rules.address, marks: rules.address.marks * hardFactor });
    if (pair === null || written === null) return;
    // Somebody whose name differs in capitals alone wipes nothing of this one out.
    if (pair.failed === written) pair.failures = [];
    pair.proven = written;
    pair.provenUntilMs = this.#clock.nowMs() + provenMs;
  }

  /** Would it be no ban if everything under way failed, this one included? */
  #mayGo(attempt: Attempt, rules: JailRules): boolean {
    const { address, account } = attempt;
    const pair = account === null ? undefined : this.#pairs.get(`${address} ${account}`);
    if (this.#isProven(pair ?? null, attempt)) return true;
    if (pair !== undefined && rules.pair !== null) {
      const worst = this.#within(pair.failures, rules.pair.windowMs) + pair.inFlight;
      if (pair.inFlight > 0 && worst >= rules.pair.marks) return false;
    }
    const whole = this.#addresses.get(address);
    if (whole === undefined) return true;
    const worst = this.#within(whole.failures, rules.address.windowMs) + whole.inFlight;
    if (whole.inFlight === 0 || worst < rules.address.marks) return true;
    const successes = this.#within(whole.successes, rules.address.windowMs);
    return rules.mostlyFailing && worst < rules.address.marks * hardFactor && worst <= successes;
  }

  #isProven(pair: Marks | null, { written }: Attempt): boolean {
    return (
      pair !== null && written !== null && pair.proven === written && pair.provenUntilMs > this.#clock.nowMs()
    );
  }

  /** An account that is attacked from many addresses: strangers take turns, its owner's browser passes. */
  #slowed(attempt: Attempt, rules: JailRules): Entry | null {
    const { account, address, device } = attempt;
    if (account === null) return null;
    const pair = this.#pairs.get(`${address} ${account}`);
    if (this.#isProven(pair ?? null, attempt)) return null;
    const { pair: bound } = rules;
    const spared = bound !== null && pair !== undefined && this.#isSpared(address);
    if (spared && this.#within(pair.failures, bound.windowMs) >= bound.marks)
      return this.#turn(`${address} ${account}`);
    if (rules.account === null) return null;
    const marks = this.#accounts.get(account);
    if (marks === undefined || this.#within(marks.failures, rules.account.windowMs) < rules.account.marks)
      return null;
    if (device !== null && rules.pair !== null) {
      const spent = this.#pairs.get(deviceKey(device))?.failures ?? [];
      if (this.#within(spent, rules.pair.windowMs) < rules.pair.marks) return null;
    }
    return this.#turn(account);
  }

  /** One attempt each `slowMs`, whoever comes first; null: it is this one's turn. */
  #turn(key: string): Entry | null {
    const nowMs = this.#clock.nowMs();
    const nextMs = this.#slots.get(key) ?? 0;
    if (nextMs <= nowMs) {
      this.#slots.set(key, nowMs + slowMs);
      return null;
    }
    const retryAfterSeconds = Math.max(1, Math.ceil((nextMs - nowMs) / 1000));
    return { kind: "slow", limit: "account-attacked", retryAfterSeconds };
  }

  #wake(address: string): void {
    const queue = this.#waiting.get(address);
    if (queue === undefined) return;
    const ban = this.banOf(address);
    for (const waiter of [...queue]) {
      if (ban !== null) this.#release(waiter, { kind: "banned", ban });
      else if (this.#mayGo(waiter.attempt, waiter.rules))
        this.#release(waiter, this.#go(waiter.attempt, waiter.rules));
    }
  }

  #giveUp(waiter: Waiter): void {
    this.#release(waiter, crowded);
  }

  #release(waiter: Waiter, entry: Entry): void {
    const { address } = waiter.attempt;
    const queue = this.#waiting.get(address) ?? [];
    const at = queue.indexOf(waiter);
    if (at < 0) return;
    queue.splice(at, 1);
    if (queue.length === 0) this.#waiting.delete(address);
    this.#waiters -= 1;
    waiter.callOff();
    waiter.resolve(entry);
  }

  #ban(address: string, reason: BanReason, rules: JailRules): void {
    const wallMs = this.#clock.wallMs();
    if (this.bans.holds(address, wallMs) !== null) return;
    if (this.#isSpared(address)) return this.#news.spared(address, reason);
    const before = this.bans.times(address, wallMs);
    const lengthMs = Math.min(rules.banMsMax, rules.banMs * 2 ** Math.min(before, 20));
    this.#begin({ address, untilWallMs: wallMs + lengthMs, reason, times: before + 1 });
  }

  #begin(ban: Ban): void {
    this.bans.set(ban);
    this.#news.ban(ban);
    this.#wake(ban.address);
  }

  #marksOf(table: BoundedMap<string, Marks>, key: string): Marks {
    const known = table.get(key);
    if (known !== undefined) return known;
    const fresh: Marks = {
      failures: [],
      successes: [],
      inFlight: 0,
      proven: null,
      provenUntilMs: 0,
      failed: null,
    };
    table.set(key, fresh);
    return fresh;
  }

  /** Adds a mark and answers how many lie within the window. */
  #mark(times: number[], threshold: Threshold): number {
    times.push(this.#clock.nowMs());
    if (times.length > threshold.marks) times.shift();
    return this.#within(times, threshold.windowMs);
  }

  #within(times: readonly number[], windowMs: number): number {
    const sinceMs = this.#clock.nowMs() - windowMs;
    let old = 0;
    while (old < times.length && (times[old] ?? 0) <= sinceMs) old += 1;
    return times.length - old;
  }
}

const crowded: Entry = Object.freeze({ kind: "slow", limit: "guesses-in-flight", retryAfterSeconds: 5 });

function deviceKey(device: string): string {
  return `device ${device}`;
}

function unrefTimer(ms: number, then: () => void): () => void {
  const timer = setTimeout(then, ms);
  timer.unref();
  return () => clearTimeout(timer);
}
