import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { askAgainMs, passMs, staleMsMax } from "../../src/cache/cache.ts";
import { startCachedSite } from "../support/cache.ts";
import { aWeek, immutable, send } from "../support/files-upstream.ts";
import { startTestGateway } from "../support/gateway.ts";
import { rawTalk } from "../support/upstream-raw.ts";
import { h1, h2, openHttp2, openTls, recordOf, requestText, until } from "./clients.ts";

const bundle = "/web/assets/0c5bb5f/web.assets_web.min.js";
const file = "/web/static/src/module_loader.js";
const javascript = "Content-Type: application/javascript; charset=utf-8";
const script = "odoo.define('web.module', function (require) { return require('web.core'); });\n".repeat(
  2_000,
);

t.test("a bundle is asked for once and comes from memory with its own age", async (t) => {
  const clock = manualClock(Date.now());
  const site = await startCachedSite(
    () => ({
      fields: [
        javascript,
        ...immutable,
        'ETag: "abc"',
        "Content-Disposition: inline",
        "Date: Sat, 21 Nov 2026 08:00:00 GMT",
      ],
      body: script,
    }),
    { clock },
  );
  t.teardown(() => site.close());
  const miss = await site.get(bundle);
  t.equal(String(miss.body), script);
  clock.advance(90_500);
  const hit = await site.get(bundle);
  t.equal(String(hit.body), script);
  t.equal(hit.headers["age"], "90");
  t.equal(hit.headers["etag"], '"abc"');
  t.equal(hit.headers["cache-control"], "public, max-age=31536000, immutable");
  t.equal(hit.headers["date"], "Sat, 21 Nov 2026 08:00:00 GMT");
  t.equal(hit.headers["vary"], "Accept-Encoding");
  t.equal(hit.headers["accept-ranges"], "bytes");
  t.equal(hit.headers["server"], undefined);
  t.match(hit.headers["strict-transport-security"], /max-age/);
  t.equal(hit.headers["x-content-type-options"], "nosniff");
  clock.advance(300 * 24 * 3_600_000);
  await site.get(bundle);
  t.equal(site.odoo.seen.length, 1);
  const words = (await site.records()).map(({ cache, rule, verdict }) => [cache, rule, verdict]);
  t.same(words, [
    ["miss", "assets", "forward"],
    ["hit", "assets", "forward"],
    ["hit", "assets", "forward"],
  ]);
  t.type((await site.records())[0]?.upstreamMs, "number");
  t.equal((await site.records())[1]?.upstreamMs, null);
});

t.test(
  "an upgraded module's file shows within the stated time, and a file that is the same is not sent again",
  async (t) => {
    const clock = manualClock(Date.now());
    let version = 1;
    const site = await startCachedSite(
      ({ field }) =>
        field("if-none-match") === `"v${version}"`
          ? { status: "304 NOT MODIFIED", fields: [...aWeek, `ETag: "v${version}"`] }
          : { fields: [javascript, ...aWeek, `ETag: "v${version}"`], body: `version ${version}` },
      { clock, env: { CACHE_STATIC_FRESH: "30s" } },
    );
    t.teardown(() => site.close());
    t.equal(String((await site.get(file)).body), "version 1");
    version = 2;
    clock.advance(29_000);
    t.equal(String((await site.get(file)).body), "version 1");
    clock.advance(1_001);
    t.equal(String((await site.get(file)).body), "version 2");
    clock.advance(30_001);
    const same = await site.get(file);
    t.equal(String(same.body), "version 2");
    t.equal(same.headers["age"], "0");
    t.equal(site.odoo.seen[2]?.field("if-none-match"), '"v2"');
    t.same(
      (await site.records()).map((one) => one.cache),
      ["miss", "hit", "miss", "revalidated"],
    );
    clock.advance(29_000);
    await site.get(file);
    t.equal(site.odoo.seen.length, 3, "fresh again");
  },
);

