import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { manualClock } from "../../src/base/clock.ts";
import type { GatewayEvent } from "../../src/observe/events.ts";
import { type AcmeStore, createDiskStore, freshState } from "../../src/tls/acme-store.ts";
import type { Job } from "../../src/tls/issuer-job.ts";
import { IssuerMemory } from "../../src/tls/issuer-memory.ts";
import { Notices } from "../../src/tls/notices.ts";

const acme: Job["acme"] = {
  ...{ email: null, names: [], directory: "https://ca.test/dir", fallbackDirectory: null, caFile: null },
  ...{ profile: null, eab: null, fallbackEab: null, dnsHook: null },
};

/** Two processes that share a folder, and the events of both. */
function startTwo(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), "gateway-issuer-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const clock = manualClock();
  const events: GatewayEvent[] = [];
  const open = () => {
    const notices = new Notices({ emit: (event) => void events.push(event) }, clock);
    const store = createDiskStore(folder, clock);
    const job: Job = { acme, names: ["odoo.test"], set: "odoo.test", store };
    return { job, memory: new IssuerMemory({ notices, clock, random: () => 0.5 }) };
  };
  return { clock, events, ours: open(), other: open() };
}

t.test("a failure here does not outlive another process's success", async (t) => {
  const { ours, other } = startTwo(t);
  const failed = await ours.memory.failed(ours.job, freshState, "no route", null);
  t.match(await ours.memory.recall(ours.job), { failures: 1, lastFailure: { detail: "no route" } });
  t.same(await other.memory.recall(other.job), failed, "the other process knows it");
  await other.memory.keep(other.job, freshState);
  t.same(await ours.memory.recall(ours.job), freshState);
});

t.test("a failure that cannot be written is remembered until something is", async (t) => {
  const { ours, other, events, clock } = startTwo(t);
  const problem = { place: "/certs", thing: "has no space", remedy: "free some" };
  const full: AcmeStore = Object.assign(Object.create(ours.job.store), { saveState: async () => problem });
  const job: Job = { ...ours.job, store: full };
  await ours.memory.failed(job, freshState, "no route", 90_000);
  const known = await ours.memory.recall(job);
  t.match(known, { failures: 1, lastFailure: { detail: "no route" } });
  t.ok(known.nextTryMs >= clock.wallMs() + 90_000, "not before the authority allows it");
  t.match(events, [{ type: "warning", what: "CERTS_DIR" }]);
  t.same(await other.memory.recall(other.job), freshState);
  await ours.memory.failed(ours.job, known, "again", null);
  t.match(await other.memory.recall(other.job), { failures: 2 }, "the disk has room again");
  ours.memory.forget();
  t.match(await ours.memory.recall(ours.job), { failures: 2 });
});
