import t from "tap";
import { type AlertReading, AlertWatch } from "../../src/alert/watch.ts";
import { manualClock } from "../../src/base/clock.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const awayMs = minute;

const totals = {
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
};

function scene() {
  const clock = manualClock();
  const watch = new AlertWatch(clock);
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
    spoolBytesMax: 1_000,
    disk: "",
    isReloadRefused: false,
    isRestarted: false,
    totals,
  };
  return {
    clock,
    well,
    see: (change: Partial<AlertReading> = {}) => watch.look({ ...well, ...change }, awayMs),
    /** Names after so long of looks each 5 s. */
    after(ms: number, change: Partial<AlertReading> = {}) {
      let names: readonly string[] = [];
      for (let at = 0; at <= ms; at += 5_000) {
        names = watch.look({ ...well, ...change }, awayMs).map(({ name }) => name);
        clock.advance(5_000);
      }
      return names;
    },
  };
}

t.test("a site that is well is told nothing of, however long", async (t) => {
  const { after } = scene();
  t.same(after(7 * hour), []);
});

t.test("Odoo is away when it has been for so long, and since it was", async (t) => {
  const { clock, see } = scene();
  const begunMs = clock.wallMs();
  t.same(see({ odoo: "down" }), []);
  clock.advance(awayMs - 1);
  t.same(see({ odoo: "down" }), []);
  clock.advance(1);
  const found = { name: "OdooGatewayOdooAway", sinceWallMs: begunMs, detail: "" };
  t.same(see({ odoo: "down" }), [found]);
  clock.advance(hour);
  t.same(see({ odoo: "down" }), [found], "the moment it began does not move");
  t.same(see(), []);
  t.same(see({ odoo: "down" }), [], "a second time counts from its own beginning");
});

t.test("requests know sooner than a look that Odoo is away", async (t) => {
  const { clock, see } = scene();
  clock.advance(hour);
  t.same(see({ odoo: "down", odooAwayMs: awayMs }), [
    { name: "OdooGatewayOdooAway", sinceWallMs: clock.wallMs() - awayMs, detail: "" },
  ]);
});

t.test("an Odoo that takes connections and says nothing is told after five minutes", async (t) => {
  const { after } = scene();
  t.same(after(4 * minute, { odoo: "silent" }), []);
  t.same(after(minute, { odoo: "silent" }), ["OdooGatewayOdooFails"]);
});

t.test("what is stopped on purpose is no news, and what was told stays until it is over", async (t) => {
  const { see, after } = scene();
  const closed = { hasEnd: true };
  const away: Partial<AlertReading> = { odoo: "down", isBusUp: false };
  t.same(after(hour, { ...away, maintenance: closed }), []);
  t.same(after(2 * minute, away), ["OdooGatewayOdooAway"], "the bus of an Odoo that is away is no news");
  t.same(
    after(minute, { ...away, maintenance: closed }),
    ["OdooGatewayOdooAway"],
    "maintenance does not end it",
  );
  t.same(see({ maintenance: closed }), []);
});

t.test("a bus that nobody named and nobody saw is not missed", async (t) => {
  const { after } = scene();
  t.same(after(hour, { isBusUp: false, isBusExpected: false }), []);
  t.same(after(5 * minute, { isBusUp: false }), ["OdooGatewayBusDown"]);
});

t.test("a member is missed where others of its pool are up", async (t) => {
  const { clock, see, after } = scene();
  const row = (member: string, up: boolean) => ({ pool: "web", member, up });
  t.same(after(hour, { members: [row("odoo1:8069", false), row("odoo2:8069", false)] }), []);
  const one = { members: [row("odoo1:8069", false), row("odoo2:8069", true)] };
  t.same(after(9 * minute, one), []);
  clock.advance(2 * minute);
  t.match(see(one), [{ name: "OdooGatewayMemberDown", detail: "odoo1:8069 (web)" }]);
  const many = Array.from({ length: 9 }, (_, i) => row(`odoo${i}:8069`, i === 0));
  t.match(see({ members: many }), [{ detail: /^odoo1:8069 \(web\), .*, 3 more$/ }]);
});

t.test("rates need a number that is one: three failures at night are no outage", async (t) => {
  const { clock, see } = scene();
  const at = (failures: number, exchanges: number) => ({ totals: { ...totals, failures, exchanges } });
  t.same(see(at(0, 0)), []);
  for (let i = 1; i <= 200; i += 1) {
    clock.advance(5_000);
    t.same(see(at(Math.min(i, 9), i)), [], "nine in five minutes, all that was asked");
  }
  let found: readonly { readonly name: string }[] = [];
  for (let i = 1; i <= 150 && found.length === 0; i += 1) {
    clock.advance(5_000);
    found = see(at(9 + i, 200 + 10 * i));
    if (i < 60) t.same(found, [], "less than five minutes");
  }
  t.match(found, [{ name: "OdooGatewayOdooFails", detail: /^\d+ of \d+ in 5 minutes$/ }]);
  for (let i = 1; i <= 61; i += 1) {
    clock.advance(5_000);
    found = see(at(159, 2_000 + 10 * i));
  }
  t.same(found, [], "over when the last five minutes were well");
});

