import type { Clock } from "../base/clock.ts";
import { choose, stickyKey, type Turn } from "./choose.ts";
import { PoolMember, type ResolvedAddress } from "./pool-member.ts";

/** One address of a pool. */
export interface Member {
  readonly host: string;
  readonly port: number;
  /** `host:port` for messages. */
  readonly name: string;
}

export function member(host: string, port: number): Member {
  return { host, port, name: host.includes(":") ? `[${host}]:${port}` : `${host}:${port}` };
}

/** A member as the settings and the resolver name it. */
export interface MemberPlace {
  readonly at: Member;
  readonly isBackup: boolean;
  /** Empty: not resolved (an address, or a name DNS does not know yet). */
  readonly addresses: readonly ResolvedAddress[];
}

export interface PoolOptions {
  readonly name: "web" | "bus";
  /** At least one. */
  readonly places: readonly MemberPlace[];
  readonly keepAlive: boolean;
  /** A session stays with its member as long as that is up. */
  readonly isSticky: boolean;
  readonly clock: Clock;
}

const none: readonly PoolMember[] = [];

/**
 * Equal upstreams of one kind. The web pool opens a connection for each exchange and only when the whole request can be
 * sent (Odoo's prefork server answers one request a connection and a silent socket holds a worker);
 * the bus pool keeps idle connections. With one member there is nothing to choose: it is asked whatever is known of it.
 */
export class Pool {
  readonly name: "web" | "bus";
  readonly keepAlive: boolean;
  readonly #isSticky: boolean;
  readonly #clock: Clock;
  readonly #turn: Turn = { next: 0 };
  #members: readonly [PoolMember, ...PoolMember[]];

  constructor(options: PoolOptions) {
    this.name = options.name;
    this.keepAlive = options.keepAlive;
    this.#isSticky = options.isSticky;
    this.#clock = options.clock;
    const [first, ...others] = options.places;
    if (first === undefined) throw new Error(`pool ${options.name} has no member`);
    this.#members = [this.#make(first), ...others.map((place) => this.#make(place))];
  }

  /** The first member. */
  get member(): PoolMember {
    return this.#members[0];
  }

  get members(): readonly PoolMember[] {
    return this.#members;
  }

  /** The member for a request of this session, among those not tried yet; null when all were. */
  pick(sessionId: string | null, tried: readonly PoolMember[] = none): PoolMember | null {
    if (this.#members.length === 1) return tried.length === 0 ? this.#members[0] : null;
    const key = this.#isSticky ? stickyKey(sessionId) : null;
    return choose(this.#members, key, tried, this.#clock.nowMs(), this.#turn);
  }

  /** Sends what follows elsewhere (bus fall-back and back); idle connections to the old members are closed. */
  redirect(to: Member): void {
    this.setPlaces([{ at: to, isBackup: false, addresses: [] }]);
  }

  /** Other members, or other addresses of theirs. Who stays a member keeps what is known of it; no members at all changes nothing. */
  setPlaces(places: readonly MemberPlace[]): void {
    const kept = new Map(this.#members.map((one) => [one.name, one]));
    const next = places.map((place) => {
      const old = kept.get(place.at.name);
      if (old === undefined || old.isBackup !== place.isBackup) return this.#make(place);
      kept.delete(place.at.name);
      old.moveTo(place.addresses);
      return old;
    });
    const [first, ...others] = next;
    if (first === undefined) return;
    this.#members = [first, ...others];
    for (const gone of kept.values()) gone.retire();
  }

  /** Closes idle connections. */
  close(): void {
    for (const one of this.#members) one.close();
  }

  #make({ at, isBackup, addresses }: MemberPlace): PoolMember {
    return new PoolMember(at, { keepAlive: this.keepAlive, isBackup }, addresses);
  }
}
