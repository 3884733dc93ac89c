import { once } from "node:events";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import t from "tap";
import { startTestGateway } from "../support/gateway.ts";
import { rawTalk, valuesOf } from "../support/upstream-raw.ts";
import { startScripted } from "../support/upstream-scripted.ts";
import {
  closedWith,
  dechunk,
  h1,
  h2,
  hostOf,
  nextMessage,
  opened,
  openHttp2,
  openTls,
  recordOf,
  requestText,
  until,
  webSocket,
} from "./clients.ts";

t.test("a reload takes effect at once, and state survives it", async (t) => {
  const folder = t.testdir({});
  cpSync("policies", folder, { recursive: true });
  const gateway = await startTestGateway({ env: { POLICIES_DIR: folder } });
  t.teardown(() => gateway.close());
  const file = join(folder, "00-blocked.yaml");
  const status = async (path: string) => (await h1(gateway, `GET ${path}`)).status;
  const guess = async () =>
    (await h1(gateway, "POST /web/session/authenticate", ["Content-Type: application/json"], "{}")).status;
  for (let i = 0; i < 6; i += 1) await guess();
  t.equal(await guess(), 429);
  const socket = await opened(webSocket(gateway));
  const session = await openHttp2(gateway);
  t.equal(await status("/demo/echo"), 200);
  const before = gateway.running.plan().revision;

  writeFileSync(
    file,
    "rules:\n  - id: blocked\n    why: Nobody should see this page until the audit is over.\n    match:\n      path: /demo/echo\n    deny: 404\n",
  );
  t.same(await gateway.running.reload(), []);
  t.equal(await status("/demo/echo"), 404);
  t.equal(gateway.running.plan().revision, before + 1);
  t.equal((await recordOf(gateway, "/demo/echo")).rule, "odoo");
  t.equal(gateway.records().findLast((one) => one.target === "/demo/echo")?.rule, "blocked");
  t.equal(await guess(), 429, "limits survive");
  t.equal(
    (await h2(session, gateway, { ":path": "/demo/echo" })).status,
    404,
    "connections survive and see the new plan",
  );
  const answer = nextMessage(socket);
  socket.send(JSON.stringify({ event_name: "demo_echo", data: 1 }));
  t.match(await answer, /demo_echo/, "tunnels survive");

  writeFileSync(file, "rules:\n  - id: blocked\n    why: x\n    mach: {}\n    deny: 404\n");
  const problems = await gateway.running.reload();
  t.ok(problems.length > 0);
  t.ok(
    problems.some((one) => /00-blocked\.yaml/.test(one.place)),
    "the place is named",
  );
  t.equal(await status("/demo/echo"), 404, "the old plan holds");
  t.equal(gateway.running.plan().revision, before + 1);
  const event = await gateway.event((one) => one.type === "reload-refused");
  t.match(event, { problems: [/00-blocked/] });

  rmSync(file);
  t.same(await gateway.running.reload(), []);
  t.equal(await status("/demo/echo"), 200);
  session.close();
  socket.terminate();
});

t.test("a reload says once what it cannot change", async (t) => {
  const env: Record<string, string> = {};
  const gateway = await startTestGateway({ env });
  t.teardown(() => gateway.close());
  const told = () => gateway.events.filter((event) => event.type === "warning" && event.what === "reload");
  t.same(await gateway.running.reload(), []);
  t.same(told(), [], "nothing was changed");
  const certsDir = gateway.running.plan().settings.certsDir;
  Object.assign(env, { ODOO_URL: "http://127.0.0.1:9", HTTPS_LISTEN: "127.0.0.1:1", BODY_MAX: "2MiB" });
  env["CERTS_DIR"] = t.testdir({});
  t.same(await gateway.running.reload(), []);
  const detail = "HTTPS_LISTEN, ODOO_URL, CERTS_DIR changed: they need a restart";
  t.same(told(), [{ type: "warning", what: "reload", detail }]);
  t.equal(gateway.running.plan().settings.bodyBytesMax, 2 * 1_048_576, "the rest holds");
  t.equal(gateway.running.plan().settings.certsDir, certsDir);
  t.equal((await h1(gateway, "GET /web/login")).status, 200);
  t.same(await gateway.running.reload(), []);
  t.equal(told().length, 2, "and again at the next");
  env["BODY_MAX"] = "nonsense";
  t.ok((await gateway.running.reload()).length > 0);
  t.equal(told().length, 2, "one that is refused changes nothing");
});

