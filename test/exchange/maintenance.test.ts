import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { rawTalk, valuesOf } from "../support/upstream-raw.ts";
import { closedWith, h1, h2, opened, openHttp2, refusedWith, until, webSocket } from "./clients.ts";

const field = "X-Odoo-Gateway: maintenance";
const page = "Accept: text/html";
const json = "Content-Type: application/json";

function admin(gateway: TestGateway, start: string, ...lines: string[]) {
  const own = [`Host: 127.0.0.1:${gateway.adminPort}`, "Connection: close"];
  return rawTalk(gateway.adminPort, [`${start} HTTP/1.1`, ...own, ...lines, "", ""].join("\r\n"));
}

async function cli(gateway: TestGateway, ...args: string[]) {
  const main = new URL("../../src/main.js", import.meta.url).pathname;
  const env = { PATH: process.env["PATH"], ADMIN_LISTEN: `127.0.0.1:${gateway.adminPort}`, TZ: "UTC" };
  const child = spawn(process.execPath, [main, "maintenance", ...args], { env, cwd: tmpdir() });
  let out = "";
  const collect = (chunk: Buffer) => {
    out += chunk;
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const [code] = await once(child, "close");
  return { code, out };
}

const file = (gateway: TestGateway) => join(gateway.folder, "state", "maintenance.json");

t.test("the site closes for everybody but the allowed networks, and opens again", async (t) => {
  const gateway = await startTestGateway({ env: { TRUSTED_PROXIES: "127.0.0.1" } });
  t.teardown(() => gateway.close());
  const from = (address: string) => `X-Forwarded-For: ${address}`;
  const on =
    "POST /maintenance?message=New%20version%20%3Cb%3E&for=30m&allow=192.0.2.0/24&allow=2001:db8::/32";
  t.equal((await admin(gateway, on)).status, 403, "a web page in an administrator's browser cannot do it");
  t.equal((await admin(gateway, "DELETE /maintenance")).status, 403);
  t.equal((await admin(gateway, "PUT /maintenance", field)).status, 405);
  t.same(JSON.parse((await admin(gateway, "GET /maintenance")).body), { maintenance: "off" });
  t.equal((await h1(gateway, "GET /web/login", [page])).status, 200);
  const before = gateway.demo.requests.length;

  const told = await admin(gateway, on, field);
  t.equal(told.status, 200, told.body);
  t.match(JSON.parse(told.body), { maintenance: "on", allow: ["192.0.2.0/24", "2001:db8::/32"] });
  t.equal(statSync(file(gateway)).mode & 0o777, 0o600);
  const closed = await h1(gateway, "GET /web/login", [page]);
  t.equal(closed.status, 503);
  t.match(closed.body, /New version &lt;b&gt;/, "the message is escaped");
  t.notMatch(closed.body, /<b>|\{\{/);
  const [retryAfter = ""] = valuesOf(closed, "retry-after");
  t.ok(Number(retryAfter) > 1700 && Number(retryAfter) <= 1800, retryAfter);
  t.same(valuesOf(closed, "cache-control"), ["no-store"]);
  t.match(closed.body, /<p>Expected end: 20\d\d-\d\d-\d\d \d\d:\d\d UTC<\/p>/, "no bare time");
  t.equal(valuesOf(closed, "strict-transport-security").length, 1, "security fields stand on it too");
  t.equal((await h1(gateway, "GET /shop", [from("198.51.100.7")])).status, 503);
  t.equal((await h1(gateway, "POST /web/login", [from("198.51.100.7")], "login=a&password=b")).status, 503);
  const session = await openHttp2(gateway);
  t.teardown(() => session.destroy());
  t.equal((await h2(session, gateway, { ":path": "/web" })).status, 503, "HTTP/2");
  t.equal(gateway.demo.requests.length, before, "nothing reached Odoo");
  t.equal((await h1(gateway, "GET /web/login", [page, from("192.0.2.77")])).status, 200, "allowed");
  t.equal((await h1(gateway, "GET /web/login", [page, from("2001:db8::1")])).status, 200, "allowed");
  t.equal((await h1(gateway, "GET /web/database/manager", [from("192.0.2.77")])).status, 404, "and no more");
  t.equal(
    (await h1(gateway, "GET /", [], "", { plain: true })).status,
    301,
    "plain HTTP still leads to https",
  );

  t.match(JSON.parse((await admin(gateway, "DELETE /maintenance", field)).body), { wasOn: true });
  t.notOk(existsSync(file(gateway)));
  t.equal((await h1(gateway, "GET /web/login", [page])).status, 200);
  const states = gateway.events.flatMap((event) => (event.type === "maintenance" ? [event.state] : []));
  t.same(states, ["on", "off"]);
  const record = gateway.records().find((one) => one.status === 503);
  t.match(record, { rule: "maintenance", verdict: "maintenance" });
});

t.test("each caller is told in the shape it reads", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  await admin(gateway, "POST /maintenance?message=Closed%20%26%20locked", field);
  const call = '{"jsonrpc":"2.0","id":7,"method":"call","params":{}}';
  for (const path of ["/web/dataset/call_kw/res.partner/read", "/jsonrpc", "/web/session/authenticate"]) {
    const answer = await h1(gateway, `POST ${path}`, [json], call);
    t.equal(answer.status, 503, path);
    t.match(JSON.parse(answer.body), {
      jsonrpc: "2.0",
      error: { data: { name: "odoo.exceptions.UserError", arguments: [/Closed & locked/] } },
    });
    t.equal(valuesOf(answer, "retry-after").length, 1);
  }
  for (const path of ["/xmlrpc/2/common", "/fr/xmlrpc/2/object"]) {
    const body = '<?xml version="1.0"?><methodCall><methodName>version</methodName></methodCall>';
    const fault = await h1(gateway, `POST ${path}`, ["Content-Type: text/xml"], body);
    t.equal(fault.status, 503, path);
    t.match(fault.body, /<methodResponse><fault>.*Closed &amp; locked/);
    t.equal(valuesOf(fault, "retry-after").length, 1);
    t.match(valuesOf(fault, "content-type")[0], /^text\/xml/);
  }
  const keys = await h1(gateway, "POST /json/2/res.partner/search", [json, "Authorization: Bearer x"], "{}");
  t.equal(keys.status, 503);
  t.match(JSON.parse(keys.body), { name: /ServiceUnavailable/, message: /Closed & locked/ });
  const text = await h1(gateway, "GET /report/pdf/x/1", ["Accept: */*"]);
  t.equal(text.status, 503);
  t.match(valuesOf(text, "content-type")[0], /^text\/plain/);
  for (const path of ["/web/health", "/web/health?db_server_status=1", "/websocket/health"]) {
    const health = await h1(gateway, `GET ${path}`);
    t.equal(health.status, 200, path);
    t.same(JSON.parse(health.body), { status: "pass" }, "a load balancer keeps sending people to the page");
  }
  for (const path of ["/healthz", "/readyz"]) t.equal((await admin(gateway, `GET ${path}`)).status, 200);
  t.match((await admin(gateway, "GET /metrics")).body, /^odoo_gateway_maintenance 1$/m);
});

t.test("a link lets its browser in, nobody else, and ends with the maintenance", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const { out } = await cli(gateway, "on", "--link", "--for", "1h");
  const [query = ""] = /\?maintenance_token=[A-Za-z0-9_-]{32}$/m.exec(out) ?? [];
  t.not(query, "", out);
  t.match(readFileSync(file(gateway), "utf8"), query.slice(query.indexOf("=") + 1), "a restart keeps it");
  const entered = await h1(gateway, `GET /odoo/contacts${query}&debug=1`, [page]);
  t.equal(entered.status, 303);
  t.same(valuesOf(entered, "location"), ["/odoo/contacts?debug=1"]);
  const [setCookie = ""] = valuesOf(entered, "set-cookie");
  t.match(
    setCookie,
    /^__Host-maintenance=.*; Path=\/; Max-Age=(?:3600|3599); Secure; HttpOnly; SameSite=Lax$/,
  );
  const pass = `Cookie: session_id=abc; ${setCookie.split(";")[0]}`;
  t.equal((await h1(gateway, "GET /web/login", [page, pass])).status, 200);
  const echo = await h1(gateway, "GET /demo/echo", [pass]);
  t.match(echo.body, /"Cookie: session_id=abc"/, "Odoo does not see the key");
  const open = await opened(webSocket(gateway, { headers: { Cookie: pass.slice("Cookie: ".length) } }));
  t.teardown(() => open.terminate());

  for (const start of ["GET /web/login", "GET /web/login?maintenance_token=", `POST /web/login${query}`])
    t.equal((await h1(gateway, start, [page])).status, 503, start);
  const forged = "Cookie: __Host-maintenance=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
  t.equal((await h1(gateway, "GET /web/login", [forged])).status, 503);
  await until(() => gateway.records().length >= 7);
  t.notMatch(JSON.stringify(gateway.events), query.slice(query.indexOf("=") + 1), "no log has the key");

  await admin(gateway, "POST /maintenance?message=again", field);
  t.equal((await h1(gateway, "GET /web/login", [pass])).status, 503, "a new order ends the old link");
  t.equal((await admin(gateway, "POST /maintenance?link=perhaps", field)).status, 400);
});

t.test("websockets are ended and refused, those of allowed networks stay", async (t) => {
  const gateway = await startTestGateway({ env: { TRUSTED_PROXIES: "127.0.0.1" } });
  t.teardown(() => gateway.close());
  const stranger = await opened(webSocket(gateway));
  const allowed = await opened(webSocket(gateway, { headers: { "X-Forwarded-For": "192.0.2.1" } }));
  t.teardown(() => allowed.terminate());
  await until(() => gateway.running.gateway.tunnels === 2);
  const gone = closedWith(stranger);
  await admin(gateway, "POST /maintenance?allow=192.0.2.1", field);
  t.equal((await gone).code, 1001);
  await until(() => gateway.running.gateway.tunnels === 1);
  t.equal((await refusedWith(webSocket(gateway))).status, 503);
  t.equal(allowed.readyState, allowed.OPEN);
});

t.test(
  "a restart keeps it, an announced end ends it, and a torn file is a problem with its name",
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-maintenance-"));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const clock = manualClock(Date.now());
    const env = { STATE_DIR: folder };
    const first = await startTestGateway({ env, clock });
    await admin(first, "POST /maintenance?message=back%20soon&for=2h&allow=10.0.0.0/8", field);
    await first.close();

    const second = await startTestGateway({ env, clock });
    const closed = await h1(second, "GET /");
    t.equal(closed.status, 503);
    t.match(closed.body, /back soon/);
    t.match(JSON.parse((await admin(second, "GET /maintenance")).body), { allow: ["10.0.0.0/8"] });
    t.ok(second.events.some((event) => event.type === "maintenance" && event.state === "on"));
    clock.advance(2 * 3_600_000);
    t.equal((await h1(second, "GET /web/login")).status, 200, "the end came");
    t.notOk(existsSync(join(folder, "maintenance.json")));
    t.ok(second.events.some((event) => event.type === "maintenance" && event.state === "off"));
    await second.close();

    for (const text of [
      '{"maintenance":"on","mess',
      "",
      "[]",
      '{"maintenance":"on","message":"","until":null,"allow":["x"]}',
    ]) {
      writeFileSync(join(folder, "maintenance.json"), text);
      await t.rejects(
        startTestGateway({ env }),
        /maintenance\.json is not what we wrote: torn or changed; delete it/,
      );
    }
  },
);

