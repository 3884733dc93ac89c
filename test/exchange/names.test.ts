import t from "tap";
import { fieldValues } from "../../src/demo/record.ts";
import { startTestGateway } from "../support/gateway.ts";
import { rawTalk, valuesOf } from "../support/upstream-raw.ts";
import {
  echoOf,
  h1,
  h2,
  hostOf,
  opened,
  openHttp2,
  openTls,
  recordOf,
  refusedWith,
  seen,
  until,
  webSocket,
} from "./clients.ts";

t.test("plain HTTP goes to https with path and query kept, and nothing else is served there", async (t) => {
  const gateway = await startTestGateway({
    env: { DOMAIN: "odoo.test, www.odoo.test:443", REDIRECT_DOMAINS: "old.test" },
  });
  t.teardown(() => gateway.close());
  const origin = `https://odoo.test:${gateway.httpsPort}`;
  const cases: readonly (readonly [string, string, number, string])[] = [
    ["GET /a%20b?x=1&y=%2F", "odoo.test", 301, `${origin}/a%20b?x=1&y=%2F`],
    ["HEAD /h", "odoo.test", 301, `${origin}/h`],
    ["GET /", `odoo.test:${gateway.httpPort}`, 301, `${origin}/`],
    ["GET /w", "www.odoo.test", 301, "https://www.odoo.test/w"],
    ["GET /o?q", "old.test", 301, `${origin}/o?q`],
    ["POST /p", "odoo.test", 308, `${origin}/p`],
  ];
  for (const [start, host, status, location] of cases) {
    const answer = await h1(gateway, start, start.startsWith("POST") ? ["Content-Length: 0"] : [], "", {
      plain: true,
      host,
    });
    t.equal(answer.status, status, start);
    t.same(valuesOf(answer, "location"), [location], start);
    t.same(valuesOf(answer, "strict-transport-security"), [], "HSTS does not travel over plain HTTP");
    t.equal(valuesOf(answer, "x-content-type-options").length, 1);
  }
  const stranger = await h1(gateway, "GET /s", [], "", { plain: true, host: "evil.example" });
  t.equal(stranger.status, 400);
  t.same(valuesOf(stranger, "location"), []);
  t.equal((await recordOf(gateway, "/s")).rule, "host-unknown-plain");
  const challenge = await h1(gateway, "GET /.well-known/acme-challenge/x", [], "", { plain: true });
  t.equal(challenge.status, 404, "reserved, not redirected");
  const socket = await h1(
    gateway,
    "GET /websocket",
    [
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ],
    "",
    { plain: true },
  );
  t.not(socket.status, 101);
  t.equal(gateway.demo.stats.connections, 0, "Odoo saw nothing of all this");
});

t.test("names on TLS: redirect domains move, foreign names and ports are not served", async (t) => {
  const gateway = await startTestGateway({
    env: { DOMAIN: "odoo.test, www.odoo.test", REDIRECT_DOMAINS: "old.test" },
  });
  t.teardown(() => gateway.close());
  const port = gateway.httpsPort;
  const moved = await h1(gateway, "GET /x?y=1", [], "", { host: `old.test:${port}` });
  t.equal(moved.status, 301);
  t.same(valuesOf(moved, "location"), [`https://odoo.test:${port}/x?y=1`]);
  t.equal(valuesOf(moved, "strict-transport-security").length, 1);
  t.equal((await h1(gateway, "POST /x", ["Content-Length: 0"], "", { host: "old.test" })).status, 308);
  const other = await h1(gateway, "GET /demo/echo", [], "", { host: `www.odoo.test:${port}` });
  t.same(seen(echoOf(other.body), "x-forwarded-host"), [`www.odoo.test:${port}`]);
  const bare = await h1(gateway, "GET /demo/echo", [], "", { host: "odoo.test" });
  t.same(seen(echoOf(bare.body), "x-forwarded-host"), ["odoo.test"]);
  for (const host of ["evil.example", "127.0.0.1", "odoo.test:1", "odoo.test.evil.example"]) {
    const answer = await h1(gateway, "GET /u", ["Accept: text/html"], "", { host });
    t.equal(answer.status, 421, host);
    t.notOk(answer.body.includes(host === "127.0.0.1" ? "127" : host), "the name is not repeated");
  }
  const session = await openHttp2(gateway);
  t.equal((await h2(session, gateway, { ":path": "/u2", ":authority": "evil.example" })).status, 421);
  t.equal((await h2(session, gateway, { ":path": "/u3", host: "evil.example" })).status, 400);
  t.equal((await h2(session, gateway, { ":path": "/m2", ":authority": "old.test" })).status, 301);
  session.close();
  t.ok(gateway.events.some((event) => event.type === "unknown-host" && event.host === "evil.example"));
});

