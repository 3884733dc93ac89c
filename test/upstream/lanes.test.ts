import fc from "fast-check";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { type LaneName, Lanes, laneNames, type Shed, type Waiting } from "../../src/upstream/lanes.ts";

interface Made {
  readonly workers?: number | null;
  readonly queueMax?: number;
  readonly onWaiting?: (isWaiting: boolean) => void;
}

function made({ workers = 2, queueMax = 100, onWaiting = () => {} }: Made = {}) {
  const clock = manualClock();
  const lanes = new Lanes({ clock, workers, queueMax, queueTimeoutMs: 30_000, onWaiting });
  return { clock, lanes };
}

/** Asks for a place; the list tells who got one, in order. */
function asker(lanes: Lanes) {
  const got: string[] = [];
  const shed: (Shed & { readonly who: string })[] = [];
  const ask = (lane: LaneName, who: string, client = "one"): Waiting | null => {
    if (lanes.take(lane)) {
      got.push(who);
      return null;
    }
    return lanes.wait(lane, client, (refused) => {
      if (refused === null) got.push(who);
      else shed.push({ ...refused, who });
    });
  };
  return { got, shed, ask };
}

t.test("as many requests as workers are with Odoo, the next waits for one to finish", async (t) => {
  const { lanes } = made();
  const { got, ask } = asker(lanes);
  for (const who of ["1", "2", "3", "4"]) ask("user", who);
  t.same(got, ["1", "2"]);
  lanes.release("user");
  t.same(got, ["1", "2", "3"], "first come, first served");
  lanes.release("user");
  t.same(got, ["1", "2", "3", "4"]);
  lanes.release("user");
  lanes.release("user");
  t.equal(lanes.inFlight, 0);
});

t.test("a log-in and the health check have a place when every worker is busy", async (t) => {
  const { lanes } = made();
  const { got, ask } = asker(lanes);
  for (const who of ["1", "2", "3"]) ask("user", who);
  ask("login", "login");
  t.same(got, ["1", "2", "login"]);
  ask("health", "health");
  t.same(got, ["1", "2", "login"], "one place more, not two");
  lanes.release("login");
  t.same(got, ["1", "2", "login", "health"], "the place above the workers is not for the lane of users");
});

t.test("crawlers that came first do not keep people out", async (t) => {
  const { lanes } = made({ workers: 4 });
  const { got, ask } = asker(lanes);
  for (let i = 0; i < 20; i += 1) ask("crawler", "crawler");
  t.same(got, ["crawler", "crawler"], "half of the workers at most, even when nobody else is there");
  for (let i = 0; i < 20; i += 1) ask("user", "user");
  t.same(got.slice(2), ["user", "user"]);
  for (let i = 0; i < 10; i += 1) lanes.release("user");
  t.equal(got.filter((who) => who === "crawler").length, 2, "places that people leave go to people");
});

t.test(
  "false crawlers have a quarter of the workers at most, and go first when the queue is full",
  async (t) => {
    const { lanes } = made({ workers: 4, queueMax: 3 });
    const { got, shed, ask } = asker(lanes);
    for (let i = 0; i < 3; i += 1) ask("fake", "fake");
    t.same(got, ["fake"]);
    ask("crawler", "crawler");
    for (let i = 0; i < 2; i += 1) ask("user", "user");
    t.same(got, ["fake", "crawler", "user", "user"]);
    ask("site", "site");
    ask("crawler", "later");
    await Promise.resolve();
    t.match(shed, [{ who: "fake", reason: "displaced", lane: "fake", retryAfterSeconds: 600 }]);
  },
);

t.test("busy lanes share by weight, and none is left out", async (t) => {
  const { lanes } = made({ workers: 1, queueMax: 1_000 });
  const { got, ask } = asker(lanes);
  ask("user", "user");
  for (let i = 0; i < 200; i += 1)
    for (const lane of ["user", "api", "site", "crawler"] as const) ask(lane, lane);
  for (let i = 0; i < 150; i += 1) lanes.release(got.at(-1) as LaneName);
  const count = (lane: string) => got.filter((who) => who === lane).length;
  t.same(
    [count("user"), count("api"), count("site"), count("crawler")].map((n) => Math.round(n / 10)),
    [8, 4, 2, 1],
    "8 to 4 to 2 to 1",
  );
});

