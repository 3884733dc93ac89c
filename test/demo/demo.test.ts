import { once } from "node:events";
import { connect } from "node:net";
import t from "tap";
import { WebSocket } from "ws";
import { MANAGER_MARKER } from "../../src/demo/pages.ts";
import { fieldValues, type RecordedRequest } from "../../src/demo/record.ts";
import { MALFORMED_KINDS } from "../../src/demo/routes-fault.ts";
import { type Demo, type DemoOptions, startDemo } from "../../src/demo/start.ts";
import { systemTimers, type Timers } from "../../src/demo/timers.ts";
import { type RawAnswer, rawRequest, rawTalk, sessionPair, valuesOf } from "../support/upstream-raw.ts";

async function start(
  test: { teardown(fn: () => Promise<void>): void },
  options: DemoOptions = {},
): Promise<Demo> {
  const demo = await startDemo(options);
  test.teardown(() => demo.close());
  return demo;
}

function get(demo: Demo, target: string, lines: readonly string[] = []): Promise<RawAnswer> {
  return rawTalk(demo.webPort, rawRequest(`GET ${target}`, lines));
}

const FORM = "Content-Type: application/x-www-form-urlencoded";
const JSON_TYPE = "Content-Type: application/json";

interface LoginPage {
  readonly cookie: string;
  readonly token: string;
}

async function loginPage(demo: Demo): Promise<LoginPage> {
  const answer = await get(demo, "/web/login");
  const token = /name="csrf_token" value="([^"]+)"/.exec(answer.body)?.[1] ?? "";
  return { cookie: sessionPair(answer), token };
}

async function logIn(demo: Demo, login: string, password: string, port = demo.webPort): Promise<RawAnswer> {
  const { cookie, token } = await loginPage(demo);
  const body = `csrf_token=${token}&login=${login}&password=${password}`;
  return rawTalk(port, rawRequest("POST /web/login", [FORM, `Cookie: ${cookie}`, "Connection: close"], body));
}

t.test("the prefork port answers HTTP/1.0, closes, and ends pages with the connection", async (t) => {
  const demo = await start(t);
  const login = await get(demo, "/web/login");
  t.equal(login.statusLine, "HTTP/1.0 200 OK");
  t.same(valuesOf(login, "server"), ["Werkzeug/2.2.2 Python/3.11.2"]);
  t.same(valuesOf(login, "connection"), ["close"]);
  t.same(valuesOf(login, "content-length"), []);
  t.ok(login.body.trimEnd().endsWith("</html>"), "whole page");
  t.equal(login.error, null);
  const cookies = valuesOf(login, "set-cookie");
  t.match(cookies[0], /^frontend_lang=en_US; Expires=/);
  t.match(cookies[1], /^session_id=[\w-]{84}; Expires=.*; Max-Age=604800; HttpOnly; Path=\/$/);
  const twice = await rawTalk(demo.webPort, rawRequest("GET /web/health") + rawRequest("GET /web/health"));
  t.equal(twice.text.match(/HTTP\/1\.0 200/g)?.length, 1, "only the first of two pipelined requests");
  const head = await rawTalk(demo.webPort, rawRequest("HEAD /web/health"));
  t.equal(head.body, "");
  t.same(valuesOf(head, "content-length"), ["18"]);
  t.equal((await get(demo, "/odoo")).statusLine, "HTTP/1.0 303 SEE OTHER");
  t.same(valuesOf(await get(demo, "/odoo"), "location"), ["/web/login?redirect=%2Fodoo%3F"]);
  t.equal(demo.stats.maxActiveWorkers, 1);
});

