import type { Clock } from "../base/clock.ts";
import { once } from "../base/once.ts";
import {
  type Exhausted,
  freeGrant,
  type Grant,
  keyFor,
  type Limiter,
  type LimitKeys,
} from "../guard/limiter.ts";
import type { Limit } from "../policy/decision.ts";
import type { OwnerLink } from "./owner-link.ts";

/** Points that were not used by then go back. */
const leaseMs = 200;
const sweepMs = 100;
/** Leases held at once; past it nothing is kept in advance. */
const leasesMax = 50_000;

interface Lease {
  points: number;
  readonly untilMs: number;
}

/** Without the supervisor nothing can be counted, and this process is about to end. */
const unknown: Exhausted = Object.freeze({ ok: false, limit: "unknown", retryAfterSeconds: 1 });

/**
 * The limiter of a worker. Limits that give points back are asked of the supervisor each time; of others it lends a few points
 * of the same key in advance, and the requests that use those cost no question.
 */
export class RemoteLimiter implements Limiter {
  readonly #link: OwnerLink;
  readonly #clock: Pick<Clock, "nowMs">;
  readonly #leases = new Map<Limit, Map<string, Lease>>();
  #held = 0;
  #timer: NodeJS.Timeout | null = null;
  #waiting = 0;

  constructor(link: OwnerLink, clock: Pick<Clock, "nowMs">) {
    this.#link = link;
    this.#clock = clock;
  }

  get waiting(): number {
    return this.#waiting;
  }

  check(limits: readonly Limit[], keys: LimitKeys): Grant | Exhausted | Promise<Grant | Exhausted> {
    if (limits.length === 0 || this.#takeLent(limits, keys)) return freeGrant;
    return this.#ask(limits, keys);
  }

  /** The supervisor wants back what is not used; it gets an answer in any case. */
  recall(limit: Limit, key: string): void {
    let points = 0;
    for (const [own, byKey] of this.#leases) {
      // The plan may hold several objects for one limit; its name and figures make it the same.
      if (own.name !== limit.name || own.ratePerSecond !== limit.ratePerSecond || own.burst !== limit.burst)
        continue;
      points += byKey.get(key)?.points ?? 0;
      this.#drop(own, byKey, key);
    }
    this.#link.tell({ tell: "lease-over", limit, key, points });
  }

  #takeLent(limits: readonly Limit[], keys: LimitKeys): boolean {
    if (this.#held === 0) return false;
    for (const limit of limits) {
      const lease = limit.refund ? undefined : this.#leases.get(limit)?.get(keyFor(limit, keys));
      if (lease === undefined || lease.points === 0) return false;
    }
    for (const limit of limits) {
      const lease = this.#leases.get(limit)?.get(keyFor(limit, keys));
      if (lease !== undefined) lease.points -= 1;
    }
    return true;
  }

  async #ask(limits: readonly Limit[], keys: LimitKeys): Promise<Grant | Exhausted> {
    this.#waiting += 1;
    const reply = await this.#link.ask({ ask: "limit", limits, keys });
    this.#waiting -= 1;
    if (reply?.answer === "exhausted") return reply.exhausted;
    if (reply?.answer !== "granted") return unknown;
    if (!limits.some(({ refund }) => refund)) {
      this.#keep(limits, keys, reply.leases);
      return freeGrant;
    }
    const { id } = reply;
    return { ok: true, settle: once((outcome) => this.#link.tell({ tell: "settle", id, outcome })) };
  }

  #keep(limits: readonly Limit[], keys: LimitKeys, points: readonly number[]): void {
    for (const [at, limit] of limits.entries()) {
      const lent = points[at] ?? 0;
      if (lent <= 0) continue;
      const key = keyFor(limit, keys);
      const byKey = this.#leases.get(limit) ?? new Map<string, Lease>();
      const known = byKey.get(key);
      if (known !== undefined) known.points += lent;
      else if (this.#held >= leasesMax) this.#link.mention({ tell: "lease-over", limit, key, points: lent });
      else {
        byKey.set(key, { points: lent, untilMs: this.#clock.nowMs() + leaseMs });
        this.#leases.set(limit, byKey);
        this.#held += 1;
      }
    }
    if (this.#held === 0 || this.#timer !== null) return;
    this.#timer = setInterval(() => this.#sweep(), sweepMs);
    this.#timer.unref();
  }

  #sweep(): void {
    const nowMs = this.#clock.nowMs();
    for (const [limit, byKey] of this.#leases)
      for (const [key, { points, untilMs }] of byKey) {
        if (untilMs > nowMs) continue;
        this.#drop(limit, byKey, key);
        this.#link.mention({ tell: "lease-over", limit, key, points });
      }
    if (this.#held > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  #drop(limit: Limit, byKey: Map<string, Lease>, key: string): void {
    if (byKey.delete(key)) this.#held -= 1;
    if (byKey.size === 0) this.#leases.delete(limit);
  }
}
