import { RateLimiterCompatibleAbstract, RateLimiterRes } from "rate-limiter-flexible";
import { BoundedMap } from "../base/bounded-map.ts";
import type { Clock } from "../base/clock.ts";

/** Most keys one limit remembers. Past it the keys asked for longest ago start anew, which is kind, never unkind. */
export const keysPerLimitMax = 1_000_000;

/** One answer of a limit. `retryAfterMs` is the least wait, in whole milliseconds, after which one attempt passes. */
export type Taken = { readonly ok: true } | { readonly ok: false; readonly retryAfterMs: number };

/** What the limiter needs of a store; every implementation runs `test/contracts/limit-store.ts`. */
export interface LimitStore {
  /** Takes one point of a key. A refusal takes nothing. */
  take(key: string): Taken;
  /** Gives one point back, as if it had not been taken; a key never has more than all its points. */
  giveBack(key: string): void;
  /** How many points could be taken now. */
  spare(key: string): number;
}

export interface LeakyBucketOptions {
  readonly clock: Pick<Clock, "nowMs">;
  /** Requests a second; may be a fraction. */
  readonly ratePerSecond: number;
  /** Requests that may come at once on top of the first. */
  readonly burst: number;
  /** Default `keysPerLimitMax`. */
  readonly keysMax?: number;
}

const taken: Taken = Object.freeze({ ok: true });
const point = 1000;

/**
 * nginx's `limit_req rate=… burst=… nodelay` in nginx's integer arithmetic (ngx_http_limit_req_module.c):
 * excess = max(0, excess − rate·Δms/1000 + 1000) in thousandths of a request; refused, and nothing stored,
 * when that is above burst·1000; a key's first request has no excess. We keep `level` = excess + 1000 (0 is a key
 * never seen), which is the same sums and lets a point be given back exactly.
 *
 * It stands in rate-limiter-flexible's interface (its own fixed windows agree with nginx on 73 % of
 * requests), so the package's wrappers and stores can stand in for it and it for them. The hot path uses the synchronous `take`.
 * `block` is not offered: bans live in their own table.
 */
export class LeakyBucket extends RateLimiterCompatibleAbstract implements LimitStore {
  override readonly keyPrefix: string = "";
  override blockDuration = 0;
  override execEvenly = false;
  /** Thousandths of a request that drain each second. */
  readonly #ratePerSecondMilli: number;
  readonly #levelMax: number;
  /** One number a key, `sinceMs · span + level`: a tenth of what an object and a timer would cost. */
  readonly #entries: BoundedMap<string, number>;
  readonly #span: number;
  readonly #clock: Pick<Clock, "nowMs">;
  #originMs: number;

  /** Throws RangeError for a rate or burst no policy can hold; those are checked when it is loaded. */
  constructor(options: LeakyBucketOptions) {
    super();
    const { ratePerSecond, burst } = options;
    if (!(ratePerSecond > 0) || ratePerSecond > 1_000_000) throw new RangeError(`rate ${ratePerSecond}`);
    if (!Number.isSafeInteger(burst) || burst < 0 || burst > 1_000_000)
      throw new RangeError(`burst ${burst}`);
    this.#ratePerSecondMilli = drainPerSecondMilli(ratePerSecond);
    this.#levelMax = (burst + 1) * point;
    this.#span = 2 ** Math.ceil(Math.log2(this.#levelMax + 1));
    this.#entries = new BoundedMap(options.keysMax ?? keysPerLimitMax);
    this.#clock = options.clock;
    this.#originMs = Math.floor(options.clock.nowMs());
  }

