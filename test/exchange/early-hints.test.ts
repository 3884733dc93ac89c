import { once } from "node:events";
import type { ClientHttp2Session, IncomingHttpHeaders } from "node:http2";
import t, { type Test } from "tap";
import { startCachedSite } from "../support/cache.ts";
import { type FileAnswer, immutable, send } from "../support/files-upstream.ts";
import type { TestGateway } from "../support/gateway.ts";
import { type H2Fields, h1, h2, hostOf, openHttp2, until } from "./clients.ts";

const style = "/web/assets/4a79452/web.assets_web.min.css";
const script = "/web/assets/0c5bb5f/web.assets_web.min.js";
const opening: H2Fields = { "sec-fetch-dest": "document", "sec-fetch-mode": "navigate" };
const pageWith = (...scripts: readonly string[]) =>
  `<html><head><link rel="stylesheet" href="${style}"/>${scripts.map((path) => `<script src="${path}"></script>`).join("")}</head><body></body></html>`;

interface Opened {
  /** Values of `link` in interim answers, until Odoo's page was made. */
  readonly early: readonly string[];
  /** Those that came with the page. */
  readonly late: readonly string[];
  /** Values of `link` in the page's own head. */
  readonly own: readonly string[];
  readonly status: number;
}

/** What browsers have heard so far of each page that is open, by path. */
type Heard = Map<string, string[]>;

/** Opens a page as a browser does. `made`: what it had heard when Odoo's page was made. */
function openPage(
  session: ClientHttp2Session,
  gateway: TestGateway,
  path: string,
  {
    fields = opening,
    heard = new Map(),
    made = new Map(),
  }: { fields?: H2Fields; heard?: Heard; made?: Map<string, number> } = {},
): Promise<Opened> {
  return new Promise((resolve, reject) => {
    const hints: string[] = [];
    heard.set(path, hints);
    let status = 0;
    let own: readonly string[] = [];
    const linksOf = (head: IncomingHttpHeaders) =>
      [head["link"] ?? []].flat().flatMap((value) => value.split(", "));
    const stream = session.request({ ":path": path, ":authority": hostOf(gateway), ...fields });
    stream.on("headers", (head) => {
      if (head[":status"] === 103) hints.push(...linksOf(head));
    });
    stream.on("response", (head) => {
      status = head[":status"] ?? 0;
      own = linksOf(head);
    });
    stream.on("error", reject);
    stream.on("end", () => {
      const early = made.get(path) ?? 0;
      resolve({ early: hints.slice(0, early), late: hints.slice(early), own, status });
    });
    stream.resume();
    stream.end();
  });
}

/** A file that no page names: what was said to the browser before it is there when it is. */
const behind = "/web/assets/1111111/behind.css";

/** A site whose pages name what `page` says for each path. */
async function startSite(
  t: Test,
  page: (path: string) => string,
  env: Readonly<Record<string, string>> = {},
) {
  const heard: Heard = new Map();
  const made = new Map<string, number>();
  let session: ClientHttp2Session | null = null;
  const site = await startCachedSite(
    ({ target, method, socket }) => {
      if (target.endsWith("/gone.js"))
        return { status: "404 NOT FOUND", fields: ["Content-Type: text/html"], body: "gone" };
      if (target.endsWith("/sick.js"))
        return { status: "500 INTERNAL SERVER ERROR", fields: ["Content-Type: text/html"], body: "sick" };
      if (target.startsWith("/web/assets/"))
        return { fields: [...immutable, "Content-Type: text/css"], body: "x".repeat(100) };
      const answer = {
        fields: ["Content-Type: text/html; charset=utf-8", "Cache-Control: no-store"],
        body: page(target),
      };
      const open = heard.get(target);
      if (session === null || open === undefined) return answer;
      void h2(session, site.gateway, { ":method": "GET", ":path": behind }).then(() => {
        made.set(target, open.length);
        send(socket, method, answer);
      });
      return null;
    },
    { env },
  );
  session = await openHttp2(site.gateway);
  const own = session;
  t.teardown(async () => {
    own.destroy();
    await site.close();
  });
  const { gateway } = site;
  return {
    site,
    gateway,
    session: own,
    open: (path: string, { fields = opening }: { readonly fields?: H2Fields } = {}) =>
      openPage(own, gateway, path, { fields, heard, made }),
  };
}