t.test("without a hash in its address even an immutable file is looked at again", async (t) => {
  const clock = manualClock(Date.now());
  const site = await startCachedSite(
    ({ field }) =>
      field("if-modified-since") === null
        ? { fields: [javascript, ...immutable, "Last-Modified: Fri, 20 Nov 2026 08:00:00 GMT"], body: "x" }
        : { status: "304 NOT MODIFIED", fields: immutable },
    { clock },
  );
  t.teardown(() => site.close());
  const paths = ["/web/assets/any/web.assets_web.min.js", "/web/assets/1/_______/x.js", "/web/static/x.js"];
  for (const path of paths) {
    await site.get(path);
    clock.advance(60_001);
    t.equal(String((await site.get(path)).body), "x");
    t.equal(site.odoo.count(path), 2, path);
  }
  for (const path of [bundle, "/web/assets/1/ae2450c/x.css", "/web/assets/1234-ae2450c/x.css"]) {
    await site.get(path);
    clock.advance(60_001);
    await site.get(path);
    t.equal(site.odoo.count(path), 1, path);
  }
});

t.test("a file that Odoo takes back is not given out any more", async (t) => {
  const clock = manualClock(Date.now());
  let gone = false;
  const site = await startCachedSite(
    () =>
      gone
        ? { status: "404 NOT FOUND", fields: ["Content-Type: text/html"], body: "gone" }
        : { fields: [javascript, ...aWeek, 'ETag: "a"'], body: "x" },
    { clock },
  );
  t.teardown(() => site.close());
  await site.get(file);
  gone = true;
  clock.advance(60_001);
  t.equal((await site.get(file)).status, 404);
  t.equal((await site.get(file)).status, 404);
  gone = false;
  clock.advance(passMs + 1);
  t.equal((await site.get(file)).status, 200);
  await site.get(file);
  t.equal((await recordOf(site.gateway, file)).cache, "miss");
  t.equal((await site.records()).at(-1)?.cache, "hit");
});

t.test("while Odoo restarts the files it had are served, for a day at most", async (t) => {
  const clock = manualClock(Date.now());
  let state: "up" | "breaks" | "503" = "up";
  const site = await startCachedSite(
    ({ socket }) => {
      if (state === "breaks") {
        socket.destroy();
        return null;
      }
      if (state === "503") return { status: "503 SERVICE UNAVAILABLE", body: "wait" };
      return { fields: [javascript, ...aWeek, 'ETag: "a"'], body: "the file" };
    },
    // Without waiting for Odoo: what is asked here is what is there meanwhile.
    { clock, env: { HOLD_TIMEOUT: "0s" } },
  );
  t.teardown(() => site.close());
  await site.get(file);
  for (const trouble of ["breaks", "503", "refused"] as const) {
    if (trouble === "refused") await site.odoo.close();
    else state = trouble;
    clock.advance(60_001);
    const before = site.odoo.seen.length;
    for (let i = 0; i < 3; i += 1) {
      const stale = await site.get(file);
      t.equal(stale.status, 200, trouble);
      t.equal(String(stale.body), "the file");
      t.ok(Number(stale.headers["age"]) >= 60);
      t.equal((await site.records()).at(-1)?.cache, "stale");
    }
    t.equal(
      site.odoo.seen.length,
      before + (trouble === "refused" ? 0 : 1),
      "Odoo is left alone for a moment",
    );
    clock.advance(askAgainMs + 1);
  }
  t.ok(
    site.gateway.events.some(
      (event) => event.type === "upstream-failed" && event.failure === "connect-refused",
    ),
  );
  t.equal((await site.get("/web/static/other.js")).status, 502, "what is not there cannot be served");
  clock.advance(staleMsMax);
  t.equal((await site.get(file)).status, 502, "and nothing for ever");
});

t.test("the time in which Odoo gave no answer for a file is Odoo's in the log", async (t) => {
  const hangsUp = ({ socket }: { readonly socket: Socket }) => {
    socket.destroy();
    return null;
  };
  const site = await startCachedSite(hangsUp, { env: { HOLD_TIMEOUT: "0s" } });
  t.teardown(() => site.close());
  t.equal((await site.get(file)).status, 502);
  const [record] = await site.records();
  t.match(record, { failure: "closed-without-answer", upstreamMs: Number });
});

