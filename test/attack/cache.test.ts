import t from "tap";
import { h1, h2, openHttp2, openTls, recordOf, requestText, until } from "../exchange/clients.ts";
import { startCachedSite } from "../support/cache.ts";
import { immutable, type SeenRequest, send } from "../support/files-upstream.ts";

const bundle = "/web/assets/0c5bb5f/web.assets_web.min.js";
const javascript = "Content-Type: application/javascript; charset=utf-8";

t.test("a stored file hands nobody's session out, nor was it fetched with one", async (t) => {
  const site = await startCachedSite(({ field }) => ({
    fields: [
      javascript,
      ...immutable,
      'ETag: "abc"',
      `Set-Cookie: session_id=${field("cookie") ?? "fresh"}; Path=/`,
      "Set-Cookie: frontend_lang=en_US; Path=/",
    ],
    body: `/* for ${field("cookie") ?? "nobody"} */`,
  }));
  t.teardown(() => site.close());
  const victim = await site.get(bundle, { cookie: "session_id=victim", "x-odoo-session": "victim" });
  const thief = await site.get(bundle, { cookie: "session_id=thief" });
  for (const answer of [victim, thief]) {
    t.equal(answer.status, 200);
    t.equal(answer.headers["set-cookie"], undefined);
    t.equal(String(answer.body), "/* for nobody */");
  }
  t.equal(site.odoo.count(bundle), 1);
  t.equal(site.odoo.seen[0]?.field("cookie"), null);
});

t.test("nothing of the client but the address of the file reaches Odoo with a fetch", async (t) => {
  const site = await startCachedSite(() => ({ fields: [javascript, ...immutable], body: "x" }));
  t.teardown(() => site.close());
  await site.get(bundle, {
    cookie: "session_id=a",
    "x-forwarded-host": "evil.test",
    "x-original-url": "/web/login",
    "x-rewrite-url": "/web/login",
    "x-http-method-override": "POST",
    "accept-language": "xx",
    "accept-encoding": "gzip;q=0.3",
    referer: "https://evil.test/",
    "user-agent": "evil",
    "x-anything": "evil",
    "if-none-match": '"evil"',
    "if-modified-since": "Fri, 20 Nov 2026 08:00:00 GMT",
    accept: "evil/evil",
  });
  const [seen] = site.odoo.seen;
  t.notMatch(seen?.lines.join("\n") ?? "evil", /evil|xx$|login|session|0\.3/m);
  t.equal(seen?.field("accept-encoding"), "identity");
  t.equal(seen?.field("if-none-match"), null);
  t.equal(seen?.field("if-modified-since"), null);
});

t.test(
  "a range that is refused is not kept by a cache in front for those who want the whole file",
  async (t) => {
    const site = await startCachedSite(() => ({
      fields: [javascript, ...immutable, 'ETag: "abc"', "Expires: Sat, 01 Jan 2028 00:00:00 GMT"],
      body: "x",
    }));
    t.teardown(() => site.close());
    await site.get(bundle);
    const answer = await site.get(bundle, { range: "bytes=1-" });
    t.equal(answer.status, 416);
    t.equal(answer.headers["cache-control"], "no-store");
    for (const name of ["etag", "expires", "age", "content-type"])
      t.equal(answer.headers[name], undefined, name);
    t.equal(site.odoo.count(bundle), 1);
  },
);

t.test("fields that are not in the key cannot poison what others get", async (t) => {
  const site = await startCachedSite(({ lines }) => ({
    fields: [javascript, ...immutable],
    body: lines.filter((line) => !/^x-request-id:/i.test(line)).join("\n"),
  }));
  t.teardown(() => site.close());
  const poisons = {
    "x-forwarded-host": "evil.test",
    "x-forwarded-scheme": "http",
    "x-original-url": "/evil",
    "x-forwarded-prefix": "/evil",
    "accept-language": "evil",
    "sec-fetch-site": "evil",
    forwarded: "host=evil.test",
  };
  for (const [name, value] of Object.entries(poisons)) {
    const path = `/web/static/${name}.js`;
    const poisoned = await site.get(path, { [name]: value });
    const clean = await site.get(path);
    t.notMatch(String(poisoned.body), /evil/, name);
    t.same(clean.body, poisoned.body);
    t.equal(site.odoo.count(path), 1);
  }
});

t.test("what Odoo says to another site's page is that site's alone", async (t) => {
  const site = await startCachedSite(({ field }) => ({
    fields: [javascript, ...immutable, `Access-Control-Allow-Origin: ${field("origin") ?? "none"}`],
    body: "x",
  }));
  t.teardown(() => site.close());
  const allowed = async (origin: string) =>
    (await site.get(bundle, { origin })).headers["access-control-allow-origin"];
  const own = `https://odoo.test:${site.gateway.httpsPort}`;
  t.equal(await allowed("https://evil.test"), "https://evil.test");
  t.equal(await allowed(own), "none", "fetched for nobody in particular");
  t.equal(await allowed("https://partner.test"), "https://partner.test");
  t.equal(await allowed(own), "none");
  t.equal(site.odoo.count(bundle), 3);
});

