import { BoundedMap } from "../base/bounded-map.ts";
import type { Clock } from "../base/clock.ts";
import { ownCopy } from "../base/flat.ts";
import { type Ip, ipNetworkText, isPrivate } from "../base/ip.ts";
import type { CrawlerMaker } from "./crawler-claims.ts";
import { type CrawlerDns, type LookedUp, lookUpCrawler } from "./crawler-lookup.ts";

/** Verdicts remembered; past it the ones asked for longest ago are looked up again. */
export const crawlerVerdictsMax = 10_000;
export const crawlerVerifiedMs = 86_400_000;
export const crawlerFalseMs = 6 * 3_600_000;
/** Where DNS did not say. */
export const crawlerUnknownMs = 15 * 60_000;
/** A maker whose crawler was verified so long ago shows that DNS names are seen here: an address without one is none of its. */
export const makerSeenMs = 7 * 86_400_000;
/** Look-ups at once; as many again wait. What is more is not looked up now. */
export const crawlerLookupsAtOnceMax = 4;
/** Look-ups begun in a minute, of all addresses and of one network (IPv4 /24, IPv6 /48). */
export const crawlerLookupsAMinuteMax = 60;
export const crawlerLookupsOfNetworkMax = 6;
const windowMs = 60_000;

/** `unknown`: nobody knows (yet), and it is taken as before. */
export type CrawlerVerdict = "verified" | "false" | "unknown";

/** One look-up that ended. */
export interface CrawlerChecked {
  readonly client: string;
  readonly claims: CrawlerMaker["name"];
  readonly verdict: CrawlerVerdict;
  /** A name of the address, chosen by whoever holds it; null: none. */
  readonly name: string | null;
}

interface Known {
  readonly verdict: CrawlerVerdict;
  readonly untilMs: number;
}

export interface CrawlerChecksOptions {
  readonly clock: Pick<Clock, "nowMs">;
  readonly dns: CrawlerDns;
  readonly news: (checked: CrawlerChecked) => void;
}

/**
 * Whether those who say they are a search engine's crawler are. Nobody waits for it: until DNS has said, a claim is a claim. Looked up once an address and
 * maker and day; strangers, who can make up any number of addresses' claims, have sixty look-ups begun in a minute, six from one network.
 */
export class CrawlerChecks {
  readonly #options: CrawlerChecksOptions;
  readonly #known = new BoundedMap<string, Known>(crawlerVerdictsMax);
  /** Seven makers at most. */
  readonly #makerSeenMs = new Map<CrawlerMaker["name"], number>();
  readonly #running = new Set<string>();
  #waiting: { readonly key: string; readonly maker: CrawlerMaker; readonly ip: Ip }[] = [];
  #windowOpenMs = Number.NEGATIVE_INFINITY;
  #begun = 0;
  /** At most `crawlerLookupsAMinuteMax`. */
  readonly #begunOfNetwork = new Map<string, number>();

  constructor(options: CrawlerChecksOptions) {
    this.#options = options;
  }

  /** What is known of this claim now; asks DNS where that is due. */
  verdictOf(maker: CrawlerMaker, ip: Ip): CrawlerVerdict {
    // No address of the internet: no crawler comes from there, but one that a proxy hides does.
    if (isPrivate(ip)) return "unknown";
    const key = `${maker.name} ${ip.text}`;
    const known = this.#known.get(key);
    const nowMs = this.#options.clock.nowMs();
    if (known === undefined || nowMs >= known.untilMs) this.#look(key, maker, ip, nowMs);
    // An old verdict holds until there is a new one.
    return known?.verdict ?? "unknown";
  }

  #look(key: string, maker: CrawlerMaker, ip: Ip, nowMs: number): void {
    if (this.#running.has(key) || this.#waiting.some((one) => one.key === key)) return;
    if (this.#waiting.length >= crawlerLookupsAtOnceMax || !this.#mayBegin(ip, nowMs)) return;
    const asked = { key: ownCopy(key), maker, ip };
    if (this.#running.size < crawlerLookupsAtOnceMax) void this.#run(asked);
    else this.#waiting.push(asked);
  }

  #mayBegin(ip: Ip, nowMs: number): boolean {
    if (nowMs - this.#windowOpenMs >= windowMs) {
      this.#windowOpenMs = nowMs;
      this.#begun = 0;
      this.#begunOfNetwork.clear();
    }
    const network = ipNetworkText(ip);
    const ofNetwork = this.#begunOfNetwork.get(network) ?? 0;
    if (this.#begun >= crawlerLookupsAMinuteMax || ofNetwork >= crawlerLookupsOfNetworkMax) return false;
    this.#begun += 1;
    this.#begunOfNetwork.set(network, ofNetwork + 1);
    return true;
  }

  async #run(asked: { readonly key: string; readonly maker: CrawlerMaker; readonly ip: Ip }): Promise<void> {
    const { key, maker, ip } = asked;
    this.#running.add(key);
    const looked = await lookUpCrawler(this.#options.dns, maker, ip);
    this.#running.delete(key);
    this.#learn(key, maker, ip, looked);
    const next = this.#waiting.shift();
    if (next !== undefined) void this.#run(next);
  }

  #learn(key: string, maker: CrawlerMaker, ip: Ip, { found, name }: LookedUp): void {
    const nowMs = this.#options.clock.nowMs();
    const seenMs = this.#makerSeenMs.get(maker.name) ?? Number.NEGATIVE_INFINITY;
    const isMakerSeen = nowMs - seenMs < makerSeenMs;
    // A resolver that knows no names of the internet at all would make every crawler false.
    const verdict = found === "nameless" ? (isMakerSeen ? "false" : "unknown") : found;
    if (verdict === "verified") this.#makerSeenMs.set(maker.name, nowMs);
    const before = this.#known.get(key)?.verdict;
    // DNS that is away takes nothing back.
    const kept = found === "unknown" && before !== undefined ? before : verdict;
    this.#known.set(key, {
      verdict: kept,
      untilMs: nowMs + lifeMs[found === "unknown" ? "unknown" : verdict],
    });
    this.#options.news({ client: ip.text, claims: maker.name, verdict, name });
  }
}

const lifeMs: Readonly<Record<CrawlerVerdict, number>> = {
  verified: crawlerVerifiedMs,
  false: crawlerFalseMs,
  unknown: crawlerUnknownMs,
};
