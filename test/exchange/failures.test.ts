import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { MALFORMED_KINDS } from "../../src/demo/routes-fault.ts";
import { startCachedSite } from "../support/cache.ts";
import { startTestGateway } from "../support/gateway.ts";
import { type RawAnswer, rawTalk, valuesOf } from "../support/upstream-raw.ts";
import { startScripted } from "../support/upstream-scripted.ts";
import { dechunk, h1, h2, hostOf, openHttp2, openTls, recordOf, requestText, until } from "./clients.ts";

const gateway = await startTestGateway();

/** Could an HTTP/1 client take this for a whole answer. */
function looksWhole(answer: RawAnswer): boolean {
  const length = valuesOf(answer, "content-length")[0];
  if (length !== undefined) return Buffer.byteLength(answer.body, "latin1") >= Number(length);
  if (valuesOf(answer, "transfer-encoding").length > 0) return dechunk(answer.body).whole;
  return answer.error === null;
}

const cuts = [
  "/demo/cut?declared=5000&sent=100",
  "/demo/cut?declared=500000&sent=200000",
  "/demo/reset?after=3000",
  "/demo/chunked?chunks=3&size=50&cut=1",
];

t.test("an answer that Odoo cuts never looks complete", async (t) => {
  for (const [i, path] of cuts.entries()) {
    const over1 = await h1(gateway, `GET ${path}&v=1`);
    if (over1.status === 200) t.notOk(looksWhole(over1), `HTTP/1.1 ${path}`);
    else t.equal(over1.status, 502, path);
    const old = await h1(gateway, `GET ${path}&v=0`, [], "", { old: true });
    if (old.status === 200) t.notOk(looksWhole(old), `HTTP/1.0 ${path} (${old.error})`);
    else t.equal(old.status, 502, path);
    const session = await openHttp2(gateway);
    const over2 = await h2(session, gateway, { ":path": `${path}&v=2` });
    t.ok(
      over2.status === 502 || over2.rstCode === constants.NGHTTP2_INTERNAL_ERROR,
      `HTTP/2 ${path}: RST_STREAM, no END_STREAM (${over2.status}, ${over2.rstCode})`,
    );
    t.equal(
      (await h2(session, gateway, { ":path": `/demo/echo?after=${i}` })).status,
      200,
      "other streams go on",
    );
    session.close();
    const record = await recordOf(gateway, `${path}&v=1`);
    t.equal(record.failure, "answer-cut");
  }
});

t.test(
  "a cut answer without a length is a reset for clients that count to the end of the connection",
  async (t) => {
    const upstream = await startScripted((socket) => {
      socket.write("HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\nhalf a page");
      // Behind the gateway's reading of the head: a reset at once would overtake the bytes.
      setImmediate(() => setImmediate(() => socket.resetAndDestroy()));
    });
    const cutting = await startTestGateway({
      env: { POS_NETWORKS: "127.0.0.1" },
      upstream: { webPort: upstream.port, busPort: upstream.port },
    });
    t.teardown(async () => {
      await cutting.close();
      await upstream.close();
    });
    for (const plain of [false, true]) {
      const old = await h1(cutting, `GET /pos/web?${plain}`, [], "", { old: true, plain });
      if (old.status === 200) t.notOk(looksWhole(old), `HTTP/1.0 ${plain ? "plain" : "TLS"}: ${old.error}`);
      else t.ok(old.status === 502 || old.error !== null, `${old.status} ${old.error}`);
    }
  },
);

const securityNames = [
  "x-content-type-options",
  "referrer-policy",
  "x-frame-options",
  "content-security-policy",
  "permissions-policy",
];

