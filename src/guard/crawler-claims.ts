/** A maker of crawlers whose addresses can be told by DNS, as its own documentation says. */
export interface CrawlerMaker {
  readonly name: "Google" | "Bing" | "Apple" | "Yandex" | "Baidu" | "Seznam" | "Amazon";
  /** What its crawlers' User-Agents hold, in small letters. */
  readonly words: readonly string[];
  /** Names of its crawlers' addresses end so. */
  readonly domains: readonly string[];
}

/**
 * Makers that document names for reverse and forward look-up. Not `googleusercontent.com`: machines that Google's customers rent have names
 * there, too. DuckDuckGo, OpenAI and others publish lists of addresses instead, and are taken as before.
 */
const makers: readonly CrawlerMaker[] = [
  // developers.google.com/search/docs/crawling-indexing/verifying-googlebot: common crawlers googlebot.com, special ones google.com.
  {
    name: "Google",
    words: [
      "googlebot",
      "google-inspectiontool",
      "googleother",
      "storebot-google",
      "adsbot-google",
      "mediapartners-google",
      "apis-google",
    ],
    domains: [".googlebot.com", ".google.com"],
  },
  // bing.com/webmasters/help/how-to-verify-bingbot-3905dc26
  { name: "Bing", words: ["bingbot", "msnbot", "adidxbot", "bingpreview"], domains: [".search.msn.com"] },
  // support.apple.com/119829
  { name: "Apple", words: ["applebot"], domains: [".applebot.apple.com"] },
  // yandex.com/support/webmaster/robot-workings/check-yandex-robots.html
  {
    name: "Yandex",
    words: [
      "yandexbot",
      "yandexmobilebot",
      "yandeximages",
      "yandexrenderresourcesbot",
      "yandexaccessibilitybot",
    ],
    domains: [".yandex.ru", ".yandex.net", ".yandex.com"],
  },
  // help.baidu.com, "How can I know the crawling is from Baiduspider"
  { name: "Baidu", words: ["baiduspider"], domains: [".baidu.com", ".baidu.jp"] },
  // napoveda.seznam.cz/en/seznambot-crawler, PTR records
  { name: "Seznam", words: ["seznambot"], domains: [".seznam.cz"] },
  // developer.amazon.com/amazonbot
  { name: "Amazon", words: ["amazonbot"], domains: [".crawl.amazonbot.amazon"] },
];

/** Only this much of a User-Agent is looked at, in characters. */
const agentCharsMax = 512;

/** Whose crawler a User-Agent says it is; null: of nobody whose addresses can be told. */
export function crawlerClaim(userAgent: string): CrawlerMaker | null {
  const text = userAgent.slice(0, agentCharsMax).toLowerCase();
  for (const maker of makers) if (maker.words.some((word) => text.includes(word))) return maker;
  return null;
}

/** Is it the name of one of the maker's crawlers, as far as names go. Without regard to capitals; a dot at the end is none of it. */
export function isNameOf({ domains }: CrawlerMaker, name: string): boolean {
  const text = name.toLowerCase().replace(/\.$/, "");
  return domains.some((domain) => text.endsWith(domain));
}