t.test("printing leaves a worker for what it asks of Odoo itself", async (t) => {
  for (const [workers, most] of [
    [1, 1],
    [2, 1],
    [6, 5],
  ] as const) {
    const { lanes } = made({ workers });
    const { got, ask } = asker(lanes);
    for (let i = 0; i < 10; i += 1) ask("report", "report");
    t.equal(got.length, most, `${workers} workers`);
    ask("user", "asset");
    t.equal(got.at(-1), workers === 1 ? "report" : "asset");
  }
});

t.test("a full queue sheds the lowest lane first, and of it who came last", async (t) => {
  const { lanes } = made({ workers: 1, queueMax: 3 });
  const { got, shed, ask } = asker(lanes);
  ask("user", "running");
  ask("crawler", "c1");
  ask("site", "s1");
  ask("site", "s2");
  ask("user", "u1");
  t.match(shed, [{ who: "c1", reason: "displaced", lane: "crawler" }]);
  ask("user", "u2");
  t.match(shed.at(-1), { who: "s2", reason: "displaced" });
  ask("crawler", "c2");
  await Promise.resolve();
  t.match(shed.at(-1), { who: "c2", reason: "queue-full" });
  ask("user", "u3");
  t.match(shed.at(-1), { who: "s1", reason: "displaced" });
  ask("user", "u4");
  await Promise.resolve();
  t.match(shed.at(-1), { who: "u4", reason: "queue-full", retryAfterSeconds: 5 });
  for (let i = 0; i < 3; i += 1) lanes.release("user");
  t.same(got, ["running", "u1", "u2", "u3"]);
});

t.test("a path that anybody can ask for pushes nobody out who has fewer waiting", async (t) => {
  for (const lane of ["health", "login"] as const) {
    const { lanes } = made({ workers: 1, queueMax: 6 });
    const shed: string[] = [];
    const ask = (name: LaneName, who: string) => {
      if (lanes.take(name)) return;
      lanes.wait(name, who, (told) => told !== null && shed.push(`${who} ${told.reason}`), 0);
    };
    ask("user", "running");
    for (const who of ["a", "b", "c", "d", "e", "f"]) ask("user", who);
    // One place above the workers is theirs; what waits counts.
    for (let i = 0; i < 20; i += 1) ask(lane, "stranger");
    await Promise.resolve();
    const displaced = shed.filter((one) => one.endsWith("displaced"));
    t.ok(displaced.length <= 2, `${lane}: ${displaced.length} of six`);
    t.ok(shed.filter((one) => one === "stranger queue-full").length >= 15);
  }
});

t.test("who waited too long is told, the lowest lanes first", async (t) => {
  const waiting: boolean[] = [];
  const { lanes, clock } = made({ workers: 1, onWaiting: (is) => waiting.push(is) });
  const { shed, ask } = asker(lanes);
  ask("user", "running");
  for (const lane of ["user", "site", "crawler"] as const) ask(lane, lane);
  const due = (ms: number) => {
    clock.advance(ms);
    lanes.expire();
    return shed.map(({ who }) => who);
  };
  t.same(due(2_999), []);
  t.same(due(1), ["crawler"]);
  t.same(due(7_000), ["crawler", "site"]);
  t.same(due(20_000), ["crawler", "site", "user"]);
  t.ok(shed.every(({ reason }) => reason === "waited"));
  t.same(waiting, [true, false], "a timer is needed only in between");
});

t.test("a client that leaves frees its place in the queue", async (t) => {
  const { lanes } = made({ workers: 1 });
  const { got, ask } = asker(lanes);
  ask("user", "1");
  const second = ask("user", "2");
  ask("user", "3");
  second?.leave();
  second?.leave();
  t.equal(lanes.waiting, 1);
  lanes.release("user");
  t.same(got, ["1", "3"]);
});