t.test("a copy that is given out because Odoo is busy is nobody turned away", async (t) => {
  const clock = manualClock(Date.now());
  const busy: Socket[] = [];
  const site = await startCachedSite(
    ({ target, socket }) => {
      if (target !== "/slow") return { fields: [javascript, ...aWeek, 'ETag: "a"'], body: "the file" };
      busy.push(socket);
      return null;
    },
    { clock, env: { ODOO_WORKERS: "1", QUEUE_MAX: "1" } },
  );
  t.teardown(() => site.close());
  await site.get(file);
  clock.advance(60_001);
  const slow = site.get("/slow");
  await until(() => busy.length === 1);
  const shed = () => site.gateway.events.filter((event) => event.type === "shed").length;
  t.equal((await site.get(file)).status, 200);
  t.equal(shed(), 0);
  // Of two files that are not there one has the only place in the queue.
  const two = ["/web/static/one.js", "/web/static/two.js"].map((path) => site.get(path));
  await until(() => shed() === 1);
  for (const socket of busy) send(socket, "GET", { body: "at last" });
  t.equal((await slow).status, 200);
  t.same((await Promise.all(two)).map(({ status }) => status).toSorted(), [200, 503]);
  const turnedAway = (await site.records()).filter(({ verdict }) => verdict === "shed");
  t.match(turnedAway, [{ status: 503 }]);
});

t.test("a file that is too old to be given out waits for Odoo like one that is not there", async (t) => {
  const clock = manualClock(Date.now());
  let busy: Socket | null = null;
  const site = await startCachedSite(
    ({ target, socket }) => {
      if (target !== "/slow") return { fields: [javascript, ...aWeek, 'ETag: "a"'], body: "the file" };
      busy = socket;
      return null;
    },
    { clock, env: { ODOO_WORKERS: "1" } },
  );
  t.teardown(() => site.close());
  await site.get(file);
  clock.advance(60_001 + staleMsMax);
  const slow = site.get("/slow");
  await until(() => busy !== null);
  const coming = site.get(file);
  await until(() => site.gateway.running.gateway.exchanges === 2);
  if (busy !== null) send(busy, "GET", { body: "at last" });
  t.equal((await slow).status, 200);
  const answer = await coming;
  t.equal(answer.status, 200, "not 503 because there was no worker at once");
  t.equal(String(answer.body), "the file");
  t.equal((await site.records()).at(-1)?.cache, "miss");
});

t.test("one question for many waiters also when a file is looked at again", async (t) => {
  const clock = manualClock(Date.now());
  let held = false;
  const site = await startCachedSite(
    () => (held ? null : { fields: [javascript, ...aWeek, 'ETag: "a"'], body: "the file" }),
    { clock },
  );
  t.teardown(() => site.close());
  await site.get(file);
  held = true;
  clock.advance(60_001);
  const coming = Array.from({ length: 20 }, () => site.get(file));
  await until(() => site.gateway.running.gateway.exchanges === 20);
  await site.odoo.until((seen) => seen.length === 2);
  const asked = site.odoo.seen[1];
  if (asked === undefined) throw new Error("Odoo was not asked");
  send(asked.socket, "GET", { status: "304 NOT MODIFIED", fields: [...aWeek, 'ETag: "a"'] });
  for (const answer of await Promise.all(coming)) t.equal(String(answer.body), "the file");
  t.equal(site.odoo.seen.length, 2);
});

