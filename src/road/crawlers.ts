import { ipKey64 } from "../base/ip.ts";
import { crawlerClaim } from "../guard/crawler-claims.ts";
import type { RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import type { Limit } from "../policy/decision.ts";
import type { RunningExchange } from "../running.ts";
import type { Answering } from "./answering.ts";
import type { GatewayParts } from "./parts.ts";

/** What an address that is not the search engine it claims to be gets, before every other limit. */
export const fakeCrawlerLimit: Limit = Object.freeze({
  name: "fake-crawler",
  ratePerSecond: 1,
  burst: 20,
  key: "client",
  refund: false,
});

/** Those who say they are a search engine's crawler, and are not (FAKE_CRAWLERS). */
export class CrawlerStage {
  readonly #parts: GatewayParts;
  readonly #answer: Answering;

  constructor(parts: GatewayParts, answer: Answering) {
    this.#parts = parts;
    this.#answer = answer;
  }

  /**
   * guard/crawler-checks: is it a false one, as far as DNS has said. Sessions that logged in, and networks that are trusted, may call themselves what
   * they like.
   */
  poses(x: RunningExchange, facts: RequestFacts): boolean {
    if (x.plan.settings.fakeCrawlers === "off" || x.sessionKey !== null || x.isSpared(facts)) return false;
    const maker = crawlerClaim(firstField(facts.fields, "user-agent") ?? "");
    x.isFakeCrawler = maker !== null && this.#parts.crawlers.verdictOf(maker, facts.client) === "false";
    return x.isFakeCrawler;
  }

  /** A false one: may it go on; false when it has been answered. */
  async admits(x: RunningExchange, facts: RequestFacts): Promise<boolean> {
    const { jail, limiter } = this.#parts;
    const rules = x.plan.jailRules;
    const address = ipKey64(facts.client);
    if (x.plan.settings.fakeCrawlers === "strike" && rules !== null)
      jail.scanned({ client: facts.client.text, address }, rules);
    const asked = limiter.check([fakeCrawlerLimit], { address, session: null, account: null });
    const answer = asked instanceof Promise ? await asked : asked;
    return this.#answer.granted(x, facts, answer) !== null;
  }
}
