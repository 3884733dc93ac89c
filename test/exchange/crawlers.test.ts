import t from "tap";
import { crawlerDns } from "../../src/start/crawler-dns.ts";
import { startDns } from "../support/dns-server.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { sessionPair } from "../support/upstream-raw.ts";
import { h1, until } from "./clients.ts";

const googlebot = "User-Agent: Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
const real = "66.249.66.1";
const fake = "203.0.113.9";

const dns = await startDns({
  "PTR 1.66.249.66.in-addr.arpa": ["crawl-66-249-66-1.googlebot.com"],
  "A crawl-66-249-66-1.googlebot.com": [real],
  "PTR 9.113.0.203.in-addr.arpa": ["vm9.example.net"],
  "A vm9.example.net": [fake],
});
t.teardown(() => dns.close());

/** A gateway behind a proxy on this machine, which says who the clients are. */
const start = (env: Readonly<Record<string, string>>) =>
  startTestGateway({
    env: { TRUSTED_PROXIES: "127.0.0.1", ...env },
    crawlerDns: crawlerDns([dns.server]),
  });

const ask = (gateway: TestGateway, path: string, from: string, lines: string[] = [googlebot]) =>
  h1(gateway, `GET ${path}`, [`X-Forwarded-For: ${from}`, ...lines]);

const checked = (gateway: TestGateway, client: string) =>
  gateway.event((event) => event.type === "crawler-checked" && event.client === client);

const lanes = (gateway: TestGateway, client: string) =>
  gateway
    .records()
    .filter((record) => record.client === client)
    .map(({ lane }) => lane);

t.test("off, nobody is looked up", async (t) => {
  const gateway = await start({});
  t.teardown(() => gateway.close());
  const before = dns.asked.length;
  await ask(gateway, "/contactus", fake);
  await ask(gateway, "/contactus", fake);
  t.equal(dns.asked.length, before);
  t.same(lanes(gateway, fake), ["crawler", "crawler"]);
});

t.test("a false Googlebot is slowed down and told, a real one gains and loses nothing", async (t) => {
  const gateway = await start({ FAKE_CRAWLERS: "slow" });
  t.teardown(() => gateway.close());
  t.equal((await ask(gateway, "/contactus", fake)).status, 200, "nobody waits for DNS");
  t.match(await checked(gateway, fake), { claims: "Google", verdict: "false", name: "vm9.example.net" });
  await ask(gateway, "/contactus", real);
  t.match(await checked(gateway, real), { verdict: "verified", name: "crawl-66-249-66-1.googlebot.com" });
  await ask(gateway, "/contactus", real);
  await ask(gateway, "/web/login", fake);
  t.same(lanes(gateway, real), ["crawler", "crawler"]);
  t.same(lanes(gateway, fake), ["crawler", "fake"], "also where others come first");
  const statuses: number[] = [];
  for (let i = 0; i < 25; i += 1) statuses.push((await ask(gateway, "/contactus", fake)).status);
  t.ok(statuses.includes(429) && statuses.slice(0, 10).every((status) => status === 200), statuses.join(" "));
  t.ok(gateway.records().some(({ client, limit }) => client === fake && limit === "fake-crawler"));
  t.equal(
    (await ask(gateway, "/contactus", fake, ["User-Agent: Mozilla/5.0 Firefox/144.0"])).status,
    200,
    "who says what he is, is a visitor",
  );
  t.notOk(gateway.events.some(({ type }) => type === "strike" || type === "ban"));
});

t.test("with strike a false Googlebot is banned as a scanner is, and only he", async (t) => {
  const gateway = await start({ FAKE_CRAWLERS: "strike" });
  t.teardown(() => gateway.close());
  await ask(gateway, "/contactus", fake);
  await checked(gateway, fake);
  for (let i = 0; i < 25; i += 1) await ask(gateway, "/contactus", fake);
  await until(() => gateway.events.some(({ type }) => type === "ban"));
  t.match(
    gateway.events.find(({ type }) => type === "ban"),
    { client: fake, why: "scanner" },
  );
  t.equal((await ask(gateway, "/contactus", fake, ["User-Agent: Mozilla/5.0 Firefox/144.0"])).status, 403);
  t.equal((await ask(gateway, "/contactus", real)).status, 200);
});

t.test("trusted networks and people who are logged in may call themselves what they like", async (t) => {
  const gateway = await start({ FAKE_CRAWLERS: "strike", TRUSTED_NETWORKS: "198.51.100.0/24" });
  t.teardown(() => gateway.close());
  const before = dns.asked.length;
  await ask(gateway, "/contactus", "198.51.100.7");
  const body = JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    params: { db: "prod", login: "admin", password: "admin" },
  });
  const login = await h1(
    gateway,
    "POST /web/session/authenticate",
    [`X-Forwarded-For: ${fake}`, "Content-Type: application/json", "User-Agent: Mozilla/5.0 Firefox/144.0"],
    body,
  );
  await ask(gateway, "/odoo", fake, [googlebot, `Cookie: ${sessionPair(login)}`]);
  t.equal(dns.asked.length, before);
});
