/**
 * Words that programs which read whole sites put into their User-Agent, in lower case. Their makers' own documentation names them; the
 * four general words cover most of the rest. A crawler that hides among browsers is an anonymous visitor.
 */
const words = [
  "bot",
  "crawl",
  "spider",
  "scrap",
  "slurp",
  "facebookexternalhit",
  "meta-externalagent",
  "mediapartners-google",
  "googleother",
  "bingpreview",
  "yandex",
  "duckduckgo-favicons",
  "ia_archiver",
  "archive.org",
  "chatgpt-user",
  "perplexity",
  "cohere-ai",
  "bytespider",
  "diffbot",
  "ahrefs",
  "semrush",
  "screaming frog",
  "lighthouse",
  "python-requests",
  "python-urllib",
  "go-http-client",
  "libwww-perl",
  "httrack",
] as const;

/** Only this much of a User-Agent is looked at, in characters. */
const agentCharsMax = 512;

/** Does a User-Agent say that it reads whole sites. A false one costs its sender nothing while there is room. */
export function isCrawler(userAgent: string): boolean {
  const text = userAgent.slice(0, agentCharsMax).toLowerCase();
  // No person's browser calls itself nothing.
  if (text === "") return true;
  return words.some((word) => text.includes(word));
}
