import { once } from "node:events";
import { connect, createServer } from "node:net";
import t from "tap";
import { type Admin, startAdmin } from "../../src/admin/admin.ts";
import { isLoopback, isOwnHost } from "../../src/admin/host.ts";
import type { AdminState } from "../../src/admin/state.ts";
import { manualClock } from "../../src/base/clock.ts";
import { problemLine } from "../../src/base/problem.ts";
import { createCounters } from "../../src/observe/counters.ts";
import { startTestGateway } from "../support/gateway.ts";

const clock = manualClock();
const dayMs = 86_400_000;

function state(): AdminState {
  return {
    version: "1.2.3",
    startedWallMs: clock.wallMs() - 90_500,
    nowWallMs: clock.wallMs(),
    listeners: [{ what: "https", address: "[::]:8443" }],
    plan: { revision: 3, rules: 41, preset: "standard", policiesDir: "/srv/policies" },
    certificates: [{ names: ["localhost"], issuer: "CN=test", notAfterMs: clock.wallMs() + 2.5 * dayMs }],
    counters: createCounters().snapshot(),
    logLinesDropped: 0,
    inFlight: { exchanges: 2, tunnels: 7 },
    pools: [{ name: "web", member: "127.0.0.1:8069", state: "up", up: true, backup: false, inFlight: 0 }],
    queue: { capacity: null, learnt: false, inFlight: 0, waiting: 0, lanes: [], held: 0, awayMs: null },
  };
}

async function started(
  host = "127.0.0.1",
  more: { ready?: () => readonly string[]; state?: () => AdminState } = {},
): Promise<Admin> {
  const result = await startAdmin({ listen: { host, port: 0 }, state, ready: () => [], ...more });
  if (!result.ok) throw new Error(problemLine(result.error));
  t.teardown(() => result.value.close());
  return result.value;
}

/** Sends bytes, reads to the end of the connection. */
async function raw(
  port: number,
  bytes: string,
  host = "127.0.0.1",
): Promise<{ status: number; head: string; body: string }> {
  const socket = connect(port, host);
  socket.on("error", () => {});
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  // No half-close: HTTP clients keep their side open until the answer came.
  socket.write(bytes);
  await once(socket, "close");
  const [head = "", body = ""] = text.split("\r\n\r\n");
  return { status: Number(head.split(" ")[1] ?? 0), head, body };
}