const both = [`<${style}>; rel=preload; as=style`, `<${script}>; rel=preload; as=script`];

t.test(
  "a browser hears of its page's bundles in front of the page, and the next one while Odoo still makes it",
  async (t) => {
    const { site, open } = await startSite(t, () => pageWith(script));
    t.same(
      await open("/odoo/contacts"),
      { early: [], late: both, own: [], status: 200 },
      "nothing was known",
    );
    for (const path of [style, script]) await site.get(path);
    t.same(await open("/odoo/slow"), { early: both, late: [], own: [], status: 200 }, "once");
    t.equal(site.odoo.count(script), 1);
  },
);

t.test("a page is given out as Odoo sends it, whatever of it names files", async (t) => {
  let go: (() => void) | null = null;
  const [first = "", second = ""] = pageWith(script).split("<script");
  const site = await startCachedSite(({ target, socket }) => {
    const head = "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n";
    if (target === "/empty") return { fields: ["Content-Type: text/html"], body: "" };
    if (target === "/long")
      return { fields: ["Content-Type: text/html"], body: `<html>${"a".repeat(200_000)}` };
    if (target === "/cut") socket.end(`${head}Content-Length: 1000\r\n\r\n`);
    else {
      socket.write(`${head}\r\n${first}`);
      go = () => socket.end(`<script${second}`);
    }
    return null;
  });
  const session = await openHttp2(site.gateway);
  t.teardown(async () => {
    session.destroy();
    await site.close();
  });
  const stream = session.request({ ":path": "/slow", ":authority": hostOf(site.gateway), ...opening });
  const links: unknown[] = [];
  stream.on("headers", (head) => links.push(head["link"]));
  const [head] = await once(stream, "response");
  t.equal(head[":status"], 200, "Odoo is not waited for");
  t.same(links, [both[0]], "what had come by then");
  let text = "";
  stream.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    go?.();
    go = null;
  });
  await once(stream, "end");
  t.equal(text, pageWith(script));
  t.equal((await site.get("/empty", opening)).status, 200);
  t.equal((await site.get("/long", opening)).body.length, 200_006);
  t.equal((await site.get("/cut", opening)).status, 502, "Odoo's end before a byte of it is told");
});

t.test("only a browser that opens a page and is connected to us itself is told", async (t) => {
  const { site, gateway, open } = await startSite(t, () => pageWith(script), {
    TRUSTED_PROXIES: "127.0.0.1",
  });
  for (const path of [style, script]) await site.get(path);
  await open("/odoo");
  t.same((await open("/odoo")).early, both);
  const others: readonly (readonly [string, H2Fields])[] = [
    ["a script", { "sec-fetch-dest": "empty", "sec-fetch-mode": "cors" }],
    ["a frame", { "sec-fetch-dest": "iframe", "sec-fetch-mode": "navigate" }],
    ["a program", {}],
    ["a form", { ...opening, ":method": "POST" }],
    ["somebody behind a proxy", { ...opening, "x-forwarded-for": "203.0.113.1" }],
  ];
  for (const [who, fields] of others)
    t.match(await open("/odoo", { fields }), { early: [], late: [], status: 200 }, who);
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
  t.equal((await open("/shop")).early.length, 3);
  names = [script];
  await open("/shop");
  t.same((await open("/shop")).early, both, "the editor's bundle was one person's");
  t.same((await open("/odoo")).early, [], "another page");
  const french = { ...opening, cookie: "frontend_lang=fr_FR" };
  t.same((await open("/shop", { fields: french })).early, [], "another language");
  t.same((await open("/shop", { fields: french })).early, both);
});

t.test("a stranger does not hear from hints which pages somebody with a session has opened", async (t) => {
  const { site, open } = await startSite(t, () => pageWith(script));
  for (const path of [style, script]) await site.get(path);
  const somebody = { ...opening, cookie: `session_id=${"s".repeat(84)}` };
  await open("/my/orders/7", { fields: somebody });
  t.same((await open("/my/orders/7", { fields: somebody })).early, []);
  t.same((await open("/my/orders/7")).early, []);
  t.same((await open("/my/orders/7", { fields: somebody })).early, both, "what a stranger has opened");
  await open("/odoo/contacts", { fields: somebody });
  t.same((await open("/odoo")).early, both, "the web client is one for all");
});