t.test("POS_NETWORKS may open the point of sale over plain HTTP, and nothing beside it", async (t) => {
  const gateway = await startTestGateway({ env: { POS_NETWORKS: "127.0.0.1" } });
  t.teardown(() => gateway.close());
  const plain = { plain: true };
  for (const path of [
    "/pos/web?config_id=1",
    "/web/assets/4a79452/web.assets_web.min.css",
    "/websocket/health",
  ]) {
    const answer = await h1(gateway, `GET ${path}`, [], "", plain);
    t.not(answer.status, 301, path);
    await recordOf(gateway, path);
  }
  const [seenByOdoo] = gateway.demo.requests.filter((one) => one.target.startsWith("/pos/web"));
  if (seenByOdoo === undefined) t.fail("Odoo was not asked");
  else t.same(fieldValues(seenByOdoo, "x-forwarded-proto"), ["http"]);
  for (const path of ["/web/login", "/odoo", "/web/database/manager", "/"]) {
    t.equal((await h1(gateway, `GET ${path}`, [], "", plain)).status, 301, path);
  }
  const elsewhere = await startTestGateway({ env: { POS_NETWORKS: "10.0.0.0/8" } });
  t.teardown(() => elsewhere.close());
  // The session of the log-in over https is the one the plain page uses, so neither Secure nor HSTS may stand in its way.
  for (const [where, strict] of [
    [gateway, false],
    [elsewhere, true],
  ] as const) {
    const login = await h1(where, "GET /web/login");
    const session = valuesOf(login, "set-cookie").find((line) => line.startsWith("session_id=")) ?? "";
    t.equal(/; Secure/.test(session), strict, session);
    t.match(session, /; SameSite=Lax/);
    t.equal(valuesOf(login, "strict-transport-security").length, strict ? 1 : 0);
  }
  t.equal((await h1(elsewhere, "GET /pos/web", [], "", plain)).status, 301);
});