const get = (port: number, path: string, host: string, method = "GET") =>
  raw(port, `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);

t.test("health, readiness and state are told", async (t) => {
  let reasons: readonly string[] = ["draining"];
  const { port, warnings } = await started("127.0.0.1", { ready: () => reasons });
  t.same(warnings, []);
  const health = await get(port, "/healthz", `127.0.0.1:${port}`);
  t.equal(health.status, 200);
  t.equal(health.body, '{"status":"pass"}\n');
  t.match(health.head, /cache-control: no-store/i);
  const unready = await get(port, "/readyz", "localhost");
  t.equal(unready.status, 503);
  t.same(JSON.parse(unready.body), { status: "fail", reasons: ["draining"] });
  reasons = [];
  t.equal((await get(port, "/readyz?x=1", "[::1]:9180")).status, 200);
  const status = JSON.parse((await get(port, "/status", "LOCALHOST")).body);
  t.match(status, {
    version: "1.2.3",
    uptimeSeconds: 90,
    listeners: [{ what: "https", address: "[::]:8443" }],
    plan: { revision: 3, rules: 41, preset: "standard", policiesDir: "/srv/policies" },
    certificates: [{ names: ["localhost"], issuer: "CN=test", daysLeft: 2 }],
    inFlight: { exchanges: 2, tunnels: 7 },
    pools: [{ name: "web", member: "127.0.0.1:8069", state: "up", up: true, backup: false, inFlight: 0 }],
    queue: { capacity: null, learnt: false, inFlight: 0, waiting: 0, lanes: [], held: 0, awayMs: null },
    counters: { exchanges: 0 },
  });
  t.equal(status.certificates[0].notAfter, new Date(clock.wallMs() + 2.5 * dayMs).toISOString());
  for (const name of ["meanMs", "p99Ms", "maxMs"]) t.type(status.eventLoopDelay[name], "number", name);
  const head = await get(port, "/status", "127.0.0.1", "HEAD");
  t.equal(head.status, 200);
  t.equal(head.body, "");
});

t.test("nothing else is answered", async (t) => {
  const { port } = await started();
  for (const path of [
    "/",
    "/status/",
    "//status",
    "/%73tatus",
    "/Status",
    "/metrics",
    `/${"a".repeat(300)}`,
  ]) {
    t.equal((await get(port, path, "127.0.0.1")).status, 404, path.slice(0, 20));
  }
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"]) {
    const answer = await get(port, "/status", "127.0.0.1", method);
    t.equal(answer.status, 405, method);
    t.match(answer.head, /allow: GET, HEAD/i);
    t.notMatch(answer.body, /revision/);
  }
  t.equal((await raw(port, "GET /healthz HTTP/1.0\r\n\r\n")).status, 200, "a probe without Host");
  t.equal((await raw(port, "hello\r\n\r\n")).status, 0, "what is no HTTP is cut");
  const body = "GET /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n";
  t.match((await raw(port, body)).head, /connection: close/i, "a body is not waited for");
});

t.test(
  "a web page that points its own name at the loopback address reads nothing (DNS rebinding)",
  async (t) => {
    const { port } = await started();
    const foreign = [
      "evil.example.com",
      `evil.example.com:${port}`,
      "127.0.0.1.evil.com",
      "localhost.evil.com",
      "10.0.0.1",
      "",
      "127.0.0.1:80:80",
      "[::2]",
      "a@127.0.0.1",
    ];
    for (const host of foreign) {
      const answer = await get(port, "/status", host);
      t.equal(answer.status, 421, JSON.stringify(host));
      t.notMatch(answer.body, /version/);
    }
    const twice = await raw(port, "GET /status HTTP/1.1\r\nHost: localhost\r\nHost: evil.com\r\n\r\n");
    t.equal(twice.status, 400, "two hosts");
    t.ok(isOwnHost("192.0.2.7:9180", "", "::ffff:192.0.2.7"), "dual stack: the address it came to");
    t.ok(isOwnHost("admin.internal", "Admin.Internal", "10.0.0.9"), "the configured name");
    t.notOk(isOwnHost("192.0.2.8", "", "::ffff:192.0.2.7"));
    t.ok(isLoopback("127.8.8.8") && isLoopback("::1") && isLoopback("localhost"));
    t.notOk(isLoopback("127.evil.com") || isLoopback("0.0.0.0") || isLoopback("::"));
  },
);

t.test("a gateway whose admin port is taken serves all the same, and says so", async (t) => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  t.teardown(() => taken.close());
  const address = taken.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const gateway = await startTestGateway({ env: { ADMIN_LISTEN: `127.0.0.1:${port}` } });
  t.teardown(() => gateway.close());
  const warning = await gateway.event((event) => event.type === "warning" && event.what === "admin listener");
  t.match(warning, { detail: /is taken by another program.*the site is served without it/ });
  t.equal(gateway.running.adminPort, null);
  t.ok(gateway.httpsPort > 0);
});

t.test("an open address is warned about, a taken one is a problem", async (t) => {
  const { port } = await started();
  const taken = await startAdmin({ listen: { host: "127.0.0.1", port }, state, ready: () => [] });
  t.match(
    taken.ok ? "" : problemLine(taken.error),
    new RegExp(`ADMIN_LISTEN 127\\.0\\.0\\.1:${port} is taken by another program; stop it`),
  );
  const foreign = await startAdmin({ listen: { host: "192.0.2.1", port: 0 }, state, ready: () => [] });
  t.match(foreign.ok ? "" : problemLine(foreign.error), /cannot be opened: .*EADDRNOTAVAIL/);
  const open = await started("0.0.0.0");
  t.match(
    open.warnings.map(problemLine).join(),
    /ADMIN_LISTEN 0\.0\.0\.0:0 can be reached from other machines/,
  );
});

t.test(
  "a bug in the state is a 500, not the end of the gateway; closing cuts idle connections",
  async (t) => {
    const admin = await started("127.0.0.1", {
      state: () => {
        throw new Error("secret detail");
      },
    });
    const answer = await get(admin.port, "/status", "localhost");
    t.equal(answer.status, 500);
    t.notMatch(answer.body, /secret/);
    const idle = connect(admin.port, "127.0.0.1");
    await once(idle, "connect");
    const closed = once(idle.on("error", () => {}).resume(), "close");
    await admin.close();
    await closed;
    t.pass("closed");
  },
);