t.test(
  "what a page names does not come into a field of ours, and what is not in memory is not named before the page",
  async (t) => {
    const evil = [
      `${script}>; rel=preload, <https://evil.test/x`,
      "/web/content/1/a.js",
      "https://evil.test/web/assets/0c5bb5f/a.js",
      "/web/assets/7777777/gone.js",
    ];
    const { site, open } = await startSite(t, () => pageWith(...evil));
    await site.get(style);
    const gone = "</web/assets/7777777/gone.js>; rel=preload; as=script";
    t.match(await open("/odoo"), { early: [], late: [both[0], gone] }, "as the page itself says");
    t.match(await open("/odoo"), { early: [both[0]], late: [] });
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
      .filter((target) => target !== "/odoo" && target !== behind)
      .sort(),
    [script, style].sort(),
  );
});

t.test(
  "a style sheet that yields to the page's script is not told ahead, and says that it may wait",
  async (t) => {
    const client = `<html><head><script src="${script}"></script><link rel="stylesheet" href="${style}"/></head>`;
    let page = client;
    const { site, open } = await startSite(t, () => page);
    const priority = async (path: string) => (await site.get(path)).headers["priority"];
    t.same((await open("/odoo")).late, [both[1]]);
    t.same([await priority(style), await priority(script)], ["u=3", undefined]);
    t.same((await open("/odoo")).early, [both[1]]);
    page = pageWith(script);
    await open("/shop");
    t.equal(await priority(style), undefined, "a page that needs it first");
  },
);

t.test("one site's page does not say that another site's style sheet may wait", async (t) => {
  const page = `<html><head><link rel="stylesheet" href="${style}" media="print"/></head>`;
  const { site, gateway, open } = await startSite(t, () => page, { DOMAIN: "odoo.test,shop.test" });
  const other = { ":authority": hostOf(gateway).replace("odoo", "shop") };
  t.equal((await open("/home", { fields: { ...opening, ...other } })).status, 200);
  t.equal((await site.get(style, other)).headers["priority"], "u=5");
  t.equal((await site.get(style)).headers["priority"], undefined);
});

t.test(
  "style sheets that the script does not wait for stand in the page's own head, the one for print last",
  async (t) => {
    const print = "/web/assets/2b9d398/web.assets_web_print.min.css";
    const sheet = (path: string, media: string) => `<link rel="stylesheet" href="${path}" media="${media}"/>`;
    const page = `<html><head>${sheet(print, "print")}<script src="${script}"></script>${sheet(style, "screen")}</head>`;
    const { site, gateway, open } = await startSite(t, () => page);
    t.match(
      await open("/odoo"),
      { late: [both[1]], own: [] },
      "what is not here would be in the script's way",
    );
    t.notOk(site.odoo.count(print), "nor is it fetched ahead");
    for (const path of [style, script]) await site.get(path);
    t.match(await open("/odoo"), { early: [both[1]], late: [], own: [both[0]] });
    await site.get(print);
    const known = [both[0], `<${print}>; rel=preload; as=style`];
    t.match(await open("/odoo"), { early: [both[1]], late: [], own: known });
    t.equal((await site.get(print)).headers["priority"], "u=5", "behind all others");
    const lines = Object.entries(opening).map(([name, value]) => `${name}: ${value}`);
    const old = await h1(gateway, "GET /odoo", lines);
    t.notOk(
      old.lines.some((line) => /^link:/i.test(line)),
      "over HTTP/1.1 nothing is told",
    );
  },
);

t.test("EARLY_HINTS=no, CACHE=no and `cache clear` end it", async (t) => {
  for (const env of [{ EARLY_HINTS: "no" }, { CACHE: "no" }]) {
    const { site, open } = await startSite(t, () => pageWith(script), env);
    for (const path of [style, script]) await site.get(path);
    await open("/odoo");
    t.match(await open("/odoo"), { early: [], late: [] }, JSON.stringify(env));
  }
  const { site, gateway, session, open } = await startSite(t, () => pageWith(script));
  for (const path of [style, script]) await site.get(path);
  await open("/odoo");
  t.same((await open("/odoo")).early, both);
  gateway.running.cache.clear();
  for (const path of [style, script]) await h2(session, gateway, { ":method": "GET", ":path": path });
  t.same((await open("/odoo")).early, []);
});

