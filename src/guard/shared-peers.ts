import { BoundedMap } from "../base/bounded-map.ts";
import { ipKey64, isPrivate } from "../base/ip.ts";
import type { RequestFacts } from "../message/facts.ts";

/** Addresses remembered; a site has one or two proxies, and only private addresses get here. */
export const sharedPeersMax = 256;

/**
 * Addresses that are certainly a proxy which TRUSTED_PROXIES does not name: private, with forwarding fields on their requests, and
 * somebody logged in through them. A ban of such an address would lock the whole company out for one stranger's guesses, so
 * there is none (docs/decisions/0011). A stranger cannot get here: the address of his connection is not private, and a neighbour who
 * forges the fields has to log in first, and is limited like anybody.
 */
export class SharedPeers {
  readonly #seen: BoundedMap<string, true>;
  readonly #news: ((address: string) => void) | null;

  /** `news` hears of each address that is new. */
  constructor(max: number = sharedPeersMax, news: ((address: string) => void) | null = null) {
    this.#seen = new BoundedMap(max);
    this.#news = news;
  }

  /** Takes over what another worker saw. */
  mirror(address: string): void {
    this.#seen.set(address, true);
  }

  /** A log-in through this exchange succeeded. */
  loggedIn({ peer, untrustedForwarding }: Pick<RequestFacts, "peer" | "untrustedForwarding">): void {
    if (untrustedForwarding === null || !isPrivate(peer)) return;
    const address = ipKey64(peer);
    if (this.#seen.get(address) === undefined) this.#news?.(address);
    this.#seen.set(address, true);
  }

  /** `address`: as `ipKey64` gives it. */
  has(address: string): boolean {
    return this.#seen.get(address) === true;
  }
}
