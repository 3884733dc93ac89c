import { execFileSync } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { connectionsMax, filesMax } from "../../src/edge/descriptors.ts";
import { ChildGateway, hasPrlimit } from "../support/child-gateway.ts";

const large = Buffer.alloc(300_000, 0x61);

t.test("a log pipe that nobody reads stops neither traffic nor the stop", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-pipe-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const pipe = join(folder, "log");
  execFileSync("mkfifo", [pipe]);
  // Open for reading as well, so that the pipe has a reader, who never reads.
  const fd = openSync(pipe, "r+");
  t.teardown(() => closeSync(fd));
  const gateway = await ChildGateway.start({ stdout: fd });
  t.teardown(() => gateway.close());
  // Each line carries a long target: some hundred of them are more than a pipe holds.
  const long = `/web/login?x=${"y".repeat(1_500)}`;
  for (let i = 0; i < 8; i += 1) {
    const answers = await Promise.all(Array.from({ length: 12 }, () => gateway.get(long)));
    t.ok(answers.every(({ status }) => status === 200));
  }
  t.equal((await gateway.get("/demo/echo", large)).status, 200, "files are still written");
  t.equal((await gateway.admin("POST /bans?address=192.0.2.1")).status, 200);
  t.match(
    (await gateway.admin("GET /status")).body,
    /"logLinesDropped": 0/,
    "16 MiB wait before a line is lost",
  );
  t.equal(await gateway.stop(), 0, "and the end is no later for it");
  const held = Buffer.alloc(70_000);
  const text = held.toString("latin1", 0, readSync(fd, held));
  t.match(text, /"event":"access"/, "what the pipe took was the log");
});

t.test("LOG_FORMAT=combined: exchanges on standard output, everything else on standard error", async (t) => {
  const workers = { WORKERS: "2", ODOO_WORKERS: "4" };
  for (const env of [{}, ...(availableParallelism() > 1 ? [workers] : [])]) {
    const gateway = await ChildGateway.start({ env: { LOG_FORMAT: "combined", ...env } });
    t.teardown(() => gateway.close());
    t.equal((await gateway.get("/web/login?token=secret")).status, 200);
    t.equal((await gateway.get("/web/database/manager")).status, 404);
    t.equal(await gateway.stop(), 0);
    const lines = gateway.out.split("\n").filter((line) => line.includes("/web/"));
    t.equal(lines.length, 2);
    // Lines of two workers come in either order.
    t.match(
      gateway.out,
      /^127\.0\.0\.1 - - \[[^\]]+\] "GET \/web\/login\?token=\*\*\* HTTP\/1\.1" 200 \d+ "-" "-"$/m,
    );
    t.notMatch(gateway.out, /^\{/m, "not an object among them");
    for (const event of ["listening", "denied", "stopped"])
      t.match(gateway.errors, new RegExp(`^\\{.*"event":"${event}"`, "m"));
    t.notMatch(gateway.errors, /"event":"access"/);
  }
});

t.test(
  "standard output on a full disk: served all the same",
  { skip: !existsSync("/dev/full") },
  async (t) => {
    const fd = openSync("/dev/full", "w");
    t.teardown(() => closeSync(fd));
    const gateway = await ChildGateway.start({ stdout: fd });
    t.teardown(() => gateway.close());
    t.equal((await gateway.get("/web/login")).status, 200);
    t.equal((await gateway.get("/demo/echo", large)).status, 200);
    t.equal(await gateway.stop(), 0);
  },
);

/** Idle connections to the HTTPS port; resolves when each is open or was closed. */
function flood(port: number, count: number): Promise<Socket[]> {
  const all = Array.from({ length: count }, () => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    return new Promise<Socket>((resolve) => {
      socket.once("connect", () => resolve(socket));
      socket.once("close", () => resolve(socket));
    });
  });
  return Promise.all(all);
}

const skip = hasPrlimit ? false : "prlimit is not here: running out of descriptors is left out";

t.test(
  "more connections than descriptors: those who are in are served, the rest is closed, and it passes",
  { skip },
  async (t) => {
    const gateway = await ChildGateway.start({ descriptors: 164, env: { CONNECTIONS_PER_CLIENT: "1000" } });
    t.teardown(() => gateway.close());
    const sockets = await flood(gateway.httpsPort, 300);
    t.teardown(() => sockets.map((socket) => socket.destroy()));
    await gateway.until(
      () => sockets.filter((socket) => !socket.destroyed).length <= connectionsMax("tls", 164),
    );
    t.equal(connectionsMax("tls", 164), 50);
    t.equal(filesMax(2_048, 1_064), 100);
    t.equal(filesMax(2_048, 64), 16);
    t.equal(filesMax(2_048, 1_000_000), 2_048);
    t.equal(filesMax(2_048, null), 2_048);
    await gateway.until(() => gateway.events("warning").some(({ what }) => what === "listener"));
    const told = gateway.events("warning").filter(({ what }) => what === "listener");
    t.equal(told.length, 1, "told once, not for each connection");
    t.match(told[0], { detail: /50 connections are open on one listener/ });
    t.equal((await gateway.admin("GET /healthz")).status, 200, "the admin listener is not starved");
    t.match((await gateway.admin("GET /metrics")).body, /odoo_gateway_connections\{listener="https"\} 50/);
    for (const socket of sockets) socket.destroy();
    await eventually(t, gateway, "served again when they are gone");
    t.equal((await gateway.get("/demo/echo", large)).status, 200);
  },
);

t.test(
  "no descriptor is left at accept (EMFILE): told once, and over when there are some again",
  { skip },
  async (t) => {
    const gateway = await ChildGateway.start({ env: { CONNECTIONS_PER_CLIENT: "1000" } });
    t.teardown(() => gateway.close());
    const pid = String(gateway.child.pid);
    t.equal((await gateway.get("/web/login")).status, 200);
    // Room for two more; then every accept, connect and file fails.
    const open = readdirSync(`/proc/${pid}/fd`).map(Number);
    const highest = Math.max(...open.filter((one) => one < 200));
    execFileSync("prlimit", ["--pid", pid, `--nofile=${highest + 3}:`]);
    const sockets = await flood(gateway.httpsPort, 100);
    t.teardown(() => sockets.map((socket) => socket.destroy()));
    await gateway.until(() =>
      gateway
        .events("warning")
        .some(({ detail }) => /no file descriptor is left \(EMFILE\)/.test(String(detail))),
    );
    t.equal(gateway.events("warning").filter(({ what }) => what === "descriptors").length, 1);
    t.equal(gateway.child.exitCode, null, "the process lives");
    execFileSync("prlimit", ["--pid", pid, "--nofile=4096:"]);
    for (const socket of sockets) socket.destroy();
    await eventually(t, gateway, "served again");
    t.equal((await gateway.get("/demo/echo", large)).status, 200);
    t.equal(await gateway.stop(), 0);
  },
);

/** The gateway learns of closed connections a moment after us. */
async function eventually(t: Pick<Tap, "equal">, gateway: ChildGateway, name: string): Promise<void> {
  const endMs = performance.now() + 60_000;
  for (;;) {
    const status = await gateway.get("/web/login").then(
      (answer) => answer.status,
      () => 0,
    );
    if (status === 200 || performance.now() > endMs) return void t.equal(status, 200, name);
  }
}
type Tap = typeof t;
