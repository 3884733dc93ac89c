import { mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { problemLine } from "../../src/base/problem.ts";
import type { GatewayEvent } from "../../src/observe/events.ts";
import { prepareState } from "../../src/start/state-folder.ts";
import { ToldSpool } from "../../src/start/told-spool.ts";

const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-spool-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

t.test("a spool that is full or has no disk is told with its remedy", async (t) => {
  const events: GatewayEvent[] = [];
  const sink = { emit: (event: GatewayEvent) => void events.push(event) };
  const small = await new ToldSpool(join(folder, "spool"), 1_048_576, () => 1_048_576, sink).create();
  if (!small.ok) return void t.fail(small.error.kind);
  t.ok((await small.value.write([Buffer.alloc(1_000_000)], 0)).ok);
  t.same(events, []);
  t.notOk((await small.value.write([Buffer.alloc(1_000_000)], 1_000_000)).ok);
  small.value.close();
  t.match(events, [
    { type: "warning", what: "spool", detail: /bound, 1MiB; large requests get 503.*raise SPOOL_MAX/ },
  ]);
  t.notOk((await new ToldSpool("/proc/no-such-folder/spool", 1e9, () => 1e9, sink).create()).ok);
  t.match(events[1], {
    type: "warning",
    what: "spool",
    detail:
      /^\/proc\/no-such-folder\/spool cannot be used: ENOENT.*; free the disk, or name another STATE_DIR$/,
  });
});

t.test("a spool folder that can be listed and not written is a problem at the start", async (t) => {
  const good = join(folder, "good");
  t.same(await prepareState(good, t.fail), []);
  t.same(readdirSync(join(good, "spool")), [], "nothing is left behind");
  const bad = join(folder, "bad");
  t.same(await prepareState(bad, t.fail), []);
  rmSync(join(bad, "spool"), { recursive: true });
  // Nobody makes a file there, not even root.
  symlinkSync("/proc/self", join(bad, "spool"));
  const problems = await prepareState(bad, t.fail);
  t.match(problems.map(problemLine), [/STATE_DIR .*bad cannot be used: .*; make it writable/]);
});
