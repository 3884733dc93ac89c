import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { type Ban, BanTable } from "../../src/guard/ban-table.ts";
import { deviceCookies, deviceSeconds } from "../../src/guard/device-cookie.ts";
import {
  type Attempt,
  type Entry,
  Jail,
  slowMs,
  type Ticket,
  waitersPerAddressMax,
} from "../../src/guard/jail.ts";
import { type JailRules, jailRules } from "../../src/guard/jail-rules.ts";

const minuteMs = 60_000;

function rulesOf(kind: "standard" | "guide" | "official"): JailRules {
  const rules = jailRules(kind);
  if (rules === null) throw new Error("no rules");
  return rules;
}
const standard = rulesOf("standard");

function jailWith(
  options: { bans?: BanTable; countsMax?: number; isSpared?: (address: string) => boolean } = {},
) {
  const clock = manualClock();
  const bans: Ban[] = [];
  const strikes: string[] = [];
  const spared: string[] = [];
  const timers = new Set<() => void>();
  const jail = new Jail({
    clock,
    news: {
      strike: (client, why) => void strikes.push(`${why} ${client}`),
      ban: (ban) => void bans.push(ban),
      spared: (address, reason) => void spared.push(`${reason} ${address}`),
    },
    later: (_ms, then) => {
      timers.add(then);
      return () => timers.delete(then);
    },
    ...options,
  });
  const by = (address: string, account: string | null, device: string | null = null): Attempt => ({
    client: address,
    address,
    account,
    written: account,
    device,
  });
  /** One attempt that does not wait; what it met. */
  const attempt = (who: Attempt, outcome: "success" | "failure" | "unknown", rules = standard): string => {
    const entry = jail.enter(who, rules);
    if (entry instanceof Promise) return "waits";
    if (entry.kind === "go") entry.settle(outcome);
    return entry.kind;
  };
  return { jail, clock, bans, strikes, spared, timers, by, attempt };
}

t.test("five wrong passwords of one address for one account in ten minutes are two hours", (t) => {
  const { jail, clock, bans, strikes, by, attempt } = jailWith();
  const who = by("203.0.113.9", "anna");
  for (let i = 0; i < 5; i += 1) t.equal(attempt(who, "failure"), "go");
  t.match(bans, [
    { address: "203.0.113.9", reason: "pair", times: 1, untilWallMs: clock.wallMs() + 120 * minuteMs },
  ]);
  t.equal(strikes.length, 5);
  t.equal(attempt(who, "success"), "banned", "the right password helps no more");
  t.equal(attempt(by("203.0.113.9", "bob"), "success"), "banned", "nor another account");
  t.equal(attempt(by("203.0.113.10", "anna"), "success"), "go", "the account itself is not locked");
  clock.advance(120 * minuteMs);
  t.equal(jail.banOf("203.0.113.9"), null);
  t.equal(attempt(who, "success"), "go");
  t.end();
});

t.test("time slides: a drip just under the window is not forgotten at a full ten minutes", (t) => {
  const { clock, bans, by, attempt } = jailWith();
  const who = by("a", "anna");
  for (let i = 0; i < 4; i += 1) {
    clock.advance(2 * minuteMs);
    attempt(who, "failure");
  }
  clock.advance(3 * minuteMs);
  t.equal(bans.length, 0);
  attempt(who, "failure");
  t.equal(bans.length, 1, "five within nine minutes, across every boundary");
  const slow = jailWith();
  for (let i = 0; i < 200; i += 1) {
    slow.clock.advance(2.5 * minuteMs);
    slow.attempt(slow.by("b", "anna"), "failure");
  }
  t.equal(slow.bans.length, 0, "four in ten minutes for ever: 576 guesses a day are the stated price");
  t.end();
});

t.test("a success clears the pair, never the address", (t) => {
  const { bans, by, attempt } = jailWith();
  for (let round = 0; round < 3; round += 1) {
    for (let i = 0; i < 4; i += 1) attempt(by("a", "anna"), "failure");
    attempt(by("a", "anna"), "success");
  }
  t.equal(bans.length, 0);
  for (let i = 0; i < 8; i += 1) attempt(by("a", `x${i}`), "failure");
  t.match(bans, [{ reason: "address" }], "twelve and eight are twenty");
  t.end();
});

