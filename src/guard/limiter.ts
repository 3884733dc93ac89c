import type { Clock } from "../base/clock.ts";
import { once } from "../base/once.ts";
import type { Limit } from "../policy/decision.ts";
import { LeakyBucket, type LimitStore } from "./limit-store.ts";

/** How an attempt ended. `unsent`: Odoo was never asked, so nothing was tried. */
export type Outcome = "success" | "failure" | "unknown" | "unsent";

/** All limits passed. `settle` must be called once, when the outcome is known; further calls do nothing. */
export interface Grant {
  readonly ok: true;
  settle(outcome: Outcome): void;
}

/** A limit has no points left: 429 with `Retry-After`. */
export interface Exhausted {
  readonly ok: false;
  readonly limit: string;
  /** Whole seconds, at least 1. */
  readonly retryAfterSeconds: number;
}

/** Whom the limits count. */
export interface LimitKeys {
  /** `ipKey64` of the client address. */
  readonly address: string;
  /** The key of a session that was seen to log in (`KnownSessions.keyOf`); null counts by address. */
  readonly session: string | null;
  /** Hash of the account an attempt is for; null counts by address. */
  readonly account: string | null;
}

export interface Limiter {
  /**
   * Takes one point of each limit, or of none. Answers at once unless a limit with refund has no points while earlier
   * attempts of the same key are still with Odoo: then it waits for them, since each success gives its point back.
   */
  check(limits: readonly Limit[], keys: LimitKeys): Grant | Exhausted | Promise<Grant | Exhausted>;
  /** Attempts waiting now, for the status page. */
  readonly waiting: number;
}

/** A limiter that also hands out points in advance, to processes that count by themselves for a moment. */
export interface LendingLimiter extends Limiter {
  /**
   * Takes up to `most` points of one key, at most a quarter of what is left, and answers how many. None of a limit with refund, nor
   * of a key on which one point at most is used now.
   */
  lend(limit: Limit, key: string, most: number): number;
  /** Takes points back that were lent and not used. */
  takeBack(limit: Limit, key: string, points: number): void;
}

export interface LimiterOptions {
  readonly clock: Pick<Clock, "nowMs">;
  /** Calls back once after `ms`; answers how to call it off. Default: a timer that does not keep the process alive. */
  readonly later?: (ms: number, then: () => void) => () => void;
}

/** Attempts of one key that wait for the outcome of earlier ones; the next is refused. */
export const waitersPerKeyMax = 64;
/** All waiting attempts; the next is refused. */
export const waitersMax = 4_096;
/** How long an attempt waits before it is refused. */
export const waitMsMax = 10_000;
/** Stores kept over reloads; the one unused longest goes first. A plan has a few dozen limits. */
export const storesMax = 512;

/** One process gets at most such a part of the points that are left. */
const lentShare = 4;

/** Nothing was counted, so there is nothing to give back. */
export const freeGrant: Grant = Object.freeze({ ok: true, settle: () => {} });

/** Two grants of one attempt, settled together. */
export function bothGrants(first: Grant, second: Grant): Grant {
  if (second === freeGrant) return first;
  return {
    ok: true,
    settle(outcome) {
      first.settle(outcome);
      second.settle(outcome);
    },
  };
}

/** Attempts of one key under one limit with refund: those with Odoo, and those that wait for them. */
interface Gate {
  readonly key: string;
  inFlight: number;
  readonly waiters: Waiter[];
}

interface Waiter {
  readonly limits: readonly Limit[];
  readonly keys: LimitKeys;
  readonly resolve: (answer: Grant | Exhausted) => void;
  readonly callOff: () => void;
  gate: Gate;
}

interface Counted {
  readonly store: LimitStore;
  /** By key; an entry lives only while something is in flight or waiting, so connections bound it. */
  readonly gates: Map<string, Gate>;
}

interface Refused {
  readonly ok: false;
  readonly answer: Exhausted;
  /** Where waiting makes sense; null when it does not. */
  readonly gate: Gate | null;
}

type Attempt = { readonly ok: true; readonly grant: Grant } | Refused;

/** The limiter's state lives outside the plan: a limit is found by its name and parameters, so a reload forgets nothing. */
export function createLimiter(options: LimiterOptions): LendingLimiter {
  return new PlanLimiter(options);
}

class PlanLimiter implements LendingLimiter {
  readonly #clock: Pick<Clock, "nowMs">;
  readonly #later: (ms: number, then: () => void) => () => void;
  readonly #byIdentity = new Map<string, Counted>();
  /** Saves building the identity for each exchange: a plan's Limit objects live as long as the plan. */
  readonly #byLimit = new WeakMap<Limit, Counted>();
  #waiting = 0;

  constructor(options: LimiterOptions) {
    this.#clock = options.clock;
    this.#later = options.later ?? unrefTimer;
  }

  get waiting(): number {
    return this.#waiting;
  }