t.test("a reload during an exchange does not disturb it", async (t) => {
  let finish: () => void = () => {};
  const web = await startScripted((socket) => {
    socket.write("HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
    finish = () => socket.end("half");
  });
  const bus = await startScripted(() => {});
  const gateway = await startTestGateway({ upstream: { webPort: web.port, busPort: bus.port } });
  t.teardown(async () => {
    await gateway.close();
    await web.close();
    await bus.close();
  });
  const socket = await openTls(gateway);
  const talk = rawTalk(0, requestText(gateway, "GET /long"), { socket });
  await once(socket, "data");
  t.same(await gateway.running.reload(), []);
  finish();
  t.equal((await talk).body, "halfhalf");
});

/** Web answers that begin at once and end when the test says so. */
async function slowOdoo() {
  const finishers: (() => void)[] = [];
  const web = await startScripted((socket) => {
    socket.write("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nbegun ");
    finishers.push(() => socket.end("ended"));
    socket.on("end", () => socket.end());
  });
  const bus = await startScripted(() => {});
  return {
    upstream: { webPort: web.port, busPort: bus.port },
    finishers,
    async close() {
      await web.close();
      await bus.close();
    },
  };
}

t.test("stopping: what runs finishes, what is new is refused, clients are told", async (t) => {
  const odoo = await slowOdoo();
  const gateway = await startTestGateway({ upstream: odoo.upstream });
  t.teardown(async () => {
    await gateway.demo.close();
    await odoo.close();
  });
  const running = await openTls(gateway);
  const talk = rawTalk(0, requestText(gateway, "GET /long"), { socket: running });
  await once(running, "data");
  const idle = await openTls(gateway);
  idle.write(`GET /.env HTTP/1.1\r\nHost: ${hostOf(gateway)}\r\n\r\n`);
  await once(idle, "data");
  idle.resume();
  const idleClosed = once(idle, "close");
  const busy = await openTls(gateway);
  let busyText = "";
  busy.on("data", (chunk) => {
    busyText += chunk.toString("latin1");
  });
  busy.write(`POST /.env HTTP/1.1\r\nHost: ${hostOf(gateway)}\r\nContent-Length: 5\r\n\r\n`);
  await until(() => busyText.includes("404"));
  const session = await openHttp2(gateway);
  const stream = h2(session, gateway, { ":path": "/long2" });
  await until(() => odoo.finishers.length === 2);
  const goaway = once(session, "goaway");
  const sessionClosed = once(session, "close");

  const stopped = gateway.running.stop();
  const [code] = await goaway;
  t.equal(code, 0, "GOAWAY without error");
  await idleClosed;
  t.pass("an idle kept connection is closed");
  const ready = await fetch(`http://127.0.0.1:${gateway.adminPort}/readyz`);
  t.equal(ready.status, 503);
  t.match(await ready.text(), /stopping/);
  for (const port of [gateway.httpsPort, gateway.httpPort]) {
    const refused = connect(port, "127.0.0.1");
    const [error] = await once(refused, "error");
    t.equal(error.code, "ECONNREFUSED");
  }
  for (const finish of odoo.finishers) finish();
  const answer = await talk;
  t.same(dechunk(answer.body), { text: "begun ended", whole: true });
  const over2 = await stream;
  t.equal(over2.body.toString(), "begun ended");
  t.equal(over2.rstCode, 0);
  await sessionClosed;
  t.equal(await stopped, 0, "nothing was cut");
  t.equal((await gateway.event((one) => one.type === "stopped")).type, "stopped");
  busy.destroy();
});

t.test("stopping: a kept connection's last answer says that it is the last", async (t) => {
  const odoo = await slowOdoo();
  const gateway = await startTestGateway({ upstream: odoo.upstream });
  t.teardown(async () => {
    await gateway.demo.close();
    await odoo.close();
  });
  const keeper = await openTls(gateway);
  keeper.write(requestText(gateway, "GET /keeps-the-gateway-up"));
  keeper.resume();
  await until(() => odoo.finishers.length === 1);
  const kept = await openTls(gateway);
  let text = "";
  kept.on("data", (chunk) => {
    text += chunk.toString("latin1");
  });
  const keptClosed = once(kept, "close");
  kept.write(`POST /.env HTTP/1.1\r\nHost: ${hostOf(gateway)}\r\n`);
  // The head is half there, so that the connection is not idle.
  const probe = await h1(gateway, "GET /.git/config");
  t.equal(probe.status, 404);
  const stopped = gateway.running.stop();
  kept.write("Content-Length: 0\r\n\r\n");
  await keptClosed;
  t.match(text, /^HTTP\/1\.1 404/);
  t.match(text, /\r\nConnection: close\r\n/i);
  for (const finish of odoo.finishers) finish();
  t.equal(await stopped, 0);
});

t.test(
  "stopping: what does not finish in DRAIN_TIMEOUT is cut and counted, and does not look whole",
  async (t) => {
    const odoo = await slowOdoo();
    const gateway = await startTestGateway({ upstream: odoo.upstream, env: { DRAIN_TIMEOUT: "1s" } });
    t.teardown(async () => {
      await gateway.demo.close();
      await odoo.close();
    });
    const socket = await openTls(gateway);
    const talk = rawTalk(0, requestText(gateway, "GET /long"), { socket });
    const session = await openHttp2(gateway);
    const stream = h2(session, gateway, { ":path": "/long2" });
    await until(() => odoo.finishers.length === 2);
    t.equal(await gateway.running.stop(), 2);
    t.notOk(dechunk((await talk).body).whole);
    t.not((await stream).rstCode, 0);
    session.destroy();
  },
);

t.test(
  "stopping: each exchange that is cut has its access record, with the status it got or 499",
  async (t) => {
    const mute = await startScripted((socket, head) => {
      if (head.includes("/begun")) socket.write("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nbegun");
    });
    const upstream = { webPort: mute.port, busPort: mute.port };
    const gateway = await startTestGateway({ upstream, env: { DRAIN_TIMEOUT: "1s" } });
    t.teardown(async () => {
      await gateway.demo.close();
      await mute.close();
    });
    const begun = rawTalk(0, requestText(gateway, "GET /begun"), { socket: await openTls(gateway) });
    const waiting = rawTalk(0, requestText(gateway, "GET /waiting1"), { socket: await openTls(gateway) });
    const session = await openHttp2(gateway);
    const stream = h2(session, gateway, { ":path": "/waiting2" });
    await until(() => mute.received.filter(({ bytes }) => bytes.includes("\r\n\r\n")).length === 3);
    t.equal(await gateway.running.stop(), 3);
    // At this moment: the log is closed next.
    const rows = gateway.records().map(({ target, status, upstreamMs }) => ({ target, status, upstreamMs }));
    t.match(
      rows.sort((a, b) => a.target.localeCompare(b.target)),
      [
        { target: "/begun", status: 200, upstreamMs: Number },
        { target: "/waiting1", status: 499, upstreamMs: Number },
        { target: "/waiting2", status: 499, upstreamMs: Number },
      ],
    );
    await Promise.all([begun, waiting, stream]);
    session.destroy();
  },
);

t.test("stopping: tunnels and exchanges together", async (t) => {
  const gateway = await startTestGateway();
  const sockets = await Promise.all(Array.from({ length: 5 }, () => opened(webSocket(gateway))));
  const codes = Promise.all(sockets.map((socket) => closedWith(socket)));
  t.equal(await gateway.running.stop(), 0);
  t.same(
    (await codes).map(({ code }) => code),
    [1001, 1001, 1001, 1001, 1001],
  );
  await gateway.demo.close();
  t.match(
    gateway.events.find((event) => event.type === "draining"),
    { tunnels: 5 },
  );
});

t.test("the admin listener tells how we are", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const ask = (path: string) => fetch(`http://127.0.0.1:${gateway.adminPort}${path}`);
  t.equal((await ask("/healthz")).status, 200);
  t.equal((await ask("/readyz")).status, 200);
  await h1(gateway, "GET /demo/echo");
  await recordOf(gateway, "/demo/echo");
  const socket = await opened(webSocket(gateway));
  const status: {
    listeners: readonly { what: string }[];
    inFlight: { exchanges: number; tunnels: number };
    plan: { preset: string; revision: number };
    certificates: readonly { names: readonly string[] }[];
    pools: readonly { name: string; member: string }[];
  } = await JSON.parse(await (await ask("/status")).text());
  t.same(
    status.listeners.map(({ what }) => what),
    ["https", "http"],
  );
  t.equal(status.inFlight.tunnels, 1);
  t.equal(status.plan.preset, "standard");
  t.ok(status.certificates[0]?.names.includes("odoo.test"));
  t.same(
    status.pools.map(({ member }) => member),
    [`127.0.0.1:${gateway.demo.webPort}`, `127.0.0.1:${gateway.demo.busPort}`],
  );
  socket.terminate();
  const text = await (await ask("/status")).text();
  t.notMatch(text, /PRIVATE KEY/);
  t.notMatch(readFileSync(gateway.caFile, "utf8"), /PRIVATE KEY/);
  t.same(valuesOf(await h1(gateway, "GET /status"), "server"), [], "and is not on the public listeners");
});
