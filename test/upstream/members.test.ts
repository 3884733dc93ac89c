import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { MemberHealth, markMostMs, slowStartMs } from "../../src/upstream/health.ts";
import { type MemberPlace, member, Pool } from "../../src/upstream/pool.ts";
import { handshakesAtOnce, pacedMs, ReconnectPace } from "../../src/upstream/reconnect-pace.ts";
import { type LookupAll, Resolver } from "../../src/upstream/resolver.ts";

t.test("a mark lasts longer each time, and failures of one moment are one", async (t) => {
  const health = new MemberHealth();
  t.ok(health.failed(0), "news");
  t.notOk(health.failed(1));
  t.notOk(health.failed(999));
  t.equal(health.failures, 1, "a hundred requests that fail together do not bench it for minutes");
  t.notOk(health.isUp(999));
  t.ok(health.isUp(1_000));
  let nowMs = 1_000;
  for (const lengthMs of [2_000, 4_000, 8_000, 16_000, markMostMs, markMostMs]) {
    health.failed(nowMs);
    t.notOk(health.isUp(nowMs + lengthMs - 1));
    t.ok(health.isUp(nowMs + lengthMs), `${lengthMs} ms`);
    nowMs += lengthMs;
  }
  t.ok(health.answered(nowMs, nowMs + 5), "one answer ends it");
  t.equal(health.failures, 0);
});

t.test("an answer to an older request does not bring a stopping member back", async (t) => {
  const health = new MemberHealth();
  health.failed(1_000);
  t.notOk(health.answered(900, 1_100));
  t.notOk(health.isUp(1_100));
  t.ok(health.answered(1_050, 1_100));
  t.ok(health.isUp(1_100));
});

t.test("a member that is back starts slowly", async (t) => {
  const health = new MemberHealth();
  t.equal(health.weight(0), 1, "from the start it has its full share");
  health.failed(0);
  health.answered(500, 500);
  t.equal(health.weight(500), 0.1);
  t.equal(health.weight(500 + slowStartMs / 2), 0.5);
  t.equal(health.weight(500 + slowStartMs), 1);
});

function place(name: string, isBackup = false): MemberPlace {
  return { at: member(name, 8069), isBackup, addresses: [] };
}

function poolOf(places: readonly MemberPlace[], isSticky = false) {
  const clock = manualClock();
  const pool = new Pool({ name: "web", places, keepAlive: false, isSticky, clock });
  return { pool, clock };
}

t.test("the least busy member is asked, equal ones in turn", async (t) => {
  const { pool } = poolOf([place("a"), place("b"), place("c")]);
  const picked = new Map<string, number>();
  for (let i = 0; i < 300; i += 1) {
    const one = pool.pick(null);
    if (one === null) return void t.fail("no member");
    picked.set(one.name, (picked.get(one.name) ?? 0) + 1);
  }
  t.same([...picked.values()], [100, 100, 100]);
  for (const [i, one] of pool.members.entries()) one.inFlight = i === 1 ? 2 : 5;
  for (let i = 0; i < 5; i += 1) t.equal(pool.pick(null)?.name, "b:8069");
});

t.test("marked members are passed over, backups wait, and somebody is always asked", async (t) => {
  const { pool, clock } = poolOf([place("a"), place("b"), place("z", true)]);
  const [a, b, z] = pool.members;
  if (a === undefined || b === undefined || z === undefined) return void t.fail("three members");
  a.health.failed(clock.nowMs());
  for (let i = 0; i < 10; i += 1) t.equal(pool.pick(null), b);
  b.health.failed(clock.nowMs());
  for (let i = 0; i < 10; i += 1) t.equal(pool.pick(null), z, "the backup");
  z.health.failed(clock.nowMs());
  t.ok([a, b].includes(pool.pick(null) ?? z), "all marked: members before backups");
  t.equal(pool.pick(null, [a]), b);
  t.equal(pool.pick(null, [a, b]), z);
  t.equal(pool.pick(null, [a, b, z]), null, "tried once each");
  a.health.answered(clock.nowMs(), clock.nowMs());
  t.equal(pool.pick(null), a);
});

t.test("a single member is asked whatever is known of it", async (t) => {
  const { pool, clock } = poolOf([place("a")]);
  pool.member.health.failed(clock.nowMs());
  t.equal(pool.pick(null), pool.member);
  t.equal(pool.pick(null, [pool.member]), null);
});

/** Ids as Odoo makes them: 84 characters, of which the last 42 change every 3 h. */
const session = (n: number, end = "x") => `${n}`.padEnd(42, "s") + end.repeat(42);

t.test(
  "a session stays with its member, also when its id is changed and when others come and go",
  async (t) => {
    const places = ["a", "b", "c", "d"].map((name) => place(name));
    const { pool, clock } = poolOf(places, true);
    const home = new Map(Array.from({ length: 400 }, (_, n) => [n, pool.pick(session(n))?.name ?? ""]));
    const shares = ["a", "b", "c", "d"].map(
      (name) => [...home.values()].filter((one) => one === `${name}:8069`).length,
    );
    for (const share of shares) t.ok(share > 60 && share < 140, `each has its part: ${shares}`);
    for (const [n, name] of home) {
      if (pool.pick(session(n, "y"))?.name !== name) t.fail(`session ${n} moved with its new id`);
    }
    const gone = pool.members.find(({ name }) => name === "b:8069");
    gone?.health.failed(clock.nowMs());
    for (const [n, name] of home) {
      const now = pool.pick(session(n))?.name;
      if (name !== "b:8069" && now !== name) t.fail(`session ${n} moved although its member is up`);
      if (name === "b:8069" && now === name) t.fail("a marked member was asked");
    }
    pool.setPlaces([...places, place("e")]);
    const moved = [...home].filter(([n, name]) => name !== "b:8069" && pool.pick(session(n))?.name !== name);
    t.ok(moved.length > 20 && moved.length < 140, `a fifth goes to the new one: ${moved.length}`);
    t.not(pool.pick(null), null, "who has no session goes to the least busy");
  },
);

