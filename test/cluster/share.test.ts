import { Agent } from "node:https";
import t from "tap";
import { systemClock } from "../../src/base/clock.ts";
import { problemLine } from "../../src/base/problem.ts";
import { shareOf } from "../../src/cluster/share.ts";
import { sumMembers, sumQueues } from "../../src/cluster/sums.ts";
import type { MemberState, QueueState } from "../../src/road/ways.ts";
import { loadSettings } from "../../src/settings/load.ts";
import type { Settings } from "../../src/settings/settings.ts";
import { Lanes } from "../../src/upstream/lanes.ts";
import { lives, WorkersGateway } from "./process.ts";

function settingsOf(env: Readonly<Record<string, string>>): Settings {
  const loaded = loadSettings({
    env,
    cwd: "/",
    readFile: () => ({ ok: false, error: { missing: true, detail: "" } }),
  });
  if (!loaded.ok) throw new Error(loaded.error.map(problemLine).join("\n"));
  return loaded.value.settings;
}

t.test("all parts of Odoo's workers are all of them, and one worker stays free of reports", async (t) => {
  for (const workers of [1, 2, 3, 5, 8, 64])
    for (const odooWorkers of [1, 2, 3, 4, 7, 9, 16, 65, 1_000]) {
      if (workers > 1 && odooWorkers <= workers) continue;
      const env = { WORKERS: String(workers), ODOO_WORKERS: String(odooWorkers) };
      const settings = settingsOf(env);
      const parts = Array.from({ length: workers }, (_, share) => shareOf(settings, share));
      const sum = (pick: (one: Settings) => number) => parts.reduce((total, one) => total + pick(one), 0);
      t.equal(
        sum((one) => one.odooWorkers ?? 0),
        odooWorkers,
        JSON.stringify(env),
      );
      t.equal(
        sum((one) => one.queueMax),
        settings.queueMax,
      );
      t.equal(
        sum((one) => one.holdMax),
        settings.holdMax,
      );
      t.equal(
        sum((one) => one.spoolBytesMax),
        settings.spoolBytesMax,
      );
      t.equal(
        sum((one) => one.cache.bytesMax),
        settings.cache.bytesMax,
      );
      const printing = sum((one) => {
        const { queueMax, queueTimeoutMs } = one;
        const lanes = new Lanes({
          clock: systemClock,
          workers: one.odooWorkers ?? 0,
          queueMax,
          queueTimeoutMs,
        });
        return lanes.snapshot().find(({ lane }) => lane === "report")?.capacity ?? 0;
      });
      if (odooWorkers > 1)
        t.ok(printing < odooWorkers, `${printing} reports at once: ${JSON.stringify(env)}`);
    }
});

t.test("what waits is added up, and a process that ended counts with what it did", async (t) => {
  const lane = {
    lane: "site",
    inFlight: 2,
    waiting: 3,
    capacity: 4,
    admitted: 9,
    waited: 5,
    shed: 1,
    longestWaitMs: 70,
  } as const;
  const one: QueueState = {
    capacity: 4,
    learnt: false,
    inFlight: 2,
    waiting: 3,
    lanes: [lane],
    held: 1,
    awayMs: null,
  };
  const other: QueueState = { ...one, held: 5, awayMs: 900, lanes: [{ ...lane, longestWaitMs: 80 }] };
  t.same(sumQueues([one, other], []), {
    capacity: 8,
    learnt: false,
    inFlight: 4,
    waiting: 6,
    held: 6,
    awayMs: 900,
    lanes: [
      {
        lane: "site",
        inFlight: 4,
        waiting: 6,
        capacity: 8,
        admitted: 18,
        waited: 10,
        shed: 2,
        longestWaitMs: 80,
      },
    ],
  });
  const past = [sumQueues([], [one])];
  t.same(sumQueues([one], past).lanes, [{ ...lane, admitted: 18, waited: 10, shed: 2 }]);
  t.same(sumQueues([one], past).held, 1);
  const unknown = { ...one, capacity: null, lanes: [] };
  t.match(sumQueues([unknown, { ...one, learnt: true }], []), { capacity: 4, learnt: true });
  t.same(sumQueues([unknown, unknown], []), { ...unknown, inFlight: 4, waiting: 6, held: 2 });
});

t.test("a member is up when every process uses it", async (t) => {
  const up: MemberState = {
    name: "web",
    member: "a:8069",
    state: "in use",
    up: true,
    backup: false,
    inFlight: 2,
  };
  const down = { ...up, state: "down", up: false, inFlight: 1 };
  const other = { ...up, member: "b:8069" };
  t.same(
    sumMembers([
      [up, other],
      [down, other],
    ]),
    [
      { ...down, inFlight: 3 },
      { ...other, inFlight: 4 },
    ],
  );
  t.same(sumMembers([[down], [up]]), [{ ...down, inFlight: 3 }]);
  t.same(sumMembers([]), []);
});

interface QueueStatus {
  readonly queue: { readonly capacity: number; readonly inFlight: number; readonly waiting: number };
}

t.test("two processes send Odoo no more than it has workers, and say together who waits", async (t) => {
  const gateway = await WorkersGateway.start(() => ({ ODOO_WORKERS: "3", QUEUE_TIMEOUT: "5m" }));
  t.teardown(() => gateway.close());
  const queue = async () => {
    const status: QueueStatus = JSON.parse((await gateway.admin("GET", "/status")).body);
    return status.queue;
  };
  const agents = Array.from({ length: 8 }, () => new Agent());
  const asked = agents.map((agent) => gateway.ask("/demo/slow?ms=60000", { agent }).catch(() => null));
  await gateway.until(async () => (await queue()).waiting === 5);
  t.match(await queue(), { capacity: 3, inFlight: 3, waiting: 5 });
  t.equal(gateway.demo.requests.filter(({ path }) => path === "/demo/slow").length, 3);
  const text = (await gateway.admin("GET", "/metrics")).body;
  t.match(text, /^odoo_gateway_lane_requests\{lane="site",state="odoo"\} 3$/m);
  t.match(text, /^odoo_gateway_lane_requests\{lane="site",state="waiting"\} 5$/m);
  t.match(text, /^odoo_gateway_processes\{state="ready"\} 2$/m);
  t.match(text, /^odoo_gateway_member_up\{pool="web",member="127\.0\.0\.1:\d+"\} 1$/m);
  for (const agent of agents) agent.destroy();
  await Promise.all(asked);
  await gateway.until(async () => (await queue()).waiting === 0);

  // Its part goes to the one that takes its place, whichever it was.
  for (const victim of await gateway.serving()) {
    process.kill(victim, "SIGKILL");
    await gateway.until(() => !lives(victim));
    await gateway.until(async () => (await gateway.serving()).length === 2);
    t.equal((await queue()).capacity, 3);
  }
  const { revision } = (await gateway.status()).plan;
  gateway.child.kill("SIGHUP");
  await gateway.until(async () => (await gateway.status()).plan.revision === revision + 1);
  t.equal((await queue()).capacity, 3, "a reload divides nothing a second time");
});
