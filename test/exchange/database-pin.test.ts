import t, { type Test } from "tap";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { sessionPair, valuesOf } from "../support/upstream-raw.ts";
import { startScripted } from "../support/upstream-scripted.ts";
import { echoOf, h1, seen } from "./clients.ts";

const json = "Content-Type: application/json";
const form = "Content-Type: application/x-www-form-urlencoded";
const text = "Content-Type: text/xml";

const authenticate = (db: unknown) =>
  JSON.stringify({ jsonrpc: "2.0", params: { db, login: "admin", password: "admin" } });
const service = (name: string, method: string, ...args: unknown[]) =>
  JSON.stringify({ jsonrpc: "2.0", params: { service: name, method, args } });
const xml = (method: string, ...params: string[]) =>
  `<?xml version="1.0"?><methodCall><methodName>${method}</methodName><params>${params.map((one) => `<param><value>${one}</value></param>`).join("")}</params></methodCall>`;

async function refused(
  t: Test,
  gateway: TestGateway,
  start: string,
  lines: string[],
  body: string,
  status = 403,
) {
  gateway.demo.forget();
  const answer = await h1(gateway, start, lines, body);
  t.equal(answer.status, status, start + body);
  t.equal(gateway.records().at(-1)?.rule, "database-pinned");
  t.equal(gateway.demo.requests.length, 0, "Odoo was not asked");
}

t.test("another database is not reached, by whatever name it is asked for", async (t) => {
  const gateway = await startTestGateway({ env: { DATABASE: "prod", DATABASE_SELECTOR: "allow" } });
  t.teardown(() => gateway.close());
  for (const target of [
    "/web?db=other",
    "/web/login?db=other",
    "/odoo?debug=1&db=other",
    "/fr/web/login?db=other",
    "/web/login?db=prod&db=other",
    "/web/login?d%62=other",
    "/web/login?db=%70rod%20",
    "/web/login?db=",
    "/web/login?x=1;db=other",
    "/?db=other",
  ])
    await refused(t, gateway, `GET ${target}`, [], "");
  await refused(t, gateway, "POST /web/login?db=other", [form], "login=admin");
  await refused(t, gateway, "POST /web/login", [form], "login=admin&db=other&password=x");
  await refused(t, gateway, "POST /fr/web/login", [form], "d%62=other");
  for (const db of ["other", 7, ["prod"], "prod "])
    await refused(t, gateway, "POST /web/session/authenticate", [json], authenticate(db));
  const twice = authenticate("prod").replace('"db":', '"db":"other","db":');
  await refused(t, gateway, "POST /fr/web/session/authenticate", [json], twice);
  const padded = `{"params":{"pad":"${"x".repeat(200_000)}","db":"other"}}`;
  await refused(t, gateway, "POST /web/session/authenticate", [json], padded);
  await refused(t, gateway, "POST /jsonrpc", [json], service("common", "login", "other", "admin", "admin"));
  await refused(
    t,
    gateway,
    "POST /jsonrpc",
    [json],
    service("object", "execute_kw", "other", 2, "admin", "m", "read"),
  );
  await refused(
    t,
    gateway,
    "POST /jsonrpc",
    [json],
    service("object", "execute_kw", ["prod"], 2, "admin", "m", "read"),
  );
  await refused(t, gateway, "POST /xmlrpc/2/common", [text], xml("authenticate", "other", "admin", "admin"));
  await refused(
    t,
    gateway,
    "POST /xmlrpc/object",
    [text],
    xml("execute", "other", "<int>2</int>", "admin", "m", "read"),
  );
  await refused(t, gateway, "GET /web/database/selector", [], "", 404);
});

