import t from "tap";
import { err } from "../../src/base/result.ts";
import type { FromWorker, WorkerStart } from "../../src/cluster/messages.ts";
import { Worker } from "../../src/cluster/worker.ts";
import { loadSettings } from "../../src/settings/load.ts";
import { lastingOf } from "../../src/start/lasting-settings.ts";

const missing = () => err({ missing: true, detail: "" });
const loaded = loadSettings({ env: { WORKERS: "2" }, cwd: "/", readFile: missing });
if (!loaded.ok) throw new Error("the defaults are no settings");
const lasting = lastingOf(loaded.value.settings);

const start: WorkerStart = {
  lasting,
  secret: "00".repeat(32),
  ticketKeys: "00".repeat(48),
  share: 0,
  listeners: [],
};

function workerThatCannotStart() {
  const sent: FromWorker[] = [];
  const worker = new Worker({
    readSettings: () => err([{ place: "gateway.yaml:1:1", thing: "is broken", remedy: "" }]),
    log: () => ({ emit() {} }),
    send: (message) => sent.push(message),
  });
  return { sent, worker };
}

t.test(
  "a reload that comes before the start is answered when the start is over, and so is one behind it",
  async (t) => {
    const { sent, worker } = workerThatCannotStart();
    const early = worker.take({ type: "prepare-reload", id: 1 }, undefined);
    await new Promise((resolve) => setImmediate(resolve));
    t.same(sent, []);
    t.equal(await worker.take({ type: "start", start }, undefined), true, "the process is to end");
    t.equal(await early, false);
    await worker.take({ type: "prepare-reload", id: 2 }, undefined);
    t.same(sent, [
      { type: "problems", problems: ["gateway.yaml:1:1 is broken"] },
      { type: "prepared", id: 1, problems: [] },
      { type: "prepared", id: 2, problems: [] },
    ]);
  },
);

t.test("the settings that last are the same after the way to a worker", async (t) => {
  t.same(JSON.parse(JSON.stringify(lasting)), lasting);
});

t.test("a worker that was never told to start ends when it is to", { timeout: 5_000 }, async (t) => {
  const { sent, worker } = workerThatCannotStart();
  t.equal(await worker.take({ type: "stop" }, undefined), true);
  t.same(
    sent.map(({ type }) => type),
    ["ended"],
  );
  const { worker: other } = workerThatCannotStart();
  await other.orphaned();
});