  take(key: string): Taken {
    const sinceMs = this.#sinceMs();
    const entry = this.#entries.get(key);
    if (entry === undefined) {
      this.#entries.set(key, sinceMs * this.#span + point);
      return taken;
    }
    const level = entry % this.#span;
    const lastMs = (entry - level) / this.#span;
    const elapsedMs = Math.max(0, sinceMs - lastMs);
    const next = Math.max(0, level - this.#drained(elapsedMs)) + point;
    if (next > this.#levelMax) {
      // As nginx: a refused request leaves no trace, so that refusals do not lengthen the wait.
      const passesAfterMs = Math.ceil(((level + point - this.#levelMax) * 1000) / this.#ratePerSecondMilli);
      return { ok: false, retryAfterMs: Math.max(1, passesAfterMs - elapsedMs) };
    }
    this.#entries.set(key, sinceMs * this.#span + next);
    return taken;
  }

  giveBack(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    const level = entry % this.#span;
    if (level <= point) this.#entries.delete(key);
    else this.#entries.set(key, entry - point);
  }

  spare(key: string): number {
    return Math.floor((this.#levelMax - this.#usedMilli(key)) / point);
  }

  /** Keys remembered now. */
  get size(): number {
    return this.#entries.size;
  }

  /** The package's form of `take`, for one or more points: resolves, or rejects with the same report. */
  override consume(key: string | number, points = 1): Promise<RateLimiterRes> {
    const text = String(key);
    for (let i = 0; i < points; i += 1) {
      const answer = this.take(text);
      if (answer.ok) continue;
      for (let back = 0; back < i; back += 1) this.giveBack(text);
      return Promise.reject(this.#report(text, answer.retryAfterMs));
    }
    return Promise.resolve(this.#report(text, 0));
  }

  /** Takes points even when there are none left, up to an empty bucket. */
  override penalty(key: string | number, points = 1): Promise<RateLimiterRes> {
    return this.set(key, Math.min(this.#usedMilli(String(key)) / point + points, this.#levelMax / point));
  }

  override reward(key: string | number, points = 1): Promise<RateLimiterRes> {
    return this.set(key, Math.max(0, this.#usedMilli(String(key)) / point - points));
  }

  override get(key: string | number): Promise<RateLimiterRes | null> {
    const text = String(key);
    return Promise.resolve(this.#usedMilli(text) === 0 ? null : this.#report(text, 0));
  }

  /** Sets the points used; the time they take to drain follows from the rate, whatever `secDuration` says. */
  override set(key: string | number, points: number): Promise<RateLimiterRes> {
    const text = String(key);
    const level = Math.min(this.#levelMax, Math.max(0, Math.floor(points * point)));
    if (level === 0) this.#entries.delete(text);
    else this.#entries.set(text, this.#sinceMs() * this.#span + level);
    return Promise.resolve(this.#report(text, 0));
  }

  override block(): Promise<RateLimiterRes> {
    return Promise.reject(new Error("a limit does not ban"));
  }

  override delete(key: string | number): Promise<boolean> {
    return Promise.resolve(this.#entries.delete(String(key)));
  }

  /** Whole milliseconds since the origin; when they no longer fit beside a level all keys start anew (burst 5: 34 years, burst 2,000: 49 days). */
  #sinceMs(): number {
    const sinceMs = Math.max(0, Math.floor(this.#clock.nowMs()) - this.#originMs);
    if (sinceMs * this.#span < Number.MAX_SAFE_INTEGER - this.#span) return sinceMs;
    this.#entries.clear();
    this.#originMs += sinceMs;
    return 0;
  }

  #drained(elapsedMs: number): number {
    return Math.floor((this.#ratePerSecondMilli * elapsedMs) / 1000);
  }

  #usedMilli(key: string): number {
    const entry = this.#entries.get(key);
    if (entry === undefined) return 0;
    const level = entry % this.#span;
    return Math.max(0, level - this.#drained(this.#sinceMs() - (entry - level) / this.#span));
  }

  #report(key: string, retryAfterMs: number): RateLimiterRes {
    const used = this.#usedMilli(key);
    const remaining = Math.floor((this.#levelMax - used) / point);
    return new RateLimiterRes(remaining, retryAfterMs, Math.ceil(used / point), used <= point);
  }
}

/**
 * nginx keeps a rate as whole thousandths of a request a second: 5r/m is 83, not 83.33. Rates of one a minute and
 * more are rounded like that; slower ones, which nginx cannot write, keep their fraction.
 */
function drainPerSecondMilli(ratePerSecond: number): number {
  const milli = ratePerSecond * 1000;
  return ratePerSecond < 1 / 60 ? milli : Math.floor(milli + 1e-6);
}