t.test("the site's own database goes on as before", async (t) => {
  const gateway = await startTestGateway({ env: { DATABASE: "prod" } });
  t.teardown(() => gateway.close());
  const page = await h1(gateway, "GET /web/login?db=prod");
  t.equal(page.status, 200);
  const token = /name="csrf_token" value="([^"]+)"/.exec(page.body)?.[1] ?? "";
  const fields = new URLSearchParams({
    csrf_token: token,
    login: "admin",
    password: "admin",
    db: "prod",
  }).toString();
  t.equal((await h1(gateway, "POST /web/login", [form, `Cookie: ${sessionPair(page)}`], fields)).status, 303);
  t.match(
    (await h1(gateway, "POST /web/session/authenticate", [json], authenticate("prod"))).body,
    /"uid": 2/,
  );
  t.match((await h1(gateway, "POST /jsonrpc", [json], service("common", "version"))).body, /server_version/);
  t.match(
    (await h1(gateway, "POST /jsonrpc", [json], service("common", "login", "prod", "admin", "admin"))).body,
    /"result": ?2/,
  );
  t.match(
    (await h1(gateway, "POST /xmlrpc/2/common", [text], xml("login", "prod", "admin", "admin"))).body,
    /<int>2</,
  );
  t.match((await h1(gateway, "GET /demo/echo?database=x&adb=1")).status, 200);
});

t.test("an add-on that takes the database by header hears the site's own, never a client's", async (t) => {
  const gateway = await startTestGateway({
    env: { DOMAIN: "odoo.test,shop.test,free.test" },
    yaml: "hosts: { odoo.test: { database: prod }, shop.test: { database: shop.2 } }",
  });
  t.teardown(() => gateway.close());
  const filter = async (host: string) => {
    const lines = ["X-Odoo-dbfilter: .*", "X-Odoo-Dbfilter: ^other$"];
    const answer = await h1(gateway, "GET /demo/echo", lines, "", { host: `${host}:${gateway.httpsPort}` });
    return seen(echoOf(answer.body), "x-odoo-dbfilter");
  };
  t.same(await filter("odoo.test"), ["^prod$"]);
  t.same(await filter("shop.test"), ["^shop\\.2$"], "a stop is a stop");
  t.same(await filter("free.test"), []);
});

t.test(
  "Odoo's redirect to its list of databases leads to the page asked for, with the site's own",
  async (t) => {
    let location = "/web/database/selector";
    const odoo = await startScripted(
      (socket, received) => {
        const [, target = ""] = received.toString("latin1").split(" ");
        const head =
          target === "/web/login?db=prod-1"
            ? "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"
            : `HTTP/1.0 303 SEE OTHER\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`;
        socket.end(head);
      },
      { wholeBody: true },
    );
    t.teardown(() => odoo.close());
    const upstream = { webPort: odoo.port, busPort: odoo.port };
    const gateway = await startTestGateway({ upstream, env: { DATABASE: "prod-1" } });
    t.teardown(() => gateway.close());
    const leads = async (start: string, body = "") => {
      const lines = ["Accept: text/html", ...(body === "" ? [] : [form])];
      const answer = await h1(gateway, start, lines, body);
      return `${answer.status} ${valuesOf(answer, "location")[0] ?? ""}`;
    };
    for (const one of [
      "/web/database/selector",
      "/fr/web/database/selector?x",
      "http://odoo.test/web/database/selector",
    ]) {
      location = one;
      t.equal(await leads("GET /web/login"), "303 /web/login?db=prod-1", one);
    }
    t.equal(await leads("GET /odoo/contacts?debug=1"), "303 /odoo/contacts?debug=1&db=prod-1");
    t.equal(
      await leads("POST /web/login", "login=a"),
      "303 /web/login?db=prod-1",
      "a form is not sent again",
    );
    t.equal(await leads("GET /web/login?db=prod-1"), "200 ", "and there Odoo answers");
    const missing = await h1(gateway, "GET /odoo?db=prod-1", ["Accept: text/html"]);
    t.equal(missing.status, 502, "a database that Odoo does not have is no endless redirect");
    t.match(missing.body, /does not have the database/);
    t.match(
      gateway.events.find((event) => event.type === "warning" && event.what === "DATABASE"),
      { detail: /"prod-1".*dbfilter/ },
    );
    location = "/web/database/selectors";
    t.equal(await leads("GET /web"), "303 /web/database/selectors", "another page is left alone");
    location = "https://elsewhere.test/web/database/selector";
    t.equal(await leads("GET /web"), `303 ${location}`, "and another host");
    const open = await startTestGateway({
      upstream,
      env: { DATABASE: "prod-1", ADMIN_NETWORKS: "127.0.0.1" },
    });
    t.teardown(() => open.close());
    location = "/web/database/selector";
    const seen = await h1(open, "GET /web");
    t.equal(valuesOf(seen, "location")[0], location, "who may manage databases sees the list");
  },
);

