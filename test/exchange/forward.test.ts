import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { startTestGateway } from "../support/gateway.ts";
import { rawTalk, valuesOf } from "../support/upstream-raw.ts";
import { startScripted } from "../support/upstream-scripted.ts";
import {
  dechunk,
  echoOf,
  h1,
  h2,
  hostOf,
  openHttp2,
  openTls,
  recordOf,
  requestText,
  seen,
  until,
} from "./clients.ts";

const gateway = await startTestGateway();

const forged = [
  ["X-Forwarded-For", "6.6.6.6"],
  ["X-Forwarded-Host", "evil.example"],
  ["X-Forwarded-Proto", "http"],
  ["X-Real-IP", "6.6.6.6"],
  ["Forwarded", "for=6.6.6.6"],
  ["X-Odoo-dbfilter", "^other$"],
  ["X-Odoo-Database", "other"],
  ["X-Request-Id", "mine"],
] as const;

t.test("Odoo sees our forwarding fields and none of the client's, in HTTP/1.1 and HTTP/2", async (t) => {
  const session = await openHttp2(gateway);
  const over1 = await h1(gateway, "GET /demo/echo?p=1", [
    ...forged.map(([name, value]) => `${name}: ${value}`),
    "Keep-Alive: 5",
    "Accept-Language: fr",
    "Cookie: a=1; session_id=x",
  ]);
  const over2 = await h2(session, gateway, {
    ":path": "/demo/echo?p=2",
    ...Object.fromEntries(forged.map(([name, value]) => [name.toLowerCase(), value])),
    "accept-language": "fr",
    cookie: ["a=1", "session_id=x"],
  });
  session.close();
  t.equal(over1.status, 200);
  t.equal(over2.status, 200);
  t.match(over1.statusLine, /^HTTP\/1\.1 200/);
  for (const echo of [echoOf(over1.body), echoOf(over2.body)]) {
    const host = hostOf(gateway);
    t.same(seen(echo, "host"), [host], "Host is kept, with its port");
    t.same(seen(echo, "x-forwarded-for"), ["127.0.0.1"]);
    t.same(seen(echo, "x-forwarded-host"), [host]);
    t.same(seen(echo, "x-forwarded-proto"), ["https"]);
    t.same(seen(echo, "x-real-ip"), ["127.0.0.1"]);
    t.same(seen(echo, "cookie"), ["a=1; session_id=x"], "one Cookie line, crumbs joined");
    t.same(seen(echo, "accept-language"), ["fr"]);
    t.same(seen(echo, "connection"), ["close"]);
    for (const name of ["forwarded", "x-odoo-dbfilter", "x-odoo-database", "keep-alive", "te"])
      t.same(seen(echo, name), [], name);
    t.equal(echo.client, "127.0.0.1");
    t.equal(echo.scheme, "https");
    t.equal(echo.host, host);
    t.not(seen(echo, "x-request-id")[0], "mine");
  }
  const record = await recordOf(gateway, "/demo/echo?p=1");
  t.same(
    seen(echoOf(over1.body), "x-request-id"),
    [record.id],
    "Odoo's log and ours can be joined by the id",
  );
  t.equal((await recordOf(gateway, "/demo/echo?p=2")).protocol, "HTTP/2");
});

t.test("what Odoo says of itself and of its connection stays inside", async (t) => {
  const answer = await h1(gateway, "GET /demo/headers");
  t.equal(answer.status, 200);
  t.equal(answer.body, "ok\n");
  for (const name of [
    "server",
    "x-powered-by",
    "x-nominated",
    "keep-alive",
    "proxy-authenticate",
    "te",
    "trailer",
    "upgrade",
    "x-accel-redirect",
    "transfer-encoding",
  ])
    t.same(valuesOf(answer, name), [], name);
  t.same(valuesOf(answer, "x-frame-options"), ["DENY"]);
  t.same(valuesOf(answer, "link"), ["</a>; rel=preload", "</b>; rel=preload"]);
  t.equal(valuesOf(answer, "strict-transport-security").length, 1);
  t.match(valuesOf(answer, "strict-transport-security")[0], /max-age=31536000/);
  const cookies = valuesOf(answer, "set-cookie");
  t.equal(cookies.length, 3);
  t.match(cookies[0], /^session_id=abc;.*HttpOnly.*Secure.*SameSite=Lax|^session_id=abc;.*Secure.*HttpOnly/);
  t.match(cookies[0], /SameSite=Lax/);
  t.match(cookies[2], /SameSite=Strict/);
});

