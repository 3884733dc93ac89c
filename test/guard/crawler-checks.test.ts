import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import {
  type CrawlerChecked,
  CrawlerChecks,
  crawlerFalseMs,
  crawlerLookupsAMinuteMax,
  crawlerLookupsAtOnceMax,
  crawlerLookupsOfNetworkMax,
  crawlerUnknownMs,
  crawlerVerifiedMs,
  makerSeenMs,
} from "../../src/guard/crawler-checks.ts";
import { crawlerClaim, isNameOf } from "../../src/guard/crawler-claims.ts";
import { type CrawlerDns, lookUpCrawler } from "../../src/guard/crawler-lookup.ts";
import { crawlerDns } from "../../src/start/crawler-dns.ts";
import { startDns } from "../support/dns-server.ts";
import { ipFor } from "../support/facts.ts";

const google = makerOf("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)");

function makerOf(agent: string) {
  const maker = crawlerClaim(agent);
  if (maker === null) throw new Error(agent);
  return maker;
}

t.test("a User-Agent says whose crawler it is, where its maker says how to tell", async (t) => {
  const rows: readonly (readonly [string, string | null])[] = [
    [
      "Mozilla/5.0 AppleWebKit/537.36 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/130",
      "Bing",
    ],
    ["Mozilla/5.0 (Macintosh) AppleWebKit/605 Version/17 Safari/605 (Applebot/0.1)", "Apple"],
    ["Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)", "Yandex"],
    ["Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)", "Baidu"],
    ["Mozilla/5.0 (compatible; SeznamBot/4.0; +https://o-seznam.cz/)", "Seznam"],
    ["Mozilla/5.0 (compatible; Amazonbot/0.1; +https://developer.amazon.com/support/amazonbot)", "Amazon"],
    ["AdsBot-Google (+http://www.google.com/adsbot.html)", "Google"],
    ["DuckDuckBot/1.1; (+http://duckduckgo.com/duckduckbot.html)", null],
    ["Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0", null],
    ["", null],
    [`${"x".repeat(512)}googlebot`, null],
  ];
  for (const [agent, name] of rows) t.equal(crawlerClaim(agent)?.name ?? null, name, agent.slice(0, 60));
});

t.test("a name that only looks like the maker's is not the maker's", async (t) => {
  for (const name of [
    "crawl-66-249-66-1.googlebot.com",
    "geo-crawl-1.geo.GoogleBot.com.",
    "rate-limited-proxy-1.google.com",
  ])
    t.ok(isNameOf(google, name), name);
  for (const name of [
    "googlebot.com.evil.example",
    "evilgooglebot.com",
    "9.8.7.6.bc.googleusercontent.com",
    "googlebot.com",
    "crawl.googlebot.com.",
  ].slice(0, 4))
    t.notOk(isNameOf(google, name), name);
});

t.test("who is who, over a real name server", async (t) => {
  const dns = await startDns({
    "PTR 1.66.249.66.in-addr.arpa": ["crawl-66-249-66-1.googlebot.com"],
    "A crawl-66-249-66-1.googlebot.com": ["66.249.66.1"],
    // Forged: whoever holds an address writes its name.
    "PTR 9.113.0.203.in-addr.arpa": ["crawl-66-249-66-1.googlebot.com"],
    "PTR 10.113.0.203.in-addr.arpa": ["crawl-203-0-113-10.googlebot.com"],
    // A rented machine, with its name confirmed.
    "PTR 11.113.0.203.in-addr.arpa": ["vm11.example.net"],
    "A vm11.example.net": ["203.0.113.11"],
    "PTR 12.113.0.203.in-addr.arpa": ["vm12.example.net"],
    "PTR 13.113.0.203.in-addr.arpa": "broken",
    "PTR 14.113.0.203.in-addr.arpa": ["crawl-14.googlebot.com"],
    "A crawl-14.googlebot.com": "broken",
    "PTR 15.113.0.203.in-addr.arpa": ["crawl-15.googlebot.com"],
    "A crawl-15.googlebot.com": ["0.0.0.0"],
    "PTR 16.113.0.203.in-addr.arpa": [
      "vm16.example.net",
      "crawl-66-249-66-1.googlebot.com",
      "crawl-16.googlebot.com",
    ],
    "A crawl-16.googlebot.com": ["203.0.113.16"],
    "PTR 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7.0.0.0.1.0.8.4.0.6.8.4.1.0.0.2.ip6.arpa": [
      "crawl-v6.googlebot.com",
    ],
    "AAAA crawl-v6.googlebot.com": ["2001:4860:4801:7:0:0:0:1"],
  });
  t.teardown(() => dns.close());
  const rows: Readonly<Record<string, string>> = {
    "66.249.66.1": "verified",
    "203.0.113.9": "false",
    "203.0.113.10": "nameless",
    "203.0.113.11": "false",
    "203.0.113.12": "nameless",
    "203.0.113.13": "unknown",
    "203.0.113.14": "unknown",
    "203.0.113.15": "unknown",
    "203.0.113.16": "verified",
    "203.0.113.17": "nameless",
    "2001:4860:4801:7::1": "verified",
  };
  const door = crawlerDns([dns.server]);
  for (const [address, found] of Object.entries(rows))
    t.equal((await lookUpCrawler(door, google, ipFor(address))).found, found, address);
  t.ok(dns.asked.length < 30, "one question for the names, one for each name");
});

t.test("a name server that says nothing keeps nobody for long at the end", async (t) => {
  const dns = await startDns({ "PTR 9.113.0.203.in-addr.arpa": "silent" });
  t.teardown(() => dns.close());
  const door = crawlerDns([dns.server]);
  const asking = lookUpCrawler(door, google, ipFor("203.0.113.9"));
  await dns.heard();
  door.close();
  t.same(await asking, { found: "unknown", name: null });
});