t.test("each client gets the coding it prefers, and a tag of that coding", async (t) => {
  const site = await startCachedSite(() => ({
    fields: [javascript, ...immutable, 'ETag: "abc"'],
    body: script,
  }));
  t.teardown(() => site.close());
  const plain = (body: Buffer) => body;
  const wanted: readonly (readonly [string, string | undefined, (body: Buffer) => Buffer])[] = [
    ["gzip, deflate, br", "br", brotliDecompressSync],
    ["zstd;q=1.0, br;q=0.5, gzip", "zstd", zstdDecompressSync],
    ["gzip", "gzip", gunzipSync],
    ["br;q=0, *", "zstd", zstdDecompressSync],
    ["x-gzip", "gzip", gunzipSync],
    ["identity", undefined, plain],
    ["identity, br;q=0.5", undefined, plain],
    ["br;q=0, gzip;q=0, zstd;q=0", undefined, plain],
    ["deflate", undefined, plain],
    ["br;q=2", undefined, plain],
    ["identity;q=0", undefined, plain],
  ];
  for (const [accept, coding, decode] of wanted) {
    for (const when of ["first", "again"]) {
      const answer = await site.get(bundle, { "accept-encoding": accept });
      t.equal(answer.headers["content-encoding"], coding, `${accept}, ${when}`);
      t.equal(String(decode(answer.body)), script);
      t.equal(answer.headers["vary"], "Accept-Encoding");
      t.equal(answer.headers["etag"], coding === undefined ? '"abc"' : `W/"abc-${coding}"`);
      t.equal((await site.records()).at(-1)?.bytesOut, answer.body.length);
    }
  }
  t.equal(site.odoo.seen.length, 1);
});

t.test("a client that has the file gets 304 under the tag it knows, in any coding", async (t) => {
  const site = await startCachedSite(() => ({
    fields: [javascript, ...immutable, 'ETag: "abc"', "Last-Modified: Fri, 20 Nov 2026 08:00:00 GMT"],
    body: script,
  }));
  t.teardown(() => site.close());
  const cases: readonly (readonly [string, string, number, string?])[] = [
    // The first one brings the file in.
    ["br", '"abc"', 304, '"abc"'],
    ["br", 'W/"abc-br"', 304, 'W/"abc-br"'],
    ["br", '"abc-br"', 304, 'W/"abc-br"'],
    ["gzip", 'W/"abc-gzip"', 304, 'W/"abc-gzip"'],
    ["br", '"x", W/"abc-br", "y,z"', 304, 'W/"abc-br"'],
    ["br", "*", 304, 'W/"abc-br"'],
    ["", "*", 304, '"abc"'],
    ["br", '"abc-zip"', 200],
    ["br", '"xyz"', 200],
    ["br", "abc", 200],
    ["br", '"ABC"', 200],
  ];
  for (const [accept, noneMatch, status, tag] of cases) {
    const answer = await site.get(bundle, { "accept-encoding": accept, "if-none-match": noneMatch });
    t.equal(answer.status, status, `${accept} ${noneMatch}`);
    if (status !== 304) continue;
    t.equal(answer.body.length, 0);
    t.equal(answer.headers["etag"], tag);
    t.equal(answer.headers["content-encoding"], undefined);
    t.equal(answer.headers["content-length"], undefined);
    t.equal(answer.headers["content-type"], undefined);
    t.equal(answer.headers["cache-control"], "public, max-age=31536000, immutable");
    t.equal(answer.headers["vary"], "Accept-Encoding");
  }
  const since = (value: string, more = {}) => site.get(bundle, { "if-modified-since": value, ...more });
  t.equal((await since("Fri, 20 Nov 2026 08:00:00 GMT")).status, 304);
  t.equal((await since("Fri, 20 Nov 2026 07:59:59 GMT")).status, 200);
  t.equal((await since("yesterday")).status, 200);
  t.equal((await since("Fri, 20 Nov 2026 08:00:00 GMT", { "if-none-match": '"x"' })).status, 200);
  t.equal(site.odoo.seen.length, 1);
  t.equal(site.odoo.seen[0]?.field("if-none-match"), null);
});

