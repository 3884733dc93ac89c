import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { appendFileSync, readdirSync, rmSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import t from "tap";
import { startCachedSite } from "../support/cache.ts";
import { type FileAnswer, immutable, startFiles } from "../support/files-upstream.ts";
import { makeFilestore, naming, openBelow } from "../support/filestore.ts";
import { startTestGateway } from "../support/gateway.ts";
import { rawTalk, valuesOf } from "../support/upstream-raw.ts";
import { h1, h2, openHttp2, openTls, recordOf, requestText, until } from "./clients.ts";

const octets = "Content-Type: application/octet-stream";
const text = "Content-Type: text/plain; charset=utf-8";

/** A gateway with a filestore, before an Odoo that answers each path as it was told. */
async function startSite(
  t: { teardown(then: () => Promise<void>): void },
  env: Readonly<Record<string, string>> = {},
) {
  const store = makeFilestore();
  const answers = new Map<string, FileAnswer>();
  const odoo = await startFiles(({ target }) => answers.get(target) ?? { status: "404 NOT FOUND" });
  const gateway = await startTestGateway({
    upstream: { webPort: odoo.port, busPort: odoo.port },
    env: { ODOO_FILESTORE: store.directory, ...env },
  });
  t.teardown(async () => {
    await gateway.close();
    await odoo.close();
    store.close();
  });
  /** Odoo answers this path with the name of a file. */
  const name = (
    path: string,
    body: string | Buffer,
    fields: readonly string[] = [octets],
    status?: string,
  ) => {
    const file = store.put(body);
    answers.set(path, naming(file, fields, status));
    return file;
  };
  return { store, odoo, gateway, answers, name };
}

t.test("a file that Odoo names is its answer, over HTTP/1 and HTTP/2, small and large", async (t) => {
  const { store, gateway, name } = await startSite(t);
  const session = await openHttp2(gateway);
  t.teardown(() => session.destroy());
  for (const bytes of [1, 1_000, 65_535, 65_536, 65_537, 131_072, 3_000_001]) {
    const body = randomBytes(bytes);
    const path = `/web/content/${bytes}`;
    name(path, body, [
      octets,
      "Content-Disposition: attachment; filename=x.bin",
      'ETag: "abc"',
      "Cache-Control: no-cache, private",
    ]);
    const first = await h1(gateway, `GET ${path}`);
    t.equal(first.status, 200);
    t.ok(Buffer.from(first.body, "latin1").equals(body), `${bytes} bytes over HTTP/1`);
    t.same(valuesOf(first, "content-length"), [String(bytes)]);
    t.same(valuesOf(first, "etag"), ['"abc"']);
    t.same(valuesOf(first, "content-disposition"), ["attachment; filename=x.bin"]);
    t.same(valuesOf(first, "x-content-type-options"), ["nosniff"]);
    t.match(valuesOf(first, "strict-transport-security"), [/max-age/]);
    t.notMatch(first.text.slice(0, first.text.indexOf("\r\n\r\n")), /filestore|x-accel|x-sendfile/i);
    t.match(await recordOf(gateway, path), {
      status: 200,
      bytesOut: bytes,
      failure: null,
      upstreamMs: Number,
    });
    const second = await h2(session, gateway, { ":method": "GET", ":path": `${path}` });
    t.ok(second.body.equals(body), `${bytes} bytes over HTTP/2`);
    t.equal(second.headers["content-length"], String(bytes));
    t.equal(second.rstCode, 0);
  }
  await until(() => (openBelow(store.directory) ?? 0) === 0);
});

t.test("HEAD is told the length, and nothing is read", async (t) => {
  const { gateway, name, store } = await startSite(t);
  const path = "/web/content/7";
  name(path, randomBytes(200_000), [octets, 'ETag: "abc"']);
  const answer = await h1(gateway, `HEAD ${path}`);
  t.equal(answer.status, 200);
  t.same(valuesOf(answer, "content-length"), ["200000"]);
  t.equal(answer.body, "");
  t.equal((await recordOf(gateway, path)).bytesOut, 0);
  await until(() => (openBelow(store.directory) ?? 0) === 0);
});

t.test("an empty file is an empty answer", async (t) => {
  const { gateway, name } = await startSite(t);
  name("/web/content/7", "");
  const answer = await h1(gateway, "GET /web/content/7");
  t.equal(answer.status, 200);
  t.same(valuesOf(answer, "content-length"), ["0"]);
  t.equal(answer.body, "");
});

t.test("of a range that Odoo has judged that part is sent, and a 304 is Odoo's own", async (t) => {
  const { gateway, name, answers } = await startSite(t);
  const body = randomBytes(300_000);
  for (const [first, last] of [
    [0, 0],
    [10, 19],
    [0, 299_999],
    [65_000, 260_000],
    [299_999, 299_999],
    [200_000, 299_999],
  ] as const) {
    const path = `/web/content/${first}-${last}`;
    name(
      path,
      body,
      [octets, `Content-Range: bytes ${first}-${last}/300000`, "Accept-Ranges: bytes"],
      "206 PARTIAL CONTENT",
    );
    const answer = await h1(gateway, `GET ${path}`, [`Range: bytes=${first}-${last}`]);
    t.equal(answer.status, 206, path);
    t.same(valuesOf(answer, "content-range"), [`bytes ${first}-${last}/300000`]);
    t.same(valuesOf(answer, "content-length"), [String(last - first + 1)]);
    t.ok(Buffer.from(answer.body, "latin1").equals(body.subarray(first, last + 1)), path);
  }
  answers.set("/web/content/304", { status: "304 NOT MODIFIED", fields: ['ETag: "abc"'] });
  const held = await h1(gateway, "GET /web/content/304", ['If-None-Match: "abc"']);
  t.equal(held.status, 304);
});

t.test("the stand-in with x_sendfile: whole files, ranges and validators as without", async (t) => {
  const store = makeFilestore();
  const gateway = await startTestGateway({
    env: { ODOO_FILESTORE: store.directory },
    demo: { filestore: store.directory },
  });
  const plain = await startTestGateway();
  t.teardown(async () => {
    await gateway.close();
    await plain.close();
    store.close();
  });
  for (const lines of [
    [],
    ["Range: bytes=5-104"],
    ["Range: bytes=-10"],
    ["Range: bytes=204000-"],
    ["Range: bytes=300000-"],
  ])
    for (const method of ["GET", "HEAD"]) {
      const [named, sent] = await Promise.all([
        h1(gateway, `${method} /web/content/2`, lines),
        h1(plain, `${method} /web/content/2`, lines),
      ]);
      const what = `${method} ${lines.join()}`;
      t.equal(named.statusLine, sent.statusLine, what);
      t.equal(named.body, sent.body, what);
      for (const field of [
        "content-length",
        "content-range",
        "etag",
        "content-type",
        "accept-ranges",
        "cache-control",
      ])
        t.same(valuesOf(named, field), valuesOf(sent, field), `${what}: ${field}`);
    }
  const { etag } = (await h1(gateway, "GET /web/content/2")).lines.reduce(
    (found, line) => (line.toLowerCase().startsWith("etag:") ? { etag: line.slice(5).trim() } : found),
    { etag: "" },
  );
  t.equal((await h1(gateway, "GET /web/content/2", [`If-None-Match: ${etag}`])).status, 304);
});

t.test("text is compressed on its way, with the duties of any answer", async (t) => {
  const { gateway, name } = await startSite(t);
  for (const bytes of [4_000, 2_000_000]) {
    const body = "Every line is like the one before.\n".repeat(Math.ceil(bytes / 35)).slice(0, bytes);
    const path = `/web/content/${bytes}`;
    name(path, body, [text, 'ETag: "abc"', "Content-Security-Policy: default-src 'none'"]);
    const coded = await h1(gateway, `GET ${path}`, ["Accept-Encoding: gzip"]);
    t.same(valuesOf(coded, "content-encoding"), ["gzip"]);
    t.same(valuesOf(coded, "etag"), ['W/"abc"']);
    t.same(valuesOf(coded, "vary"), ["Accept-Encoding"]);
    t.match(valuesOf(coded, "content-security-policy").join(), /default-src 'none'/);
    const [, plain = ""] = [0, coded.body];
    const raw =
      valuesOf(coded, "transfer-encoding").length > 0 ? unchunked(plain) : Buffer.from(plain, "latin1");
    t.equal(gunzipSync(raw).toString(), body);
  }
  const body = "x".repeat(5_000);
  name("/web/content/cookie", body, [text, "Set-Cookie: session_id=abc; Path=/"]);
  const withSession = await h1(gateway, "GET /web/content/cookie", ["Accept-Encoding: gzip"]);
  t.same(valuesOf(withSession, "content-encoding"), [], "beside a new session nothing is compressed");
  t.match(valuesOf(withSession, "set-cookie"), [/^session_id=abc; Path=\/; Secure; SameSite=Lax$/]);
  name("/web/content/part", body, [text, "Content-Range: bytes 0-3999/5000"], "206 PARTIAL CONTENT");
  const part = await h1(gateway, "GET /web/content/part", ["Accept-Encoding: gzip", "Range: bytes=0-3999"]);
  t.same(valuesOf(part, "content-encoding"), []);
  t.equal(part.body, body.slice(0, 4_000));
});

t.test(
  "a bundle that Odoo names is kept like any other, and then neither Odoo nor the disk is asked",
  async (t) => {
    const store = makeFilestore();
    const script = "odoo.define('web.module', function (require) { return 1; });\n".repeat(9_000);
    const path = store.put(script);
    const site = await startCachedSite(
      () =>
        naming(path, [
          "Content-Type: application/javascript; charset=utf-8",
          ...immutable,
          'ETag: "abc"',
          "Set-Cookie: session_id=abc",
        ]),
      { env: { ODOO_FILESTORE: store.directory } },
    );
    t.teardown(async () => {
      await site.close();
      store.close();
    });
    const bundle = "/web/assets/0c5bb5f/web.assets_web.min.js";
    const first = await site.get(bundle, { "accept-encoding": "br" });
    t.equal(first.status, 200);
    t.equal(brotliDecompressSync(first.body).toString(), script);
    t.equal(first.headers["set-cookie"], undefined);
    rmSync(store.at(path));
    const part = await site.get(bundle, { range: "bytes=5-9" });
    t.equal(part.status, 206);
    t.equal(part.body.toString(), script.slice(5, 10));
    t.equal((await site.get(bundle)).body.toString(), script);
    t.equal(site.odoo.seen.length, 1);
    t.same(
      (await site.records()).map((one) => one.cache),
      ["miss", "hit", "hit"],
    );
  },
);

t.test("a file under a public path that is not to be kept goes to the one who asked", async (t) => {
  const { gateway, name } = await startSite(t);
  const body = randomBytes(500_000);
  const bundle = "/web/assets/0c5bb5f/web.assets_web.min.js";
  name(bundle, body, [octets, "Cache-Control: private"]);
  for (const lines of [[], ["Cookie: session_id=abc"]]) {
    const answer = await h1(gateway, `GET ${bundle}`, lines);
    t.ok(Buffer.from(answer.body, "latin1").equals(body));
  }
});

t.test("a slow reader holds a piece, a descriptor, and neither Odoo nor the spool", async (t) => {
  const { gateway, name, store, odoo } = await startSite(t, { ODOO_WORKERS: "1" });
  const body = randomBytes(20_000_000);
  const path = "/web/content/slow";
  name(path, body);
  name("/web/content/other", "other");
  const before = process.memoryUsage().arrayBuffers;
  const socket = await openTls(gateway);
  socket.write(requestText(gateway, `GET ${path}`));
  await once(socket, "readable");
  await until(() => odoo.received.some(({ bytes, closed }) => closed && bytes.includes(path)));
  t.match(gateway.running.queue(), { inFlight: 0 }, "the worker is free");
  t.equal((await h1(gateway, "GET /web/content/other")).body, "other");
  const opened = openBelow(store.directory);
  if (opened !== null) t.equal(opened, 1);
  t.equal(gateway.running.spoolBytes(), 0);
  t.same(readdirSync(join(gateway.folder, "state", "spool")), []);
  t.ok(process.memoryUsage().arrayBuffers - before < body.length / 2, "the file is not in memory");
  const answer = await rawTalk(0, "", { socket });
  t.ok(Buffer.from(answer.body, "latin1").equals(body), "and gets every byte");
  t.equal((await recordOf(gateway, path)).bytesOut, body.length);
  await until(() => (openBelow(store.directory) ?? 0) === 0);
});

t.test("a slow stream of HTTP/2 does not hold the others up, and gets every byte", async (t) => {
  const { gateway, name, store } = await startSite(t);
  const body = randomBytes(10_000_000);
  name("/web/content/slow", body);
  name("/web/content/other", "other");
  const session = await openHttp2(gateway);
  t.teardown(() => session.destroy());
  const stream = session.request({
    ":path": "/web/content/slow",
    ":authority": `odoo.test:${gateway.httpsPort}`,
  });
  await once(stream, "response");
  // Unread, its window is used up soon.
  const other = await h2(session, gateway, { ":method": "GET", ":path": "/web/content/other" });
  t.equal(other.body.toString(), "other");
  const opened = openBelow(store.directory);
  if (opened !== null) t.equal(opened, 1);
  t.equal(gateway.running.spoolBytes(), 0);
  const parts: Buffer[] = [];
  for await (const chunk of stream) parts.push(chunk);
  t.ok(Buffer.concat(parts).equals(body));
  await until(() => (openBelow(store.directory) ?? 0) === 0);
});

t.test("who hangs up leaves no descriptor behind, over HTTP/1 and HTTP/2", async (t) => {
  const { gateway, name, store } = await startSite(t);
  name("/web/content/1", randomBytes(30_000_000));
  const socket = await openTls(gateway);
  socket.write(requestText(gateway, "GET /web/content/1"));
  await once(socket, "readable");
  socket.destroy();
  const session = await openHttp2(gateway);
  const stream = session.request({
    ":path": "/web/content/1",
    ":authority": `odoo.test:${gateway.httpsPort}`,
  });
  stream.on("error", () => {});
  await once(stream, "response");
  stream.close(8);
  await until(() => gateway.records().length === 2);
  await until(() => (openBelow(store.directory) ?? 0) === 0);
  session.destroy();
  for (const record of gateway.records()) t.ok(record.bytesOut < 30_000_000);
});

t.test("a file that is not as long as it was is cut, so that nobody takes it for whole", async (t) => {
  const { gateway, name, store } = await startSite(t);
  for (const [change, word] of [
    [(path: string) => truncateSync(path, 10_000_000), "shorter"],
    [(path: string) => appendFileSync(path, "more"), "longer"],
  ] as const) {
    const path = `/web/content/${word}`;
    const file = name(path, randomBytes(20_000_000));
    const socket = await openTls(gateway);
    socket.write(requestText(gateway, `GET ${path}`));
    await once(socket, "readable");
    change(store.at(file));
    const answer = await rawTalk(0, "", { socket });
    t.ok(answer.body.length < 20_000_000, `${word}: ${answer.body.length} bytes`);
    const event = await gateway.event((one) => one.type === "upstream-failed" && one.detail.includes(word));
    t.match(event, { failure: "file-unreadable", detail: new RegExp(`${file} .*${word} while it was sent`) });
    t.match(await recordOf(gateway, path), { status: 200, failure: "file-unreadable" });
  }
  const file = name("/web/content/small", "twelve bytes");
  // Odoo has looked at another one.
  const path = "/web/content/range";
  name(path, "twelve bytes", [octets, "Content-Range: bytes 0-4/13"], "206 PARTIAL CONTENT");
  const answer = await h1(gateway, `GET ${path}`, ["Range: bytes=0-4"]);
  t.equal(answer.status, 502);
  const event = await gateway.event(
    (one) => one.type === "upstream-failed" && one.detail.includes("counts 13"),
  );
  t.match(event, { failure: "answer-malformed", detail: new RegExp(`^${file} .*has 12`) });
});

t.test("the files of the one database that a site is set to, and of no other", async (t) => {
  const { gateway, answers, store } = await startSite(t, { DATABASE: "prod", TRUSTED_NETWORKS: "127.0.0.1" });
  answers.set("/web/content/1", naming(store.put("own", "prod"), [octets]));
  answers.set("/web/content/2", naming(store.put("other", "staging"), [octets]));
  t.equal((await h1(gateway, "GET /web/content/1")).body, "own");
  const refused = await h1(gateway, "GET /web/content/2");
  t.equal(refused.status, 502);
  t.notMatch(refused.text, /staging/);
  t.match(await gateway.event((one) => one.type === "upstream-failed"), {
    failure: "answer-malformed",
    detail: /database "staging" is named, and this site is set to "prod"/,
  });
  // Networks the operator named may choose another one by this field, which goes on to Odoo.
  t.equal((await h1(gateway, "GET /web/content/2", ["X-Odoo-Database: staging"])).body, "other");
});

/** The bytes of a chunked body. */
function unchunked(body: string): Buffer {
  const parts: Buffer[] = [];
  let rest = body;
  for (;;) {
    const size = Number.parseInt(rest, 16);
    if (!(size > 0)) return Buffer.concat(parts);
    const at = rest.indexOf("\r\n") + 2;
    parts.push(Buffer.from(rest.slice(at, at + size), "latin1"));
    rest = rest.slice(at + size + 2);
  }
}