t.test("a success wipes out nothing of a user whose name differs in capitals alone", (t) => {
  const { bans, by, attempt } = jailWith();
  const victim = by("a", "anna");
  const twin = { ...victim, written: "ANNA" };
  for (let round = 0; round < 4; round += 1) {
    attempt(victim, "failure");
    attempt(twin, "success");
  }
  t.equal(bans.length, 0);
  attempt(victim, "failure");
  t.match(bans, [{ reason: "pair" }], "five of one are five");
  const own = jailWith();
  for (let round = 0; round < 4; round += 1) {
    for (let i = 0; i < 4; i += 1) own.attempt(by("a", "anna"), "failure");
    own.attempt(by("a", "anna"), "success");
  }
  t.equal(own.bans.length, 0, "his own are");
  const nobody = jailWith();
  const odd = { ...by("b", "odd"), written: null };
  for (let round = 0; round < 5; round += 1) {
    nobody.attempt(odd, "failure");
    nobody.attempt(odd, "success");
  }
  t.match(nobody.bans, [{ reason: "pair" }], "where it is not known whose it was, nothing is");
  t.end();
});

t.test("one address on a thousand accounts: twenty tries", (t) => {
  const { strikes, by, attempt } = jailWith();
  let tried = 0;
  for (let i = 0; i < 1_000; i += 1) if (attempt(by("a", `user${i}`), "failure") === "go") tried += 1;
  t.equal(tried, 20);
  t.equal(strikes.length, 20);
  const padded = jailWith();
  let guesses = 0;
  for (let i = 0; i < 1_000; i += 1) {
    padded.attempt(padded.by("a", "mine"), "success");
    if (padded.attempt(padded.by("a", `user${i}`), "failure") === "go") guesses += 1;
  }
  t.equal(guesses, 100, "padded with successes: the hard bound holds whatever else succeeds");
  t.end();
});

t.test(
  "an office behind one address: thirty log-ins, three people mistype twice, no ban and no wait",
  (t) => {
    const { bans, by, attempt } = jailWith();
    for (let i = 0; i < 30; i += 1) {
      if (i % 10 === 0) {
        t.equal(attempt(by("office", `u${i}`), "failure"), "go");
        t.equal(attempt(by("office", `u${i}`), "failure"), "go");
      }
      t.equal(attempt(by("office", `u${i}`), "success"), "go");
    }
    t.equal(bans.length, 0);
    t.end();
  },
);

t.test("fifty guesses at once are not fifty tries", async (t) => {
  const { jail, bans, by, timers } = jailWith();
  const running: Ticket[] = [];
  const later: Promise<Entry>[] = [];
  for (let i = 0; i < 50; i += 1) {
    const entry = jail.enter(by("a", "anna"), standard);
    if (entry instanceof Promise) later.push(entry);
    else if (entry.kind === "go") running.push(entry);
  }
  t.equal(running.length, 5);
  t.equal(later.length, 45);
  for (const ticket of running) ticket.settle("failure");
  t.equal(bans.length, 1);
  t.ok((await Promise.all(later)).every((entry) => entry.kind === "banned"));
  t.equal(timers.size, 0, "nothing is left behind");
});

t.test("programs that call in parallel wait for the first answer only", async (t) => {
  const { jail, by, bans } = jailWith();
  const all = Array.from({ length: 40 }, () => Promise.resolve(jail.enter(by("a", "uid:2"), standard)));
  const first = await all[0];
  if (first?.kind === "go") first.settle("success");
  const entries = await Promise.all(all);
  t.ok(
    entries.every((entry) => entry.kind === "go"),
    "one success opens the pair",
  );
  t.equal(jail.enter(by("a", "uid:2"), standard) instanceof Promise, false, "and keeps it open");
  t.equal(bans.length, 0);
});

