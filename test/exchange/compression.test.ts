import {
  brotliDecompressSync,
  createBrotliDecompress,
  createGunzip,
  createZstdDecompress,
  gunzipSync,
  gzipSync,
  zstdDecompressSync,
} from "node:zlib";
import t from "tap";
import { startCachedSite } from "../support/cache.ts";
import { aWeek } from "../support/files-upstream.ts";
import { startTestGateway } from "../support/gateway.ts";
import { rawTalk, valuesOf } from "../support/upstream-raw.ts";
import { dechunk, h1, h2, hostOf, openHttp2, openTls, recordOf, requestText } from "./clients.ts";

const html = "Content-Type: text/html; charset=utf-8";
const page = "<li class='product'>A product with a price and a picture</li>\n".repeat(100);

t.test("pages and calls are compressed in the coding the client prefers", async (t) => {
  const site = await startCachedSite(() => ({
    fields: [
      html,
      'ETag: "abc"',
      "Vary: Cookie",
      "Accept-Ranges: bytes",
      "Set-Cookie: frontend_lang=en_US; Path=/",
    ],
    body: page,
  }));
  t.teardown(() => site.close());
  const wanted: readonly (readonly [string, string, (body: Buffer) => Buffer])[] = [
    ["gzip, deflate, br, zstd", "zstd", zstdDecompressSync],
    ["gzip, br", "br", brotliDecompressSync],
    ["gzip;q=1, br;q=0.9", "gzip", gunzipSync],
  ];
  for (const [accept, coding, decode] of wanted) {
    for (const method of ["GET", "POST"]) {
      const answer = await site.get(`/shop?${coding}${method}`, {
        ":method": method,
        "accept-encoding": accept,
      });
      t.equal(answer.headers["content-encoding"], coding);
      t.equal(String(decode(answer.body)), page);
      t.equal(answer.headers["vary"], "Cookie, Accept-Encoding");
      t.equal(answer.headers["etag"], 'W/"abc"');
      t.equal(answer.headers["accept-ranges"], undefined);
      t.equal(answer.headers["content-length"], String(answer.body.length));
      t.equal((await recordOf(site.gateway, `/shop?${coding}${method}`)).bytesOut, answer.body.length);
    }
  }
  const plain = await site.get("/shop");
  t.equal(plain.headers["content-encoding"], undefined);
  t.equal(plain.headers["vary"], "Cookie, Accept-Encoding");
  t.equal(plain.headers["etag"], '"abc"');
  t.equal(String(plain.body), page);
  for (const one of site.odoo.seen) t.equal(one.field("accept-encoding"), "identity");
});

t.test("HEAD says what GET would", async (t) => {
  const site = await startCachedSite(({ method }) => ({
    fields: [html, 'ETag: "abc"'],
    body: method === "HEAD" ? "" : page,
    length: page.length,
  }));
  t.teardown(() => site.close());
  for (const accept of ["br", "identity"]) {
    const head = await site.get("/shop", { ":method": "HEAD", "accept-encoding": accept });
    const get = await site.get("/shop", { "accept-encoding": accept });
    t.equal(head.body.length, 0);
    for (const name of ["content-encoding", "etag", "vary", "content-type"])
      t.equal(head.headers[name], get.headers[name], `${name} with ${accept}`);
    t.equal(head.headers["content-length"], accept === "br" ? undefined : String(page.length));
  }
});

t.test("what must not be compressed is not", async (t) => {
  const cases: Readonly<
    Record<string, { readonly fields: readonly string[]; readonly status?: string; readonly body?: string }>
  > = {
    small: { fields: [html], body: "x".repeat(1_023) },
    picture: { fields: ["Content-Type: image/png"] },
    archive: { fields: ["Content-Type: application/zip"] },
    pdf: { fields: ["Content-Type: application/pdf"] },
    unknown: { fields: [] },
    "two-types": { fields: [html, "Content-Type: application/zip"] },
    events: { fields: ["Content-Type: text/event-stream"] },
    coded: { fields: [html, "Content-Encoding: deflate"] },
    "no-transform": { fields: [html, "Cache-Control: private, no-transform"] },
    range: { fields: [html, "Content-Range: bytes 0-6099/9000"], status: "206 PARTIAL CONTENT" },
    session: { fields: [html, "Set-Cookie: session_id=abc; Path=/"] },
    device: { fields: [html, "Set-Cookie: td_id=abc; Path=/"] },
    digest: { fields: [html, "Content-Digest: sha-256=:abc:"] },
    "whole-digest": { fields: [html, "Repr-Digest: sha-256=:abc:"] },
  };
  const site = await startCachedSite(({ target }) => ({
    body: page,
    ...(cases[target.slice(1)] ?? { fields: [html] }),
  }));
  t.teardown(() => site.close());
  const accept = { "accept-encoding": "gzip, br, zstd" };
  for (const [name, said] of Object.entries(cases)) {
    const answer = await site.get(`/${name}`, accept);
    const before = said.fields.find((field) => field.startsWith("Content-Encoding"))?.slice(18);
    t.equal(answer.headers["content-encoding"], before, name);
    t.equal(answer.body.length, (said.body ?? page).length, name);
  }
  const coded = async (path: string, fields: Readonly<Record<string, string>>) =>
    (await site.get(path, { ...accept, ...fields })).headers["content-encoding"] !== undefined;
  t.equal(await coded("/shop", {}), true, "the rest is");
  t.equal(
    await coded("/shop?search=guess", { cookie: "session_id=a", "sec-fetch-site": "cross-site" }),
    false,
  );
  t.equal(
    await coded("/shop?search=guess", { cookie: "session_id=a", "sec-fetch-site": "same-origin" }),
    true,
  );
  t.equal(await coded("/shop?search=guess", { "sec-fetch-site": "cross-site" }), true);
  t.equal(
    await coded("/web/login", { ":method": "POST", cookie: "session_id=a" }),
    false,
    "an attempt to log in",
  );
  const old = await h1(site.gateway, "GET /shop", ["Accept-Encoding: br"], "", { old: true });
  t.equal(old.body, page, "HTTP/1.0 knows no codings");
});

