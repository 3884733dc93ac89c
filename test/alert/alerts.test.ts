import t from "tap";
import { Alerts } from "../../src/alert/alerts.ts";
import type { PostOutcome } from "../../src/alert/post.ts";
import type { AlertReading } from "../../src/alert/watch.ts";
import { manualClock } from "../../src/base/clock.ts";
import type { GatewayEvent } from "../../src/observe/events.ts";
import type { AlertHook } from "../../src/settings/settings.ts";

const well: AlertReading = {
  odoo: "up",
  odooAwayMs: null,
  isBusUp: true,
  isBusExpected: true,
  members: [],
  maintenance: null,
  notReady: "",
  certificates: [],
  certificateFailures: 0,
  spoolBytes: 0,
  spoolBytesMax: 1,
  disk: "",
  isReloadRefused: false,
  isRestarted: false,
  totals: {
    exchanges: 0,
    failures: 0,
    serverErrors: 0,
    shed: 0,
    loginFailures: 0,
    bans: 0,
    paymentErrors: 0,
    sessionsMoved: 0,
    logLinesDropped: 0,
    workersLost: 0,
    errors: 0,
  },
};

const hookAt = (host: string): AlertHook => ({
  url: `https://${host}/hunter2`,
  shown: `https://${host}/***`,
  format: "json",
});

function scene(...hosts: readonly string[]) {
  const clock = manualClock();
  const events: GatewayEvent[] = [];
  const sent: string[] = [];
  const now = {
    hooks: hosts.map(hookAt),
    reading: well,
    reads: 0,
    outcome: { kind: "taken", words: "answered with status 200" } as PostOutcome,
    fails: false,
  };
  const alerts = new Alerts({
    clock,
    sink: { emit: (event) => events.push(event) },
    settings: () => ({ hooks: now.hooks, afterMs: 60_000 }),
    sender: () => ({ site: "erp.example.com", instance: "gw1", version: "1" }),
    read: async () => {
      now.reads += 1;
      if (now.fails) throw new Error("a bug");
      return now.reading;
    },
    post: async (url, body) => {
      const { name, state } = JSON.parse(body.text);
      sent.push(`${URL.parse(url)?.hostname} ${name} ${state}`);
      return now.outcome;
    },
  });
  t.teardown(() => alerts.stop());
  const look = async () => {
    await alerts.tick();
    await new Promise((resolve) => setImmediate(resolve));
    return sent.splice(0);
  };
  return { clock, events, now, alerts, look };
}

const refused = { ...well, isReloadRefused: true };

t.test("without an address nothing is looked at", async (t) => {
  const { alerts, look, now } = scene();
  alerts.configure();
  now.reading = refused;
  t.same(await look(), []);
  t.equal(now.reads, 0);
  t.equal(alerts.isOn, false);
  t.match(await alerts.test(), { ok: false, error: /ALERT_URL is not set/ });
});

t.test("every address is told, and the log says what was told", async (t) => {
  const { alerts, look, now, events } = scene("a.example", "b.example");
  alerts.configure();
  t.same(await look(), []);
  now.reading = refused;
  t.same(await look(), [
    "a.example OdooGatewayReloadRefused firing",
    "b.example OdooGatewayReloadRefused firing",
  ]);
  t.same(alerts.figures.firing, ["OdooGatewayReloadRefused"]);
  now.reading = well;
  t.same(await look(), [
    "a.example OdooGatewayReloadRefused resolved",
    "b.example OdooGatewayReloadRefused resolved",
  ]);
  t.match(events, [
    { type: "alert", name: "OdooGatewayReloadRefused", state: "firing" },
    { type: "alert", name: "OdooGatewayReloadRefused", state: "resolved" },
  ]);
  t.match(alerts.state, {
    firing: [],
    counts: { delivered: 4 },
    hooks: [{ to: "https://a.example/***", waiting: 0 }, {}],
  });
  t.match(await alerts.test(), {
    ok: true,
    value: [{ to: "https://a.example/***", taken: true }, { taken: true }],
  });
});

t.test(
  "an address that comes with a reload hears what is wrong, and what waited for one that is gone",
  async (t) => {
    const { alerts, look, now } = scene("a.example", "old.example");
    alerts.configure();
    now.reading = refused;
    await look();
    now.outcome = { kind: "later", words: "refuses connections", afterMs: null };
    now.reading = { ...refused, certificateFailures: 3 };
    await look();
    now.reading = refused;
    await look();
    now.outcome = { kind: "taken", words: "" };
    now.hooks = ["a.example", "new.example"].map(hookAt);
    alerts.configure();
    const heard = (await look()).sort();
    t.same(heard, [
      "new.example OdooGatewayCertificateFails resolved",
      "new.example OdooGatewayReloadRefused firing",
    ]);
    alerts.configure();
    t.same(await look(), [], "the same settings again change nothing");
  },
);

t.test(
  "turned off and on again, it knows nothing of before: no end is told that nobody heard begin",
  async (t) => {
    const { alerts, look, now } = scene("a.example");
    alerts.configure();
    now.reading = refused;
    await look();
    now.hooks = [];
    alerts.configure();
    now.reading = well;
    t.same(await look(), []);
    now.hooks = [hookAt("a.example")];
    alerts.configure();
    t.same(await look(), []);
    now.reading = refused;
    t.same(await look(), ["a.example OdooGatewayReloadRefused firing"]);
  },
);

t.test("a bug in looking is told once, and the next look is made", async (t) => {
  const { alerts, look, now, events } = scene("a.example");
  alerts.configure();
  now.fails = true;
  await look();
  await look();
  t.match(events, [{ type: "error", what: "alerts" }]);
  t.equal(events.length, 1);
  now.fails = false;
  now.reading = refused;
  t.same(await look(), ["a.example OdooGatewayReloadRefused firing"]);
});

t.test("after a stop nobody is told anything, an end least of all", async (t) => {
  const { alerts, look, now } = scene("a.example");
  alerts.configure();
  now.reading = refused;
  await look();
  await alerts.stop();
  now.reading = well;
  t.same(await look(), []);
  alerts.configure();
  t.same(await look(), []);
});