t.test(
  "failures of Odoo become pages for browsers and RPC errors for programs, with our headers and the exchange's id",
  async (t) => {
    const page = await h1(gateway, "GET /demo/nobyte?page", ["Accept: text/html"]);
    t.equal(page.status, 502);
    t.match(valuesOf(page, "content-type")[0], /^text\/html/);
    const record = await recordOf(gateway, "/demo/nobyte?page");
    t.ok(page.body.includes(record.id), "the page names the exchange");
    t.equal(record.status, 502);
    t.equal(record.failure, "closed-without-answer");
    for (const name of [...securityNames, "strict-transport-security"])
      t.equal(valuesOf(page, name).length, 1, name);
    t.same(valuesOf(page, "content-length"), [String(Buffer.byteLength(page.body, "latin1"))]);
    t.same(valuesOf(page, "server"), []);

    const call = await h1(gateway, "POST /demo/nobyte?rpc", ["Content-Type: application/json"], "{}");
    t.equal(call.status, 502);
    const answer: { error: { data: { name: string; message: string } } } = JSON.parse(call.body);
    t.equal(answer.error.data.name, "odoo.exceptions.UserError");
    t.ok(answer.error.data.message.includes((await recordOf(gateway, "/demo/nobyte?rpc")).id));

    const program = await h1(gateway, "GET /demo/nobyte?text");
    t.match(valuesOf(program, "content-type")[0], /^text\/plain/);

    const head = await h1(gateway, "HEAD /demo/nobyte?head");
    t.equal(head.status, 502);
    t.equal(head.body, "");

    const session = await openHttp2(gateway);
    const over2 = await h2(session, gateway, { ":path": "/demo/nobyte?2", accept: "text/html" });
    session.close();
    t.equal(over2.status, 502);
    t.equal(over2.rstCode, 0);
    t.ok(over2.body.includes((await recordOf(gateway, "/demo/nobyte?2")).id));
    for (const name of securityNames) t.type(over2.headers[name], "string", name);
  },
);

t.test("an answer with two readings is not passed on", async (t) => {
  const fine = new Set(["extra"]);
  for (const kind of MALFORMED_KINDS) {
    const answer = await h1(gateway, `GET /demo/malformed?kind=${kind}`);
    if (fine.has(kind)) {
      t.equal(answer.status, 200, kind);
      t.equal(answer.body, "ok", "the second answer behind it is nobody's");
      continue;
    }
    // The head of these is sound; what is wrong comes when it is out already.
    if (kind === "chunk-size" || kind === "chunk-end") {
      t.ok(answer.status === 502 || answer.status === 0 || !looksWhole(answer), kind);
      continue;
    }
    t.equal(answer.status, 502, kind);
    t.notMatch(answer.text, /X-A|okok|no head at all/, `${kind}: nothing of it`);
    t.equal((await recordOf(gateway, `/demo/malformed?kind=${kind}`)).failure, "answer-malformed", kind);
  }
  const switched = await h1(gateway, "GET /demo/101");
  t.equal(switched.status, 502, "101 that nobody asked for");
});

t.test("Odoo that refuses connections is a page that loads itself again, and 502 for programs", async (t) => {
  const gone = await startScripted(() => {});
  await gone.close();
  const alone = await startTestGateway({
    upstream: { webPort: gone.port, busPort: gone.port },
    env: { HOLD_TIMEOUT: "0s" },
  });
  t.teardown(() => alone.close());
  const answer = await h1(alone, "GET /odoo?x", ["Accept: text/html"]);
  t.equal(answer.status, 503);
  const seconds = valuesOf(answer, "retry-after")[0] ?? "";
  t.match(seconds, /^[5-9]$/);
  t.ok(answer.body.includes(`<meta http-equiv="refresh" content="${seconds}">`));
  t.same(valuesOf(answer, "cache-control"), ["no-store"]);
  // Nobody was asked: no time was Odoo's.
  t.match(await recordOf(alone, "/odoo?x"), { failure: "connect-refused", upstreamMs: null });
  const form = await h1(alone, "POST /web/login?x", ["Accept: text/html"], "a=b");
  t.equal(form.status, 502, "a form is not sent again by itself");
  t.notMatch(form.body, /http-equiv/);
  const call = await h1(alone, "POST /web/dataset/call_kw", ["Content-Type: application/json"], "{}");
  t.equal(call.status, 502, "connection lost, says the web client, and tries again");
  t.equal(JSON.parse(call.body).error.data.name, "odoo.exceptions.UserError");
  const asset = await h1(alone, "GET /web/static/x.js");
  t.equal(asset.status, 502);
  t.same(valuesOf(asset, "retry-after"), ["5"]);
  const kept = await openTls(alone);
  const again = await rawTalk(
    0,
    `GET /odoo HTTP/1.1\r\nHost: ${hostOf(alone)}\r\n\r\nGET /odoo HTTP/1.1\r\nHost: ${hostOf(alone)}\r\nConnection: close\r\n\r\n`,
    { socket: kept },
  );
  t.equal(again.text.split("HTTP/1.1 502").length, 3, "the client's connection survives Odoo's failure");
});