t.test("the app's question for databases is answered by the gateway, and by nobody else", async (t) => {
  const gateway = await startTestGateway({ env: { DATABASE: "prod" } });
  t.teardown(() => gateway.close());
  for (const [body, id] of [
    ['{"jsonrpc":"2.0","method":"call","params":{},"id":42}', 42],
    ['{"id":"r1","params":{"context":{}}}', "r1"],
    ["{}", null],
    ["no json", null],
    ["", null],
  ] as const) {
    const answer = await h1(gateway, "POST /web/database/list", [json], body);
    t.equal(answer.status, 200);
    t.match(valuesOf(answer, "content-type")[0], /^application\/json/);
    t.same(JSON.parse(answer.body), { jsonrpc: "2.0", id, result: ["prod"] });
  }
  t.match(gateway.records().at(-1), { rule: "database-list", verdict: "answer", upstreamMs: null });
  t.equal((await h1(gateway, "GET /web/database/list")).status, 404);
  t.equal((await h1(gateway, "POST /web/database/manager", [form], "x=1")).status, 404);
  t.equal((await h1(gateway, "POST /web/database/list", [json], "x".repeat(20_000))).status, 413);
  t.equal(gateway.demo.requests.length, 0);
  const statuses: number[] = [];
  for (let i = 0; i < 40; i += 1)
    statuses.push((await h1(gateway, "POST /web/database/list", [json], "{}")).status);
  t.equal(statuses.at(-1), 429, "and not endlessly");
  const unpinned = await startTestGateway();
  t.teardown(() => unpinned.close());
  t.equal((await h1(unpinned, "POST /web/database/list", [json], "{}")).status, 404);
});

t.test("each host has its own, and X-Odoo-Database comes from programs' networks only", async (t) => {
  const gateway = await startTestGateway({
    env: { DOMAIN: "odoo.test,shop.test,third.test" },
    yaml: "hosts:\n  odoo.test: { database: prod }\n  SHOP.test:\n    database: shop\napi_networks: 192.0.2.0/24\ntrusted_proxies: 127.0.0.1\n",
  });
  t.teardown(() => gateway.close());
  const at = (host: string) => ({ host: `${host}:${gateway.httpsPort}` });
  t.equal((await h1(gateway, "GET /web/login?db=shop", [], "", at("shop.test"))).status, 200);
  t.equal((await h1(gateway, "GET /web/login?db=prod", [], "", at("shop.test"))).status, 403);
  t.equal((await h1(gateway, "GET /web/login?db=shop", [], "", at("odoo.test"))).status, 403);
  t.equal((await h1(gateway, "GET /web/login?db=any", [], "", at("third.test"))).status, 200);
  const list = await h1(gateway, "POST /web/database/list", [json], '{"id":1}', at("shop.test"));
  t.match(list.body, /\["shop"\]/);
  const header = "X-Odoo-Database: prod";
  await h1(gateway, "GET /demo/echo?a", [header, "X-Forwarded-For: 203.0.113.5"]);
  await h1(gateway, "GET /demo/echo?b", [header, "X-Forwarded-For: 192.0.2.5"]);
  const seen = (end: string) =>
    JSON.stringify(gateway.demo.requests.find((one) => one.target.endsWith(end))?.lines ?? []);
  t.notMatch(seen("?a"), /x-odoo-database/i);
  t.match(seen("?b"), /x-odoo-database/i);
});

t.test("API_NETWORKS that are everybody let nobody choose a database by X-Odoo-Database", async (t) => {
  const gateway = await startTestGateway({ env: { API_NETWORKS: "0.0.0.0/0, ::/0" } });
  t.teardown(() => gateway.close());
  const answer = await h1(gateway, "GET /demo/echo", ["X-Odoo-Database: other"]);
  t.equal(answer.status, 200);
  t.same(
    gateway.demo.requests.flatMap(({ lines }) => lines).filter((line) => /^x-odoo-database/i.test(line)),
    [],
  );
});
