import type { ClientHttp2Session } from "node:http2";
import t, { type Test } from "tap";
import { startCachedSite } from "../support/cache.ts";
import { immutable, send } from "../support/files-upstream.ts";
import type { TestGateway } from "../support/gateway.ts";
import { type H2Fields, h1, h2, hostOf, openHttp2, until } from "./clients.ts";

const style = "/web/assets/4a79452/web.assets_web.min.css";
const script = "/web/assets/0c5bb5f/web.assets_web.min.js";
const opening: H2Fields = { "sec-fetch-dest": "document", "sec-fetch-mode": "navigate" };
const pageWith = (...scripts: readonly string[]) =>
  `<html><head><link rel="stylesheet" href="${style}"/>${scripts.map((path) => `<script src="${path}"></script>`).join("")}</head><body></body></html>`;

interface Opened {
  /** Values of `link` in interim answers. */
  readonly hints: readonly string[];
  readonly status: number;
}

/** Opens a page as a browser does; `pageGoes` is called when the 103 is there, or the answer. */
function openPage(
  session: ClientHttp2Session,
  gateway: TestGateway,
  path: string,
  { fields = opening, told = () => {} }: { readonly fields?: H2Fields; readonly told?: () => void } = {},
): Promise<Opened> {
  return new Promise((resolve, reject) => {
    const hints: string[] = [];
    let status = 0;
    const stream = session.request({ ":path": path, ":authority": hostOf(gateway), ...fields });
    stream.on("headers", (head) => {
      if (head[":status"] === 103) hints.push(...[head["link"] ?? []].flat());
      told();
    });
    stream.on("response", (head) => {
      status = head[":status"] ?? 0;
    });
    stream.on("error", reject);
    stream.on("end", () => resolve({ hints: hints.flatMap((value) => value.split(", ")), status }));
    stream.resume();
    stream.end();
  });
}

/** A site whose pages name what `page` says for each path. */
async function startSite(
  t: Test,
  page: (path: string) => string,
  env: Readonly<Record<string, string>> = {},
) {
  const site = await startCachedSite(
    ({ target }) =>
      target.endsWith("/gone.js")
        ? { status: "404 NOT FOUND", fields: ["Content-Type: text/html"], body: "gone" }
        : target.startsWith("/web/assets/")
          ? { fields: [...immutable, "Content-Type: text/css"], body: "x".repeat(100) }
          : {
              fields: ["Content-Type: text/html; charset=utf-8", "Cache-Control: no-store"],
              body: page(target),
            },
    { env },
  );
  const session = await openHttp2(site.gateway);
  t.teardown(async () => {
    session.destroy();
    await site.close();
  });
  const { gateway } = site;
  return {
    site,
    gateway,
    session,
    open: (path: string, more = {}) => openPage(session, gateway, path, more),
  };
}

const both = [`<${style}>; rel=preload; as=style`, `<${script}>; rel=preload; as=script`];

t.test("the next visitor's browser hears of a page's bundles while Odoo still makes the page", async (t) => {
  let isTold = (): void => {};
  const told = new Promise<void>((resolve) => {
    isTold = resolve;
  });
  const site = await startCachedSite(({ target, method, socket }) => {
    if (target.startsWith("/web/assets/"))
      return { fields: [...immutable, "Content-Type: text/css"], body: "x" };
    const page = { fields: ["Content-Type: text/html"], body: pageWith(script) };
    if (target !== "/odoo/slow") return page;
    // The page is made when the hints are there, and not before.
    void told.then(() => send(socket, method, page));
    return null;
  });
  const session = await openHttp2(site.gateway);
  t.teardown(async () => {
    session.destroy();
    await site.close();
  });
  t.same((await openPage(session, site.gateway, "/odoo/contacts")).hints, [], "nothing is known");
  for (const path of [style, script]) await site.get(path);
  const slow = await openPage(session, site.gateway, "/odoo/slow", { told: isTold });
  t.same(slow, { hints: both, status: 200 });
  t.equal(site.odoo.count(script), 1);
});

t.test("only a browser that opens a page and is connected to us itself is told", async (t) => {
  const { site, gateway, open } = await startSite(t, () => pageWith(script), {
    TRUSTED_PROXIES: "127.0.0.1",
  });
  for (const path of [style, script]) await site.get(path);
  await open("/odoo");
  t.same((await open("/odoo")).hints, both);
  const others: readonly (readonly [string, H2Fields])[] = [
    ["a script", { "sec-fetch-dest": "empty", "sec-fetch-mode": "cors" }],
    ["a frame", { "sec-fetch-dest": "iframe", "sec-fetch-mode": "navigate" }],
    ["a program", {}],
    ["a form", { ...opening, ":method": "POST" }],
    ["somebody behind a proxy", { ...opening, "x-forwarded-for": "203.0.113.1" }],
  ];
  for (const [who, fields] of others) t.same((await open("/odoo", { fields })).hints, [], who);
  const lines = Object.entries(opening).map(([name, value]) => `${name}: ${value}`);
  const old = await h1(gateway, "GET /odoo", lines);
  t.equal(old.status, 200, "HTTP/1.1 has one answer");
});

