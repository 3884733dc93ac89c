import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import t, { type Test } from "tap";
import { ChildGateway } from "../support/child-gateway.ts";

interface Status {
  readonly plan: { readonly revision: number };
  readonly counters: { readonly errors: number };
}

async function status(gateway: ChildGateway): Promise<Status> {
  const { body } = await gateway.admin("GET /status");
  const read: Status = JSON.parse(body);
  return read;
}

/** A folder whose gateway gets these signals while it reads its settings for the first time. */
function folderWithSignals(t: Test, signals: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-signals-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "preload.mjs");
  writeFileSync(
    file,
    `import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
const { statSync } = fs;
const signals = ${JSON.stringify(signals)};
fs.statSync = (path, ...rest) => {
  if (String(path).endsWith("gateway.yaml")) for (const one of signals.splice(0)) process.kill(process.pid, one);
  return statSync(path, ...rest);
};
syncBuiltinESMExports();
`,
  );
  return { folder, env: { NODE_OPTIONS: `--import ${file}`, LOG_LEVEL: "info" } };
}

for (const workers of ["1", "2"]) {
  t.test(`WORKERS=${workers}: a refused reload ends nothing when nobody reads standard error`, async (t) => {
    const gateway = await ChildGateway.start({ env: { WORKERS: workers } });
    t.teardown(() => gateway.close());
    gateway.child.stdout?.destroy();
    gateway.child.stderr?.destroy();
    const file = join(gateway.folder, "gateway.yaml");
    for (let i = 1; i <= 2; i += 1) {
      const { errors } = (await status(gateway)).counters;
      writeFileSync(file, "odoo_ur: x\n");
      gateway.child.kill("SIGHUP");
      while ((await status(gateway)).counters.errors === errors) await delay(10);
      // What is written behind the event has been written by then.
      await delay(200);
      t.equal((await gateway.get("/web/login")).status, 200);
    }
    writeFileSync(file, "");
    gateway.child.kill("SIGHUP");
    while ((await status(gateway)).plan.revision !== 2) await delay(10);
    t.equal((await gateway.get("/web/login")).status, 200);
    t.equal(await gateway.stop(), 0);
  });
}

t.test("SIGHUP while it starts: it starts, and reloads once", async (t) => {
  const gateway = await ChildGateway.start(folderWithSignals(t, ["SIGHUP", "SIGUSR2", "SIGHUP"]));
  t.teardown(() => gateway.close());
  await gateway.until(() => gateway.events("plan-loaded").length > 1);
  t.equal((await gateway.get("/web/login")).status, 200);
  await delay(500);
  t.equal((await status(gateway)).plan.revision, 2);
  t.equal(await gateway.stop(), 0);
});

for (const workers of ["1", "2"]) {
  t.test(
    `WORKERS=${workers}: SIGUSR1, as log rotation sends it, opens no debugger for everybody on this machine`,
    async (t) => {
      const gateway = await ChildGateway.start({ env: { WORKERS: workers, LOG_LEVEL: "info" } });
      t.teardown(() => gateway.close());
      const pid = gateway.child.pid ?? 0;
      const children =
        process.platform === "linux" ? readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8") : "";
      for (const child of children.split(" ").filter((text) => text.trim() !== ""))
        process.kill(Number(child), "SIGUSR1");
      gateway.child.kill("SIGUSR1");
      await gateway.until(() => gateway.events("warning").some(({ what }) => what === "SIGUSR1"));
      t.equal((await gateway.get("/web/login")).status, 200);
      t.equal(await gateway.stop(), 0);
      t.notMatch(gateway.errors, /[Dd]ebugger|inspector/);
    },
  );
}

for (const [signal, workers] of [
  ["SIGTERM", "1"],
  ["SIGINT", "2"],
] as const) {
  t.test(
    `${signal} while it starts, WORKERS=${workers}: it stops in order and never says it runs`,
    async (t) => {
      const { folder, env } = folderWithSignals(t, [signal]);
      const started = ChildGateway.start({ folder, env: { ...env, WORKERS: workers } });
      // What was never up is told with everything it wrote.
      const text = await started.then(
        () => "it runs",
        (error: Error) => error.message,
      );
      t.notOk(text.includes("odoo-gateway is running."));
      t.match(text, '"event":"stopped"');
    },
  );
}