t.test("staging asks for a password, hides from search engines and keeps its session apart", async (t) => {
  const gateway = await startTestGateway({
    env: { PRESET: "staging", STAGING_USER: "team", STAGING_PASSWORD: "correct horse" },
  });
  t.teardown(() => gateway.close());
  const asked = await h1(gateway, "GET /web/login", ["Accept: text/html"]);
  t.equal(asked.status, 401);
  t.match(valuesOf(asked, "www-authenticate")[0], /^Basic realm=/);
  t.same(valuesOf(asked, "x-robots-tag"), ["noindex, nofollow"]);
  const wrong = await h1(gateway, "GET /web/login", [`Authorization: Basic ${btoa("team:wrong")}`]);
  t.equal(wrong.status, 401);
  t.equal(gateway.demo.stats.connections, 0, "Odoo sees nothing of strangers");

  const authorization = `Authorization: Basic ${btoa("team:correct horse")}`;
  const page = await h1(gateway, "GET /web/login", [authorization, "Cookie: session_id=production"]);
  t.equal(page.status, 200);
  t.same(valuesOf(page, "x-robots-tag"), ["noindex, nofollow"]);
  const cookies = valuesOf(page, "set-cookie");
  const pair = (name: string) => cookies.find((line) => line.startsWith(`${name}=`))?.split(";")[0] ?? "";
  const pass = pair("__Host-staging");
  const session = pair("staging_session_id");
  t.not(pass, "");
  t.not(session, "", "Odoo's session has a name of its own here");
  t.equal(pair("session_id"), "");
  const [first] = gateway.demo.requests;
  if (first === undefined) throw new Error("Odoo was not asked");
  t.same(fieldValues(first, "authorization"), [], "our password stays with us");

  const echo = echoOf((await h1(gateway, "GET /demo/echo", [`Cookie: ${pass}; ${session}; tz=UTC`])).body);
  t.same(seen(echo, "cookie"), [`${session.replace("staging_", "")}; tz=UTC`]);

  const robots = await h1(gateway, "GET /robots.txt");
  t.equal(robots.status, 200, "search engines are told without a password");
  t.match(robots.body, /Disallow: \//);
  const webhook = ["Content-Type: application/json", `Authorization: Basic ${btoa("stripe:its own")}`];
  t.equal(
    (await h1(gateway, "POST /payment/stripe/webhook", webhook, "{}")).status,
    200,
    "a webhook reaches Odoo",
  );
  const [, hook] = gateway.demo.requests.filter((one) => one.path !== "/demo/echo");
  if (hook !== undefined)
    t.equal(fieldValues(hook, "authorization").length, 1, "with credentials of its own");

  const none = await refusedWith(webSocket(gateway));
  t.equal(none.status, 401);
  const socket = await opened(webSocket(gateway, { headers: { Cookie: pass } }));
  socket.terminate();
  await until(() => gateway.running.gateway.tunnels === 0);
  const forged = await h1(gateway, "GET /odoo", [`Cookie: ${pass.slice(0, -3)}AAA`]);
  t.equal(forged.status, 401);
});

t.test(
  "preset strict: programs and developers by network, versions hidden, the policy enforced",
  async (t) => {
    const gateway = await startTestGateway({ env: { PRESET: "strict" } });
    t.teardown(() => gateway.close());
    const status = async (start: string) => (await h1(gateway, start, ["Content-Length: 0"])).status;
    for (const [start, expected] of [
      ["POST /xmlrpc/2/common", 403],
      ["POST /jsonrpc", 403],
      ["POST /json/2/res.users/read", 403],
      ["GET /web/version", 404],
      ["GET /json/version", 404],
      ["GET /fr/website/info", 404],
      ["GET /web/tests", 404],
      ["GET /web/become", 404],
      ["GET /odoo?debug=assets", 403],
      ["GET /web/database/manager", 404],
      ["GET /web/login", 200],
    ] as const)
      t.equal(await status(start), expected, start);
    const page = await h1(gateway, "GET /web/login");
    const policies = valuesOf(page, "content-security-policy");
    t.equal(policies.length, 1);
    t.match(policies[0], /default-src 'self'/);
    t.same(valuesOf(page, "content-security-policy-report-only"), []);
  },
);

t.test("preset nginx-guide: the guide's literal values", async (t) => {
  const gateway = await startTestGateway({ env: { PRESET: "nginx-guide" } });
  t.teardown(() => gateway.close());
  const statuses: number[] = [];
  for (let i = 0; i < 5; i += 1) statuses.push((await h1(gateway, "GET /web/login")).status);
  t.same(statuses, [200, 200, 200, 200, 429], "burst 3, whatever the method");
  const page = await h1(gateway, "GET /contactus");
  t.same(valuesOf(page, "permissions-policy"), ["camera=(), microphone=(), geolocation=(), payment=()"]);
  t.match(valuesOf(page, "strict-transport-security")[0], /preload/);
  t.same(valuesOf(page, "x-xss-protection"), ["1; mode=block"]);
});

t.test("the database manager, scanners and off-site redirects end here, in both protocols", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const session = await openHttp2(gateway);
  for (const [path, status] of [
    ["/web/database/manager", 404],
    ["/fr/web/database/selector", 404],
    ["/xmlrpc/2/db", 404],
    ["/.env", 404],
    ["/wp-login.php", 404],
    ["/web/login?redirect=https://evil.example/", 400],
    ["/web/../web/database/manager", 400],
    ["//web/database/manager", 400],
  ] as const) {
    t.equal((await h1(gateway, `GET ${path}`)).status, status, path);
    t.equal((await h2(session, gateway, { ":path": path })).status, status, path);
  }
  session.close();
  t.equal(gateway.demo.stats.connections, 0);
  const records = gateway.records();
  t.equal(records.length, 16, "one record each");
  t.equal(new Set(records.map((record) => record.id)).size, 16);
  const admins = await startTestGateway({ env: { ADMIN_NETWORKS: "127.0.0.1" } });
  t.teardown(() => admins.close());
  t.equal((await h1(admins, "GET /web/database/manager")).status, 200);
});

t.test("HTTP/1.0 and a connection that stays open after an answer of ours", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const old = await rawTalk(0, `GET /.env HTTP/1.0\r\nHost: ${hostOf(gateway)}\r\n\r\n`, {
    socket: await openTls(gateway),
  });
  t.equal(old.status, 404);
  const host = `Host: ${hostOf(gateway)}`;
  const two = await rawTalk(
    0,
    `GET /.env HTTP/1.1\r\n${host}\r\n\r\nGET /demo/status?code=200 HTTP/1.1\r\n${host}\r\nConnection: close\r\n\r\n`,
    { socket: await openTls(gateway) },
  );
  t.match(
    two.text,
    /^HTTP\/1\.1 404[\s\S]*HTTP\/1\.1 200 OK[\s\S]*200 OK\n$/,
    "a denial keeps the connection",
  );
  const refused = await rawTalk(
    0,
    `GET /a/../b HTTP/1.1\r\n${host}\r\n\r\nGET /demo/status?code=200 HTTP/1.1\r\n${host}\r\n\r\n`,
    { socket: await openTls(gateway) },
  );
  t.match(refused.statusLine, /400/);
  t.notMatch(refused.text, /HTTP\/1\.1 200/, "a refusal ends it: what follows is not read");
});