t.test("ranges come from the uncompressed file and only when they are plain", async (t) => {
  const site = await startCachedSite(() => ({
    fields: [javascript, ...immutable, 'ETag: "abc"', "Last-Modified: Fri, 20 Nov 2026 08:00:00 GMT"],
    body: script,
  }));
  t.teardown(() => site.close());
  await site.get(bundle);
  const size = script.length;
  const parts: readonly (readonly [string, number, number])[] = [
    ["bytes=0-9", 0, 9],
    ["bytes=10-", 10, size - 1],
    ["bytes=-5", size - 5, size - 1],
    [`bytes=0-${size * 2}`, 0, size - 1],
  ];
  for (const [range, first, last] of parts) {
    const answer = await site.get(bundle, { range, "accept-encoding": "br" });
    t.equal(answer.status, 206, range);
    t.equal(answer.headers["content-range"], `bytes ${first}-${last}/${size}`);
    t.equal(answer.headers["content-encoding"], undefined);
    t.equal(answer.headers["etag"], '"abc"');
    t.equal(String(answer.body), script.slice(first, last + 1));
  }
  for (const range of ["bytes=0-1,4-5", "bytes=9-0", "bytes=-", "lines=0-1", "bytes=a-b", "bytes=0-1, 4-5"]) {
    const answer = await site.get(bundle, { range });
    t.equal(answer.status, 200, range);
    t.equal(answer.body.length, size);
  }
  for (const range of [`bytes=${size}-`, "bytes=-0"]) {
    const answer = await site.get(bundle, { range });
    t.equal(answer.status, 416, range);
    t.equal(answer.headers["content-range"], `bytes */${size}`);
    t.equal(answer.headers["content-type"], undefined);
  }
  const when = async (value: string) =>
    (await site.get(bundle, { range: "bytes=0-9", "if-range": value })).status;
  t.equal(await when('"abc"'), 206);
  t.equal(await when('W/"abc"'), 200);
  t.equal(await when('W/"abc-br"'), 200);
  t.equal(await when('"abc-br"'), 200);
  t.equal(await when("Fri, 20 Nov 2026 08:00:00 GMT"), 206);
  t.equal(await when("Fri, 20 Nov 2026 08:00:01 GMT"), 200);
  t.equal((await site.get(bundle, { range: "bytes=0-9", "if-none-match": '"abc"' })).status, 304);
  t.equal(site.odoo.seen.length, 1);
});

t.test("the first visitor gets a compressed file while it still comes in", async (t) => {
  const site = await startCachedSite(({ socket }) => {
    const half = Buffer.from(script.slice(0, 100_000));
    socket.write(
      `HTTP/1.0 200 OK\r\n${javascript}\r\n${immutable[0]}\r\nContent-Length: ${script.length}\r\n\r\n`,
    );
    socket.write(half);
    return null;
  });
  t.teardown(() => site.close());
  const session = await openHttp2(site.gateway);
  t.teardown(() => session.destroy());
  const coming = h2(session, site.gateway, { ":method": "GET", ":path": bundle, "accept-encoding": "br" });
  const plain = h1(site.gateway, `GET ${bundle}`);
  await until(() => site.gateway.running.gateway.exchanges === 2);
  await site.odoo.until((seen) => seen.length === 1);
  site.odoo.seen[0]?.socket.end(script.slice(100_000));
  t.equal(String(brotliDecompressSync((await coming).body)), script);
  t.match((await plain).text, /return require/);
  t.equal(site.odoo.seen.length, 1);
});

t.test("pictures and fonts are kept as they are", async (t) => {
  const site = await startCachedSite(({ target }) => ({
    fields: [`Content-Type: ${target.endsWith("png") ? "image/png" : "font/woff2"}`, ...aWeek, 'ETag: "p"'],
    body: Buffer.alloc(50_000, "p"),
  }));
  t.teardown(() => site.close());
  for (const path of ["/web/static/x.png", "/web/static/x.woff2"]) {
    for (let i = 0; i < 2; i += 1) {
      const answer = await site.get(path, { "accept-encoding": "br, gzip" });
      t.equal(answer.headers["content-encoding"], undefined);
      t.equal(answer.headers["vary"], undefined);
      t.equal(answer.headers["etag"], '"p"');
      t.equal(answer.body.length, 50_000);
    }
  }
  t.equal(site.odoo.seen.length, 2);
});

t.test("from the second visitor on the file is as small as it gets", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const session = await openHttp2(gateway);
  t.teardown(() => session.destroy());
  const path = "/web/assets/1/951b086/web.assets_frontend_minimal.min.js";
  const get = () => h2(session, gateway, { ":method": "GET", ":path": path, "accept-encoding": "br" });
  const first = await get();
  let second = await get();
  const endMs = performance.now() + 60_000;
  // Compressing begins when nobody has brought a new file in for a while.
  while (second.body.length >= first.body.length && performance.now() < endMs) {
    await setTimeout(200);
    second = await get();
  }
  t.ok(
    second.body.length < first.body.length * 0.97,
    `${first.body.length} then ${second.body.length} bytes`,
  );
  t.same(brotliDecompressSync(second.body), brotliDecompressSync(first.body));
  t.equal(second.headers["etag"], first.headers["etag"]);
});