t.test("workers of members that come up are used at once", async (t) => {
  const { lanes } = made({ workers: 2 });
  const { got, ask } = asker(lanes);
  for (let i = 0; i < 6; i += 1) ask("user", `${i}`);
  t.equal(got.length, 2);
  lanes.setMembers(2);
  t.equal(got.length, 4);
  lanes.setMembers(0);
  t.equal(lanes.capacity, 2, "one member is always counted");
});

t.test(
  "workers that are not known hold nobody up, until a number was learnt and once it is forgotten",
  async (t) => {
    const { lanes } = made({ workers: null });
    const { got, ask } = asker(lanes);
    for (let i = 0; i < 50; i += 1) ask(i % 2 === 0 ? "crawler" : "report", `${i}`);
    t.equal(got.length, 50);
    t.equal(lanes.capacity, null);
    t.ok(lanes.snapshot().every(({ capacity }) => capacity === null));
    lanes.bound(4);
    t.equal(lanes.capacity, 4);
    for (const lane of ["report", "health", "login", "user"] as const) ask(lane, lane);
    t.equal(got.length, 50, "what is there already may finish first");
    for (let i = 0; i < 25; i += 1) lanes.release("crawler");
    for (let i = 0; i < 21; i += 1) lanes.release("report");
    t.equal(got.length, 50, "four are with Odoo still, and no place is kept for log-ins");
    lanes.release("report");
    t.equal(got.length, 51);
    lanes.bound(null);
    t.same(got.slice(50).sort(), ["health", "login", "report", "user"]);
    t.equal(lanes.waiting, 0);
  },
);

t.test("what was learnt holds for each member, and reports have no bound of their own", async (t) => {
  const { lanes } = made({ workers: null });
  const { got, ask } = asker(lanes);
  lanes.bound(3);
  lanes.setMembers(2);
  for (let i = 0; i < 9; i += 1) ask("report", `${i}`);
  t.equal(got.length, 6);
  lanes.setMembers(3);
  t.equal(got.length, 9);
});

t.test("a number that was given is not learnt over", async (t) => {
  const { lanes } = made({ workers: 2 });
  lanes.bound(40);
  t.equal(lanes.capacity, 2);
  lanes.bound(null);
  t.equal(lanes.capacity, 2);
});

t.test("who comes back to its lane stands where it would have stood", async (t) => {
  const { lanes, clock } = made({ workers: 1 });
  const { got, ask } = asker(lanes);
  ask("user", "running");
  clock.advance(100);
  ask("user", "100", "a");
  clock.advance(100);
  ask("user", "200", "b");
  for (const sinceMs of [50, 150, 250, 20])
    lanes.wait("user", `who ${sinceMs}`, (shed) => got.push(shed === null ? `${sinceMs}` : "shed"), sinceMs);
  for (let i = 0; i < 7; i += 1) lanes.release("user");
  t.same(got, ["running", "20", "50", "100", "150", "200", "250"]);
});

type Step =
  | { readonly kind: "ask"; readonly lane: LaneName }
  | { readonly kind: "finish"; readonly which: number }
  | { readonly kind: "leave"; readonly which: number }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "members"; readonly count: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("ask" as const), lane: fc.constantFrom(...laneNames) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("finish" as const), which: fc.nat(100) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("leave" as const), which: fc.nat(100) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(15_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("members" as const), count: fc.nat(3) }) },
);

