import { keyFor, type LendingLimiter, type LimitKeys, limitIdentity } from "../guard/limiter.ts";
import type { Limit } from "../policy/decision.ts";
import type { Seat } from "./owner.ts";

/** Most points a worker gets in advance for one key. */
const pointsMax = 32;
/** How long a refusal waits for points that were lent and are not used: a worker that is busy for longer keeps them. */
const recallMsMax = 100;
/** Refusals that wait so; further ones are not checked a second time. */
const waitingMax = 4_096;

interface Recall {
  readonly from: Set<Seat>;
  readonly over: (() => void)[];
  readonly timer: NodeJS.Timeout;
}

/**
 * Points of the limits that workers hold in advance, so that not every request asks. They are counted as used from the moment
 * they are lent. Before anybody is refused for want of points, those that others hold and do not use are called back.
 */
export class Lending {
  readonly #limiter: LendingLimiter;
  /** Who holds points, by limit and key; entries live as long as a lease (remote-limiter `leaseMs`). */
  readonly #holders = new Map<string, Set<Seat>>();
  readonly #recalls = new Map<string, Recall>();
  #waiting = 0;

  constructor(limiter: LendingLimiter) {
    this.#limiter = limiter;
  }

  /** Points for a worker beside the one it asked for, for each limit. */
  lend(seat: Seat, limits: readonly Limit[], keys: LimitKeys): readonly number[] {
    return limits.map((limit) => {
      const key = keyFor(limit, keys);
      const points = this.#limiter.lend(limit, key, pointsMax);
      if (points > 0) {
        const name = leaseName(limit, key);
        const holders = this.#holders.get(name) ?? new Set<Seat>();
        this.#holders.set(name, holders.add(seat));
      }
      return points;
    });
  }

  /** A worker's lease is over: what it did not use comes back, and who waits for that is looked at again. */
  over(seat: Seat, limit: Limit, key: string, points: number): void {
    this.#limiter.takeBack(limit, key, Math.min(Math.max(0, points), limit.burst + 1));
    this.#gone(seat, leaseName(limit, key));
  }

  /** Calls `again` when nobody holds points of this limit any more, soon. False: nobody does now, so a refusal is right. */
  recall(limit: Limit, keys: LimitKeys, again: () => void): boolean {
    const key = keyFor(limit, keys);
    const name = leaseName(limit, key);
    const holders = this.#holders.get(name);
    if (holders === undefined || this.#waiting >= waitingMax) return false;
    this.#waiting += 1;
    const running = this.#recalls.get(name);
    if (running !== undefined) {
      running.over.push(again);
      return true;
    }
    const timer = setTimeout(() => this.#finish(name), recallMsMax);
    this.#recalls.set(name, { from: new Set(holders), over: [again], timer });
    for (const seat of holders) seat.recall(limit, key);
    return true;
  }

  /** A worker ended: what it held is used up. */
  forget(seat: Seat): void {
    for (const [name, holders] of this.#holders) if (holders.has(seat)) this.#gone(seat, name);
  }

  #gone(seat: Seat, name: string): void {
    const holders = this.#holders.get(name);
    holders?.delete(seat);
    if (holders?.size === 0) this.#holders.delete(name);
    const recall = this.#recalls.get(name);
    if (recall === undefined) return;
    recall.from.delete(seat);
    if (recall.from.size === 0) this.#finish(name);
  }

  #finish(name: string): void {
    const recall = this.#recalls.get(name);
    if (recall === undefined) return;
    clearTimeout(recall.timer);
    this.#recalls.delete(name);
    this.#waiting -= recall.over.length;
    for (const again of recall.over) again();
  }
}

function leaseName(limit: Limit, key: string): string {
  return `${limitIdentity(limit)}\n${key}`;
}