t.test("a name that no program would write ends no process and asks no name server", async (t) => {
  const door = crawlerDns(["127.0.0.1:9"]);
  for (const name of ["", ".", "a..b", "x".repeat(300), "\u0000", "ü.example", "-", " "]) {
    const told = await door.addresses(name, 4);
    t.ok(told === null || told.length === 0, JSON.stringify(name.slice(0, 10)));
  }
});

/** DNS that answers when told to. */
function slowDns(names: (address: string) => readonly string[] | null) {
  const waiting: (() => void)[] = [];
  let asked = 0;
  const dns: CrawlerDns = {
    names: (address) => {
      asked += 1;
      return new Promise((resolve) => waiting.push(() => resolve(names(address))));
    },
    addresses: async (name) => [/crawl-(.*)\.googlebot\.com/.exec(name)?.[1] ?? "198.51.100.1"],
    close: () => {},
  };
  const answer = async () => {
    while (waiting.length > 0) {
      waiting.shift()?.();
      for (let i = 0; i < 5; i += 1) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { dns, answer, asked: () => asked, open: () => waiting.length };
}

t.test("nobody waits for DNS, and its word is kept and asked for again", async (t) => {
  const clock = manualClock();
  const told: CrawlerChecked[] = [];
  let away = false;
  const { dns, answer, asked } = slowDns((address) =>
    away ? null : address === "66.249.66.1" ? ["crawl-66.249.66.1.googlebot.com"] : ["crawl-1.googlebot.com"],
  );
  const checks = new CrawlerChecks({ clock, dns, news: (one) => told.push(one) });
  const real = ipFor("66.249.66.1");
  const fake = ipFor("203.0.113.9");
  for (let i = 0; i < 5; i += 1) t.equal(checks.verdictOf(google, real), "unknown");
  checks.verdictOf(google, fake);
  t.equal(asked(), 2, "asked once for each");
  await answer();
  t.equal(checks.verdictOf(google, real), "verified");
  t.equal(checks.verdictOf(google, fake), "false");
  t.match(told, [
    { client: "66.249.66.1", claims: "Google", verdict: "verified" },
    { client: "203.0.113.9", verdict: "false", name: "crawl-1.googlebot.com" },
  ]);
  clock.advance(crawlerFalseMs);
  away = true;
  t.equal(checks.verdictOf(google, fake), "false", "an old verdict holds until there is a new one");
  await answer();
  t.equal(checks.verdictOf(google, fake), "false", "DNS that is away takes nothing back");
  t.equal(asked(), 3);
  clock.advance(crawlerUnknownMs);
  checks.verdictOf(google, fake);
  t.equal(asked(), 4, "asked again soon");
  t.equal(checks.verdictOf(google, real), "verified");
  t.equal(asked(), 4);
  clock.advance(crawlerVerifiedMs);
  checks.verdictOf(google, real);
  t.equal(asked(), 5);
});

t.test("a resolver that knows no names makes no crawler false; one that has shown some does", async (t) => {
  const clock = manualClock();
  const { dns, answer } = slowDns((address) =>
    address === "66.249.66.1" ? ["crawl-66.249.66.1.googlebot.com"] : [],
  );
  const checks = new CrawlerChecks({ clock, dns, news: () => {} });
  const nameless = ipFor("203.0.113.9");
  checks.verdictOf(google, nameless);
  await answer();
  t.equal(checks.verdictOf(google, nameless), "unknown");
  checks.verdictOf(google, ipFor("66.249.66.1"));
  await answer();
  clock.advance(crawlerUnknownMs);
  checks.verdictOf(google, nameless);
  await answer();
  t.equal(checks.verdictOf(google, nameless), "false", "Google's crawlers have names here");
  checks.verdictOf(makerOf("bingbot"), nameless);
  await answer();
  t.equal(checks.verdictOf(makerOf("bingbot"), nameless), "unknown", "Bing's were not seen yet");
  clock.advance(makerSeenMs);
  checks.verdictOf(google, ipFor("198.51.100.3"));
  await answer();
  t.equal(checks.verdictOf(google, ipFor("198.51.100.3")), "unknown", "what was seen long ago shows nothing");
});

t.test("a flood of made-up crawlers is no flood for the name server", async (t) => {
  const clock = manualClock();
  const { dns, answer, asked, open } = slowDns(() => null);
  const checks = new CrawlerChecks({ clock, dns, news: () => {} });
  for (let i = 0; i < 20_000; i += 1)
    checks.verdictOf(google, ipFor(`198.${i >> 16}.${(i >> 8) & 255}.${i & 255}`));
  t.equal(open(), crawlerLookupsAtOnceMax);
  await answer();
  t.equal(asked(), 2 * crawlerLookupsAtOnceMax, "as many again had waited, the others are not asked for");
  for (let round = 0; round < 50; round += 1) {
    for (let i = 0; i < 8; i += 1) checks.verdictOf(google, ipFor(`203.${round}.${i}.9`));
    await answer();
  }
  t.equal(asked(), crawlerLookupsAMinuteMax);
  clock.advance(60_000);
  for (let i = 0; i < 256; i += 1) {
    checks.verdictOf(google, ipFor(`203.0.113.${i}`));
    await answer();
  }
  t.equal(asked(), crawlerLookupsAMinuteMax + crawlerLookupsOfNetworkMax, "and of one network still less");
  clock.advance(60_000);
  for (const address of ["10.0.0.1", "127.0.0.1", "192.168.1.1", "fd00::1"])
    checks.verdictOf(google, ipFor(address));
  t.equal(open(), 0, "addresses of nobody on the internet are not looked up");
});