t.test("what Odoo cannot give is not asked for ahead again with each page", async (t) => {
  const sick = "/web/assets/5555555/sick.js";
  const { site, open } = await startSite(t, () => pageWith(sick));
  await open("/odoo");
  await until(() => site.odoo.count(sick) === 1 && site.gateway.running.cache.figures().fetching === 0);
  for (let i = 0; i < 3; i += 1) await open("/odoo");
  t.equal(site.odoo.count(sick), 1);
  t.equal((await site.get(sick)).status, 500, "its browser still may");
  t.equal(site.odoo.count(sick), 2);
});

t.test("nothing is fetched ahead while others wait for Odoo", async (t) => {
  const waiting = new Map<string, () => void>();
  const site = await startCachedSite(
    ({ target, method, socket }) => {
      const body = target === "/odoo" ? pageWith(script) : "x";
      const fields = target.startsWith("/web/assets/") ? immutable : ["Content-Type: text/html"];
      waiting.set(target, () => send(socket, method, { fields, body }));
      return null;
    },
    { env: { ODOO_WORKERS: "1" } },
  );
  const session = await openHttp2(site.gateway);
  t.teardown(async () => {
    session.destroy();
    await site.close();
  });
  const answer = async (target: string) => {
    await until(() => waiting.has(target));
    waiting.get(target)?.();
    waiting.delete(target);
  };
  const first = site.get("/shop/1");
  await until(() => waiting.has("/shop/1"));
  const page = site.get("/odoo", opening);
  const { queue } = site.gateway.running;
  await until(() => queue().waiting === 1);
  const last = site.get("/shop/2");
  await until(() => queue().waiting === 2);
  await answer("/shop/1");
  await answer("/odoo");
  await answer("/shop/2");
  for (const one of [first, page, last]) t.equal((await one).status, 200);
  t.equal(site.odoo.count(script), 0, "the shop came first");
});

const client = {
  script: "/web/assets/0c5bb5f/web.assets_web.min.js",
  style: "/web/assets/4a79452/web.assets_web.min.css",
  print: "/web/assets/2b9d398/web.assets_web_print.min.css",
};
const taken = [
  `<${client.script}>; rel=prefetch; as=script`,
  `<${client.style}>; rel=prefetch; as=style`,
  `<${client.print}>; rel=prefetch; as=style`,
];

const ownSession = "s".repeat(84);

/** A site with a log-in page that names nothing, and an Odoo that tells where its bundles are as `told` says. */
async function startLogin(
  t: Test,
  told: (name: string) => FileAnswer,
  env: Readonly<Record<string, string>> = {},
) {
  const site = await startCachedSite(
    ({ method, target }) => {
      if (method === "POST")
        return {
          status: "303 SEE OTHER",
          fields: ["Location: /odoo", `Set-Cookie: session_id=${ownSession}; Path=/`],
        };
      const [, hash, name = ""] = /^\/web\/assets\/([0-9a-f]{7})\/(.+)$/.exec(target) ?? [];
      if (hash === "0000000") return told(name);
      if (hash !== undefined) return { fields: [...immutable, "Content-Type: text/css"], body: "a{}" };
      return { fields: ["Content-Type: text/html"], body: "<html><head></head></html>" };
    },
    { env },
  );
  const session = await openHttp2(site.gateway);
  t.teardown(async () => {
    session.destroy();
    await site.close();
  });
  const open = (path: string, fields: H2Fields = {}) =>
    openPage(session, site.gateway, path, { fields: { ...opening, ...fields } });
  const isHere = () => until(() => site.gateway.running.cache.figures().entries === 3);
  return { site, session, open, isHere };
}

const toRight = (name: string): FileAnswer => {
  const path = Object.values(client).find((one) => one.endsWith(`/${name}`)) ?? "";
  return { status: "303 SEE OTHER", fields: [`Location: ${path}`], body: "redirecting" };
};
const toClient = "/web/login?redirect=%2Fodoo%3F";

