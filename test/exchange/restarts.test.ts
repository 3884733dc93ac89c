import type { Socket } from "node:net";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { startTestGateway } from "../support/gateway.ts";
import { answerText, startMember, type TestMember } from "../support/member.ts";
import { freePort } from "../support/ports.ts";
import { valuesOf } from "../support/upstream-raw.ts";
import { startScripted } from "../support/upstream-scripted.ts";
import {
  h1,
  h2,
  opened,
  openHttp2,
  openTls,
  recordOf,
  refusedWith,
  requestText,
  until,
  webSocket,
} from "./clients.ts";

/** A gateway whose Odoo is not there yet, and the port it will be on. */
async function away(env: Record<string, string> = {}) {
  // Nobody listens there, and no test beside this one gets it.
  const port = await freePort();
  const bus = await startScripted(() => {});
  const gateway = await startTestGateway({ upstream: { webPort: port, busPort: bus.port }, env });
  return {
    gateway,
    port,
    async close(odoo: TestMember | null = null) {
      await gateway.close();
      await odoo?.close();
      await bus.close();
    },
  };
}

const json = ["Content-Type: application/json"];
const html = ["Accept: text/html"];

t.test("requests that come while Odoo restarts wait and are answered, each sent once", async (t) => {
  const { gateway, port, close } = await away({ HOLD_TIMEOUT: "30s" });
  const large = "x".repeat(300_000);
  const session = await openHttp2(gateway);
  const answers = [
    h1(gateway, "GET /odoo?page", html),
    h1(gateway, "POST /web/dataset/call_kw?call", json, "{}"),
    h1(gateway, "POST /upload?large", [], large),
    h1(gateway, "GET /web/static/x.js?asset"),
  ];
  const over2 = h2(session, gateway, { ":path": "/x?h2" });
  await until(() => gateway.running.queue().held === 5);
  t.ok((gateway.running.queue().awayMs ?? -1) >= 0);
  const status: unknown = await (await fetch(`http://127.0.0.1:${gateway.adminPort}/status`)).json();
  t.match(status, { pools: [{ name: "web", state: "away" }, {}], queue: { held: 5, capacity: null } });
  const odoo = await startMember("new", { port });
  for (const answer of await Promise.all(answers)) {
    t.equal(answer.status, 200);
    t.equal(answer.body, "new");
  }
  t.equal((await over2).status, 200);
  session.close();
  t.equal(odoo.asked.length, 5, "each once");
  const record = await recordOf(gateway, "/odoo?page");
  t.ok(record.queueMs > 0 && record.failure === null);
  t.ok(record.queueMs <= record.totalMs);
  t.match(
    gateway.events.filter((one) => one.type === "odoo-away" || one.type === "odoo-back"),
    [
      { type: "odoo-away", members: 1 },
      { type: "odoo-back", held: 5 },
    ],
  );
  t.equal((await h1(gateway, "GET /after")).status, 200);
  t.equal((await recordOf(gateway, "/after")).queueMs, 0);
  await close(odoo);
});

t.test("who waited long enough is told, each in its own way", async (t) => {
  const { gateway, close } = await away({ HOLD_TIMEOUT: "300ms" });
  const [page, call, asset] = await Promise.all([
    h1(gateway, "GET /odoo?page", html),
    h1(gateway, "POST /web/dataset/call_kw?call", json, "{}"),
    h1(gateway, "GET /x.js?asset"),
  ]);
  t.equal(page.status, 503);
  t.match(page.body, /http-equiv="refresh"/);
  t.equal(valuesOf(page, "content-security-policy").length, 1, "with our headers");
  t.equal(call.status, 502, "the web client says that the connection is lost, and asks until it is back");
  t.equal(JSON.parse(call.body).error.data.name, "odoo.exceptions.UserError");
  t.equal(asset.status, 502);
  for (const answer of [page, call, asset]) t.match(valuesOf(answer, "retry-after")[0], /^\d+$/);
  const record = await recordOf(gateway, "/odoo?page");
  t.equal(record.failure, "connect-refused");
  t.ok(record.queueMs >= 290);
  await close();
});

t.test("the queue of those who wait is bounded, and who leaves it makes room", async (t) => {
  const { gateway, port, close } = await away({ HOLD_TIMEOUT: "30s", HOLD_MAX: "2" });
  const first = h1(gateway, "GET /x?1");
  const leaver = await openTls(gateway);
  leaver.write(requestText(gateway, "GET /x?2"));
  await until(() => gateway.running.queue().held === 2);
  const third = await h1(gateway, "GET /x?3", html);
  t.equal(third.status, 503, "told at once");
  leaver.destroy();
  t.equal((await recordOf(gateway, "/x?2")).status, 499);
  t.equal(gateway.running.queue().held, 1);
  const fourth = h1(gateway, "GET /x?4");
  await until(() => gateway.running.queue().held === 2);
  const odoo = await startMember("new", { port });
  t.equal((await first).status, 200);
  t.equal((await fourth).status, 200);
  t.notOk(
    odoo.asked.some((line) => line.includes("?2")),
    "who left is not asked for",
  );
  await close(odoo);
});