t.test("HEAD, 204, 304, interim answers and ranges keep their meaning", async (t) => {
  const head = await h1(gateway, "HEAD /demo/big?bytes=1234");
  t.equal(head.status, 200);
  t.same(valuesOf(head, "content-length"), ["1234"]);
  t.equal(head.body, "");
  for (const [path, status] of [
    ["/demo/204", 204],
    ["/demo/304", 304],
  ] as const) {
    const answer = await h1(gateway, `GET ${path}`);
    t.equal(answer.status, status);
    t.equal(answer.body, "", "the bytes Odoo sent behind it are nobody's");
    t.same(valuesOf(answer, "transfer-encoding"), []);
  }
  const hints = await h1(gateway, "GET /demo/103");
  t.equal(hints.status, 200);
  t.equal(hints.body, "ok\n");
  const etag = await h1(gateway, "GET /web/static/img/logo.png");
  t.equal(etag.status, 200);
  const part = await h1(gateway, "GET /web/static/img/logo.png", ["Range: bytes=0-9"]);
  t.equal(part.status, 206);
  t.equal(Buffer.byteLength(part.body, "latin1"), 10);
  t.match(valuesOf(part, "content-range")[0], /^bytes 0-9\//);
  const beyond = await h1(gateway, "GET /web/static/img/logo.png", ["Range: bytes=99999999-"]);
  t.equal(beyond.status, 416);
  const validator = valuesOf(etag, "etag")[0];
  if (validator !== undefined) {
    const same = await h1(gateway, "GET /web/static/img/logo.png", [`If-None-Match: ${validator}`]);
    t.equal(same.status, 304);
    t.equal(same.body, "");
  }
  const session = await openHttp2(gateway);
  const head2 = await h2(session, gateway, { ":method": "HEAD", ":path": "/demo/big?bytes=1234" });
  t.equal(head2.headers["content-length"], "1234");
  t.equal(head2.body.length, 0);
  t.equal(head2.rstCode, 0);
  const none2 = await h2(session, gateway, { ":path": "/demo/304" });
  t.equal(none2.status, 304);
  t.equal(none2.rstCode, 0);
  session.close();
});

t.test("a chunked request body reaches Odoo with a Content-Length", async (t) => {
  const socket = await openTls(gateway);
  const answer = await rawTalk(
    0,
    `POST /demo/echo HTTP/1.1\r\nHost: ${hostOf(gateway)}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n`,
    { socket },
  );
  const echo = echoOf(answer.body);
  t.same(seen(echo, "content-length"), ["11"]);
  t.same(seen(echo, "transfer-encoding"), []);
  t.equal(echo.body.sha256, createHash("sha256").update("hello world").digest("hex"));
  const session = await openHttp2(gateway);
  const over2 = await h2(session, gateway, { ":method": "POST", ":path": "/demo/echo" }, "hello world");
  session.close();
  t.same(seen(echoOf(over2.body), "content-length"), ["11"]);
});

t.test("a POST without a body has length 0", async (t) => {
  const answer = await h1(gateway, "POST /demo/echo", ["Content-Length: 0"]);
  t.same(seen(echoOf(answer.body), "content-length"), ["0"]);
});

t.test(
  "Expect: 100-continue is answered before the body comes, and never for a body that is refused",
  async (t) => {
    const socket = await openTls(gateway);
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
    });
    socket.write(
      `POST /demo/echo HTTP/1.1\r\nHost: ${hostOf(gateway)}\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`,
    );
    await until(() => text.includes("\r\n\r\n"));
    t.match(text, /^HTTP\/1\.1 100 Continue\r\n\r\n/);
    text = "";
    socket.write("body");
    await once(socket, "close");
    t.match(text, /^HTTP\/1\.1 200/);
    t.same(seen(echoOf(text.slice(text.indexOf("\r\n\r\n") + 4)), "expect"), []);
    const refused = await h1(gateway, "POST /demo/echo", [
      "Expect: 100-continue",
      `Content-Length: ${200 * 1024 * 1024}`,
    ]);
    t.equal(refused.status, 413);
    t.match(refused.text, /^HTTP\/1\.1 413/, "no 100 before it");
    const session = await openHttp2(gateway);
    const stream = session.request({
      ":method": "POST",
      ":path": "/demo/echo",
      ":authority": hostOf(gateway),
      expect: "100-continue",
    });
    await once(stream, "continue");
    stream.end("body");
    const [fields] = await once(stream, "response");
    t.equal(fields[":status"], 200);
    stream.resume();
    session.close();
  },
);