t.test("silent sockets hold the workers, and the next request waits for their time-out", async (t) => {
  const silentTimeoutMs = 250;
  const demo = await start(t, { silentTimeoutMs });
  const silent = [connect(demo.webPort), connect(demo.webPort)];
  await Promise.all(silent.map((socket) => once(socket, "connect")));
  const received: Buffer[] = [];
  for (const socket of silent) socket.on("data", (chunk: Buffer) => received.push(chunk));
  const closed = silent.map((socket) => once(socket, "close"));
  const before = performance.now();
  const answer = await get(demo, "/web/health");
  const waitedMs = performance.now() - before;
  t.equal(answer.status, 200);
  t.ok(waitedMs >= silentTimeoutMs * 0.6, `waited ${Math.round(waitedMs)} ms`);
  await Promise.all(closed);
  t.equal(received.length, 0, "closed without a byte");
  t.equal(demo.stats.maxActiveWorkers, 2);
});

t.test("a body that pauses is a 400, a head that pauses is closed without a byte", async (t) => {
  const demo = await start(t, { silentTimeoutMs: 100 });
  const body = await rawTalk(
    demo.webPort,
    "POST /demo/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
  );
  t.equal(body.status, 400);
  const head = await rawTalk(demo.webPort, "GET / HTTP/1.1\r\nHost: a\r\n");
  t.equal(head.bytes.length, 0);
});

t.test("a client that stops reading gets a truncated answer", async (t) => {
  let gaveUp = (): void => undefined;
  const stalled = new Promise<void>((resolve) => {
    gaveUp = resolve;
  });
  // Only a wait that ran out fires: the stalled write.
  const timers: Timers = {
    ...systemTimers,
    set: (callback, delayMs) =>
      systemTimers.set(() => {
        callback();
        gaveUp();
      }, delayMs),
  };
  const demo = await start(t, { silentTimeoutMs: 300, timers });
  const socket = connect(demo.webPort);
  let receivedBytes = 0;
  socket.on("error", () => undefined);
  socket.pause();
  socket.write(rawRequest("GET /demo/big?bytes=50000000"));
  await stalled;
  socket.on("data", (chunk: Buffer) => {
    receivedBytes += chunk.length;
  });
  socket.resume();
  await once(socket, "close");
  t.ok(receivedBytes > 0 && receivedBytes < 50_000_000, `${receivedBytes} bytes came`);
});

