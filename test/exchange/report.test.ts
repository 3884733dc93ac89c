import t from "tap";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { type RawAnswer, rawTalk, valuesOf } from "../support/upstream-raw.ts";
import { startScripted } from "../support/upstream-scripted.ts";
import { echoOf, h1, hostOf, seen } from "./clients.ts";

const withReports = { REPORT_LISTEN: "127.0.0.1:0" };

/** What the PDF maker sends: plain HTTP/1.1, by the name of `report.url`. */
function fetchInside(
  gateway: TestGateway,
  start: string,
  lines: readonly string[] = [],
  host = `gateway:${gateway.reportPort}`,
): Promise<RawAnswer> {
  const head = [`${start} HTTP/1.1`, `Host: ${host}`, "Connection: close", ...lines, "", ""];
  return rawTalk(gateway.reportPort, head.join("\r\n"));
}

t.test("Odoo's PDF maker is served by any name, as the site, without a way out", async (t) => {
  const gateway = await startTestGateway({
    env: { ...withReports, DOMAIN: "odoo.test shop.test", TRUSTED_PROXIES: "127.0.0.1" },
  });
  t.teardown(() => gateway.close());
  for (const [host, asked] of [
    [`gateway:${gateway.reportPort}`, hostOf(gateway)],
    ["172.18.0.5:8070", hostOf(gateway)],
    ["[::1]:8070", hostOf(gateway)],
    [`shop.test:${gateway.reportPort}`, `shop.test:${gateway.httpsPort}`],
  ] as const) {
    const lines = ["Cookie: session_id=abc", "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: gopher"];
    const answer = await fetchInside(gateway, "GET /demo/echo", lines, host);
    t.equal(answer.status, 200, host);
    const echo = echoOf(answer.body);
    t.same(seen(echo, "host"), [asked], "dbfilter finds the site's database");
    t.same(seen(echo, "x-forwarded-host"), [asked]);
    t.same(seen(echo, "x-forwarded-proto"), ["https"]);
    t.same(seen(echo, "x-forwarded-for"), ["127.0.0.1"], "nobody's word for an address is taken");
    t.same(seen(echo, "cookie"), ["session_id=abc"], "pictures behind the log-in are in the PDF");
    t.same(valuesOf(answer, "strict-transport-security"), [], "never HSTS");
  }
  const page = await fetchInside(gateway, "GET /web/login");
  t.equal(page.status, 200, "never a redirect to https");
  t.notMatch(valuesOf(page, "set-cookie").join(), /secure/i, "a cookie that plain HTTP can carry");
  t.equal((await fetchInside(gateway, "HEAD /web/login")).status, 200);
  const listening = gateway.events.find((event) => event.type === "listening" && event.what === "report");
  t.match(listening, { address: `127.0.0.1:${gateway.reportPort}` });
});

t.test("no limit, ban, password or maintenance stands between Odoo and its reports", async (t) => {
  const staging = { PRESET: "staging", STAGING_USER: "team", STAGING_PASSWORD: "correct horse" };
  const gateway = await startTestGateway({ env: { ...withReports, ...staging, LOGIN_BANS: "standard" } });
  t.teardown(() => gateway.close());
  t.equal((await h1(gateway, "GET /web/login")).status, 401, "people are asked for the password");
  t.equal((await fetchInside(gateway, "GET /web/login")).status, 200);
  for (let i = 0; i < 8; i += 1) await fetchInside(gateway, "GET /.env");
  t.notOk(gateway.events.some((event) => event.type === "strike" || event.type === "ban"));
  const batches = Array.from({ length: 5 }, () =>
    Array.from({ length: 60 }, () => "GET /demo/status?code=200"),
  );
  for (const batch of batches) {
    const answers = await Promise.all(batch.map((start) => fetchInside(gateway, start)));
    t.ok(answers.every(({ status }) => status === 200));
  }
  t.notOk(
    gateway.events.some((event) => event.type === "limited"),
    "300 at once, three times what people may",
  );
  const on = `POST /maintenance HTTP/1.1\r\nHost: localhost\r\nX-Odoo-Gateway: maintenance\r\nConnection: close\r\n\r\n`;
  t.equal((await rawTalk(gateway.adminPort, on)).status, 200);
  t.equal((await h1(gateway, "GET /web/login")).status, 503);
  t.equal((await fetchInside(gateway, "GET /web/login")).status, 200);
});