t.test("a page that comes in pieces is not held back until it is whole", async (t) => {
  let more = (): void => {};
  const site = await startCachedSite(({ socket }) => {
    socket.write(`HTTP/1.0 200 OK\r\n${html}\r\n\r\n<html>the first piece`);
    more = () => socket.end(`the last piece${page}`);
    return null;
  });
  t.teardown(() => site.close());
  for (const [coding, makeDecoder] of [
    ["gzip", createGunzip],
    ["br", createBrotliDecompress],
    ["zstd", createZstdDecompress],
  ] as const) {
    const session = await openHttp2(site.gateway);
    const path = `/page?${coding}`;
    const stream = session.request({
      ":path": path,
      ":authority": hostOf(site.gateway),
      ":scheme": "https",
      "accept-encoding": coding,
    });
    let received = 0;
    stream.on("data", (part: Buffer) => {
      received += part.length;
    });
    const decoder = stream.pipe(makeDecoder());
    const pieces: string[] = [];
    const first = new Promise<void>((resolve) => {
      decoder.on("data", (piece: Buffer) => {
        pieces.push(String(piece));
        resolve();
      });
    });
    const ended = new Promise<void>((resolve) => decoder.on("end", () => resolve()));
    await first;
    t.same(pieces, ["<html>the first piece"], `${coding}: it came before the end`);
    more();
    await ended;
    t.equal(pieces.join(""), `<html>the first piecethe last piece${page}`);
    t.equal((await recordOf(site.gateway, path)).bytesOut, received);
    session.destroy();
  }
});

t.test("a compressed page that Odoo breaks off is cut and does not look whole", async (t) => {
  const site = await startCachedSite(({ target }) => ({
    fields: [html],
    body: page.repeat(40),
    length: target === "/cut" ? page.length * 80 : undefined,
  }));
  t.teardown(() => site.close());
  const whole = await h1(site.gateway, "GET /whole", ["Accept-Encoding: gzip"]);
  t.equal(dechunk(whole.body).whole, true);
  t.equal(String(gunzipSync(Buffer.from(dechunk(whole.body).text, "latin1"))), page.repeat(40));
  const cut = await h1(site.gateway, "GET /cut", ["Accept-Encoding: gzip"]);
  t.equal(dechunk(cut.body).whole, false);
  const session = await openHttp2(site.gateway);
  t.teardown(() => session.destroy());
  const stream = await h2(session, site.gateway, {
    ":method": "GET",
    ":path": "/cut",
    "accept-encoding": "br",
  });
  t.not(stream.rstCode, 0);
  t.equal((await recordOf(site.gateway, "/cut")).failure, "answer-cut");
});

t.test("a large answer is compressed at the client's pace, whole and in order", async (t) => {
  const lines = Array.from(
    { length: 200_000 },
    (_, i) => `line ${i} ${(i * 2_654_435_761) % 4_294_967_296}\n`,
  ).join("");
  const site = await startCachedSite(() => ({ fields: ["Content-Type: text/csv"], body: lines }));
  t.teardown(() => site.close());
  for (const [coding, decode] of [
    ["gzip", gunzipSync],
    ["br", brotliDecompressSync],
    ["zstd", zstdDecompressSync],
  ] as const) {
    const socket = await openTls(site.gateway);
    const pacing = setInterval(() => {
      socket.pause();
      setImmediate(() => socket.resume());
    }, 2);
    const text = requestText(site.gateway, "GET /report", [`Accept-Encoding: ${coding}`]);
    const answer = await rawTalk(0, text, { socket, timeoutMs: 30_000 });
    clearInterval(pacing);
    t.same(valuesOf(answer, "content-encoding"), [coding]);
    const body = dechunk(answer.body);
    t.equal(body.whole, true);
    t.equal(String(decode(Buffer.from(body.text, "latin1"))) === lines, true, coding);
  }
});