t.test(
  "whatever happens: no more than the workers, a bounded queue, order inside a lane, nobody lost",
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 12 }),
        fc.array(step, { maxLength: 200 }),
        async (workers, queueMax, steps) => {
          const { lanes, clock } = made({ workers, queueMax });
          const running: LaneName[] = [];
          const queued = new Map<number, { lane: LaneName; waiting: Waiting }>();
          let next = 0;
          let settled = 0;
          for (const one of steps) {
            const before = lanes.inFlight;
            if (one.kind === "ask") {
              const { lane } = one;
              const id = next++;
              if (lanes.take(lane)) running.push(lane);
              else {
                const waiting = lanes.wait(lane, "one", (shed) => {
                  settled += 1;
                  if (shed !== null) return void queued.delete(id);
                  for (const [other, { lane: otherLane }] of queued) {
                    if (otherLane === lane && other < id) throw new Error("overtaken inside a lane");
                  }
                  queued.delete(id);
                  running.push(lane);
                });
                queued.set(id, { lane, waiting });
                await Promise.resolve();
              }
            } else if (one.kind === "finish") {
              const [lane] = running.splice(one.which % Math.max(1, running.length), 1);
              if (lane !== undefined) lanes.release(lane);
            } else if (one.kind === "leave") {
              const id = [...queued.keys()][one.which % Math.max(1, queued.size)];
              if (id !== undefined) {
                queued.get(id)?.waiting.leave();
                queued.delete(id);
              }
            } else if (one.kind === "wait") {
              clock.advance(one.ms);
              lanes.expire();
            } else lanes.setMembers(one.count);
            // With fewer members than before, what runs already may finish.
            if (lanes.inFlight > Math.max((lanes.capacity ?? 0) + 1, before))
              throw new Error("more than there are workers");
            if (lanes.inFlight !== running.length) throw new Error("a place was lost");
            if (lanes.waiting !== queued.size) throw new Error("a waiter was lost");
            if (queued.size > queueMax) throw new Error("the queue has no bound");
            const reports = running.filter((lane) => lane === "report").length;
            const members = (lanes.capacity ?? 0) / workers;
            if (
              one.kind === "ask" &&
              one.lane === "report" &&
              members === 1 &&
              steps.every(({ kind }) => kind !== "members")
            )
              if (reports > Math.max(1, workers - 1)) throw new Error("every worker prints");
          }
          // All that runs finishes: whoever waits gets a turn.
          lanes.setMembers(1);
          for (let i = 0; i < 2_000 && running.length > 0; i += 1) {
            const lane = running.shift();
            if (lane !== undefined) lanes.release(lane);
          }
          if (lanes.waiting !== 0 || lanes.inFlight !== 0 || queued.size !== 0)
            throw new Error("somebody waits for ever");
          return settled >= 0;
        },
      ),
      { numRuns: 300 },
    );
  },
);

t.test("who asks for much waits for his own, and fills nobody else's queue", async (t) => {
  const { lanes } = made({ workers: 1, queueMax: 6 });
  const { got, shed, ask } = asker(lanes);
  ask("site", "running", "many");
  for (let i = 1; i <= 6; i += 1) ask("site", `many ${i}`, "many");
  ask("site", "few 1", "few");
  ask("site", "few 2", "few");
  await Promise.resolve();
  t.match(shed, [
    { who: "many 6", reason: "displaced" },
    { who: "many 5", reason: "displaced" },
  ]);
  ask("site", "many 7", "many");
  await Promise.resolve();
  t.match(shed.at(-1), { who: "many 7", reason: "queue-full" }, "nobody else goes for one who has most");
  ask("site", "other 1", "other");
  t.match(shed.at(-1), { who: "many 4", reason: "displaced" });
  got.length = 0;
  for (let i = 0; i < 6; i += 1) lanes.release("site");
  t.same(got, ["many 1", "few 1", "other 1", "many 2", "few 2", "many 3"], "each client in turn");
  t.equal(lanes.waiting, 0);
});

t.test("a client that leaves loses its place and no other does", async (t) => {
  const { lanes } = made({ workers: 1 });
  const { got, ask } = asker(lanes);
  ask("site", "running", "a");
  const first = ask("site", "a 1", "a");
  ask("site", "a 2", "a");
  const only = ask("site", "b 1", "b");
  ask("site", "c 1", "c");
  first?.leave();
  only?.leave();
  only?.leave();
  got.length = 0;
  for (let i = 0; i < 3; i += 1) lanes.release("site");
  t.same(got, ["a 2", "c 1"]);
  t.equal(lanes.waiting, 0);
});
