import { connect, type Socket } from "node:net";
import t from "tap";
import { objectBytesMax } from "../../src/cache/rules.ts";
import { h1, openTls, requestText, until } from "../exchange/clients.ts";
import { startCachedSite } from "../support/cache.ts";
import { aWeek, immutable } from "../support/files-upstream.ts";
import { startTestGateway } from "../support/gateway.ts";
import { rawTalk, valuesOf } from "../support/upstream-raw.ts";

const bundle = "/web/assets/0c5bb5f/web.assets_web.min.js";
const javascript = "Content-Type: application/javascript; charset=utf-8";

t.test("a file without a declared end, or larger than is kept, passes by", async (t) => {
  const site = await startCachedSite(({ target, socket }) => {
    const length = target.endsWith("huge.js") ? objectBytesMax + 1 : null;
    if (length === null) {
      socket.write(`HTTP/1.0 200 OK\r\n${javascript}\r\n${immutable[0]}\r\n\r\n`);
      const more = setInterval(() => socket.write("z".repeat(4_096)), 1);
      socket.on("close", () => clearInterval(more));
      return null;
    }
    return { fields: [javascript, ...immutable], body: Buffer.alloc(length, "h") };
  });
  t.teardown(() => site.close());
  const huge = await site.get("/web/static/huge.js");
  t.equal(huge.body.length, objectBytesMax + 1);
  t.equal(site.odoo.count("/web/static/huge.js"), 1);
  const socket = await openTls(site.gateway);
  const endless = await rawTalk(0, requestText(site.gateway, "GET /web/static/endless.js"), {
    socket,
    until: "z".repeat(64),
  });
  t.equal(endless.status, 200);
  await until(() => site.gateway.running.gateway.exchanges === 0);
  await site.odoo.until((seen) => seen.length === 2);
  await until(() => site.odoo.received.every((one) => one.bytes.length === 0 || one.closed));
});

t.test("junk queries do not push out what everybody loads", async (t) => {
  const site = await startCachedSite(
    ({ target }) => ({
      fields: ["Content-Type: font/woff2", ...immutable],
      body: Buffer.alloc(800_000, target),
    }),
    { env: { CACHE_BYTES: "16MiB" } },
  );
  t.teardown(() => site.close());
  await site.get(bundle);
  await site.get(bundle);
  for (let i = 0; i < 30; i += 1) await site.get(`${bundle}?junk=${i}`);
  await site.get(bundle);
  t.equal(site.odoo.count(bundle), 1);
  const admin = connect({ port: site.gateway.adminPort, host: "127.0.0.1" });
  const head = `GET /cache HTTP/1.1\r\nHost: 127.0.0.1:${site.gateway.adminPort}\r\nConnection: close\r\n\r\n`;
  const figures = JSON.parse((await rawTalk(0, head, { socket: admin })).body);
  t.ok(figures.bytes <= 16 * 1024 * 1024, `${figures.bytes} bytes are held`);
  t.ok(figures.entries > 10);
});

t.test("equal files under many addresses are held once", async (t) => {
  const site = await startCachedSite(
    () => ({
      fields: ["Content-Type: font/woff2", ...aWeek],
      body: Buffer.alloc(600_000, "same"),
    }),
    { env: { CACHE_BYTES: "16MiB" } },
  );
  t.teardown(() => site.close());
  for (let i = 0; i < 30; i += 1) await site.get(`/web/static/font.woff2?v=${i}`);
  for (let i = 0; i < 30; i += 1) await site.get(`/web/static/font.woff2?v=${i}`);
  t.equal(site.odoo.seen.length, 30);
});

t.test("slow readers of one file under many addresses do not hold it many times in memory", async (t) => {
  const body = Buffer.alloc(8_000_000, "slow");
  const site = await startCachedSite(() => ({ fields: ["Content-Type: font/woff2", ...immutable], body }), {
    env: { CACHE_BYTES: "32MiB" },
  });
  t.teardown(() => site.close());
  await site.get(bundle);
  const sockets: Socket[] = [];
  t.teardown(() => sockets.map((socket) => socket.destroy()));
  for (let i = 0; i < 6; i += 1) {
    const socket = await openTls(site.gateway);
    sockets.push(socket.pause());
    socket.write(requestText(site.gateway, `GET ${bundle}?junk=${i}`));
    await site.odoo.until((seen) => seen.length === i + 2);
    // Odoo's answer is taken whole, however slowly it is read.
    await until(() => site.odoo.received.every((one) => one.bytes.length === 0 || one.closed));
  }
  for (const socket of sockets) socket.destroy();
  const words = (await site.records()).map(({ cache }) => cache);
  // 16 MiB are room for two beside the first; of the others' own answers lies on the disk what nobody reads.
  t.same(words.toSorted(), ["miss", "miss", "miss", "pass", "pass", "pass", "pass"]);
  await site.get(`${bundle}?later`);
  await site.get(`${bundle}?later`);
  t.equal(site.odoo.count(`${bundle}?later`), 1, "and when they are gone files are kept as before");
});

t.test("the stand-in's own session cookies stay with whom they are for", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  for (const path of [bundle, "/web/assets/1/ae2450c/web.assets_frontend.min.css"]) {
    for (let i = 0; i < 3; i += 1) t.same(valuesOf(await h1(gateway, `GET ${path}`), "set-cookie"), [], path);
    const asked = gateway.demo.requests.filter((one) => one.target === path);
    t.equal(asked.length, 1);
  }
});