t.test("the report listener is no back door", async (t) => {
  const env = { ...withReports, ADMIN_NETWORKS: "127.0.0.1", TRUSTED_NETWORKS: "127.0.0.1" };
  const gateway = await startTestGateway({ env });
  t.teardown(() => gateway.close());
  const before = gateway.demo.requests.length;
  const closed = [
    "GET /web/database/manager",
    "GET /web/database",
    "GET /WEB/Database/selector",
    "GET /fr/web/database/manager",
    // A language can have any code.
    "GET /english/web/database/manager",
    "GET /web/%64atabase/manager",
    "HEAD /web/database/list",
  ];
  for (const start of closed) t.equal((await fetchInside(gateway, start)).status, 404, start);
  for (const start of ["POST /web/login", "POST /jsonrpc", "POST /xmlrpc/2/db", "PUT /x", "DELETE /x"]) {
    const answer = await fetchInside(gateway, start, ["Content-Length: 0"]);
    t.equal(answer.status, 405, start);
    t.same(valuesOf(answer, "allow"), ["GET, HEAD"]);
  }
  const handshake = [
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
  ];
  const head = ["GET /websocket HTTP/1.1", "Host: gateway", "Connection: Upgrade", ...handshake, "", ""].join(
    "\r\n",
  );
  t.equal((await rawTalk(gateway.reportPort, head)).status, 405);
  t.equal(
    (await fetchInside(gateway, "GET /a/../web/database/manager")).status,
    400,
    "the screen stands here too",
  );
  t.equal((await fetchInside(gateway, "GET /.git/config")).status, 404, "and the policy");
  t.equal(gateway.demo.requests.length, before, "nothing of it reached Odoo");

  const foreign = await startTestGateway({ env: { ...withReports, ODOO_NETWORKS: "192.0.2.0/24" } });
  t.teardown(() => foreign.close());
  const answer = await fetchInside(foreign, "GET /web/login", ["X-Forwarded-For: 192.0.2.1"]);
  t.equal(answer.status, 403, "only from ODOO_NETWORKS");
  t.equal(foreign.demo.requests.length, 0);
  t.match(foreign.records()[0], { rule: "report-network", status: 403 });
});

t.test("a redirect of Odoo's to the site keeps the PDF maker inside", async (t) => {
  let location = "";
  const odoo = await startScripted((socket) => {
    socket.end(`HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`);
  });
  t.teardown(() => odoo.close());
  const gateway = await startTestGateway({
    env: withReports,
    upstream: { webPort: odoo.port, busPort: odoo.port },
  });
  t.teardown(() => gateway.close());
  for (const [sent, told] of [
    [`https://odoo.test:${gateway.httpsPort}/web/image/7?x=1`, "/web/image/7?x=1"],
    ["http://odoo.test/web/assets/1", "/web/assets/1"],
    ["https://odoo.test", "/"],
    ["https://odoo.test//evil.test/x", "/evil.test/x"],
    ["/web/image/8", "/web/image/8"],
    ["https://elsewhere.test/x", "https://elsewhere.test/x"],
  ] as const) {
    location = sent;
    t.same(valuesOf(await fetchInside(gateway, "GET /web/image/6"), "location"), [told], sent);
  }
});

t.test("a stopping gateway serves the pictures of a PDF that is still being made", async (t) => {
  let gateway: TestGateway | null = null;
  const inside: RawAnswer[] = [];
  const odoo = await startScripted((socket, received) => {
    const answer = (body: string) =>
      socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    if (!received.includes("GET /report/pdf/")) return void answer("picture");
    if (gateway === null) return void answer("no gateway");
    const running = gateway;
    // Told to stop in the middle of a report, whose maker only now asks for its pictures.
    const stopped = running.running.stop();
    fetchInside(running, "GET /web/image/1").then(async (picture) => {
      inside.push(picture);
      answer("pdf");
      await stopped;
    }, t.fail);
  });
  t.teardown(() => odoo.close());
  gateway = await startTestGateway({
    env: withReports,
    upstream: { webPort: odoo.port, busPort: odoo.port },
  });
  const pdf = await h1(gateway, "GET /report/pdf/x/1");
  t.equal(pdf.status, 200);
  t.equal(pdf.body, "pdf");
  t.equal(inside[0]?.body, "picture");
  await gateway.demo.close();
});