t.test(
  "while somebody types his password his browser takes the web client, which Odoo named and gave before",
  async (t) => {
    const { site, open, isHere } = await startLogin(t, toRight);
    t.match(await open(toClient), { status: 200, early: [], own: [] }, "nobody knows yet");
    await isHere();
    t.same((await open(toClient)).own, taken);
    t.same((await open("/web/login?redirect=/web")).own, taken, "Odoo 17");
    for (const path of [
      "/web/login",
      "/web/login?redirect=%2Fmy%3F",
      "/web/login?redirect=/website",
      "/shop",
    ])
      t.same((await open(path)).own, [], `${path} leads elsewhere`);
    t.same((await open(toClient, { "save-data": "on" })).own, [], "who counts bytes");
    t.same((await open(toClient, { "sec-fetch-dest": "iframe" })).own, [], "a frame");
    for (const path of Object.values(client)) t.equal(site.odoo.count(path), 1, path);
    for (const request of site.odoo.seen.filter(({ target }) => target.startsWith("/web/assets/")))
      t.equal(request.field("cookie"), null, "asked as nobody in particular");
    const answer = await site.get(client.script, { "sec-purpose": "prefetch" });
    t.same([answer.status, answer.body.toString()], [200, "a{}"]);
    t.equal(site.odoo.count(client.script), 1);
    const asked = site.odoo.seen.length;
    await open(toClient);
    t.equal(site.odoo.seen.length, asked + 1, "Odoo is not asked again with each page");
    t.same(
      (await site.records()).filter(({ target }) => target.includes("0000000")),
      [],
      "nobody's request",
    );
  },
);

t.test("a browser that gives up what it took ahead leaves nothing behind", async (t) => {
  const { site, open, isHere } = await startLogin(t, toRight);
  await open(toClient);
  await isHere();
  const session = await openHttp2(site.gateway);
  const stream = session.request({
    ":path": client.script,
    ":authority": hostOf(site.gateway),
    "sec-purpose": "prefetch",
  });
  stream.on("error", () => {});
  await until(() => site.gateway.running.gateway.exchanges === 1);
  session.destroy();
  await until(() => site.gateway.running.gateway.exchanges === 0);
  const records = await site.records();
  t.match(records.at(-1), { target: client.script, status: 499 });
});

t.test("an Odoo that does not tell where its bundles are is left alone", async (t) => {
  const odd: Readonly<Record<string, FileAnswer>> = {
    "older than 17": { status: "404 NOT FOUND", fields: ["Content-Type: text/html"], body: "no" },
    "to another site": {
      status: "303 SEE OTHER",
      fields: [`Location: https://evil.test${client.script}`],
      body: "x",
    },
    "to another file": {
      status: "303 SEE OTHER",
      fields: ["Location: /web/content/1/web.assets_web.min.js"],
      body: "x",
    },
    "to another bundle": { status: "303 SEE OTHER", fields: [`Location: ${client.style}`], body: "x" },
    "with the file itself": { fields: [...immutable, "Content-Type: text/css"], body: "a{}" },
  };
  for (const [what, answer] of Object.entries(odd)) {
    const { site, open } = await startLogin(t, () => answer);
    await open(toClient);
    await site.odoo.until((seen) => seen.length === 2);
    await until(() => site.gateway.running.gateway.exchanges === 0);
    t.same((await open(toClient)).own, [], what);
    t.equal(site.odoo.seen.length, 3, "asked once");
  }
});

t.test(
  "EARLY_HINTS=no and CACHE=no leave the web client to its page, and `cache clear` makes it forgotten",
  async (t) => {
    for (const env of [{ EARLY_HINTS: "no" }, { CACHE: "no" }]) {
      const { site, open } = await startLogin(t, toRight, env);
      await open(toClient);
      t.same((await open(toClient)).own, []);
      t.equal(site.odoo.seen.length, 2);
    }
    const { site, open, isHere } = await startLogin(t, toRight);
    await open(toClient);
    await isHere();
    site.gateway.running.cache.clear();
    t.same((await open(toClient)).own, []);
    await isHere();
    t.same((await open(toClient)).own, taken, "asked anew");
  },
);

t.test(
  "the first who opens the web client after a log-in hears of its script while Odoo makes the page",
  async (t) => {
    const { site, session, open, isHere } = await startLogin(t, toRight);
    await open(toClient);
    await isHere();
    t.same((await open("/odoo")).late, [], "a stranger hears nothing");
    const form = {
      ":method": "POST",
      ":path": "/web/login",
      "content-type": "application/x-www-form-urlencoded",
    };
    t.equal((await h2(session, site.gateway, form, Buffer.from("login=a&password=b"))).status, 303);
    const user = { cookie: `session_id=${ownSession}` };
    t.same((await open("/odoo", user)).late, [`<${client.script}>; rel=preload; as=script`]);
    t.same((await open("/my", user)).late, [], "another page");
  },
);
