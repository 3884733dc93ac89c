import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import t from "tap";
import { withWideLogin } from "../support/bans.ts";
import { lives, WorkersGateway } from "./process.ts";

/** While this file is there, a worker that starts waits behind its first reading of the policy of this test, and says so beside it. */
const holdName = "hold";
const preload = (folder: string) => `import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
const { readFileSync } = fs;
let isFirst = process.argv[2] === "worker";
fs.readFileSync = (path, ...rest) => {
  const text = readFileSync(path, ...rest);
  if (!isFirst || !String(path).endsWith("05-test.yaml")) return text;
  isFirst = false;
  const hold = ${JSON.stringify(join(folder, holdName))};
  if (fs.existsSync(hold)) fs.writeFileSync(hold + ".read", "");
  while (fs.existsSync(hold)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
  return text;
};
syncBuiltinESMExports();
`;

const gateway = await WorkersGateway.start((folder) => {
  const file = join(folder, "preload.mjs");
  writeFileSync(file, preload(folder));
  return { ...withWideLogin(join(folder, "policies")), NODE_OPTIONS: `--import ${file}` };
});
t.teardown(() => gateway.close());
const hold = join(gateway.folder, holdName);

/** Process ids of the workers, those included that cannot answer yet. */
function children(): readonly number[] {
  const pid = gateway.child.pid ?? 0;
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return text === "" ? [] : text.split(" ").map(Number);
}

const rule = (status: number) =>
  `rules:\n  - id: test-page\n    why: A page of this test.\n    match: { path: /test-page }\n    deny: ${status}\n`;
const policy = join(gateway.folder, "policies", "05-test.yaml");
const revision = async () => (await gateway.status()).plan.revision;
/** What both workers say: each in turn has the next connection. */
const statuses = async () =>
  (await Promise.all([1, 2, 3, 4].map(() => gateway.ask("/test-page")))).map(({ status }) => status);
const errors = () => gateway.out.split("\n").filter((line) => line.includes('"what":"workers"'));

/** What a process was started with; a child has its parent's until it runs its own program. */
function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

/**
 * Kills one worker and holds up the one that takes its place as soon as it is there: not before it runs its own program, for until then the
 * supervisor waits for it, and would stand still as well.
 */
async function heldUp(): Promise<number> {
  const before = children();
  process.kill(before[0] ?? 0, "SIGKILL");
  const isWorker = (pid: number) => commandLine(pid).endsWith("worker\0");
  const fresh = () => children().find((pid) => !before.includes(pid) && isWorker(pid));
  await gateway.until(() => fresh() !== undefined);
  const pid = fresh() ?? 0;
  process.kill(pid, "SIGSTOP");
  return pid;
}

const isLinux = { skip: process.platform !== "linux" };

t.test(
  "SIGHUP while a worker starts and hangs: it does not wait for it, and all have the new policy",
  isLinux,
  async (t) => {
    const before = await revision();
    const pid = await heldUp();
    writeFileSync(policy, rule(403));
    gateway.child.kill("SIGHUP");
    await gateway.until(async () => (await revision()) === before + 1);
    t.same(await statuses(), [403, 403, 403, 403], "of the one that serves");
    process.kill(pid, "SIGCONT");
    await gateway.until(async () => (await gateway.serving()).length === 2);
    t.same(await statuses(), [403, 403, 403, 403]);
    t.notMatch(gateway.out, "reload-refused");
  },
);

t.test("a worker that has read the old policy takes the new one before it serves", isLinux, async (t) => {
  const before = await revision();
  const [victim = 0] = await gateway.serving();
  writeFileSync(hold, "");
  process.kill(victim, "SIGKILL");
  await gateway.until(() => existsSync(`${hold}.read`));
  writeFileSync(policy, rule(404));
  gateway.child.kill("SIGHUP");
  await gateway.until(async () => (await revision()) === before + 1);
  rmSync(hold);
  await gateway.until(async () => (await gateway.serving()).length === 2);
  t.same(await statuses(), [404, 404, 404, 404]);
  t.notMatch(gateway.out, "reload-refused");
});

t.test(
  "SIGHUP while a worker starts that ends before it serves: the next one has the new policy, too",
  isLinux,
  async (t) => {
    const before = await revision();
    const pid = await heldUp();
    writeFileSync(policy, rule(403));
    gateway.child.kill("SIGHUP");
    await gateway.until(async () => (await revision()) === before + 1);
    process.kill(pid, "SIGKILL");
    await gateway.until(async () => (await gateway.serving()).length === 2);
    t.same(await statuses(), [403, 403, 403, 403]);
  },
);

t.test(
  "settings that need a restart, edited meanwhile: a worker that is replaced has them as its brothers do",
  async (t) => {
    const file = join(gateway.folder, "gateway.yaml");
    writeFileSync(file, "odoo_workers: 6\nlog_format: text\n");
    const [victim = 0] = await gateway.serving();
    process.kill(victim, "SIGKILL");
    await gateway.until(async () => {
      const pids = await gateway.serving();
      return pids.length === 2 && !pids.includes(victim);
    });
    const { queue } = JSON.parse((await gateway.admin("GET", "/status")).body);
    t.equal(queue.capacity, null, "nobody has ODOO_WORKERS");
    rmSync(file);
  },
);

t.test(
  "no worker can start: the log says so each time, with the reason; a reload with mended files starts them",
  async (t) => {
    const file = join(gateway.folder, "gateway.yaml");
    writeFileSync(file, "odoo_ur: x\n");
    for (const pid of await gateway.serving()) process.kill(pid, "SIGKILL");
    await gateway.until(() => errors().length >= 5);
    const lines = errors();
    t.ok(
      lines.every((line) => line.includes('"level":"error"') && line.includes("no worker serves: worker ")),
    );
    t.ok(lines.every((line) => / another starts in \d+ ms/.test(line)));
    t.match(lines.at(-1), /ended with status 1 \(gateway\.yaml:1:1 .*odoo_ur/);
    // By now the next one starts in many seconds.
    rmSync(file);
    const startMs = performance.now();
    gateway.child.kill("SIGHUP");
    await gateway.until(async () => (await gateway.serving()).length === 2);
    t.ok(performance.now() - startMs < 8_000, `${performance.now() - startMs} ms`);
    t.equal((await gateway.ask("/web/login")).status, 200);
  },
);

t.test("a second SIGTERM ends the workers, too, at once", async (t) => {
  const pids = await gateway.serving();
  gateway.ask("/demo/slow?ms=20000").catch(() => {});
  await gateway.until(() => gateway.demo.requests.some(({ path }) => path === "/demo/slow"));
  gateway.child.kill("SIGTERM");
  await gateway.until(() => gateway.out.includes('"event":"draining"'));
  const startMs = performance.now();
  gateway.child.kill("SIGTERM");
  t.equal(await gateway.ended, 1);
  while (pids.some(lives)) await delay(10);
  t.ok(performance.now() - startMs < 3_000, "DRAIN_TIMEOUT is 5 s");
});
