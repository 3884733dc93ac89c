import { isIP } from "node:net";
import { type Member, type MemberPlace, member } from "./pool.ts";
import type { ResolvedAddress } from "./pool-member.ts";

/** Members of one pool; further addresses of a name are not used. */
export const membersMax = 64;
/** After a failed connection a name is looked up again at most this often. */
const eagerLookMs = 1_000;

/** All addresses of a name. Rejects when there are none or nobody can say. */
export type LookupAll = (host: string) => Promise<readonly ResolvedAddress[]>;

export interface ConfiguredMember {
  readonly at: Member;
  readonly isBackup: boolean;
}

export interface ResolverOptions {
  readonly members: readonly ConfiguredMember[];
  readonly lookup: LookupAll;
  readonly everyMs: number;
  readonly nowMs: () => number;
  /** The members as they are now; called only when something changed. False: not taken, tell it again next time. */
  readonly changed: (places: readonly MemberPlace[]) => boolean;
  readonly failed: (host: string, detail: string) => void;
}

/**
 * Looks the members' names up again and again: containers get new addresses. A name with several addresses of one family is several
 * members (a scaled service); one of each family are two ways to the same one (`localhost`). When DNS does not answer, what it
 * said last stays. Does nothing when every member is an address.
 */
export class Resolver {
  readonly #options: ResolverOptions;
  readonly #known = new Map<string, readonly ResolvedAddress[]>();
  readonly #failing = new Set<string>();
  readonly #hosts: readonly string[];
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> | null = null;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #told = "";

  constructor(options: ResolverOptions) {
    this.#options = options;
    const names = options.members.map(({ at }) => at.host).filter((host) => isIP(host) === 0);
    this.#hosts = [...new Set(names)];
  }

  start(): void {
    if (this.#hosts.length === 0) return;
    this.#timer = setInterval(() => void this.look(), this.#options.everyMs);
    this.#timer.unref();
    void this.look();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** A connection failed: perhaps the name has moved. */
  lookSoon(): void {
    if (this.#timer !== null && this.#options.nowMs() - this.#lookedMs >= eagerLookMs) void this.look();
  }

  /** The pool was sent elsewhere and is back: what was told before is told again. */
  tellAgain(): void {
    this.#told = "";
    if (this.#timer !== null) void this.look();
  }

  /** Looks every name up, once at a time. Never rejects. */
  look(): Promise<void> {
    this.#lookedMs = this.#options.nowMs();
    this.#looking ??= this.#lookAll().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async #lookAll(): Promise<void> {
    await Promise.all(this.#hosts.map((host) => this.#lookUp(host)));
    if (this.#known.size === 0) return;
    const places = this.#options.members.flatMap((one) => this.#placesOf(one)).slice(0, membersMax);
    const text = JSON.stringify(places);
    if (text === this.#told) return;
    if (this.#options.changed(places)) this.#told = text;
  }

  async #lookUp(host: string): Promise<void> {
    try {
      const found = await this.#options.lookup(host);
      this.#failing.delete(host);
      // In one order, so that the same answer in another order is no change.
      const sorted = [...found].sort((a, b) => (a.address < b.address ? -1 : 1));
      if (sorted.length > 0) this.#known.set(host, sorted);
    } catch (error) {
      if (this.#failing.has(host)) return;
      this.#failing.add(host);
      this.#options.failed(host, error instanceof Error ? error.message : String(error));
    }
  }

  #placesOf({ at, isBackup }: ConfiguredMember): readonly MemberPlace[] {
    const known = this.#known.get(at.host) ?? [];
    const v4 = known.filter(({ family }) => family === 4);
    const v6 = known.filter(({ family }) => family === 6);
    if (v4.length < 2 && v6.length < 2) return [{ at, isBackup, addresses: known }];
    const several = v4.length >= v6.length ? v4 : v6;
    return several.map(({ address }) => ({ at: member(address, at.port), isBackup, addresses: [] }));
  }
}