t.test("a private page behind the name of a file is never kept", async (t) => {
  const deceptive = [
    "/web/content/1/x.css",
    "/web/content/1/static/x.css",
    "/web/image/1/x.js",
    "/my/account/a.js",
    "/my/account/static/a.js",
    "/odoo/x.css",
    "/scoped_app/x.css",
    "/web/assets",
    "/web/static",
    "/fr/web/static/x.js",
    "/fr/web/assets/0c5bb5f/x.js",
    "/web/assets/debug/web.assets_web.js",
    "/web/%61ssets/0c5bb5f/x.js",
    "/web//static/x.js",
    "/web/static//x.js",
    "/web/static/x.js/",
    "/web/static/%78.js",
    "/WEB/static/x.js",
    "/web/STATIC/x.js",
  ];
  // As if Odoo, or an add-on, called everybody's pages public.
  const site = await startCachedSite(({ field }) => ({
    fields: ["Content-Type: text/css", ...immutable],
    body: `page of ${field("cookie")}`,
  }));
  t.teardown(() => site.close());
  for (const path of deceptive) {
    await site.get(path, { cookie: "session_id=victim" });
    const thief = await site.get(path, { cookie: "session_id=thief" });
    t.equal(thief.status, 200, path);
    t.equal(String(thief.body), "page of session_id=thief", path);
  }
  for (const path of ["/web/static/../content/1", "/web/static/%2e%2e/content/1", "/web/static/..%2fmy"]) {
    t.equal((await site.get(path)).status, 400, path);
  }
});

t.test("an answer that is not plainly public, whole and for everybody is given to one only", async (t) => {
  const odd: Readonly<Record<string, readonly string[]>> = {
    private: ["Cache-Control: private, max-age=600, immutable"],
    "public-private": ["Cache-Control: public, private, max-age=600"],
    "private-line": ["Cache-Control: public, max-age=600", "Cache-Control: private"],
    "private-named": ['Cache-Control: public, max-age=600, private="set-cookie"'],
    "no-store": ["Cache-Control: public, no-store, max-age=600"],
    "no-cache": ["Cache-Control: public, no-cache, max-age=600"],
    pragma: ["Cache-Control: public, max-age=600", "Pragma: no-cache"],
    "no-age": ["Cache-Control: public"],
    "zero-age": ["Cache-Control: public, max-age=0"],
    "two-ages": ["Cache-Control: public, max-age=600, max-age=0"],
    "bad-age": ["Cache-Control: public, max-age=600x"],
    silent: [],
    "vary-cookie": ["Cache-Control: public, max-age=600", "Vary: Cookie"],
    "vary-origin": ["Cache-Control: public, max-age=600", "Vary: Accept-Encoding, Origin"],
    "vary-all": ["Cache-Control: public, max-age=600", "Vary: *"],
    "vary-language": ["Cache-Control: public, max-age=600", "Vary: Accept-Language"],
    coded: ["Cache-Control: public, max-age=600", "Content-Encoding: x-own"],
    range: ["Cache-Control: public, max-age=600", "Content-Range: bytes 0-3/4"],
    digest: ["Cache-Control: public, max-age=600", "Repr-Digest: sha-256=:abc:"],
  };
  const site = await startCachedSite(({ target, field }) => ({
    fields: [
      javascript,
      ...(odd[target.slice("/web/static/".length)] ?? ["Cache-Control: public, max-age=600"]),
    ],
    status: target.endsWith("missing") ? "404 NOT FOUND" : "200 OK",
    body: `/* ${field("cookie")} */`,
    length: target.endsWith("open") ? null : undefined,
  }));
  t.teardown(() => site.close());
  for (const name of [...Object.keys(odd), "missing", "open"]) {
    const path = `/web/static/${name}`;
    const one = await site.get(path, { cookie: "session_id=one" });
    const two = await site.get(path, { cookie: "session_id=two" });
    t.equal(String(one.body), "/* session_id=one */", name);
    t.equal(String(two.body), "/* session_id=two */", name);
    t.equal((await recordOf(site.gateway, path)).cache, "pass", name);
  }
  t.equal(
    site.odoo.count("/web/static/private"),
    3,
    "asked once for all, then by each, and not twice by each",
  );
});

