import { Resolver } from "node:dns/promises";
import { parseIp } from "../base/ip.ts";
import type { CrawlerDns } from "../guard/crawler-lookup.ts";

const tries = 2;
const tryMs = 2_000;
/** No question takes longer, whatever the resolver does with its tries and servers. */
const questionMs = 8_000;

/** What a resolver says when there is no such name, or no such record: its word, and no failure. */
const noSuch: ReadonlySet<string> = new Set(["ENOTFOUND", "ENODATA"]);

/**
 * The system's resolvers (/etc/resolv.conf, read anew for each question), asked without threads. Never rejects. `servers`: others than the system's,
 * `address:port`.
 */
export function crawlerDns(servers: readonly string[] = []): CrawlerDns {
  /** At most five questions for each look-up (guard/crawler-checks). */
  const open = new Set<Resolver>();
  const ask = async (
    question: (resolver: Resolver) => Promise<string[]>,
  ): Promise<readonly string[] | null> => {
    const resolver = new Resolver({ timeout: tryMs, tries });
    const timer = setTimeout(() => resolver.cancel(), questionMs);
    timer.unref();
    try {
      if (servers.length > 0) resolver.setServers(servers);
      open.add(resolver);
      return await question(resolver);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : "";
      return typeof code === "string" && noSuch.has(code) ? [] : null;
    } finally {
      clearTimeout(timer);
      open.delete(resolver);
    }
  };
  return {
    // Not `reverse`, which looks into /etc/hosts and takes a server that failed for one that knows no name.
    names: (address) => ask((resolver) => resolver.resolvePtr(reverseName(address))),
    addresses: (name, family) =>
      ask((resolver) => (family === 4 ? resolver.resolve4(name) : resolver.resolve6(name))),
    // A question under way would keep the process.
    close: () => {
      for (const resolver of open) resolver.cancel();
    },
  };
}

/** RFC 1035 §3.5, RFC 3596 §2.5. */
function reverseName(address: string): string {
  const ip = parseIp(address);
  if (ip === null) return "";
  if (ip.family === 4) return `${ip.text.split(".").reverse().join(".")}.in-addr.arpa`;
  return `${[...ip.value.toString(16).padStart(32, "0")].reverse().join(".")}.ip6.arpa`;
}
