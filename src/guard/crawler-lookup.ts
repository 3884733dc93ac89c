import type { Ip } from "../base/ip.ts";
import { isPrivate, parseIp } from "../base/ip.ts";
import { type CrawlerMaker, isNameOf } from "./crawler-claims.ts";

/** What DNS says: an empty list is its word that there is none; null: nobody could say. */
export interface CrawlerDns {
  /** Names of an address (PTR). */
  names(address: string): Promise<readonly string[] | null>;
  /** Addresses of a name (A or AAAA). */
  addresses(name: string, family: 4 | 6): Promise<readonly string[] | null>;
  /** Gives up what is asked: nobody can say. */
  close(): void;
}

/**
 * `verified`: the address has a name of the maker's, and that name this address. `false`: its own name, confirmed likewise, is somebody
 * else's, or the maker's name leads elsewhere. `nameless`: it has no name, or one that nothing confirms. `unknown`: DNS did not say.
 */
export interface LookedUp {
  readonly found: "verified" | "false" | "nameless" | "unknown";
  /** A name of the address, which whoever holds the address chose; null: none. */
  readonly name: string | null;
}

/** Names of one address that are looked at; who gives it more means nothing good. */
const namesMax = 4;
const nameCharsMax = 253;

/** Looks an address up, there and back: one question for its names, and one for each of up to four of them. */
export async function lookUpCrawler(dns: CrawlerDns, maker: CrawlerMaker, ip: Ip): Promise<LookedUp> {
  const told = await dns.names(ip.text);
  if (told === null) return { found: "unknown", name: null };
  const names = told.filter((name) => name !== "" && name.length <= nameCharsMax);
  const own = names.filter((name) => isNameOf(maker, name)).slice(0, namesMax);
  const [name = null] = own.length > 0 ? own : names;
  // Their name tells whose it is, if it is theirs.
  const confirmed = await Promise.all(
    (own.length > 0 ? own : names.slice(0, 1)).map((one) => leadsTo(dns, one, ip)),
  );
  if (own.length === 0) {
    const [leads = "nowhere"] = confirmed;
    if (leads === "unknown") return { found: "unknown", name };
    return { found: leads === "back" ? "false" : "nameless", name };
  }
  if (confirmed.includes("back")) return { found: "verified", name };
  if (confirmed.includes("unknown")) return { found: "unknown", name };
  return { found: confirmed.includes("elsewhere") ? "false" : "nameless", name };
}

/** Where a name leads. A blocking resolver answers with 0.0.0.0 or an address of its own network, which says nothing. */
async function leadsTo(
  dns: CrawlerDns,
  name: string,
  ip: Ip,
): Promise<"back" | "elsewhere" | "nowhere" | "unknown"> {
  const addresses = await dns.addresses(name, ip.family);
  if (addresses === null) return "unknown";
  const read = addresses.flatMap((text) => parseIp(text) ?? []);
  if (read.some(({ text }) => text === ip.text)) return "back";
  if (read.some((one) => isPrivate(one) || one.value === 0n)) return "unknown";
  return read.length === 0 ? "nowhere" : "elsewhere";
}