t.test("Odoo that is silent past the rule's time is 504", async (t) => {
  const mute = await startScripted((socket) => socket.on("end", () => socket.end()));
  const bus = await startScripted(() => {});
  const folder = policiesWith("timeout: 1s");
  const waiting = await startTestGateway({
    upstream: { webPort: mute.port, busPort: bus.port },
    env: { POLICIES_DIR: folder },
  });
  t.teardown(async () => {
    await waiting.close();
    await mute.close();
    await bus.close();
    rmSync(folder, { recursive: true });
  });
  const answer = await h1(waiting, "GET /odoo?mute");
  t.equal(answer.status, 504);
  const record = await recordOf(waiting, "/odoo?mute");
  t.equal(record.failure, "answer-timeout");
  // Its silence is not the gateway's time.
  t.ok((record.upstreamMs ?? 0) > 900, `${record.upstreamMs} of ${record.totalMs} ms`);
  t.equal(mute.received.length, 1, "and asked once only");
  await until(() => mute.received[0]?.closed === true);
});

t.test(
  "a client that leaves is recorded as 499, and where nobody counts workers its connection to Odoo ends",
  async (t) => {
    const slow = await startScripted((socket) => socket.on("end", () => socket.end()));
    const bus = await startScripted(() => {});
    const waiting = await startTestGateway({ upstream: { webPort: slow.port, busPort: bus.port } });
    t.teardown(async () => {
      await waiting.close();
      await slow.close();
      await bus.close();
    });
    const socket = await openTls(waiting);
    socket.write(requestText(waiting, "GET /slow?1"));
    await until(() => slow.received[0] !== undefined && slow.received[0].bytes.length > 0);
    socket.destroy();
    t.equal((await recordOf(waiting, "/slow?1")).status, 499);
    await until(() => slow.received[0]?.closed === true);
    const session = await openHttp2(waiting);
    const stream = session.request({ ":path": "/slow?2", ":authority": hostOf(waiting) });
    stream.on("error", () => {});
    await until(() => slow.received[1] !== undefined && slow.received[1].bytes.length > 0);
    stream.close(constants.NGHTTP2_CANCEL);
    t.equal((await recordOf(waiting, "/slow?2")).status, 499);
    await until(() => slow.received[1]?.closed === true);
    session.close();
    t.equal(waiting.running.gateway.exchanges, 0);
  },
);

t.test("a client that leaves in the middle of an answer is recorded and frees everything", async (t) => {
  const target = "/demo/sse?events=9999&ms=50&left=1";
  const socket = await openTls(gateway);
  socket.write(requestText(gateway, `GET ${target}`));
  await once(socket, "data");
  socket.destroy();
  t.equal((await recordOf(gateway, target)).status, 499);
  await until(() => gateway.demo.stats.activeWorkers === 0);
});

t.test("Odoo is connected once a request and only with a whole request in hand", async (t) => {
  const fresh = await startTestGateway();
  t.teardown(() => fresh.close());
  t.equal(fresh.demo.stats.connections, 0, "no connection before the first request");
  const slowHead = await openTls(fresh);
  slowHead.write(`GET /demo/echo?head HTTP/1.1\r\nHost: ${hostOf(fresh)}\r\n`);
  const slowBody = await openTls(fresh);
  slowBody.write(`POST /demo/echo?body HTTP/1.1\r\nHost: ${hostOf(fresh)}\r\nContent-Length: 4\r\n\r\nbo`);
  const session = await openHttp2(fresh);
  const slowStream = session.request({
    ":method": "POST",
    ":path": "/demo/echo?stream",
    ":authority": hostOf(fresh),
  });
  slowStream.write("bo");
  await until(() => fresh.running.gateway.exchanges === 2);
  await h1(fresh, "GET /demo/echo?1");
  t.equal(fresh.demo.stats.connections, 1);
  slowHead.end("Connection: close\r\n\r\n");
  await recordOf(fresh, "/demo/echo?head");
  slowBody.write("dy");
  slowStream.end("dy");
  await recordOf(fresh, "/demo/echo?body");
  await recordOf(fresh, "/demo/echo?stream");
  for (let n = 2; n <= 5; n += 1) await h1(fresh, `GET /demo/echo?${n}`);
  t.equal(fresh.demo.stats.connections, fresh.demo.requests.filter((one) => one.port === "web").length);
  t.equal(fresh.demo.stats.connections, 8);
  await until(() => fresh.demo.stats.activeWorkers === 0);
  slowBody.destroy();
  session.close();
});

