import type { Clock } from "../base/clock.ts";
import { LaneQueue, type Queued } from "./lane-queue.ts";

/** Who waits for Odoo, highest first: when there is no room left in the queue, the lowest goes first. */
export const laneNames = ["health", "login", "user", "report", "api", "site", "crawler", "fake"] as const;
export type LaneName = (typeof laneNames)[number];

interface LaneRule {
  /** Its part of the workers while others wait too. */
  readonly weight: number;
  /** May use the one place above the workers, so that it is the next one a worker takes. */
  readonly mayUseReserve: boolean;
  /** Whoever asks for the path is in it. */
  readonly isForAll: boolean;
  /** Its longest wait, as a part of QUEUE_TIMEOUT. */
  readonly patience: number;
  /** Seconds a shed client is told to stay away. */
  readonly retryAfterSeconds: number;
}

const rules: Readonly<Record<LaneName, LaneRule>> = {
  health: { isForAll: true, weight: 8, mayUseReserve: true, patience: 1, retryAfterSeconds: 5 },
  login: { isForAll: true, weight: 4, mayUseReserve: true, patience: 1, retryAfterSeconds: 5 },
  user: { isForAll: false, weight: 8, mayUseReserve: false, patience: 1, retryAfterSeconds: 5 },
  report: { isForAll: false, weight: 4, mayUseReserve: false, patience: 1, retryAfterSeconds: 10 },
  api: { isForAll: false, weight: 4, mayUseReserve: false, patience: 1, retryAfterSeconds: 10 },
  site: { isForAll: false, weight: 2, mayUseReserve: false, patience: 1 / 3, retryAfterSeconds: 10 },
  crawler: { isForAll: false, weight: 1, mayUseReserve: false, patience: 1 / 10, retryAfterSeconds: 120 },
  fake: { isForAll: false, weight: 1 / 2, mayUseReserve: false, patience: 1 / 10, retryAfterSeconds: 600 },
};

/** Why a request was turned away: there was no room to wait, a higher lane took its place, or its wait was over. */
export type ShedReason = "queue-full" | "displaced" | "waited";

export interface Shed {
  readonly lane: LaneName;
  readonly reason: ShedReason;
  readonly retryAfterSeconds: number;
}

/** A request in the queue. `leave` when its client is gone: the place is free at once. */
export interface Waiting {
  leave(): void;
}

export interface LaneOptions {
  readonly clock: Clock;
  /** Odoo's workers of one member; null: not known, everybody has a place until `bound` says otherwise. */
  readonly workers: number | null;
  /** Most requests that wait at once. */
  readonly queueMax: number;
  /** Longest wait of the patient lanes, milliseconds. */
  readonly queueTimeoutMs: number;
  /** Something waits, or nothing any more: `expire` is to be called every now and then, or need not be. */
  readonly onWaiting?: (isWaiting: boolean) => void;
}

/** One lane, or all together, as /status shows it. */
export interface LaneSnapshot {
  readonly lane: LaneName;
  readonly inFlight: number;
  readonly waiting: number;
  /** null: not known, and not bounded. */
  readonly capacity: number | null;
  /** Since the start. */
  readonly admitted: number;
  readonly waited: number;
  readonly shed: number;
  readonly longestWaitMs: number;
}

interface Waiter extends Waiting, Queued {
  readonly lane: Lane;
  readonly go: (shed: Shed | null) => void;
  isWaiting: boolean;
}

interface Lane {
  readonly name: LaneName;
  readonly rule: LaneRule;
  readonly timeoutMs: number;
  inFlight: number;
  capacity: number;
  /** Virtual time of its next turn. */
  turn: number;
  readonly queue: LaneQueue<Waiter>;
  admitted: number;
  waited: number;
  shed: number;
  longestWaitMs: number;
}

/** More places than there can be requests; a small integer still, for `take`. */
const unbounded = 0x3fffffff;