t.test("what is not kept is asked for once by somebody without a cookie, and is his own", async (t) => {
  const site = await startCachedSite(({ field }) => ({
    status: "404 NOT FOUND",
    fields: ["Content-Type: text/html", `Set-Cookie: session_id=of-${field("x-request-id")}; Path=/`],
    body: `page of ${field("cookie")}`,
  }));
  t.teardown(() => site.close());
  const first = await site.get("/web/static/a.js");
  t.equal(first.status, 404);
  t.match(first.headers["set-cookie"], [/^session_id=of-/], "the session is made for him");
  t.equal(site.odoo.seen.length, 1);
  const again = await site.get("/web/static/a.js");
  t.notSame(again.headers["set-cookie"], first.headers["set-cookie"]);
  t.equal(site.odoo.seen.length, 2);
  const known = await site.get("/web/static/b.js", { cookie: "session_id=known" });
  t.equal(String(known.body), "page of session_id=known", "who has a cookie is asked for with it");
  t.equal(site.odoo.count("/web/static/b.js"), 2);
});

t.test("of two who wait for what is not kept, one gets the answer and the other his own", async (t) => {
  const held: SeenRequest[] = [];
  const site = await startCachedSite((request) => {
    held.push(request);
    return null;
  });
  t.teardown(() => site.close());
  const both = [site.get("/web/static/a.js"), site.get("/web/static/a.js")];
  await until(() => site.gateway.running.gateway.exchanges === 2);
  await site.odoo.until((seen) => seen.length === 1);
  const answer = (request: SeenRequest | undefined, session: string) => {
    if (request === undefined) throw new Error("Odoo was not asked");
    const fields = ["Content-Type: text/plain", `Set-Cookie: session_id=${session}; Path=/`];
    send(request.socket, "GET", { status: "404 NOT FOUND", fields, body: session.repeat(30_000) });
  };
  answer(held[0], "one");
  await site.odoo.until((seen) => seen.length === 2);
  answer(held[1], "two");
  const sessions = (await Promise.all(both)).map(({ headers, body }) => {
    t.equal(body.length, 90_000);
    return headers["set-cookie"]?.[0]?.split(";")[0];
  });
  t.same(sessions.sort(), ["session_id=one", "session_id=two"]);
});

t.test("who names a database or a password of his own goes past the cache", async (t) => {
  const site = await startCachedSite(({ field }) => ({
    fields: [javascript, ...immutable],
    body: `${field("authorization") ?? field("x-odoo-database") ?? "nobody"}`,
  }));
  t.teardown(() => site.close());
  const secret = await site.get(bundle, { authorization: "Bearer key" });
  t.equal(String(secret.body), "Bearer key");
  t.equal(String((await site.get(bundle)).body), "nobody");
  t.equal(String((await site.get(bundle, { authorization: "Bearer other" })).body), "Bearer other");
  t.equal(
    String((await site.get(bundle, { "x-odoo-database": "other" })).body),
    "nobody",
    "from Odoo itself",
  );
  t.equal(site.odoo.count(bundle), 4);
});

t.test("each name and each scheme has files of its own", async (t) => {
  const site = await startCachedSite(
    ({ field }) => ({ fields: [javascript, ...immutable], body: `${field("host")}` }),
    { env: { DOMAIN: "odoo.test,shop.test" } },
  );
  t.teardown(() => site.close());
  const port = site.gateway.httpsPort;
  const of = async (host: string) => String((await site.get(bundle, { ":authority": host })).body);
  t.equal(await of(`odoo.test:${port}`), `odoo.test:${port}`);
  t.equal(await of(`shop.test:${port}`), `shop.test:${port}`);
  t.equal(await of(`ODOO.test:${port}`), `odoo.test:${port}`.toLowerCase());
  t.equal(await of(`shop.test:${port}`), `shop.test:${port}`);
  t.equal((await site.get(bundle, { ":authority": "evil.test" })).status, 421);
  const hosts = site.odoo.seen.map((one) => one.field("host")?.toLowerCase());
  t.same(hosts, [`odoo.test:${port}`, `shop.test:${port}`]);
});

t.test("the query is part of the key, letter by letter", async (t) => {
  const site = await startCachedSite(({ target }) => ({ fields: [javascript, ...immutable], body: target }));
  t.teardown(() => site.close());
  for (const query of ["", "?", "?a=1", "?a=1&b=2", "?b=2&a=1", "?a=%31", "?A=1"]) {
    t.equal(String((await site.get(`${bundle}${query}`)).body), `${bundle}${query}`, query);
  }
});