t.test("more answers at once than compressors go out as they are", async (t) => {
  const sockets: { write(text: string): void; end(text: string): void }[] = [];
  const site = await startCachedSite(({ socket }) => {
    socket.write(`HTTP/1.0 200 OK\r\n${html}\r\n\r\n<html>`);
    sockets.push(socket);
    return null;
  });
  t.teardown(() => site.close());
  const session = await openHttp2(site.gateway);
  t.teardown(() => session.destroy());
  const fields = { ":method": "GET", "accept-encoding": "br", cookie: "session_id=a" };
  const coming = Array.from({ length: 80 }, (_, i) =>
    h2(session, site.gateway, { ...fields, ":path": `/p/${i}` }),
  );
  await site.odoo.until((seen) => seen.length === 80);
  for (const socket of sockets) socket.end("end");
  const answers = await Promise.all(coming);
  const coded = answers.filter((answer) => answer.headers["content-encoding"] === "br");
  t.equal(coded.length, 64);
  for (const answer of answers) {
    const body = coded.includes(answer) ? brotliDecompressSync(answer.body) : answer.body;
    t.equal(String(body), "<html>end");
  }
  const next = site.get("/p/next", { "accept-encoding": "br" });
  await site.odoo.until((seen) => seen.length === 81);
  sockets.at(-1)?.end("end");
  t.equal((await next).headers["content-encoding"], "br", "and they are free again");
});

t.test("switched off, the client's own Accept-Encoding goes to Odoo", async (t) => {
  const site = await startCachedSite(() => ({ fields: [html], body: page }), { env: { COMPRESSION: "off" } });
  t.teardown(() => site.close());
  const answer = await site.get("/shop", { "accept-encoding": "br, gzip;q=0.5" });
  t.equal(answer.headers["content-encoding"], undefined);
  t.equal(answer.headers["vary"], undefined);
  t.equal(site.odoo.seen[0]?.field("accept-encoding"), "br, gzip;q=0.5");
});

t.test("a server that compresses before Odoo hides no log-in and no traceback", async (t) => {
  const debug =
    'Traceback (most recent call last):\n  File "/opt/odoo/odoo/http.py", line 376, in dispatch\n';
  const error = {
    code: 200,
    message: "Odoo Server Error",
    data: { name: "odoo.exceptions.AccessDenied", message: "Access Denied", debug },
  };
  const text = (rest: object) => JSON.stringify({ jsonrpc: "2.0", id: 1, ...rest });
  const body = text({ error });
  const site = await startCachedSite(
    ({ field }) => {
      const isCoded = field("accept-encoding")?.includes("gzip") === true;
      return {
        fields: ["Content-Type: application/json", ...(isCoded ? ["Content-Encoding: gzip"] : [])],
        body: isCoded ? gzipSync(body) : body,
      };
    },
    { env: { COMPRESSION: "off", PRESET: "strict" } },
  );
  t.teardown(() => site.close());
  const session = await openHttp2(site.gateway);
  t.teardown(() => session.destroy());
  const call = (path: string) =>
    h2(
      session,
      site.gateway,
      { ":method": "POST", ":path": path, "content-type": "application/json", "accept-encoding": "gzip" },
      text({ params: { db: "demo", login: "admin", password: "wrong" } }),
    );
  await call("/web/session/authenticate");
  const outcomes = site.gateway.events.flatMap((event) => (event.type === "login" ? [event.outcome] : []));
  t.same(outcomes, ["failure"]);
  const failed = await call("/shop/cart/update_json");
  t.equal(JSON.parse(String(failed.body)).error.data.debug, "");
});

t.test("log-ins are read as before when answers are compressed", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const session = await openHttp2(gateway);
  t.teardown(() => session.destroy());
  const call = (password: string) =>
    h2(
      session,
      gateway,
      {
        ":method": "POST",
        ":path": "/web/session/authenticate",
        "content-type": "application/json",
        "accept-encoding": "gzip, br, zstd",
      },
      JSON.stringify({ jsonrpc: "2.0", id: 1, params: { db: "demo", login: "admin", password } }),
    );
  await call("wrong");
  await call("admin");
  const outcomes = gateway.events.flatMap((event) => (event.type === "login" ? [event.outcome] : []));
  t.same(outcomes, ["failure", "success"]);
});

t.test("files of one visitor are compressed as pages are, where the cache does not keep them", async (t) => {
  const site = await startCachedSite(() => ({ fields: ["Content-Type: text/css", ...aWeek], body: page }));
  t.teardown(() => site.close());
  const answer = await site.get("/web/content/1/x.css", { "accept-encoding": "br" });
  t.equal(answer.headers["content-encoding"], "br");
  t.equal(String(brotliDecompressSync(answer.body)), page);
});