/**
 * Shares Odoo's workers. As many requests as there are workers are with Odoo at once, the others wait here, where they can be told
 * apart; Odoo's own queue is first come, first served, and its end is a connection that hangs. Turns go by weight (stride
 * scheduling), inside a lane from client to client; a lane may use everything while nobody else wants it, but crawlers only half, false ones a quarter,
 * and reports all workers but one: wkhtmltopdf asks Odoo for assets while it holds a worker, and with all workers printing
 * nobody would answer it. Log-ins and health have one place more than there are workers. Where workers are not known, nobody waits until
 * Odoo was found full (`LearntBound`); what is learnt then is workers and listen queue together, so reports have no bound of their own
 * and no place is kept.
 */
export class Lanes {
  readonly #options: LaneOptions;
  readonly #lanes: Readonly<Record<LaneName, Lane>>;
  readonly #byRank: readonly Lane[];
  #members = 1;
  /** Of one member; null: not known. */
  #perMember: number | null;
  #capacity = 0;
  /** Places above the capacity for those who may use them. */
  #reserve = 0;
  #inFlight = 0;
  #waiting = 0;
  /** Virtual time: the turn that was last given. */
  #now = 0;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#perMember = options.workers;
    this.#reserve = options.workers === null ? 0 : 1;
    const lane = (name: LaneName): Lane => ({
      name,
      rule: rules[name],
      timeoutMs: options.queueTimeoutMs * rules[name].patience,
      inFlight: 0,
      capacity: 0,
      turn: 0,
      queue: new LaneQueue(),
      admitted: 0,
      waited: 0,
      shed: 0,
      longestWaitMs: 0,
    });
    this.#lanes = {
      health: lane("health"),
      login: lane("login"),
      user: lane("user"),
      report: lane("report"),
      api: lane("api"),
      site: lane("site"),
      crawler: lane("crawler"),
      fake: lane("fake"),
    };
    this.#byRank = laneNames.map((name) => this.#lanes[name]);
    this.setMembers(1);
  }

  get waiting(): number {
    return this.#waiting;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** null: not known, and not bounded. */
  get capacity(): number | null {
    return this.#perMember === null ? null : this.#capacity;
  }

  /** So many members are up; at least one is counted. */
  setMembers(count: number): void {
    this.#members = Math.max(1, count);
    this.#count();
  }

  /** Where workers are not known: most requests that one member takes at once; null: not known any more. */
  bound(perMember: number | null): void {
    if (this.#options.workers !== null) return;
    this.#perMember = perMember;
    this.#count();
  }

  #count(): void {
    this.#capacity = this.#perMember === null ? unbounded : this.#members * this.#perMember;
    for (const lane of this.#byRank) lane.capacity = this.#capacityOf(lane);
    this.#grant();
  }

  #capacityOf({ name, rule }: Lane): number {
    const { workers } = this.#options;
    if (this.#perMember === null) return unbounded;
    if (rule.mayUseReserve) return this.#capacity + this.#reserve;
    if (name === "report" && workers !== null) return this.#members * Math.max(1, workers - 1);
    if (name === "fake") return Math.ceil(this.#capacity / 4);
    return name === "crawler" ? Math.ceil(this.#capacity / 2) : this.#capacity;
  }

  /** A place at once, or false. Each place is given back with `release`. */
  take(name: LaneName): boolean {
    const lane = this.#lanes[name];
    if (lane.queue.size > 0 || !this.#hasRoom(lane)) return false;
    this.#admit(lane);
    return true;
  }

  /**
   * Waits for a place. `go` is called once and never from inside this call: null with a place, or why there is none. `sinceMs`: who has
   * waited before, or had a place that led nowhere, goes before those who came later.
   */
  wait(
    name: LaneName,
    who: string,
    go: (shed: Shed | null) => void,
    sinceMs = this.#options.clock.nowMs(),
  ): Waiting {
    const lane = this.#lanes[name];
    const waiter: Waiter = {
      lane,
      who,
      go,
      sinceMs,
      isWaiting: true,
      leave: () => {
        if (waiter.isWaiting) this.#remove(waiter);
      },
    };
    if (
      this.#waiting >= this.#options.queueMax &&
      !this.#displaceBelow(lane, who) &&
      !this.#displaceMost(lane, who)
    ) {
      waiter.isWaiting = false;
      queueMicrotask(() => this.#shed(waiter, "queue-full"));
      return waiter;
    }
    // A lane that was empty does not collect turns it had no use for.
    if (lane.queue.size === 0) lane.turn = Math.max(lane.turn, this.#now);
    lane.queue.push(waiter);
    this.#waiting += 1;
    if (this.#waiting === 1) this.#options.onWaiting?.(true);
    return waiter;
  }

  /** The request is finished or given up. */
  release(name: LaneName): void {
    this.#lanes[name].inFlight -= 1;
    this.#inFlight -= 1;
    if (this.#waiting > 0) this.#grant();
  }

  /** Sheds whoever has waited too long. */
  expire(): void {
    const nowMs = this.#options.clock.nowMs();
    for (const lane of this.#byRank) {
      for (;;) {
        const waiter = lane.queue.oldest;
        if (waiter === null || nowMs - waiter.sinceMs < lane.timeoutMs) break;
        this.#remove(waiter);
        this.#shed(waiter, "waited");
      }
    }
  }

  snapshot(): readonly LaneSnapshot[] {
    return this.#byRank.map(({ name, inFlight, queue, capacity, admitted, waited, shed, longestWaitMs }) => ({
      lane: name,
      inFlight,
      waiting: queue.size,
      capacity: capacity === unbounded ? null : capacity,
      admitted,
      waited,
      shed,
      longestWaitMs: Math.round(longestWaitMs),
    }));
  }

  #hasRoom(lane: Lane): boolean {
    const most = lane.rule.mayUseReserve ? this.#capacity + this.#reserve : this.#capacity;
    return this.#inFlight < most && lane.inFlight < lane.capacity;
  }

  #admit(lane: Lane): void {
    lane.inFlight += 1;
    lane.admitted += 1;
    this.#inFlight += 1;
    this.#now = Math.max(lane.turn, this.#now);
    lane.turn = this.#now + 1 / lane.rule.weight;
  }

  #grant(): void {
    for (;;) {
      let best: Lane | null = null;
      for (const lane of this.#byRank) {
        if (lane.queue.size === 0 || !this.#hasRoom(lane)) continue;
        if (best === null || lane.turn < best.turn) best = lane;
      }
      const waiter = best?.queue.next ?? null;
      if (best === null || waiter === null) return;
      this.#remove(waiter, true);
      this.#admit(best);
      best.waited += 1;
      best.longestWaitMs = Math.max(best.longestWaitMs, this.#options.clock.nowMs() - waiter.sinceMs);
      waiter.go(null);
    }
  }

  /**
   * Makes room in a full queue: in the lowest lane below this one, who came last of the client that has most there goes. In lanes to which a path
   * alone leads, not for one who has more waiting than that client: a stranger could push everybody out.
   */
  #displaceBelow(above: Lane, who: string): boolean {
    const own = above.rule.isForAll ? above.queue.countOf(who) : 0;
    for (let rank = this.#byRank.length - 1; rank >= 0; rank -= 1) {
      const lane = this.#byRank[rank];
      if (lane === undefined || lane === above) return false;
      const waiter = lane.queue.mostsLast;
      if (waiter === null || lane.queue.countOf(waiter.who) < own) continue;
      this.#displace(waiter);
      return true;
    }
    return false;
  }

  /** In one's own lane: who has more waiting than the newcomer would have gives the last one up. */
  #displaceMost({ queue }: Lane, who: string): boolean {
    const waiter = queue.mostsLast;
    if (waiter === null || queue.countOf(waiter.who) <= queue.countOf(who) + 1) return false;
    this.#displace(waiter);
    return true;
  }

  #displace(waiter: Waiter): void {
    this.#remove(waiter);
    this.#shed(waiter, "displaced");
  }

  #shed({ lane, go }: Waiter, reason: ShedReason): void {
    lane.shed += 1;
    go({ lane: lane.name, reason, retryAfterSeconds: lane.rule.retryAfterSeconds });
  }

  #remove(waiter: Waiter, isServed = false): void {
    waiter.isWaiting = false;
    waiter.lane.queue.remove(waiter, isServed);
    this.#waiting -= 1;
    if (this.#waiting === 0) this.#options.onWaiting?.(false);
  }
}