t.test("switched off, each request goes to Odoo; without compression nothing is compressed", async (t) => {
  const answer = () => ({ fields: [javascript, ...immutable, 'ETag: "abc"'], body: script });
  const off = await startCachedSite(answer, { env: { CACHE: "off" } });
  t.teardown(() => off.close());
  await off.get(bundle);
  await off.get(bundle, { cookie: "session_id=a" });
  t.equal(off.odoo.seen.length, 2);
  t.equal(off.odoo.seen[1]?.field("cookie"), "session_id=a");
  t.equal((await off.records())[0]?.cache, null);
  const plain = await startCachedSite(answer, { env: { COMPRESSION: "off" } });
  t.teardown(() => plain.close());
  for (let i = 0; i < 2; i += 1) {
    const got = await plain.get(bundle, { "accept-encoding": "br" });
    t.equal(got.headers["content-encoding"], undefined);
    t.equal(got.body.length, script.length);
  }
  t.equal(plain.odoo.seen.length, 1);
});

t.test("an operator sees how full it is and can empty it; a web page cannot", async (t) => {
  const site = await startCachedSite(() => ({ fields: [javascript, ...immutable], body: script }));
  t.teardown(() => site.close());
  const port = site.gateway.adminPort;
  const admin = async (start: string, ...lines: string[]) =>
    rawTalk(
      port,
      [`${start} HTTP/1.1`, `Host: 127.0.0.1:${port}`, "Connection: close", ...lines, "", ""].join("\r\n"),
    );
  await site.get(bundle);
  t.equal(JSON.parse((await admin("GET /cache")).body).entries, 1);
  t.equal((await admin("POST /cache/clear")).status, 403);
  t.equal((await admin("GET /cache/clear")).status, 405);
  t.equal((await admin("POST /cache", "X-Odoo-Gateway: cache")).status, 405);
  await site.get(bundle);
  t.equal(site.odoo.seen.length, 1);
  const cleared = await admin("POST /cache/clear", "X-Odoo-Gateway: cache");
  t.same(JSON.parse(cleared.body), { cleared: 1 });
  await site.get(bundle);
  t.equal(site.odoo.seen.length, 2);
  const main = new URL("../../src/main.js", import.meta.url).pathname;
  const cli = async (...args: string[]) => {
    const env = { PATH: process.env["PATH"], ADMIN_LISTEN: `127.0.0.1:${port}` };
    const child = spawn(process.execPath, [main, "cache", ...args], { env, cwd: site.gateway.folder });
    let out = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk) => {
        out += chunk;
      });
    const [code] = await once(child, "close");
    return [code, out];
  };
  t.match(await cli(), [0, /^1 files, .*KiB of 256MiB\n$/]);
  t.same(await cli("clear"), [0, "1 files given up\n"]);
  t.match(await cli("clean"), [2, /Usage/]);
});

t.test("a slow reader of a large file holds none of it twice", async (t) => {
  const body = Buffer.alloc(8_000_000, "slow");
  const site = await startCachedSite(() => ({ fields: ["Content-Type: font/woff2", ...immutable], body }));
  t.teardown(() => site.close());
  await site.get(bundle);
  const before = process.memoryUsage().arrayBuffers + process.memoryUsage().external;
  const sockets = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const socket = await openTls(site.gateway);
      socket.pause();
      socket.write(requestText(site.gateway, `GET ${bundle}`));
      return socket;
    }),
  );
  t.teardown(() => sockets.map((socket) => socket.destroy()));
  await until(() => site.gateway.running.gateway.exchanges === 20);
  const after = process.memoryUsage().arrayBuffers + process.memoryUsage().external;
  t.ok(after - before < 40_000_000, `${after - before} bytes for 20 readers of 8 MB`);
  t.equal(site.odoo.seen.length, 1);
});