  check(limits: readonly Limit[], keys: LimitKeys): Grant | Exhausted | Promise<Grant | Exhausted> {
    const attempt = this.#attempt(limits, keys);
    if (attempt.ok) return attempt.grant;
    const { gate, answer } = attempt;
    if (gate === null || gate.waiters.length >= waitersPerKeyMax || this.#waiting >= waitersMax)
      return answer;
    return new Promise((resolve) => {
      const waiter: Waiter = {
        limits,
        keys,
        gate,
        resolve,
        callOff: this.#later(waitMsMax, () => this.#giveUp(waiter)),
      };
      gate.waiters.push(waiter);
      this.#waiting += 1;
    });
  }

  lend(limit: Limit, key: string, most: number): number {
    if (limit.refund) return 0;
    const { store } = this.#counted(limit);
    const spare = store.spare(key);
    // Who comes now and then would have them back unused, at the cost of a message more.
    if (spare >= limit.burst) return 0;
    const points = Math.min(most, Math.floor(spare / lentShare));
    for (let taken = 0; taken < points; taken += 1) if (!store.take(key).ok) return taken;
    return Math.max(0, points);
  }

  takeBack(limit: Limit, key: string, points: number): void {
    const { store } = this.#counted(limit);
    for (let back = 0; back < points; back += 1) store.giveBack(key);
  }

  #attempt(limits: readonly Limit[], keys: LimitKeys): Attempt {
    let refunds = false;
    for (let i = 0; i < limits.length; i += 1) {
      const limit = limits[i];
      if (limit === undefined) continue;
      const counted = this.#counted(limit);
      const key = keyFor(limit, keys);
      const taken = counted.store.take(key);
      if (!taken.ok) {
        // nginx too stores nothing for any zone when one of them refuses.
        for (let back = 0; back < i; back += 1) {
          const earlier = limits[back];
          if (earlier !== undefined) this.#counted(earlier).store.giveBack(keyFor(earlier, keys));
        }
        const gate = limit.refund ? counted.gates.get(key) : undefined;
        const retryAfterSeconds = Math.max(1, Math.ceil(taken.retryAfterMs / 1000));
        return {
          ok: false,
          answer: { ok: false, limit: limit.name, retryAfterSeconds },
          gate: gate !== undefined && gate.inFlight > 0 ? gate : null,
        };
      }
      refunds ||= limit.refund;
    }
    return { ok: true, grant: refunds ? this.#refundable(limits, keys) : freeGrant };
  }

  #refundable(limits: readonly Limit[], keys: LimitKeys): Grant {
    const held: { counted: Counted; gate: Gate }[] = [];
    for (const limit of limits) {
      if (!limit.refund) continue;
      const counted = this.#counted(limit);
      const key = keyFor(limit, keys);
      let gate = counted.gates.get(key);
      if (gate === undefined) {
        gate = { key, inFlight: 0, waiters: [] };
        counted.gates.set(key, gate);
      }
      gate.inFlight += 1;
      held.push({ counted, gate });
    }
    return {
      ok: true,
      settle: once((outcome) => {
        for (const { counted, gate } of held) {
          gate.inFlight -= 1;
          if (outcome === "success" || outcome === "unsent") counted.store.giveBack(gate.key);
        }
        for (const { counted, gate } of held) this.#wake(counted, gate);
      }),
    };
  }

  /** Lets those in who can go; when nothing is in flight any more, nobody will give a point back and all are answered. */
  #wake(counted: Counted, gate: Gate): void {
    for (let waiter = gate.waiters[0]; waiter !== undefined; waiter = gate.waiters[0]) {
      const attempt = this.#attempt(waiter.limits, waiter.keys);
      if (!attempt.ok && attempt.gate === gate) break;
      gate.waiters.shift();
      if (attempt.ok) this.#finish(waiter, attempt.grant);
      else if (attempt.gate === null || attempt.gate.waiters.length >= waitersPerKeyMax) {
        this.#finish(waiter, attempt.answer);
      } else {
        // Another limit of the same decision is the one to wait for now.
        waiter.gate = attempt.gate;
        attempt.gate.waiters.push(waiter);
      }
    }
    if (gate.inFlight === 0 && gate.waiters.length === 0 && counted.gates.get(gate.key) === gate) {
      counted.gates.delete(gate.key);
    }
  }

  #giveUp(waiter: Waiter): void {
    const at = waiter.gate.waiters.indexOf(waiter);
    if (at < 0) return;
    waiter.gate.waiters.splice(at, 1);
    // Points drain with time as well: the last try is honest about both.
    const attempt = this.#attempt(waiter.limits, waiter.keys);
    this.#finish(waiter, attempt.ok ? attempt.grant : attempt.answer);
  }

  #finish(waiter: Waiter, answer: Grant | Exhausted): void {
    this.#waiting -= 1;
    waiter.callOff();
    waiter.resolve(answer);
  }

  #counted(limit: Limit): Counted {
    const known = this.#byLimit.get(limit);
    if (known !== undefined) return known;
    const identity = limitIdentity(limit);
    const before = this.#byIdentity.get(identity);
    const counted: Counted = before ?? {
      store: new LeakyBucket({ clock: this.#clock, ratePerSecond: limit.ratePerSecond, burst: limit.burst }),
      gates: new Map(),
    };
    this.#byIdentity.delete(identity);
    this.#byIdentity.set(identity, counted);
    if (this.#byIdentity.size > storesMax) {
      const oldest = this.#byIdentity.keys().next();
      if (oldest.done !== true) this.#byIdentity.delete(oldest.value);
    }
    this.#byLimit.set(limit, counted);
    return counted;
  }
}

/** The same text for the same limit in every plan and process. */
export function limitIdentity(limit: Limit): string {
  return `${limit.name} ${limit.ratePerSecond} ${limit.burst} ${limit.key} ${limit.refund}`;
}

/** Whom a limit counts. No two kinds of key are mistaken for each other: addresses have a dot or a colon, base64url neither, and only pairs a space. */
export function keyFor(limit: Limit, { address, session, account }: LimitKeys): string {
  switch (limit.key) {
    case "client":
      return address;
    case "session":
      return session ?? address;
    case "account":
      return account === null ? address : `${address} ${account}`;
  }
}

function unrefTimer(ms: number, then: () => void): () => void {
  const timer = setTimeout(then, ms);
  timer.unref();
  return () => clearTimeout(timer);
}