t.test("members that stay keep what is known of them", async (t) => {
  const { pool, clock } = poolOf([place("a"), place("b")]);
  const [a] = pool.members;
  a?.health.failed(clock.nowMs());
  pool.setPlaces([place("a"), place("c")]);
  t.equal(pool.members[0], a);
  t.notOk(pool.members[0]?.health.isUp(clock.nowMs()));
  pool.setPlaces([]);
  t.equal(pool.members.length, 2, "no answer is no reason to have no member");
});

type Zone = Record<string, readonly string[] | null>;

function resolving(zone: Zone, ...hosts: readonly string[]) {
  const clock = manualClock();
  const told: string[][] = [];
  const failed: string[] = [];
  let asked = 0;
  const lookup: LookupAll = async (host) => {
    asked += 1;
    const found = zone[host];
    if (found == null) throw new Error("ENOTFOUND");
    return found.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
  };
  const resolver = new Resolver({
    members: hosts.map((host) => ({ at: member(host, 8069), isBackup: false })),
    lookup,
    everyMs: 3_600_000,
    nowMs: () => clock.nowMs(),
    changed: (places) => {
      told.push(
        places.map(({ at, addresses }) => [at.name, ...addresses.map(({ address }) => address)].join(" ")),
      );
      return true;
    },
    failed: (host) => void failed.push(host),
  });
  t.teardown(() => resolver.stop());
  return { resolver, told, failed, clock, asked: () => asked };
}

t.test("names are looked up again: moved, scaled, gone", async (t) => {
  const zone: Zone = { odoo: ["10.0.0.2"] };
  const { resolver, told, failed } = resolving(zone, "odoo", "192.0.2.7");
  await resolver.look();
  t.same(told, [["odoo:8069 10.0.0.2", "192.0.2.7:8069"]]);
  await resolver.look();
  t.equal(told.length, 1, "nothing new is no news");
  zone["odoo"] = ["10.0.0.9"];
  await resolver.look();
  t.same(told.at(-1), ["odoo:8069 10.0.0.9", "192.0.2.7:8069"], "moved");
  zone["odoo"] = ["10.0.0.9", "10.0.0.4"];
  await resolver.look();
  t.same(told.at(-1), ["10.0.0.4:8069", "10.0.0.9:8069", "192.0.2.7:8069"], "scaled: one member an address");
  zone["odoo"] = ["10.0.0.4", "10.0.0.9"];
  await resolver.look();
  t.equal(told.length, 3, "another order is no change");
  for (const gone of [null, []]) {
    zone["odoo"] = gone;
    await resolver.look();
    await resolver.look();
  }
  t.equal(told.length, 3, "DNS is gone: the last addresses stay");
  t.same(failed, ["odoo"], "said once");
});

t.test("one address of each family is one member with two ways", async (t) => {
  const { resolver, told } = resolving({ localhost: ["127.0.0.1", "::1"] }, "localhost");
  await resolver.look();
  t.same(told, [["localhost:8069 127.0.0.1 ::1"]]);
});

t.test("addresses are never looked up", async (t) => {
  const { resolver, told, asked } = resolving({}, "127.0.0.1", "::1");
  resolver.start();
  resolver.lookSoon();
  t.equal(asked(), 0);
  t.same(told, []);
});

t.test("after a failed connection a name is looked up again, not more than once a second", async (t) => {
  const { resolver, clock, asked } = resolving({ odoo: ["10.0.0.2"] }, "odoo");
  resolver.start();
  await resolver.look();
  t.equal(asked(), 1);
  resolver.lookSoon();
  t.equal(asked(), 1);
  clock.advance(1_000);
  resolver.lookSoon();
  resolver.lookSoon();
  t.equal(asked(), 2);
});

t.test("after a restart of the bus websockets come back one after the other", async (t) => {
  const clock = manualClock();
  const pace = new ReconnectPace(clock, () => 0.5);
  for (let i = 0; i < 1_000; i += 1) if (pace.handshake() !== null) t.fail("no pace without a restart");
  for (let i = 0; i < 20; i += 1) pace.wasCut();
  let through = 0;
  const retries = new Set<number>();
  const rush = (n: number) => {
    for (let i = 0; i < n; i += 1) {
      const seconds = pace.handshake();
      if (seconds === null) through += 1;
      else retries.add(seconds);
    }
  };
  rush(5_000);
  t.equal(through, handshakesAtOnce);
  t.ok([...retries].every((seconds) => seconds >= 2 && seconds <= 15));
  clock.advance(1_000);
  rush(5_000);
  t.equal(through, 2 * handshakesAtOnce, "50 a second");
  clock.advance(pacedMs);
  rush(5_000);
  t.equal(through, 2 * handshakesAtOnce + 5_000, "and no longer than a minute");
});

t.test("single websockets that end are no restart", async (t) => {
  const clock = manualClock();
  const pace = new ReconnectPace(clock, () => 0);
  for (let i = 0; i < 100; i += 1) {
    pace.wasCut();
    clock.advance(60);
  }
  for (let i = 0; i < 1_000; i += 1) if (pace.handshake() !== null) t.fail("paced");
  pace.wentAway();
  for (let i = 0; i < handshakesAtOnce; i += 1) t.equal(pace.handshake(), null);
  t.equal(pace.handshake(), 2);
});