t.test("server errors and shed requests are told when they last", async (t) => {
  const { after, clock, see } = scene();
  const growing = (key: "serverErrors" | "shed", each: number) => {
    const names = new Set<string>();
    for (let i = 0; i <= 130; i += 1) {
      const now = { ...totals, exchanges: 10 * i, [key]: each * i };
      for (const { name } of see({ totals: now })) names.add(name);
      clock.advance(5_000);
    }
    return [...names];
  };
  t.same(growing("serverErrors", 2), ["OdooGatewayServerErrors"]);
  t.same(after(hour), []);
  t.same(scene().after(0), []);
  const other = scene();
  for (let i = 0; i <= 130; i += 1) {
    other.see({ totals: { ...totals, exchanges: 100 * i, shed: i } });
    other.clock.advance(5_000);
  }
  t.match(other.see({ totals: { ...totals, exchanges: 13_100, shed: 131 } }), [
    { name: "OdooGatewaySheds", detail: /turned away in 5 minutes/ },
  ]);
});

t.test(
  "a wave of wrong passwords, of bans, of failed payments, a session in two hands, lost lines, lost workers and bugs are over with their window",
  async (t) => {
    for (const [key, grown, windowMs, name] of [
      ["loginFailures", 101, 10 * minute, "OdooGatewayGuessing"],
      ["bans", 51, hour, "OdooGatewayManyBans"],
      ["paymentErrors", 4, 15 * minute, "OdooGatewayPaymentsFail"],
      ["sessionsMoved", 1, 15 * minute, "OdooGatewaySessionMoved"],
      ["logLinesDropped", 1, 10 * minute, "OdooGatewayLogLinesLost"],
      ["workersLost", 1, 15 * minute, "OdooGatewayWorkerLost"],
      ["errors", 1, 15 * minute, "OdooGatewayInternalError"],
    ] as const) {
      const { see, clock, after } = scene();
      const at = (count: number) => ({ totals: { ...totals, [key]: count } });
      t.same(see(at(7)), [], "what was before the first look is no news");
      clock.advance(5_000);
      t.same(see(at(7 + grown - 1)), [], `${name}: one less is fine`);
      clock.advance(5_000);
      t.match(see(at(7 + grown)), [{ name }]);
      t.same(after(windowMs - 20_000, at(7 + grown)), [name], `${name} within its window`);
      t.same(after(windowMs / 15 + 20_000, at(7 + grown)), [], `${name} after it`);
    }
  },
);

t.test("a certificate is told of in its last week, one that lives a week in its last quarter", async (t) => {
  const { clock, after, see } = scene();
  const certificate = (livesMs: number, leftMs: number) => {
    const notAfterMs = clock.wallMs() + leftMs;
    return [{ name: "erp.example.com", notBeforeMs: notAfterMs - livesMs, notAfterMs }];
  };
  t.same(after(2 * hour, { certificates: certificate(90 * day, 8 * day) }), []);
  t.same(after(2 * hour, { certificates: certificate(6 * day, 2 * day) }), []);
  t.same(after(30 * minute, { certificates: certificate(90 * day, 6 * day) }), [], "it may just be renewed");
  const ending = certificate(90 * day, 3 * day + hour);
  t.same(after(hour, { certificates: ending }), ["OdooGatewayCertificateEnds"]);
  t.match(see({ certificates: ending }), [{ detail: "erp.example.com in 2 days" }]);
  t.match(see({ certificates: certificate(6 * day, 20 * hour) }), [
    { detail: "erp.example.com in 20 hours" },
  ]);
  const ended = certificate(90 * day, 0);
  const other = scene();
  other.clock.advance(clock.wallMs() - other.clock.wallMs());
  t.match(other.see({ certificates: ended }), [{ detail: "erp.example.com has ended" }]);
});

t.test("the rest holds as long as its reason does", async (t) => {
  const { after, see } = scene();
  t.same(after(5 * minute, { notReady: "no worker is ready" }), ["OdooGatewayNotReady"]);
  t.same(see({ certificateFailures: 2 }), []);
  t.match(see({ certificateFailures: 3 }), [
    { name: "OdooGatewayCertificateFails", detail: "3 tries failed" },
  ]);
  t.same(after(5 * minute, { spoolBytes: 801 }), ["OdooGatewaySpoolFull"]);
  t.same(after(5 * minute, { disk: "12MiB are free" }), ["OdooGatewaySpoolFull"]);
  t.match(see({ isReloadRefused: true }), [{ name: "OdooGatewayReloadRefused" }]);
  const restarted = scene();
  t.match(restarted.see({ isRestarted: true }), [{ name: "OdooGatewayWorkerLost", detail: /started again/ }]);
  t.same(restarted.after(15 * minute, { isRestarted: true }), [], "over when it has run for a while");
  t.same(after(7 * hour, { maintenance: { hasEnd: true } }), [], "it opens by itself");
  t.same(after(5 * hour, { maintenance: { hasEnd: false } }), []);
  t.same(after(hour, { maintenance: { hasEnd: false } }), ["OdooGatewayMaintenanceForgotten"]);
  t.same(see(), []);
});