t.test("header quirks of Werkzeug: what a gateway lets through has its effect", async (t) => {
  const demo = await start(t);
  const proxy = ["X-Forwarded-Host: good.test", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https"];
  async function seen(lines: readonly string[]): Promise<string> {
    const echo: { client: string; host: string; scheme: string } = JSON.parse(
      (await get(demo, "/demo/echo", lines)).body,
    );
    return `${echo.client} ${echo.scheme}://${echo.host}`;
  }
  const peer = "127.0.0.1";
  t.equal(await seen(proxy), "203.0.113.9 https://good.test");
  t.equal(
    await seen(proxy.slice(1)),
    `${peer} http://odoo.test`,
    "nothing is trusted without X-Forwarded-Host",
  );
  t.equal(await seen([...proxy, "X_Forwarded_For: 6.6.6.6"]), "6.6.6.6 https://good.test");
  t.equal(await seen(["X_Forwarded_For: 6.6.6.6", ...proxy]), "203.0.113.9 https://good.test");
  t.equal(await seen([...proxy, "X_Forwarded_Host: evil.test"]), "203.0.113.9 https://evil.test");
  t.equal(await seen([...proxy, "X-A: v\rX-Forwarded-For: 6.6.6.6"]), "6.6.6.6 https://good.test");
  t.equal(await seen(["no colon here", ...proxy]), `${peer} http://odoo.test`);
  t.equal(await seen(["X-A : v", ...proxy]), `${peer} http://odoo.test`);
  t.equal(await seen(["Host: b.test"]), `${peer} http://odoo.test,b.test`);
  t.equal(await seen(["X-Forwarded-Host: a, b", "X-Forwarded-For: 1.1.1.1, 2.2.2.2,"]), "2.2.2.2 http://b");
  const body = await rawTalk(
    demo.webPort,
    "POST /demo/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent_Length: 5\r\n\r\nhello",
  );
  t.equal(JSON.parse(body.body).body.length, 5, "Content_Length wins");
  const joined = await rawTalk(
    demo.webPort,
    "POST /demo/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
  );
  t.equal(JSON.parse(joined.body).body.length, 0, "two lengths are joined and read as none");
  const both = await rawTalk(
    demo.webPort,
    "POST /demo/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding:  Chunked \r\n\r\n5\r\nhello\r\n0\r\n\r\n",
  );
  t.equal(JSON.parse(both.body).body.length, 5, "chunked wins over a length");
  const cookies = await get(demo, "/demo/echo", ["Cookie: a=1", "Cookie: session_id=x"]);
  t.match(cookies.body, '"HTTP_COOKIE": "a=1,session_id=x"');
});

t.test("the HTTP parser's own errors", async (t) => {
  const demo = await start(t);
  const cases: readonly (readonly [string, string])[] = [
    [`GET /${"a".repeat(66_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, "HTTP/1.0 414 Request-URI Too Long"],
    [`GET / HTTP/1.1\r\nHost: a\r\nX: ${"a".repeat(66_000)}\r\n\r\n`, "HTTP/1.0 431 Line too long"],
    [`GET / HTTP/1.1\r\n${"X: 1\r\n".repeat(100)}\r\n`, "HTTP/1.0 431 Too many headers"],
    ["GET /web/health HTTP/1.1\r\n\r\n", "HTTP/1.0 500 INTERNAL SERVER ERROR"],
    ["GET /web/health HTTP/1.1\nHost: a\n\n", "HTTP/1.0 200 OK"],
    ["get /web/health HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.0 200 OK"],
    ["GET /web/health HTTP/2.0\r\nHost: a\r\n\r\n", ""],
    ["GET /a b HTTP/9.x\r\nHost: a\r\n\r\n", ""],
  ];
  for (const [bytes, line] of cases) {
    const answer = await rawTalk(demo.webPort, bytes);
    t.equal(answer.statusLine, line, bytes.slice(0, 40));
    if (line === "") t.match(answer.text, /^<!DOCTYPE HTML>/, "an error page without a head");
  }
  t.equal(
    (await rawTalk(demo.webPort, "\r\nGET / HTTP/1.1\r\n\r\n")).bytes.length,
    0,
    "a blank first line is closed",
  );
});

t.test("spellings of a path", async (t) => {
  const demo = await start(t);
  const reached = [
    "/web/database/manager",
    "/web/database/manager/",
    "/web/database/manager?a=b",
    "//web/database/manager",
    "///web/database/manager",
    "/web%2fdatabase/manager",
    "/%2fweb/database/manager",
    "/%77eb/%64atabase/manager",
    "/fr/web/database/manager",
    "//fr/web/database/manager",
    "/%66r/web/database/manager",
    "http://any.host/web/database/manager",
    "HTTP://any.host/web/database/manager",
    "x:/web/database/manager",
    "web/database/manager",
    "/web/database/manager#frag",
  ];
  for (const target of reached) t.match((await get(demo, target)).body, MANAGER_MARKER, target);
  const others: readonly (readonly [string, number])[] = [
    ["/%2577eb/database/manager", 404],
    ["/WEB/database/manager", 404],
    ["/web/database/manager;x=1", 404],
    ["/web/database/manager%20", 404],
    ["/web\\database\\manager", 404],
    ["/./web/database/manager", 500],
    ["/x/%2e%2e/web/database/manager", 500],
    ["/web/database/manager%00", 500],
    ["/web//database/manager", 308],
    ["/web/database/manager//", 308],
    ["/en/web/database/manager", 303],
    ["/fr_FR/web/database/manager", 301],
    ["/fr//web/database/manager", 301],
    ["/de/web/database/manager", 404],
    ["/FR/web/database/manager", 404],
    ["/fr/fr/web/database/manager", 404],
    ["http://web/database/manager", 404],
  ];
  for (const [target, status] of others) t.equal((await get(demo, target)).status, status, target);
  const drop = await rawTalk(
    demo.webPort,
    rawRequest("POST /en/web/database/drop", [FORM], "master_pwd=no&name=prod"),
  );
  t.match(
    drop.body,
    "Database drop error: Access Denied",
    "POST with the default language reaches the handler",
  );
  const merged = await get(demo, "/web//login", ["X-Forwarded-Host: shop.test", "X-Forwarded-Proto: https"]);
  t.same(valuesOf(merged, "location"), ["https://shop.test/web/login"]);
});

t.test("log-in outcomes", async (t) => {
  const demo = await start(t);
  const good = await logIn(demo, "admin", "admin");
  t.equal(good.statusLine, "HTTP/1.0 303 SEE OTHER");
  t.same(valuesOf(good, "location"), ["/odoo"]);
  const client = await get(demo, "/odoo", [`Cookie: ${sessionPair(good)}`]);
  t.equal(client.status, 200);
  t.same(valuesOf(client, "x-frame-options"), ["DENY"]);
  t.same(valuesOf(client, "cache-control"), ["no-store"]);
  t.equal(sessionPair(client), sessionPair(good), "the same cookie again");
  t.equal(demo.webBaseUrl, "http://odoo.test", "the administrator's log-in writes web.base.url");

  const bad = await logIn(demo, "admin", "wrong");
  t.equal(bad.status, 200);
  t.match(bad.body, /alert alert-danger[^>]*>Wrong login\/password/);
  t.same(valuesOf(bad, "set-cookie"), []);
  t.same(valuesOf(await logIn(demo, "portal", "portal"), "location"), ["/my"]);

  const carol = await logIn(demo, "carol", "carol");
  t.same(valuesOf(carol, "location"), ["/web/login/totp?redirect="]);
  const half = sessionPair(carol);
  t.equal((await get(demo, "/odoo", [`Cookie: ${half}`])).status, 303, "half-open session");
  const form = await get(demo, "/web/login/totp", [`Cookie: ${half}`]);
  const token = /name="csrf_token" value="([^"]+)"/.exec(form.body)?.[1] ?? "";
  const tries = async (code: string): Promise<number> =>
    (
      await rawTalk(
        demo.webPort,
        rawRequest(
          "POST /web/login/totp",
          [FORM, `Cookie: ${half}`],
          `csrf_token=${token}&totp_token=${code}`,
        ),
      )
    ).status;
  t.equal(await tries("000000"), 200);
  t.equal(await tries("123456"), 303);

  const noToken = await rawTalk(
    demo.webPort,
    rawRequest("POST /web/login", [FORM], "login=admin&password=admin"),
  );
  t.equal(noToken.status, 400);
  t.match(noToken.body, "invalid CSRF token");
  const { cookie, token: csrf } = await loginPage(demo);
  const inQuery = await rawTalk(
    demo.webPort,
    rawRequest(`POST /web/login?login=admin&password=admin&csrf_token=${csrf}`, [`Cookie: ${cookie}`]),
  );
  t.equal(inQuery.status, 303, "credentials in the query of an empty POST");

  const seventeen = await start(t, { version: 17 });
  const old = await logIn(seventeen, "admin", "admin");
  t.same(valuesOf(old, "location"), ["/web"]);
  t.match(sessionPair(old), /^session_id=[0-9a-f]{40}$/);
});

t.test("log-in over JSON and RPC", async (t) => {
  const demo = await start(t);
  const post = (target: string, body: string, lines: readonly string[] = [JSON_TYPE]): Promise<RawAnswer> =>
    rawTalk(demo.webPort, rawRequest(`POST ${target}`, lines, body));
  const auth = (login: string, password: string): Promise<RawAnswer> =>
    post(
      "/web/session/authenticate",
      JSON.stringify({ jsonrpc: "2.0", id: 1, params: { db: "prod", login, password } }),
    );
  const good = await auth("demo", "demo");
  t.equal(JSON.parse(good.body).result.uid, 6);
  t.match(sessionPair(good), /^session_id=/);
  const bad = await auth("demo", "wrong");
  t.equal(bad.status, 200);
  t.equal(JSON.parse(bad.body).error.data.name, "odoo.exceptions.AccessDenied");
  t.equal((await auth("carol", "carol")).body, '{"jsonrpc": "2.0", "id": 1, "result": {"uid": null}}');
  t.equal((await post("/web/session/authenticate", "{}", ["Content-Type: text/plain"])).status, 415);

  const kw = '{"params":{"model":"res.partner","method":"web_search_read"}}';
  t.equal(
    JSON.parse((await post("/web/dataset/call_kw/res.partner/web_search_read", kw)).body).error.code,
    100,
  );
  const inside = await post("/web/dataset/call_kw/res.partner/web_search_read", kw, [
    JSON_TYPE,
    `Cookie: ${sessionPair(good)}`,
  ]);
  t.ok(JSON.parse(inside.body).result);

  const xml = (method: string, args: readonly string[]): string =>
    `<?xml version="1.0"?><methodCall><methodName>${method}</methodName><params>${args.map((arg) => `<param><value>${arg}</value></param>`).join("")}</params></methodCall>`;
  const right = ["<string>prod</string>", "ad&#109;in", "<![CDATA[admin]]>", "<struct/>"];
  t.match((await post("/xmlrpc/2/common", xml("authenticate", right), [])).body, "<int>2</int>");
  t.match(
    (await post("/xmlrpc/common", xml("login", ["prod", "admin", "no"]), [])).body,
    "<boolean>0</boolean>",
  );
  const utf16 = Buffer.from(`\ufeff${xml("login", ["prod", "admin", "admin"])}`, "utf16le").toString(
    "latin1",
  );
  t.match((await post("/fr/xmlrpc/2/common", utf16, [])).body, "<int>2</int>", "UTF-16, language prefix");
  const entity = xml("login", ["prod", "&u;", "&u;"]).replace("?>", '?><!DOCTYPE x [<!ENTITY u "admin">]>');
  t.match((await post("/xmlrpc/2/common", entity, [])).body, "<int>2</int>", "an internal entity");
  const call = ["prod", "<int>2</int>", "no", "res.partner", "search", "<array><data/></array>"];
  t.match(
    (await post("/xmlrpc/2/object", xml("execute_kw", call), [])).body,
    /faultCode<\/name>\n<value><int>3</,
  );
  t.match(
    (await post("/xmlrpc/object", xml("execute_kw", call), [])).body,
    /faultCode<\/name>\n<value><string>AccessDenied</,
  );
  t.match((await post("/xmlrpc/2/db", xml("list", []), [])).body, "<string>prod</string>");

  const rpc = async (service: string, method: string, args: readonly unknown[]): Promise<unknown> =>
    JSON.parse((await post("/jsonrpc", JSON.stringify({ id: 1, params: { service, method, args } }))).body);
  t.match(await rpc("common", "login", ["prod", "admin", "admin"]), { result: 2 });
  t.match(await rpc("common", "login", ["prod", "admin", "no"]), { result: false });
  t.match(await rpc("db", "list", []), { result: ["prod"] });
  t.match(await rpc("object", "execute_kw", ["prod", 2, "no", "m", "read"]), {
    error: { data: { name: /AccessDenied/ } },
  });

  const key = await post("/json/2/res.partner/search_read", "{}", [
    JSON_TYPE,
    "Authorization: Bearer demo-api-key-demo",
  ]);
  t.equal(key.status, 200);
  const wrongKey = await post("/json/2/res.partner/search_read", "{}", [
    JSON_TYPE,
    "Authorization: Bearer x",
  ]);
  t.equal(wrongKey.status, 401);
  t.match(wrongKey.body, '"message": "Invalid apikey"');
  const upload = (password: string): Promise<RawAnswer> =>
    post("/base_import_module/login_upload", `login=admin&password=${password}`, [FORM]);
  t.equal((await upload("no")).body, "Access Denied");
  t.equal((await upload("admin")).body, "No file sent.");
  t.equal((await upload("admin")).status, 500);

  const closed = await start(t, { listDb: false });
  t.match((await get(closed, "/web/database/manager")).body, "has been disabled by the administrator");
  const list = await rawTalk(closed.webPort, rawRequest("POST /xmlrpc/2/db", [], xml("list", [])));
  t.match(list.body, "Access Denied");
  const exists = await rawTalk(
    closed.webPort,
    rawRequest("POST /xmlrpc/2/db", [], xml("db_exist", ["prod"])),
  );
  t.match(exists.body, "<boolean>1</boolean>", "works without a password even when closed");
});

t.test("files: caching fields, validators, ranges, and the cookie on a public asset", async (t) => {
  const demo = await start(t);
  const css = await get(demo, "/web/assets/1/ae2450c/web.assets_frontend.min.css");
  t.equal(css.body.length, 795_582);
  t.same(valuesOf(css, "cache-control"), ["public, max-age=31536000, immutable"]);
  t.match(sessionPair(css), /^session_id=/);
  const etag = valuesOf(css, "etag")[0] ?? "";
  const again = await get(demo, "/web/assets/other/web.assets_frontend.min.css", [`If-None-Match: ${etag}`]);
  t.equal(again.status, 304);
  t.same(valuesOf(again, "content-length"), []);
  t.equal(again.body, "");
  const font = await get(demo, "/web/static/lib/odoo_ui_icons/fonts/odoo_ui_icons.woff2");
  t.equal(font.body.length, 9_708);
  t.same(valuesOf(font, "set-cookie"), []);
  const part = await get(demo, "/web/content/1", ["Range: bytes=-10"]);
  t.equal(part.status, 206);
  t.same(valuesOf(part, "content-range"), ["bytes 102390-102399/102400"]);
  t.equal((await get(demo, "/web/content/1", ["Range: bytes=0-1,5-6"])).status, 416);
  t.equal((await get(demo, "/web/content/60")).status, 404);
  t.equal((await get(demo, "/nowhere")).status, 404);
  const upload = await rawTalk(demo.webPort, rawRequest("POST /web/binary/upload_attachment", [], "abc"));
  t.equal(JSON.parse(upload.body).length, 3);
  const expect = await rawTalk(demo.webPort, rawRequest("POST /demo/echo", ["Expect: 100-continue"], "abc"));
  t.ok(expect.text.startsWith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK"));
});

t.test("faults", async (t) => {
  const demo = await start(t);
  const cut = await get(demo, "/demo/cut?declared=1000&sent=100");
  t.same(valuesOf(cut, "content-length"), ["1000"]);
  t.equal(cut.body.length, 100);
  t.equal((await get(demo, "/demo/nobyte")).bytes.length, 0);
  t.equal((await get(demo, "/demo/reset")).error, "ECONNRESET");
  t.equal((await get(demo, "/demo/stream?bytes=200000")).body.length, 200_000);
  t.equal((await get(demo, "/demo/drip?bytes=5&ms=1&eof=1")).body, "ddddd");
  t.match((await get(demo, "/demo/sse?events=2&ms=1")).body, "data: 0\n\ndata: 1\n\n");
  t.ok((await get(demo, "/demo/chunked?chunks=2&size=4")).body.endsWith("cccc\r\n0\r\n\r\n"));
  t.notOk((await get(demo, "/demo/chunked?cut=1")).body.includes("0\r\n\r\n"));
  t.equal((await get(demo, "/demo/status?code=418")).status, 418);
  t.match((await get(demo, "/demo/103")).text, /^HTTP\/1\.1 103 Early Hints\r\n.*HTTP\/1\.1 200 OK/s);
  for (const kind of MALFORMED_KINDS)
    t.ok((await get(demo, `/demo/malformed?kind=${kind}`)).bytes.length > 10, kind);
  t.equal((await get(demo, "/demo/malformed?kind=toString")).status, 404);
});

t.test(
  "the bus port keeps its connection, serves all of Odoo, and cannot render website pages",
  async (t) => {
    const demo = await start(t);
    const two = await rawTalk(
      demo.busPort,
      `${rawRequest("GET /web/health")}${rawRequest("GET /web/database/manager", ["Connection: close"])}`,
    );
    t.equal(two.text.match(/HTTP\/1\.1 200 OK/g)?.length, 2, "pipelined on one connection");
    t.match(two.text, MANAGER_MARKER);
    t.same(valuesOf(two, "server"), []);
    t.same(valuesOf(two, "connection"), []);
    t.match(two.lines.at(-1), /^Date: /);
    t.same(
      demo.requests.map((one: RecordedRequest) => `${one.port} ${one.connection} ${one.target}`),
      ["bus 1 /web/health", "bus 1 /web/database/manager"],
    );
    t.equal((await logIn(demo, "admin", "admin", demo.busPort)).status, 303);
    t.equal((await logIn(demo, "admin", "no", demo.busPort)).status, 500);
    const close = ["Connection: close"];
    const underscore = await rawTalk(
      demo.busPort,
      rawRequest("GET /demo/echo", [...close, "X_Forwarded_Host: evil.test"]),
    );
    t.equal(JSON.parse(underscore.body).host, "odoo.test");
    const cookies = await rawTalk(
      demo.busPort,
      rawRequest("GET /demo/echo", [...close, "Cookie: a=1", "Cookie: b=2"]),
    );
    t.match(cookies.body, '"HTTP_COOKIE": "a=1; b=2"');
    const long = await rawTalk(demo.busPort, `GET /${"a".repeat(9_000)} HTTP/1.1\r\n\r\n`);
    t.equal(long.status, 414);
    t.equal(long.body, "");
  },
);

function openWs(url: string, options: Record<string, unknown> = {}): WebSocket {
  return new WebSocket(url, { origin: "https://foreign.test", ...options });
}

async function closeCode(ws: WebSocket): Promise<number> {
  const [code]: unknown[] = await once(ws, "close");
  return Number(code);
}

t.test("websockets on the bus port", async (t) => {
  const demo = await start(t);
  const url = `ws://127.0.0.1:${demo.busPort}/websocket?version=19.0-2`;
  const ws = openWs(url);
  await once(ws, "open");
  t.equal(demo.stats.websockets, 1);
  ws.send(JSON.stringify({ event_name: "subscribe", data: { channels: [], last: 0 } }));
  ws.send("no json");
  ws.send(JSON.stringify({ event_name: "demo_echo", data: { n: 1 } }));
  const [data]: unknown[] = await once(ws, "message");
  t.match(JSON.parse(String(data)), [{ id: 1, message: { type: "demo_echo", payload: { n: 1 } } }]);
  ws.ping("p");
  const [pong]: unknown[] = await once(ws, "pong");
  t.equal(String(pong), "p");
  ws.send(JSON.stringify({ event_name: "demo_echo", data: "x".repeat(100_000) }));
  const [big]: unknown[] = await once(ws, "message");
  t.ok(String(big).length > 100_000, "a long frame both ways");
  ws.close(3000, "bye");
  t.equal(await closeCode(ws), 3000, "the code comes back");

  const quick = openWs(url);
  await once(quick, "open");
  for (let i = 0; i < 15; i += 1) quick.send("{}");
  t.equal(await closeCode(quick), 1013);
  const huge = openWs(url);
  await once(huge, "open");
  huge.send("x".repeat(1024 * 1024 + 1));
  t.equal(await closeCode(huge), 1009);
  const outdated = openWs(`ws://127.0.0.1:${demo.busPort}/websocket`, { headers: { "User-Agent": "test" } });
  t.equal(await closeCode(outdated), 1000);

  const session = await logIn(demo, "demo", "demo");
  const mine = openWs(url, { headers: { Cookie: sessionPair(session) } });
  await once(mine, "open");
  const ended = closeCode(mine);
  await get(demo, "/web/session/logout", [`Cookie: ${sessionPair(session)}`]);
  t.equal(await ended, 4001, "log-out closes the session's sockets");

  const left = openWs(url);
  await once(left, "open");
  const gone = closeCode(left);
  await demo.close();
  t.equal(await gone, 1006, "killed without a close frame");
});

t.test("handshakes that fail", async (t) => {
  const demo = await start(t);
  const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
  const version = "Sec-WebSocket-Version: 13";
  const upgrade = ["Upgrade: websocket", "Connection: keep-alive, Upgrade"];
  const whole = [...upgrade, key, version, "Origin: null"];
  const ask = (port: number, lines: readonly string[], target = "/websocket"): Promise<RawAnswer> =>
    rawTalk(port, rawRequest(`GET ${target}`, lines), { until: "\r\n\r\n" });
  t.equal((await ask(demo.webPort, whole)).status, 500, "the prefork port cannot");
  t.equal((await ask(demo.webPort, [])).status, 400);
  t.equal((await ask(demo.webPort, whole, "/web/login")).status, 400, "upgrade on another route");
  t.equal(
    (await ask(demo.webPort, whole, "/web/static/img/favicon.ico")).status,
    200,
    "static files do not look",
  );
  const good = await ask(demo.busPort, whole);
  t.equal(good.statusLine, "HTTP/1.1 101 SWITCHING PROTOCOLS");
  t.same(valuesOf(good, "sec-websocket-accept"), ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]);
  t.match(sessionPair(good), /^session_id=/);
  t.equal((await ask(demo.busPort, whole.slice(0, -1))).status, 400, "without Origin");
  t.equal((await ask(demo.busPort, [...upgrade, key, "Sec-WebSocket-Version: 8", "Origin: a"])).status, 500);
  t.equal(
    (await ask(demo.busPort, [...upgrade, "Sec-WebSocket-Key: short", version, "Origin: a"])).status,
    400,
  );
  t.equal((await ask(demo.busPort, whole, "/fr/%77ebsocket/")).status, 101);

  const threaded = await start(t, { workers: 0 });
  t.equal((await ask(threaded.webPort, whole)).status, 101, "workers = 0 serves websockets on the web port");
  const page = await rawTalk(threaded.webPort, "GET /web/login HTTP/1.0\r\nHost: a\r\n\r\n");
  t.equal(page.statusLine, "HTTP/1.1 200 OK");
  t.same(valuesOf(page, "transfer-encoding"), ["chunked"]);
  t.equal((await ask(threaded.busPort, whole)).error, "ECONNREFUSED");
});

t.test("the record is bounded and says what arrived", async (t) => {
  let calls = 0;
  const demo = await start(t, { recordMax: 3, onRequest: () => (calls += 1) });
  for (let i = 0; i < 5; i += 1) await get(demo, `/web/health?n=${i}`, ["X-Mark: a", "x-mark: b"]);
  t.equal(calls, 5);
  t.same(
    demo.requests.map((one) => one.target),
    ["/web/health?n=2", "/web/health?n=3", "/web/health?n=4"],
  );
  const [first] = demo.requests;
  t.same(first === undefined ? [] : fieldValues(first, "X-MARK"), ["a", "b"]);
  demo.forget();
  t.equal(demo.requests.length, 0);
});
