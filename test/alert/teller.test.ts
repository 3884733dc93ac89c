import t from "tap";
import { type AlertName, alertNames } from "../../src/alert/conditions.ts";
import { messagesPerHourMax, remindMs, Teller, tellAgainMs, tellAgainMsMax } from "../../src/alert/teller.ts";
import type { Finding } from "../../src/alert/watch.ts";
import { manualClock } from "../../src/base/clock.ts";

const away: AlertName = "OdooGatewayOdooAway";

function scene() {
  const clock = manualClock();
  const teller = new Teller(clock);
  const finding = (name: AlertName, detail = ""): Finding => ({ name, sinceWallMs: clock.wallMs(), detail });
  return {
    clock,
    teller,
    finding,
    tell: (...names: readonly AlertName[]) => teller.update(names.map((name) => finding(name))),
  };
}

t.test("what begins is told once, and its end once", async (t) => {
  const { clock, tell, teller } = scene();
  t.same(tell(), [], "nothing is told of a site that is well");
  const since = clock.wallMs();
  t.match(tell(away), [{ name: away, state: "firing", severity: "critical", sinceWallMs: since, times: 1 }]);
  t.same(tell(away), []);
  t.same(
    teller.firing().map(({ name }) => name),
    [away],
  );
  clock.advance(90_000);
  t.match(teller.update([]), [
    {
      name: away,
      state: "resolved",
      sinceWallMs: since,
      endedWallMs: clock.wallMs(),
      summary: "Odoo is back",
    },
  ]);
  t.same([tell(), teller.firing()], [[], []]);
});

t.test(
  "what comes and goes is told at most once each few minutes, ever less often, with the number of times",
  async (t) => {
    const { clock, tell } = scene();
    const told: { readonly state: string; readonly times: number; readonly ms: number }[] = [];
    // Twenty hours of an Odoo that is away for half of each minute.
    for (let i = 0; i < 20 * 120; i += 1) {
      for (const { state, times } of i % 2 === 0 ? tell(away) : tell())
        told.push({ state, times, ms: clock.nowMs() });
      clock.advance(30_000);
    }
    const firing = told.filter(({ state }) => state === "firing");
    const gaps = firing.slice(1).map(({ ms }, at) => ms - (firing[at]?.ms ?? 0));
    t.same(gaps.slice(0, 5), [
      tellAgainMs,
      2 * tellAgainMs,
      4 * tellAgainMs,
      8 * tellAgainMs,
      tellAgainMsMax,
    ]);
    t.ok(gaps.every((gap) => gap >= tellAgainMs));
    t.same(
      firing.slice(0, 4).map(({ times }) => times),
      [1, 5, 10, 20],
    );
    t.equal(told.length, 2 * firing.length, "each has its end");
    clock.advance(3 * tellAgainMsMax);
    t.match(tell(away), [{ state: "firing" }]);
    tell();
    clock.advance(tellAgainMs);
    t.match(tell(away), [{ state: "firing" }], "after a quiet time it is told as at first");
  },
);

t.test("what holds on is told again once a day", async (t) => {
  const { clock, tell } = scene();
  tell(away);
  clock.advance(remindMs - 1);
  t.same(tell(away), []);
  clock.advance(1);
  t.match(tell(away), [{ state: "firing", isReminder: true }]);
  t.same(tell(away), []);
});

t.test("an hour bears so many messages; what is left is told later, critical things first", async (t) => {
  const { clock, tell, teller } = scene();
  const all = [...alertNames].reverse();
  const first = tell(...all);
  t.equal(first.length, all.length);
  t.same(
    first.slice(0, 3).map(({ severity }) => severity),
    ["critical", "critical", "critical"],
  );
  const ends = tell();
  t.equal(first.length + ends.length, messagesPerHourMax);
  t.ok(ends.slice(0, 3).every(({ severity }) => severity === "critical"));
  t.equal(teller.isHeldBack, true);
  t.same(tell(), []);
  clock.advance(3_600_000);
  const later = tell();
  t.equal(ends.length + later.length, all.length, "every end is told");
  t.equal(teller.isHeldBack, false);
});

t.test("figures come with the words, and the end does without", async (t) => {
  const { teller, finding } = scene();
  t.match(teller.update([finding("OdooGatewayManyBans", "51 in an hour")]), [
    { summary: "Many addresses are banned: 51 in an hour" },
  ]);
  t.match(teller.update([]), [{ summary: "The bans have become fewer", remedy: "Nothing." }]);
});
