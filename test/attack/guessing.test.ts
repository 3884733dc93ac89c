import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { ipKey64, parseIp } from "../../src/base/ip.ts";
import { Jail } from "../../src/guard/jail.ts";
import { jailRules } from "../../src/guard/jail-rules.ts";
import { h1, h2, openHttp2, openTls, requestText, until } from "../exchange/clients.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { rawTalk } from "../support/upstream-raw.ts";

const json = "Content-Type: application/json";
const proxied = { TRUSTED_PROXIES: "127.0.0.1" };
const rpc = (params: object) => JSON.stringify({ jsonrpc: "2.0", id: 1, params });
const param = (value: string | number) =>
  `<param><value>${typeof value === "number" ? `<int>${value}</int>` : `<string>${value}</string>`}</value></param>`;
const xml = (method: string, ...params: (string | number)[]) =>
  `<?xml version="1.0"?><methodCall><methodName>${method}</methodName><params>${params.map(param).join("")}</params></methodCall>`;

/** Requests of these paths that Odoo saw. */
function tried(gateway: TestGateway, path: string): number {
  return gateway.demo.requests.filter((request) => request.path.includes(path)).length;
}

t.test(
  "no door lets more than five guesses at one account through, in whatever way they are written",
  async (t) => {
    const wide = rpc({ db: "prod", login: "admin", password: "x" });
    const escaped = wide.replace('"login"', '"\\u006cogin"');
    const doors: readonly [string, string, string][] = [
      ["POST /web/session/authenticate", json, wide],
      ["PUT /fr/web/session/authenticate", "Content-Type: application/json-rpc", escaped],
      ["POST /english/xmlrpc/2/common", "Content-Type: text/xml", xml("login", "prod", "admin", "x")],
      ["POST /xmlrpc/common", "Content-Type: text/plain", xml("authenticate", "prod", "admin", "x")],
      [
        "POST /xmlrpc/2/object",
        "Content-Type: text/xml",
        xml("execute_kw", "prod", 2, "x", "res.users", "read"),
      ],
      ["GET /jsonrpc", json, rpc({ service: "common", method: "login", args: ["prod", "admin", "x"] })],
      [
        "POST /fr/jsonrpc",
        json,
        rpc({ service: "object", method: "execute_kw", args: ["prod", 2, "x", "res.users", "read"] }),
      ],
      ["POST /base_import_module/login_upload?login=admin&password=x", json, ""],
      [
        "POST /base_import_module/login_upload",
        "Content-Type: application/x-www-form-urlencoded",
        "lo%67in=admin&password=x",
      ],
    ];
    for (const [start, type, body] of doors) {
      const gateway = await startTestGateway({ demo: { languages: ["en", "fr", "english"] } });
      const path = start.split(/[ ?]/)[1]?.split("/").at(-1) ?? "";
      for (let i = 0; i < 8; i += 1) await h1(gateway, start, [type], body);
      t.equal(tried(gateway, path), 5, start);
      await gateway.close();
    }
  },
);

t.test("odd writings hide the account, not the address: twenty tries", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const commented = xml("login", "prod", "admin", "x").replace("admin", "ad<!-- -->min");
  for (let i = 0; i < 30; i += 1)
    await h1(gateway, "POST /xmlrpc/2/common", ["Content-Type: text/xml"], commented);
  t.equal(tried(gateway, "common"), 20);
  t.match(
    gateway.events.find((event) => event.type === "ban"),
    { why: "address" },
  );
});

t.test("one address on a thousand accounts, and a thousand addresses on one account", async (t) => {
  const gateway = await startTestGateway({
    env: { ...proxied, CONNECTIONS_PER_CLIENT: "4000" },
    demo: { workers: 4, recordMax: 4_000 },
  });
  t.teardown(() => gateway.close());
  const session = await openHttp2(gateway);
  const fields = {
    ":method": "POST",
    ":path": "/web/session/authenticate",
    "content-type": "application/json",
  };
  const guess = (login: string, from: string) =>
    h2(session, gateway, { ...fields, "x-forwarded-for": from }, rpc({ db: "prod", login, password: "x" }));
  const statuses: number[] = [];
  for (let i = 0; i < 1_000; i += 1) statuses.push((await guess(`user${i}`, "203.0.113.1")).status);
  const sprayed = tried(gateway, "authenticate");
  t.ok(sprayed >= 16 && sprayed <= 20, `${sprayed} of 1000 accounts were tried`);
  t.ok(statuses.slice(20).every((status) => status === 429 || status === 403));
  gateway.demo.forget();
  for (let i = 0; i < 1_000; i += 20) {
    await Promise.all(
      Array.from({ length: 20 }, (_, n) => guess("admin", `198.${18 + ((i + n) >> 8)}.0.${(i + n) & 255}`)),
    );
  }
  session.close();
  const seen = tried(gateway, "authenticate");
  t.ok(seen >= 20 && seen <= 42, `${seen} of 1000 guesses reached Odoo`);
  t.ok(gateway.events.some((event) => event.type === "limited" && event.limit === "account-attacked"));
});

t.test(
  "programs with the right password call in parallel from the first second: no 429, no ban",
  async (t) => {
    const gateway = await startTestGateway({ demo: { workers: 8 } });
    t.teardown(() => gateway.close());
    const good = xml("execute_kw", "prod", 2, "admin", "res.partner", "search");
    const answers = await Promise.all(
      Array.from({ length: 20 }, () =>
        h1(gateway, "POST /xmlrpc/2/object", ["Content-Type: text/xml"], good),
      ),
    );
    t.same(new Set(answers.map((answer) => answer.status)), new Set([200]));
    t.equal(gateway.events.filter((event) => event.type === "ban" || event.type === "limited").length, 0);
  },
);

t.test("an endless body on a log-in route ends, and holds nobody up", async (t) => {
  const gateway = await startTestGateway({ env: { BODY_MAX: "1MiB" } });
  t.teardown(() => gateway.close());
  const socket = await openTls(gateway);
  const head = requestText(gateway, "POST /web/login", [
    "Content-Type: application/x-www-form-urlencoded",
    "Transfer-Encoding: chunked",
  ]);
  const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`;
  const answer = await rawTalk(0, head + chunk.repeat(20), { socket });
  t.equal(answer.status, 413);
  t.equal(tried(gateway, "login"), 0);
  t.equal((await h1(gateway, "GET /web/login")).status, 200);
  await until(() => gateway.running.gateway.exchanges === 0);
});

t.test("a million addresses leave a bounded memory behind", (t) => {
  const rules = jailRules("standard");
  if (rules === null) throw new Error("no rules");
  const jail = new Jail({
    clock: manualClock(),
    news: { strike: () => {}, ban: () => {}, spared: () => {} },
  });
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  collect();
  const beforeBytes = process.memoryUsage().heapUsed;
  for (let i = 0; i < 1_000_000; i += 1) {
    const address = `${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}.1`;
    const entry = jail.enter({ client: address, address, account: `hash${i}`, device: null }, rules);
    if (!(entry instanceof Promise) && entry.kind === "go") entry.settle("failure");
  }
  collect();
  const grownMiB = (process.memoryUsage().heapUsed - beforeBytes) / 2 ** 20;
  t.ok(grownMiB < 96, `${Math.round(grownMiB)} MiB`);
  t.equal(jail.banOf("203.0.113.1"), null, "and the jail is still there");
  const ip = parseIp("2001:db8::1");
  t.equal(ip === null ? "" : ipKey64(ip), "2001:db8::/64");
  t.end();
});