t.test("a hundred clients at once are one request to Odoo, and who began it may leave", async (t) => {
  const site = await startCachedSite(() => null);
  t.teardown(() => site.close());
  const first = await openTls(site.gateway);
  first.write(requestText(site.gateway, `GET ${bundle}`));
  await site.odoo.until((seen) => seen.length === 1);
  const sessions = await Promise.all([openHttp2(site.gateway), openHttp2(site.gateway)]);
  t.teardown(() => sessions.map((session) => session.destroy()));
  const coming = Array.from({ length: 100 }, (_, i) =>
    h2(sessions[i % 2] ?? sessions[0], site.gateway, { ":method": "GET", ":path": bundle }),
  );
  await until(() => site.gateway.running.gateway.exchanges === 101);
  first.destroy();
  await until(() => site.gateway.running.gateway.exchanges === 100);
  const [request] = site.odoo.seen;
  if (request === undefined) throw new Error("nothing came");
  send(request.socket, "GET", { fields: [javascript, ...immutable], body: "the file ".repeat(10_000) });
  for (const answer of await Promise.all(coming)) {
    t.equal(answer.status, 200);
    t.equal(answer.body.length, 90_000);
  }
  t.equal(site.odoo.seen.length, 1);
  t.equal((await site.get(bundle)).body.length, 90_000);
  t.equal(site.odoo.seen.length, 1);
});

t.test("a file that Odoo breaks off is cut for those who wait, and not kept", async (t) => {
  let broken = true;
  const site = await startCachedSite(({ socket }) => {
    const fields = [javascript, ...immutable];
    if (!broken) return { fields, body: "y".repeat(200_000) };
    send(socket, "GET", { fields, body: "x".repeat(100_000), length: 200_000 });
    return null;
  });
  t.teardown(() => site.close());
  const cut = await h1(site.gateway, `GET ${bundle}`);
  t.equal(cut.status, 200);
  t.ok(/^transfer-encoding: chunked$/im.test(cut.lines.join("\n")) && !cut.text.endsWith("0\r\n\r\n"));
  const reset = await site.get(bundle);
  t.not(reset.rstCode, 0);
  broken = false;
  const whole = await site.get(bundle);
  t.equal(String(whole.body), "y".repeat(200_000));
  t.equal((await site.get(bundle)).body.length, 200_000);
  t.equal(site.odoo.count(bundle), 3);
});

t.test("of a file that grows while Odoo reads it nobody else gets the declared part", async (t) => {
  let length: number | undefined = 12;
  const site = await startCachedSite(() => ({
    fields: [javascript, ...immutable],
    body: "function a() { return 1; }",
    length,
  }));
  t.teardown(() => site.close());
  t.equal(String((await site.get(bundle)).body), "function a()", "as declared (RFC 9112 §6.3)");
  length = undefined;
  t.equal(String((await site.get(bundle)).body), "function a() { return 1; }");
  t.equal(String((await site.get(bundle)).body), "function a() { return 1; }");
  t.equal(site.odoo.count(bundle), 2);
});

t.test("a HEAD, a range or a GET with a body brings nothing in and spoils nothing", async (t) => {
  const site = await startCachedSite(({ method, field }) => ({
    fields: [
      javascript,
      ...immutable,
      'ETag: "abc"',
      ...(field("range") === null ? [] : ["Content-Range: bytes 0-3/9"]),
    ],
    status: field("range") === null ? "200 OK" : "206 PARTIAL CONTENT",
    body: field("range") !== null ? "the " : method === "HEAD" ? "" : "the file.",
    length: method === "HEAD" ? 9 : undefined,
  }));
  t.teardown(() => site.close());
  const head = await site.get(bundle, { ":method": "HEAD" });
  t.equal(head.headers["content-length"], "9");
  const part = await site.get(bundle, { range: "bytes=0-3" });
  t.equal(part.status, 206);
  const withBody = await h1(site.gateway, `GET ${bundle}`, [], "body");
  t.equal(withBody.status, 200);
  t.equal(site.odoo.seen.length, 3);
  t.equal(String((await site.get(bundle)).body), "the file.");
  const again = await site.get(bundle, { ":method": "HEAD" });
  t.equal(again.body.length, 0);
  t.equal(again.headers["content-length"], "9");
  t.equal(again.headers["etag"], '"abc"');
  t.equal(String((await site.get(bundle, { range: "bytes=4-" })).body), "file.");
  t.equal(site.odoo.seen.length, 4);
});

t.test("a 304 that comes unasked, or with a body, is no file", async (t) => {
  const site = await startCachedSite(({ socket, target }) => {
    if (target.endsWith("body.js")) {
      socket.end(`HTTP/1.0 304 NOT MODIFIED\r\n${immutable[0]}\r\nContent-Length: 5\r\n\r\nHTTP/`);
      return null;
    }
    return { status: "304 NOT MODIFIED", fields: [javascript, ...immutable, 'ETag: "abc"'] };
  });
  t.teardown(() => site.close());
  const unasked = await site.get(bundle);
  t.equal(unasked.status, 304);
  t.equal(unasked.body.length, 0);
  t.equal((await recordOf(site.gateway, bundle)).cache, "pass");
  const bodied = await site.get("/web/static/body.js");
  t.equal(bodied.body.length, 0);
  t.equal((await site.get(bundle)).status, 304, "not kept either");
});