t.test("what waits is bounded, and gives up", async (t) => {
  const { jail, by, timers } = jailWith();
  const held: (Entry | Promise<Entry>)[] = [];
  for (let i = 0; i < 5 + waitersPerAddressMax; i += 1) held.push(jail.enter(by("a", "anna"), standard));
  t.match(jail.enter(by("a", "anna"), standard), { kind: "slow", limit: "guesses-in-flight" });
  t.equal(jail.enter(by("b", "anna"), standard) instanceof Promise, false, "others are not held up");
  for (const giveUp of [...timers]) giveUp();
  t.match(await held[10], { kind: "slow" });
});

t.test(
  "an account attacked from a thousand addresses is slowed for strangers, not locked for its owner",
  (t) => {
    const { clock, by, attempt } = jailWith();
    let tried = 0;
    for (let i = 0; i < 1_000; i += 1) {
      clock.advance(100);
      if (attempt(by(`10.0.${i >> 8}.${i & 255}`, "anna"), "failure") === "go") tried += 1;
    }
    t.ok(tried <= 20 + 100_000 / slowMs + 1, `${tried} tries in 100 seconds`);
    t.equal(attempt(by("owner", "anna", "device1"), "failure"), "go", "a browser that logged in before");
    t.equal(attempt(by("owner", "anna", "device1"), "success"), "go");
    t.equal(attempt(by("owner", "bob"), "success"), "go", "other accounts feel nothing");
    for (let i = 0; i < 5; i += 1) attempt(by(`thief${i}`, "anna", "stolen"), "failure");
    t.equal(
      attempt(by("thief9", "anna", "stolen"), "failure"),
      "slow",
      "a stolen cookie is worth five tries",
    );
    clock.advance(10 * minuteMs);
    t.equal(attempt(by("stranger", "anna"), "success"), "go", "over when the attack is");
    t.end();
  },
);

t.test("bans grow on repetition, up to a ceiling, and the preset values are the guides'", (t) => {
  const { jail, clock, bans, by, attempt } = jailWith();
  const hours: number[] = [];
  for (let round = 0; round < 9; round += 1) {
    for (let i = 0; i < 5; i += 1) attempt(by("a", "anna"), "failure");
    const ban = bans.at(-1);
    hours.push(((ban?.untilWallMs ?? 0) - clock.wallMs()) / 3_600_000);
    clock.advance((ban?.untilWallMs ?? 0) - clock.wallMs());
  }
  t.same(hours, [2, 4, 8, 16, 32, 64, 128, 168, 168]);
  t.equal(jail.banOf("a"), null);

  const guide = jailWith();
  for (let i = 0; i < 5; i += 1) guide.attempt(guide.by("a", `u${i}`), "failure", rulesOf("guide"));
  t.match(guide.bans, [{ reason: "address", untilWallMs: guide.clock.wallMs() + 120 * minuteMs }]);
  const official = jailWith();
  for (let i = 0; i < 9; i += 1) official.attempt(official.by("a", null), "failure", rulesOf("official"));
  t.equal(official.bans.length, 0);
  official.attempt(official.by("a", null), "failure", rulesOf("official"));
  t.match(official.bans, [{ untilWallMs: official.clock.wallMs() + 15 * minuteMs }]);
  t.equal(jailRules("off"), null);
  t.end();
});

t.test("scanners are banned, and an operator bans and lifts", (t) => {
  const { jail, clock, bans, by, attempt } = jailWith();
  for (let i = 0; i < 19; i += 1) jail.scanned({ address: "s", client: "s" }, standard);
  t.same(bans, []);
  jail.scanned({ address: "s", client: "s" }, standard);
  t.match(bans, [{ address: "s", reason: "scanner" }]);
  t.equal(jail.lift("s"), true);
  t.equal(jail.lift("s"), false);
  t.equal(attempt(by("s", "anna"), "failure"), "go");
  jail.ban("m", clock.wallMs() + minuteMs);
  t.match(jail.bans.list(clock.wallMs()), [{ address: "m", reason: "operator" }]);
  t.end();
});