t.test("a gateway that is told to stop waits for no Odoo", async (t) => {
  const { gateway, close } = await away({ HOLD_TIMEOUT: "10m", DRAIN_TIMEOUT: "20s" });
  const answer = h1(gateway, "GET /x?1", html);
  await until(() => gateway.running.queue().held === 1);
  await close();
  t.equal((await answer).status, 503, "an answer, not a cut connection");
});

t.test("a worker that is killed over a page is asked once more, over a form never", async (t) => {
  let asked = 0;
  const odoo = await startMember("odoo", {
    instead: (socket: Socket, line: string) => {
      asked += 1;
      if (line.includes("once") && asked === 1) socket.destroy();
      else if (line.includes("always") || /^(?:POST|PUT) /.test(line)) socket.destroy();
      else socket.end(answerText("odoo"));
    },
  });
  const bus = await startScripted(() => {});
  const gateway = await startTestGateway({ upstream: { webPort: odoo.port, busPort: bus.port } });
  t.teardown(async () => {
    await gateway.close();
    await odoo.close();
    await bus.close();
  });
  t.equal((await h1(gateway, "GET /once")).status, 200);
  asked = 0;
  t.equal((await h1(gateway, "GET /always")).status, 502, "a page that kills workers kills two at most");
  t.equal(asked, 2);
  asked = 0;
  t.equal((await h1(gateway, "POST /form", json, "{}")).status, 502);
  t.equal(asked, 1);
  asked = 0;
  t.equal((await h1(gateway, "PUT /put")).status, 502);
  t.equal(asked, 1, "nor anything else that may change something");
  t.notOk(
    gateway.events.some((one) => one.type === "odoo-away"),
    "Odoo itself was never away",
  );
});

t.test("an Odoo that is hung up while it stops gets its pages asked again when it is back", async (t) => {
  const old = await startMember("old", { holds: true });
  const bus = await startScripted(() => {});
  const gateway = await startTestGateway({
    upstream: { webPort: old.port, busPort: bus.port },
    env: { HOLD_TIMEOUT: "30s" },
  });
  const page = h1(gateway, "GET /odoo?page", html);
  const form = h1(gateway, "POST /form", json, "{}");
  await until(() => old.held.length === 2);
  await old.close();
  t.equal((await form).status, 502, "nobody knows what it did");
  await until(() => gateway.running.queue().held === 1);
  const odoo = await startMember("new", { port: old.port });
  t.equal((await page).body, "new");
  t.equal(odoo.asked.length, 1);
  await gateway.close();
  await odoo.close();
  await bus.close();
});

t.test("a websocket handshake does not wait: its client comes back by itself", async (t) => {
  const gateway = await startTestGateway();
  const gone = await startScripted(() => {});
  await gone.close();
  const alone = await startTestGateway({
    upstream: { webPort: gateway.demo.webPort, busPort: gone.port },
    env: { HOLD_TIMEOUT: "10m" },
  });
  t.teardown(async () => {
    await alone.close();
    await gateway.close();
  });
  const answer = await refusedWith(webSocket(alone));
  t.equal(answer.status, 502);
  t.match(answer.headers["retry-after"], /^\d+$/);
});

t.test("after a restart of the bus, websockets come back at a bounded pace", async (t) => {
  const gateway = await startTestGateway({
    // Stands still: nobody's turn comes while the test runs.
    clock: manualClock(Date.now()),
    env: { TUNNELS_PER_CLIENT: "200", TRUSTED_NETWORKS: "127.0.0.1" },
  });
  t.teardown(() => gateway.close());
  const sockets = await Promise.all(Array.from({ length: 25 }, () => opened(webSocket(gateway))));
  t.equal(gateway.demo.stats.websockets, 25);
  const ended = sockets.map((one) => new Promise((resolve) => one.once("close", resolve)));
  gateway.demo.cutWebsockets();
  await Promise.all(ended);
  await until(() => gateway.running.gateway.tunnels === 0);
  const tries = await Promise.all(
    Array.from({ length: 120 }, async () => {
      const socket = webSocket(gateway);
      try {
        await opened(socket);
        return socket;
      } catch {
        return null;
      }
    }),
  );
  const through = tries.filter((one) => one !== null).length;
  t.equal(through, 50);
  const told = () =>
    gateway.records().filter(({ status, verdict }) => status === 503 && verdict === "shed").length;
  await until(() => told() >= 70);
  t.equal(told(), 70);
  t.equal((await h1(gateway, "GET /web/login")).status, 200, "pages go on");
  for (const one of tries) one?.terminate();
});
