import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import t from "tap";
import { Supervisor } from "../../src/cluster/supervisor.ts";
import { startDemo } from "../../src/demo/start.ts";
import { sumCounters } from "../../src/observe/counters.ts";
import type { GatewayEvent } from "../../src/observe/events.ts";
import { loadSettings } from "../../src/settings/load.ts";
import { readTextFile } from "../../src/settings/read-file.ts";
import { startGateway } from "../../src/start.ts";
import { lives } from "./process.ts";

/** The supervisor in this process, which looks after its workers more often than it would. */
const lookMs = 500;

const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-hung-"));
const demo = await startDemo();
// Workers read the environment they are started in.
Object.assign(process.env, {
  DOMAIN: "odoo.test",
  ODOO_URL: `http://127.0.0.1:${demo.webPort}`,
  ODOO_BUS_URL: `http://127.0.0.1:${demo.busPort}`,
  HTTPS_LISTEN: "127.0.0.1:0",
  HTTP_LISTEN: "off",
  ADMIN_LISTEN: "off",
  CERTS_DIR: join(folder, "certs"),
  STATE_DIR: join(folder, "state"),
  LOG_LEVEL: "silent",
  DRAIN_TIMEOUT: "5s",
  WORKERS: "2",
});
const loaded = loadSettings({ env: process.env, cwd: folder, readFile: readTextFile });
if (!loaded.ok) throw new Error(JSON.stringify(loaded.error));
const { settings } = loaded.value;
const events: GatewayEvent[] = [];
const sink = { emit: (event: GatewayEvent) => void events.push(event) };
const supervisor = new Supervisor({ settings, sink, lines: () => {}, lookMs });
const started = await startGateway({ settings, sink, supervisor });
if (!started.ok) throw new Error(JSON.stringify(started.error));
const running = started.value;
await supervisor.start(running);

t.teardown(async () => {
  await running.stop();
  await demo.close();
  rmSync(folder, { recursive: true, force: true });
});

const ready = async () =>
  (await supervisor.gather()).workers.filter(({ state }) => state === "ready").map(({ pid }) => pid);
const connections = async () =>
  (await supervisor.gather()).workers.reduce((sum, one) => sum + one.connections, 0);
const until = async (test: () => boolean | Promise<boolean>) => {
  while (!(await test())) await new Promise((resolve) => setTimeout(resolve, 10));
};

interface Opened {
  readonly sockets: readonly TLSSocket[];
  served: number;
  closed: number;
}

/** Connections that come one after the other. */
async function open(count: number): Promise<Opened> {
  const sockets: TLSSocket[] = [];
  const opened: Opened = { sockets, served: 0, closed: 0 };
  for (let i = 0; i < count; i += 1) {
    const tls = { servername: "odoo.test", rejectUnauthorized: false };
    const socket = connect({ port: running.httpsPort, host: "127.0.0.1", ...tls });
    socket.on("secureConnect", () => (opened.served += 1));
    socket.on("close", () => (opened.closed += 1));
    socket.on("error", () => {});
    sockets.push(socket);
    await new Promise((resolve) => socket.once("connect", resolve));
  }
  return opened;
}

t.test(
  "connections that a worker never got are served by another when it is killed, and none is left hanging",
  async (t) => {
    const [victim = 0] = await ready();
    process.kill(victim, "SIGSTOP");
    const opened = await open(8);
    // Later ones, on a slow machine, go to the other worker alone.
    await until(async () => {
      const { workers } = await supervisor.gather();
      const held = workers.find(({ pid }) => pid === victim)?.connections ?? 0;
      return !lives(victim) || (held > 0 && opened.served === 8 - held);
    });
    if (lives(victim)) process.kill(victim, "SIGKILL");
    await until(() => opened.served + opened.closed === 8);
    t.ok(opened.closed <= 1, "the one on its way");
    for (const socket of opened.sockets) socket.destroy();
    await until(async () => (await connections()) === 0);
  },
);

t.test("what a worker did is counted once while it ends: totals never fall", async (t) => {
  await until(async () => (await ready()).length === 2);
  const agent = { servername: "odoo.test", rejectUnauthorized: false };
  for (let i = 0; i < 4; i += 1)
    await new Promise((resolve) => {
      const socket = connect({ port: running.httpsPort, host: "127.0.0.1", ...agent }, () =>
        socket.write("GET /.env HTTP/1.1\r\nHost: odoo.test\r\nConnection: close\r\n\r\n"),
      );
      socket.resume().on("close", resolve);
    });
  const total = async () => {
    const { counters, tallies } = await supervisor.gather();
    const tallied = tallies.flatMap(({ byRule }) => byRule).flatMap(([, counts]) => counts);
    return [sumCounters(counters).exchanges, tallied.reduce((sum, count) => sum + count, 0)];
  };
  await until(async () => ((await total())[0] ?? 0) >= 4);
  const before = await total();
  for (const pid of await ready()) {
    // It is asked, and ends instead of answering.
    process.kill(pid, "SIGSTOP");
    const asked = total();
    process.kill(pid, "SIGKILL");
    t.same(await asked, before);
    t.same(await total(), before);
  }
  await until(async () => (await ready()).length === 2);
});

t.test("a worker that hangs gets no more connections, and is replaced", async (t) => {
  await until(async () => (await ready()).length === 2);
  const [victim = 0, other = 0] = await ready();
  process.kill(victim, "SIGSTOP");
  await until(async () => (await supervisor.gather()).workers.some(({ answers }) => !answers));
  await until(() => !lives(victim));
  await until(async () => (await ready()).length === 2);
  t.ok((await ready()).includes(other));
  const told = events.filter((event) => event.type === "warning").map(({ detail }) => detail);
  t.match(told.at(-1), /ended by SIGKILL \(it did not answer for 3 s\); another starts in/);
});

t.test(
  "a reload goes on without a worker that hangs, and what takes its place has the new plan",
  async (t) => {
    const [victim = 0] = await ready();
    process.kill(victim, "SIGSTOP");
    const { revision } = running.plan();
    t.same(await running.reload(), []);
    t.equal(running.plan().revision, revision + 1);
    await until(() => !lives(victim));
    await until(async () => (await ready()).length === 2);
  },
);

t.test("when all workers hang it is not ready, and says why", async (t) => {
  const pids = await ready();
  t.same(supervisor.reasons(), []);
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  await until(() => supervisor.reasons().length > 0);
  t.same(supervisor.reasons(), ["no worker answers"]);
  for (const pid of pids) process.kill(pid, "SIGCONT");
  await until(() => supervisor.reasons().length === 0);
  t.same(await ready(), pids, "the same ones");
});