t.test("a body past BODY_MAX is refused at once by its length, and while counting without one", async (t) => {
  const small = await startTestGateway({ env: { BODY_MAX: "1MiB" } });
  t.teardown(() => small.close());
  const socket = await openTls(small);
  const declared = await rawTalk(
    0,
    `POST /demo/echo?declared HTTP/1.1\r\nHost: ${hostOf(small)}\r\nContent-Length: 1048577\r\n\r\n`,
    { socket },
  );
  t.equal(declared.status, 413, "before a byte of the body");
  t.same(valuesOf(declared, "connection"), ["close"]);
  t.match(declared.body, /1 MiB|1MiB/);
  const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`;
  const counted = await rawTalk(
    0,
    `POST /demo/echo?counted HTTP/1.1\r\nHost: ${hostOf(small)}\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(20)}`,
    { socket: await openTls(small) },
  );
  t.equal(counted.status, 413, "without waiting for the body's end");
  const session = await openHttp2(small);
  const over2 = await h2(
    session,
    small,
    { ":method": "POST", ":path": "/demo/echo?2" },
    Buffer.alloc(1_100_000),
  );
  t.equal(over2.status, 413);
  t.equal(
    (await h2(session, small, { ":path": "/demo/status?code=200" })).status,
    200,
    "the connection goes on",
  );
  session.close();
  t.equal(small.demo.stats.connections, 1, "Odoo saw none of the refused ones");
  t.equal((await recordOf(small, "/demo/echo?counted")).status, 413);
  const whole = await h1(small, "POST /demo/echo", [], "x".repeat(1_048_576));
  t.equal(echoOf(whole.body).body.length, 1_048_576, "BODY_MAX itself is allowed");
});

t.test("a body that stops coming is answered with 408 and opens no connection to Odoo", async (t) => {
  const clock = manualClock(Date.now());
  const still = await startTestGateway({ clock });
  t.teardown(() => still.close());
  const socket = await openTls(still);
  const talk = rawTalk(
    0,
    `POST /demo/echo?slow HTTP/1.1\r\nHost: ${hostOf(still)}\r\nContent-Length: 10\r\n\r\nhalf`,
    { socket },
  );
  await until(() => still.running.gateway.exchanges === 1);
  clock.advance(31_000);
  const answer = await talk;
  t.equal(answer.status, 408);
  t.equal(still.demo.stats.connections, 0);
  t.equal((await recordOf(still, "/demo/echo?slow")).status, 408);
});

t.test("an upload of 110 MB arrives whole through the spool, and memory stays small", async (t) => {
  const piece = randomBytes(1024 * 1024);
  const hash = createHash("sha256");
  const total = 110;
  const socket = await openTls(gateway);
  const parts: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => parts.push(chunk));
  socket.write(
    `POST /demo/echo?upload HTTP/1.1\r\nHost: ${hostOf(gateway)}\r\nConnection: close\r\nContent-Length: ${total * piece.length}\r\n\r\n`,
  );
  const before = process.memoryUsage().rss;
  let most = 0;
  for (let i = 0; i < total; i += 1) {
    hash.update(piece);
    if (!socket.write(piece)) await once(socket, "drain");
    most = Math.max(most, process.memoryUsage().rss);
  }
  await once(socket, "close");
  const text = Buffer.concat(parts).toString("latin1");
  const echo = echoOf(text.slice(text.indexOf("\r\n\r\n") + 4));
  t.equal(echo.body.length, total * piece.length);
  t.equal(echo.body.sha256, hash.digest("hex"));
  t.ok(most - before < 90_000_000, `grew by ${Math.round((most - before) / 1e6)} MB while 115 MB came in`);
  t.equal((await recordOf(gateway, "/demo/echo?upload")).bytesIn, total * piece.length);
});

t.test("downloads: with a length, until the end of the connection, chunked; each framed anew", async (t) => {
  const sized = await h1(gateway, "GET /demo/big?bytes=300000");
  t.same(valuesOf(sized, "content-length"), ["300000"]);
  t.equal(sized.body.length, 300_000);
  const open = await h1(gateway, "GET /demo/stream?bytes=300000");
  t.same(valuesOf(open, "transfer-encoding"), ["chunked"]);
  t.same(valuesOf(open, "content-length"), []);
  t.same([dechunk(open.body).text.length, dechunk(open.body).whole], [300_000, true]);
  const chunked = await h1(gateway, "GET /demo/chunked?chunks=3&size=5&trailer=1");
  t.same(dechunk(chunked.body), { text: "ccccccccccccccc", whole: true });
  const old = await h1(gateway, "GET /demo/chunked?chunks=3&size=5", [], "", { old: true });
  t.equal(old.body, "ccccccccccccccc", "an HTTP/1.0 client gets no chunks");
  t.same(valuesOf(old, "transfer-encoding"), []);
  const session = await openHttp2(gateway);
  for (const path of ["/demo/big?bytes=300000", "/demo/stream?bytes=300000"]) {
    const answer = await h2(session, gateway, { ":path": path });
    t.equal(answer.body.length, 300_000, path);
    t.equal(answer.rstCode, 0);
  }
  session.close();
});

t.test("an event stream arrives event by event", async (t) => {
  const upstream = await startScripted((socket) => {
    socket.write("HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 0\n\n");
    next = () => socket.write("data: 1\n\n");
    finish = () => socket.end();
  });
  let next = () => false;
  let finish: () => unknown = () => {};
  const streaming = await startTestGateway({ upstream: { webPort: upstream.port, busPort: upstream.port } });
  t.teardown(async () => {
    await streaming.close();
    await upstream.close();
  });
  const socket = await openTls(streaming);
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
  });
  socket.write(requestText(streaming, "GET /events"));
  await until(() => text.includes("data: 0"));
  t.notMatch(text, /data: 1/);
  next();
  await until(() => text.includes("data: 1"));
  t.notMatch(text, /\r\n0\r\n/);
  finish();
  await once(socket, "close");
  t.ok(dechunk(text.slice(text.indexOf("\r\n\r\n") + 4)).whole);
});

t.test("a slow client does not hold a worker: Odoo is free while it still reads", async (t) => {
  const bytes = 40_000_000;
  const whole = (path: string) =>
    `GET ${path} HTTP/1.1\r\nHost: ${hostOf(gateway)}\r\nConnection: close\r\n\r\n`;
  const socket = await openTls(gateway);
  socket.pause();
  socket.write(whole(`/demo/big?bytes=${bytes}&slow=1`));
  await until(() => gateway.demo.requests.some((one) => one.target.endsWith("slow=1")));
  await until(() => gateway.demo.stats.activeWorkers === 0);
  t.equal(gateway.running.gateway.exchanges, 1, "the client is still being served");
  let received = 0;
  socket.on("data", (chunk: Buffer) => {
    received += chunk.length;
  });
  socket.resume();
  await once(socket, "close");
  t.ok(received > bytes, "every byte arrives");
  t.equal((await recordOf(gateway, `/demo/big?bytes=${bytes}&slow=1`)).bytesOut, bytes);

  const session = await openHttp2(gateway);
  const stream = session.request({
    ":path": `/demo/stream?bytes=${bytes}&slow=2`,
    ":authority": hostOf(gateway),
  });
  stream.pause();
  await once(stream, "response");
  await until(() => gateway.demo.stats.activeWorkers === 0);
  t.equal(gateway.running.gateway.exchanges, 1);
  let over2 = 0;
  stream.on("data", (chunk: Buffer) => {
    over2 += chunk.length;
  });
  stream.resume();
  await once(stream, "close");
  t.equal(over2, bytes);
  session.close();
});

t.test(
  "without room in the spool an upload is told to come later, and a slow answer waits instead of losing bytes",
  async (t) => {
    const tight = await startTestGateway({ env: { SPOOL_MAX: "1MiB", BODY_MAX: "1MiB" } });
    t.teardown(() => tight.close());
    // Three uploads that each lack their last byte: there is room for one.
    const head = `POST /demo/echo?room HTTP/1.1\r\nHost: ${hostOf(tight)}\r\nConnection: close\r\nContent-Length: 1000001\r\n\r\n`;
    const answers: number[] = [];
    const uploads = await Promise.all(
      [1, 2, 3].map(async () => {
        const socket = await openTls(tight);
        const talk = rawTalk(0, head + "x".repeat(1_000_000), { socket });
        return {
          socket,
          done: talk.then((answer) => {
            answers.push(answer.status);
            if (answer.status === 503) t.ok(Number(valuesOf(answer, "retry-after")[0]) > 0);
          }),
        };
      }),
    );
    await until(() => answers.length === 2);
    t.equal(tight.demo.stats.connections, 0);
    for (const { socket } of uploads) if (!socket.destroyed) socket.write("x");
    await Promise.all(uploads.map(({ done }) => done));
    t.same(answers, [503, 503, 200]);
    t.equal((await recordOf(tight, "/demo/echo?room")).failure, "spool-full");
    const bytes = 12_000_000;
    const session = await openHttp2(tight);
    const stream = session.request({ ":path": `/demo/big?bytes=${bytes}`, ":authority": hostOf(tight) });
    stream.pause();
    await once(stream, "response");
    let received = 0;
    stream.on("data", (chunk: Buffer) => {
      received += chunk.length;
    });
    stream.resume();
    await once(stream, "close");
    t.equal(received, bytes);
    session.close();
  },
);

t.test("an answer that comes before the whole upload was sent reaches the client", async (t) => {
  const early = await startScripted((socket) => {
    socket.end("HTTP/1.0 413 TOO LARGE\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nbig");
  });
  const bus = await startScripted(() => {});
  const hasty = await startTestGateway({ upstream: { webPort: early.port, busPort: bus.port } });
  t.teardown(async () => {
    await hasty.close();
    await early.close();
    await bus.close();
  });
  const answer = await h1(hasty, "POST /upload", [], "x".repeat(5_000_000));
  t.equal(answer.status, 413);
  t.equal(answer.body, "big");
});

t.test(
  "a client that closes its sending side has left, as with nginx, and leaves nothing behind",
  async (t) => {
    for (const plain of [false, true]) {
      const own = await startTestGateway({ env: { POS_NETWORKS: "127.0.0.1" } });
      const target = "/pos/web?half";
      const socket = plain ? connectTcp(own.httpPort, "127.0.0.1") : await openTls(own);
      const text = requestText(own, `GET ${target}`, [], "", { plain });
      const answer = await rawTalk(0, text, { socket, end: true });
      t.equal(answer.text, "");
      t.equal((await recordOf(own, target)).status, 499);
      t.equal(own.running.gateway.exchanges, 0);
      await own.close();
    }
  },
);

t.test("a kept connection carries many exchanges", async (t) => {
  const socket = await openTls(gateway);
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
  });
  const ask = (n: number) =>
    socket.write(`GET /demo/status?code=200&kept=${n} HTTP/1.1\r\nHost: ${hostOf(gateway)}\r\n\r\n`);
  for (let n = 1; n <= 3; n += 1) {
    ask(n);
    await until(() => text.split("200 OK\n").length === n + 1);
  }
  t.equal(text.split("HTTP/1.1 200").length, 4);
  // Two at once: pipelined, answered in order.
  text = "";
  ask(4);
  ask(5);
  await until(() => text.split("200 OK\n").length === 3);
  socket.destroy();
  const session = await openHttp2(gateway);
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, i) => h2(session, gateway, { ":path": `/demo/echo?many=${i}` })),
  );
  t.same(
    answers.map((answer) => echoOf(answer.body).target),
    Array.from({ length: 40 }, (_, i) => `/demo/echo?many=${i}`),
  );
  session.close();
});

t.test("nothing is left behind", async () => {
  await until(() => gateway.running.gateway.exchanges === 0);
  await gateway.close();
});