t.test(
  "a state folder that cannot be written closes the site all the same, and says what a restart does",
  async (t) => {
    const gateway = await startTestGateway();
    t.teardown(() => gateway.close());
    // A folder in the place of the file that is put beside first: nobody can write there, root neither.
    rmSync(`${file(gateway)}.new`, { recursive: true, force: true });
    mkdirSync(`${file(gateway)}.new`);
    const told = await admin(gateway, "POST /maintenance", field);
    t.match(JSON.parse(told.body), { maintenance: "on", warning: /^a restart would open the site: / });
    t.equal((await h1(gateway, "GET /")).status, 503);
    const { code, out } = await cli(gateway, "on");
    t.equal(code, 0);
    t.match(out, /maintenance is on\nwarning: a restart would open the site/);
  },
);

t.test("a page of one's own: filled, bounded, read again at a reload", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-page-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "page.html");
  writeFileSync(
    path,
    "<h1>Wartung</h1><p>{{message}}</p><p>{{ until }}</p><i>{{retry_after}} {{exchange}}</i>",
  );
  const env = { MAINTENANCE_PAGE: path };
  const gateway = await startTestGateway({ env });
  t.teardown(() => gateway.close());
  const message = encodeURIComponent(`<script>alert(1)</script>{{exchange}} "'`);
  const end = new Date(Date.now() + 3_600_000).toISOString();
  await admin(gateway, `POST /maintenance?message=${message}&until=${end}`, field);
  const shown = await h1(gateway, "GET /", [page]);
  t.match(
    shown.body,
    /^<h1>Wartung<\/h1><p>&lt;script&gt;alert\(1\)&lt;\/script&gt;\{\{exchange\}\} &quot;&#39;<\/p>/,
  );
  t.ok(shown.body.includes(`<p>${end.slice(0, 16).replace("T", " ")} UTC</p>`), "when it ends");
  writeFileSync(path, "<h1>Second</h1>");
  t.same(await gateway.running.reload(), []);
  t.match((await h1(gateway, "GET /", [page])).body, /^<h1>Second<\/h1>$/);
  for (const [text, problem] of [
    ["<p>\n{{mesage}}", /line 2: there is no \{\{mesage\}\}, only \{\{message\}\}/],
    ["<p>{{message", /line 1: "\{\{" is never closed/],
    [" ", /is empty/],
    ["x".repeat(256 * 1024 + 1), /is larger than 256KiB/],
  ] as const) {
    writeFileSync(path, text);
    const problems = await gateway.running.reload();
    t.match(problems.map(({ thing }) => thing).join(), problem);
    t.match((await h1(gateway, "GET /", [page])).body, /Second/, "the page before stays");
  }
});