t.test("the bus port's connections are kept and used again; the web port's never", async (t) => {
  const fresh = await startTestGateway();
  t.teardown(() => fresh.close());
  await until(() => fresh.demo.stats.busConnections === 1);
  for (let n = 0; n < 4; n += 1) t.equal((await h1(fresh, `GET /websocket/health?${n}`)).status, 200);
  const polls = fresh.demo.requests.filter((one) => one.port === "bus");
  t.equal(polls.length, 4);
  t.equal(new Set(polls.map((one) => one.connection)).size, 1);
  t.equal(fresh.demo.stats.connections, 0);
});

t.test(
  "a kept connection that Odoo closes in the meantime is not a failure for a GET, and a POST is never sent twice",
  async (t) => {
    let requests = 0;
    const bus = await startScripted((socket) => {
      requests += 1;
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      // The second request on this connection finds a closed door.
      socket.once("data", () => socket.destroy());
    });
    const fresh = await startTestGateway({ upstream: { webPort: bus.port, busPort: bus.port } });
    t.teardown(async () => {
      await fresh.close();
      await bus.close();
    });
    t.equal((await h1(fresh, "GET /websocket/health?1")).status, 200);
    t.equal((await h1(fresh, "GET /websocket/health?2")).status, 200, "sent again on a new connection");
    t.equal(requests, 2);
    const before = requests;
    const post = await h1(fresh, "POST /websocket/on_closed", ["Content-Type: application/json"], "{}");
    t.equal(post.status, 502);
    t.equal(requests, before, "not repeated");
  },
);

/** A policy folder with one rule for everything. */
function policiesWith(extra: string): string {
  const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-policies-"));
  writeFileSync(
    join(folder, "90-all.yaml"),
    `rules:\n  - id: closed\n    why: No gateway starts without this.\n    match: { path: [/web/database/**, /*/web/database/**, /xmlrpc/**, /*/xmlrpc/**, /jsonrpc/**, /*/jsonrpc/**] }\n    deny: 404\n  - id: all\n    why: Everything goes to the application, with a bound that a test can wait for.\n    forward: web\n    limits: []\n    ${extra}\n`,
  );
  return folder;
}

t.test("nothing is left behind", async (t) => {
  t.equal(gateway.running.gateway.exchanges, 0);
  await gateway.close();
});

t.test("fields that Odoo says twice do not end the process over HTTP/2: the first holds", async (t) => {
  const twice = [
    "Content-Type: text/plain",
    "Content-Type: text/html",
    'ETag: "a"',
    'ETag: "b"',
    "Last-Modified: Fri, 20 Nov 2026 08:00:00 GMT",
    "Last-Modified: Fri, 20 Nov 2026 09:00:00 GMT",
    "Location: /a",
    "Location: /b",
    "Age: 1",
    "Age: 2",
    "Expires: 0",
    "Expires: 1",
    "Retry-After: 1",
    "Retry-After: 2",
    "Content-Language: en",
    "Content-Language: fr",
    "Content-Location: /a",
    "Content-Location: /b",
    "Content-MD5: a",
    "Content-MD5: b",
    "Content-Encoding: x-a",
    "Content-Encoding: x-b",
    "Content-Range: bytes 0-1/2",
    "Content-Range: bytes 0-1/3",
    "Date: Fri, 20 Nov 2026 08:00:00 GMT",
    "Date: Fri, 20 Nov 2026 09:00:00 GMT",
    "Access-Control-Allow-Credentials: true",
    "Access-Control-Allow-Credentials: false",
    "Access-Control-Max-Age: 1",
    "Access-Control-Max-Age: 2",
    "DNT: 1",
    "DNT: 0",
    "Tk: N",
    "Tk: T",
    "Vary: Cookie",
    "Vary: Origin",
  ];
  const site = await startCachedSite(() => ({ fields: twice, body: "said twice" }));
  t.teardown(() => site.close());
  const answer = await site.get("/twice");
  t.equal(String(answer.body), "said twice");
  t.equal(answer.headers["content-type"], "text/plain");
  t.equal(answer.headers["etag"], '"a"');
  t.equal(answer.headers["vary"], "Cookie, Origin");
  t.equal((await site.get("/twice")).status, 200, "and the process is there");
});
