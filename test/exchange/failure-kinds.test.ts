import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { startTestGateway } from "../support/gateway.ts";
import { startMember } from "../support/member.ts";
import { valuesOf } from "../support/upstream-raw.ts";
import { startScripted } from "../support/upstream-scripted.ts";
import { h1, recordOf, until } from "./clients.ts";

const json = ["Content-Type: application/json", "User-Agent: Mozilla/5.0 (X11) Firefox/140.0"];
const html = ["Accept: text/html", "User-Agent: Mozilla/5.0 (X11) Firefox/140.0"];

t.test("an Odoo that stops reading a request's body is 504, and asked once", async (t) => {
  const deaf = await startScripted(() => {}, { onConnect: (socket) => void socket.pause() });
  const bus = await startScripted(() => {});
  const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-policies-"));
  const guarded =
    "[/web/database/**, /*/web/database/**, /xmlrpc/**, /*/xmlrpc/**, /jsonrpc/**, /*/jsonrpc/**]";
  writeFileSync(
    join(folder, "90-all.yaml"),
    `rules:\n  - id: closed\n    why: No gateway starts without this.\n    match: { path: ${guarded} }\n    deny: 404\n  - id: all\n    why: Everything goes to the application, with a bound that a test can wait for.\n    forward: web\n    limits: []\n    timeout: 1s\n`,
  );
  const gateway = await startTestGateway({
    upstream: { webPort: deaf.port, busPort: bus.port },
    env: { POLICIES_DIR: folder },
  });
  t.teardown(async () => {
    await gateway.close();
    await deaf.close();
    await bus.close();
    rmSync(folder, { recursive: true });
  });
  // More than the kernel takes on both sides.
  const answer = await h1(gateway, "POST /upload?deaf", json, "x".repeat(30_000_000));
  t.equal(answer.status, 504);
  t.equal((await recordOf(gateway, "/upload?deaf")).failure, "body-stalled");
  t.equal(deaf.received.length, 1);
});

t.test("an Odoo that no way leads to is 502, and a page that comes back by itself", async (t) => {
  const gateway = await startTestGateway({
    env: { ODOO_URL: "http://odoo.nowhere:8069", HOLD_TIMEOUT: "0s" },
    // To this address nothing can be connected, and the kernel says so at once.
    lookup: async () => [{ address: "255.255.255.255", family: 4 }],
  });
  t.teardown(() => gateway.close());
  const call = await h1(gateway, "POST /web/dataset/call_kw?away", json, "{}");
  t.equal(call.status, 502);
  t.equal((await recordOf(gateway, "/web/dataset/call_kw?away")).failure, "connect-failed");
  const page = await h1(gateway, "GET /odoo?away", html);
  t.equal(page.status, 503);
  t.match(valuesOf(page, "retry-after"), [/^[5-9]$/]);
});

t.test(
  "a file for which Odoo has no worker and the queue no room is 503, and nobody waits for it",
  async (t) => {
    const odoo = await startMember("odoo", { holds: true });
    const bus = await startScripted(() => {});
    const gateway = await startTestGateway({
      upstream: { webPort: odoo.port, busPort: bus.port },
      env: { ODOO_WORKERS: "1", QUEUE_MAX: "1" },
    });
    const pages = [h1(gateway, "GET /x?1", html)];
    await until(() => odoo.held.length === 1);
    pages.push(h1(gateway, "GET /x?2", html));
    await until(() => gateway.running.queue().waiting === 1);
    const file = await h1(gateway, "GET /web/assets/1/abcdef0/web.assets_web.min.js", html);
    t.equal(file.status, 503);
    t.same(valuesOf(file, "retry-after"), ["10"]);
    const record = await recordOf(gateway, "/web/assets/1/abcdef0/web.assets_web.min.js");
    t.match(record, { failure: "no-worker", lane: "site" });
    await until(() => {
      for (const one of [...odoo.held]) one.answer();
      return gateway.records().length === 3;
    });
    for (const page of await Promise.all(pages)) t.equal(page.status, 200);
    await gateway.close();
    await odoo.close();
    await bus.close();
  },
);

t.test("of several members each is probed by the path of its pool", async (t) => {
  const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
  const all = await Promise.all([1, 2, 3, 4].map(() => startScripted((socket) => void socket.end(answer))));
  const url = (at: number) => `http://127.0.0.1:${all[at]?.port ?? 0}`;
  const gateway = await startTestGateway({
    env: { ODOO_URL: `${url(0)},${url(1)}`, ODOO_BUS_URL: `${url(2)},${url(3)}` },
  });
  t.teardown(async () => {
    await gateway.close();
    for (const one of all) await one.close();
  });
  await until(() => all.every(({ received }) => received.some(({ bytes }) => bytes.includes("\r\n\r\n"))));
  const asked = all.map(({ received }) => received[0]?.bytes.toString("latin1").split("\r\n")[0]);
  const web = "GET /web/health HTTP/1.1";
  const busPath = "GET /websocket/health HTTP/1.1";
  t.same(asked, [web, web, busPath, busPath]);
});

t.test(
  "a file that Odoo leaves to a proxy with its disk is a failure with a remedy, not an empty file",
  async (t) => {
    const where =
      "X-Accel-Redirect: /web/filestore/prod/aa/aabb\r\nX-Sendfile: /var/lib/odoo/filestore/prod/aa/aabb";
    const odoo = await startScripted((socket) =>
      socket.end(
        `HTTP/1.0 200 OK\r\nContent-Type: application/javascript\r\nCache-Control: public, max-age=31536000, immutable\r\n${where}\r\nContent-Length: 0\r\n\r\n`,
      ),
    );
    const gateway = await startTestGateway({ upstream: { webPort: odoo.port, busPort: odoo.port } });
    t.teardown(async () => {
      await gateway.close();
      await odoo.close();
    });
    for (const path of ["/web/content/7", "/web/assets/abcdef0/web.assets_web.min.js"])
      for (const method of ["GET", "HEAD"]) {
        const answer = await h1(gateway, `${method} ${path}?${method}`);
        t.equal(answer.status, 502, `${method} ${path}`);
        t.same(valuesOf(answer, "x-accel-redirect"), []);
        t.equal((await recordOf(gateway, `${path}?${method}`)).failure, "answer-malformed");
      }
    const event = await gateway.event((one) => one.type === "upstream-failed");
    t.match(event, { detail: /x_sendfile = False/ });
  },
);