t.test("a page is told what the last ones of its kind shared, and nothing of other people's", async (t) => {
  const own = "/web/assets/1234567/editor.min.js";
  let names: readonly string[] = [script, own];
  const { site, open } = await startSite(t, () => pageWith(...names));
  for (const path of [style, script, own]) await site.get(path);
  await open("/shop");
  t.equal((await open("/shop")).hints.length, 3);
  names = [script];
  await open("/shop");
  t.same((await open("/shop")).hints, both, "the editor's bundle was one person's");
  t.same((await open("/odoo")).hints, [], "another page");
  const french = { ...opening, cookie: "frontend_lang=fr_FR" };
  t.same((await open("/shop", { fields: french })).hints, [], "another language");
  t.same((await open("/shop", { fields: french })).hints, both);
});

t.test(
  "what a page names does not come into a field of ours, and what is not in memory is not named",
  async (t) => {
    const evil = [
      `${script}>; rel=preload, <https://evil.test/x`,
      "/web/content/1/a.js",
      "https://evil.test/web/assets/0c5bb5f/a.js",
      "/web/assets/7777777/gone.js",
    ];
    const { site, open } = await startSite(t, () => pageWith(...evil));
    await site.get(style);
    await open("/odoo");
    t.same((await open("/odoo")).hints, [both[0]]);
  },
);

t.test(
  "what a page names is fetched before its browser asks, once, and as nobody in particular",
  async (t) => {
    const asked: (() => void)[] = [];
    const site = await startCachedSite(({ target, method, socket }) => {
      if (!target.startsWith("/web/assets/"))
        return { fields: ["Content-Type: text/html"], body: pageWith(script) };
      // Odoo takes its time: the browser asks meanwhile.
      asked.push(() =>
        send(socket, method, { fields: [...immutable, "Content-Type: text/css"], body: "a{}".repeat(1_000) }),
      );
      return null;
    });
    const session = await openHttp2(site.gateway);
    t.teardown(async () => {
      session.destroy();
      await site.close();
    });
    const cookie = `session_id=${"s".repeat(84)}; tz=UTC`;
    await openPage(session, site.gateway, "/odoo", {
      fields: { ...opening, cookie, "accept-encoding": "gzip" },
    });
    await site.odoo.until(
      (seen) => seen.filter(({ target }) => target === style || target === script).length === 2,
    );
    const browser = [style, script].map((path) => site.get(path, { cookie, "accept-encoding": "gzip" }));
    await until(() => site.gateway.running.cache.figures().fetching === 2 && asked.length === 2);
    for (const answer of asked.splice(0)) answer();
    for (const answer of await Promise.all(browser)) {
      t.equal(answer.status, 200);
      t.equal(answer.headers["content-encoding"], "gzip");
    }
    t.same([site.odoo.count(style), site.odoo.count(script)], [1, 1], "the browser joined the fetch");
    for (const request of site.odoo.seen.filter(({ target }) => target.startsWith("/web/assets/"))) {
      t.equal(request.field("cookie"), null);
      t.equal(request.field("accept-encoding"), "identity");
    }
    const records = await site.records();
    t.match(
      records.find(({ target }) => target === "/odoo"),
      { status: 200, cache: null },
      "the page's record tells of the page alone",
    );
    await openPage(session, site.gateway, "/odoo/contacts");
    await site.get(style);
    t.equal(site.odoo.count(style), 1, "what is here is not fetched again");
  },
);

t.test("nothing is fetched ahead for a program, of another place, or where rules close it", async (t) => {
  const others = ["/web/content/1/a.js", "/web/assets/debug/a.js", "//evil.test/web/assets/0c5bb5f/a.js"];
  const { site, open } = await startSite(t, () => pageWith(script, ...others));
  await open("/odoo", { fields: {} });
  await open("/odoo", { fields: { "sec-fetch-dest": "iframe", "sec-fetch-mode": "navigate" } });
  t.equal(site.odoo.count(script), 0);
  await open("/odoo");
  await site.odoo.until((seen) => seen.some(({ target }) => target === script));
  await until(() => site.gateway.running.cache.figures().fetching === 0);
  t.same(
    site.odoo.seen
      .map(({ target }) => target)
      .filter((target) => target !== "/odoo")
      .sort(),
    [script, style].sort(),
  );
});

t.test("EARLY_HINTS=no, CACHE=no and `cache clear` end it", async (t) => {
  for (const env of [{ EARLY_HINTS: "no" }, { CACHE: "no" }]) {
    const { site, open } = await startSite(t, () => pageWith(script), env);
    for (const path of [style, script]) await site.get(path);
    await open("/odoo");
    t.same((await open("/odoo")).hints, [], JSON.stringify(env));
  }
  const { site, gateway, session, open } = await startSite(t, () => pageWith(script));
  for (const path of [style, script]) await site.get(path);
  await open("/odoo");
  t.same((await open("/odoo")).hints, both);
  gateway.running.cache.clear();
  for (const path of [style, script]) await h2(session, gateway, { ":method": "GET", ":path": path });
  t.same((await open("/odoo")).hints, []);
});