t.test("an order that cannot be meant is refused, and nothing changes", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  for (const [query, error] of [
    ["until=2001-01-01T00:00Z", /until has passed/],
    ["until=soon", /a moment with its zone/],
    ["until=2999-01-01T00:00Z", /within 30 days/],
    ["for=31d", /up to 30d/],
    ["for=0s", /up to 30d/],
    ["for=1h&until=2999-01-01T00:00Z", /not both/],
    ["for=1h&for=2h", /for is given twice/],
    ["allow=office", /allow: .*office/],
    [`allow=${Array.from({ length: 65 }, (_, i) => `10.0.0.${i}`).join("&allow=")}`, /at most 64 networks/],
    [`message=${"x".repeat(501)}`, /longer than 500/],
    ["message=a%0ab", /one line/],
    ["mesage=x", /there is no "mesage"/],
  ] as const) {
    const answer = await admin(gateway, `POST /maintenance?${query}`, field);
    t.equal(answer.status, 400, query.slice(0, 40));
    t.match(JSON.parse(answer.body).error, error);
  }
  t.same(JSON.parse((await admin(gateway, "GET /maintenance")).body), { maintenance: "off" });
});

t.test("odoo-gateway maintenance", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const day = new Date(Date.now() + 86_400_000).toISOString().slice(0, 16);
  const on = await cli(
    gateway,
    "on",
    "--allow",
    "10.0.0.0/8,::1",
    "--message",
    "New version",
    "--until",
    day,
  );
  t.equal(on.code, 0, on.out);
  t.equal(
    on.out,
    `maintenance is on until ${day}:00.000Z\n  message  New version\n  allowed  10.0.0.0/8 ::1\n`,
  );
  t.match(JSON.parse(readFileSync(file(gateway), "utf8")), { message: "New version" });
  const [status, stray, misspelt, unknown] = await Promise.all([
    cli(gateway),
    cli(gateway, "on", "New", "version"),
    cli(gateway, "off", "--for", "1h"),
    cli(gateway, "on", "--for", "31d"),
  ]);
  t.same(status, { code: 0, out: on.out });
  t.match(stray, { code: 2, out: /needs quotes[\s\S]*Usage/ });
  t.match(misspelt, { code: 2, out: /options go with "on"/ });
  t.match(unknown, { code: 1, out: /up to 30d/ });
  t.same(await cli(gateway, "off"), { code: 0, out: "maintenance is off now\n" });
});