t.test("tables are bounded: the ban that ends soonest goes first", (t) => {
  const { jail, clock, bans } = jailWith({ bans: new BanTable(200), countsMax: 100 });
  for (let i = 0; i < 300; i += 1) jail.ban(`a${i}`, clock.wallMs() + (i + 1) * minuteMs);
  t.ok(jail.bans.size <= 200);
  t.equal(jail.banOf("a0"), null);
  t.ok(jail.banOf("a299"));
  t.equal(bans.length, 300);
  t.end();
});

t.test(
  "room for bans is made by those that end soonest, a hundredth of them, however many end together",
  (t) => {
    const ban = (address: string, untilWallMs: number): Ban => ({
      address,
      untilWallMs,
      reason: "pair",
      times: 1,
    });
    const left = (deadlines: readonly number[]) => {
      const table = new BanTable(deadlines.length);
      for (const [i, untilWallMs] of deadlines.entries()) table.set(ban(`a${i}`, untilWallMs));
      table.set(ban("new", 1_000));
      return table.list(0).map(({ address }) => address);
    };
    const up = Array.from({ length: 300 }, (_, i) => 10 + i);
    for (const deadlines of [up, up.toReversed(), up.map((ms, i) => (i % 2 === 0 ? ms : 900 - ms))]) {
      const soonest = [...deadlines].sort((a, b) => a - b).slice(0, 3);
      const gone = soonest.map((ms) => `a${deadlines.indexOf(ms)}`);
      const kept = left(deadlines);
      t.equal(kept.length, 298);
      t.same(
        kept.filter((address) => gone.includes(address)),
        [],
      );
    }
    t.equal(left(up.map(() => 50)).length, 298);
    const two = left(up.map((_, i) => (i === 7 ? 5 : 50)));
    t.equal(two.length, 298);
    t.notOk(two.includes("a7"));
    t.equal(left([1, 2]).length, 2);
    t.end();
  },
);

t.test("a device cookie is good for its account, for half a year, and cannot be made up", (t) => {
  const clock = manualClock();
  const cookies = deviceCookies(Buffer.alloc(32, 7), clock);
  const line = cookies.issue("hash-of-anna");
  t.match(line, /^__Host-device=[^;]+; Path=\/; Max-Age=15552000; Secure; HttpOnly; SameSite=Lax$/);
  const value = line.split(";")[0] ?? "";
  const facts = (cookie: string) => ({ fields: ["Cookie", cookie] });
  const id = cookies.read(facts(`a=b; ${value}`), "hash-of-anna");
  t.match(id, /^[A-Za-z0-9_-]{16}$/);
  t.equal(cookies.read(facts(value), "hash-of-bob"), null);
  t.equal(cookies.read(facts(value.replace(/\.[^.]+$/, `.${"A".repeat(43)}`)), "hash-of-anna"), null);
  t.equal(cookies.read({ fields: [] }, "hash-of-anna"), null);
  t.equal(deviceCookies(Buffer.alloc(32, 8), clock).read(facts(value), "hash-of-anna"), null);
  clock.advance(deviceSeconds * 1000 + 1);
  t.equal(cookies.read(facts(value), "hash-of-anna"), null);
  t.end();
});

t.test(
  "an address that stands for everybody is never banned; the account that is guessed at is slowed",
  (t) => {
    const { jail, clock, bans, spared, by, attempt } = jailWith({
      isSpared: (address) => address === "proxy",
    });
    for (let i = 0; i < 5; i += 1) t.equal(attempt(by("proxy", "anna"), "failure"), "go");
    t.same([bans, spared], [[], ["pair proxy"]]);
    t.equal(attempt(by("proxy", "anna"), "failure"), "go", "one each half minute");
    t.equal(attempt(by("proxy", "anna"), "failure"), "slow");
    clock.advance(slowMs);
    t.equal(attempt(by("proxy", "anna"), "failure"), "go");
    t.equal(attempt(by("proxy", "bob"), "success"), "go", "others behind it do not notice");
    for (let i = 0; i < 40; i += 1) jail.scanned({ address: "proxy", client: "proxy" }, standard);
    t.equal(jail.banOf("proxy"), null);
    t.match(jail.ban("proxy", clock.wallMs() + minuteMs), { reason: "operator" }, "but by an operator");
    t.end();
  },
);
