import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { Crowd } from "../../src/upstream/crowd.ts";
import { forgottenAfterMs, LearntBound, oneMoreAfterMs } from "../../src/upstream/learnt-bound.ts";

function made() {
  const clock = manualClock();
  const values: (number | null)[] = [];
  const told: number[] = [];
  const bound = new LearntBound({
    clock,
    changed: (value) => values.push(value),
    full: (value) => told.push(value),
  });
  return { clock, values, told, bound };
}

/** So many requests on established connections, so many on connections that are not there yet; it answered just now. */
function crowdOf(established: number, connecting: number, answeredMs: number): Crowd {
  const crowd = new Crowd();
  for (let i = 0; i < connecting + established; i += 1) crowd.begins();
  for (let i = 0; i < established; i += 1) {
    crowd.connecting -= 1;
    crowd.stands();
  }
  crowd.answeredMs = answeredMs;
  return crowd;
}

t.test("the most that were established while others were connecting is kept, and no longer", async (t) => {
  const crowd = crowdOf(5, 2, 0);
  t.match(crowd, { connecting: 2, established: 5, peak: 5 });
  crowd.established -= 3;
  t.equal(crowd.peak, 5, "the two connections still stand before a full queue");
  crowd.connecting -= 2;
  crowd.begins();
  t.equal(crowd.peak, 2);
});

t.test("a full Odoo is learnt once: what fits into the listen queue of as many workers", async (t) => {
  // 9 × workers + 1 were established; 8 × workers + 1 fit into the queue alone.
  for (const [workers, learnt] of [
    [1, 8],
    [2, 16],
    [6, 48],
  ] as const) {
    const { clock, told, bound } = made();
    const begunMs = clock.nowMs();
    clock.advance(1_000);
    const crowd = crowdOf(9 * workers + 1, 3, clock.nowMs());
    t.ok(bound.stalled(crowd, begunMs));
    t.equal(bound.value, learnt);
    crowd.connecting -= 1;
    t.ok(bound.stalled(crowd, begunMs));
    crowd.connecting -= 1;
    t.ok(bound.stalled(crowd, begunMs), "the last of the burst too");
    t.same(told, [learnt]);
  }
});

t.test("what is no full Odoo is not taken for one", async (t) => {
  const { clock, values, bound } = made();
  clock.advance(60_000);
  const nowMs = clock.nowMs();
  t.notOk(bound.stalled(crowdOf(3, 20, nowMs), nowMs - 1_000), "too few are established");
  t.notOk(bound.stalled(crowdOf(19, 20, nowMs - 30_001), nowMs - 1_000), "it answers nobody");
  t.notOk(bound.stalled(crowdOf(19, 20, Number.NEGATIVE_INFINITY), nowMs - 1_000), "it never did");
  t.notOk(bound.stalled(crowdOf(19, 1, nowMs), nowMs - 1_000), "one packet may be lost on any line");
  t.same(values, []);
});

t.test("never below two, and a lost packet far below the bound changes nothing", async (t) => {
  const { clock, values, bound } = made();
  for (let i = 0; i < 9; i += 1) {
    clock.advance(1_001);
    bound.stalled(crowdOf(4, 2, clock.nowMs()), clock.nowMs() - 1_000);
  }
  t.same(values, [3, 2, 2, 2, 2, 2, 2, 2, 2]);
  const other = made();
  other.clock.advance(1_001);
  other.bound.stalled(crowdOf(40, 2, 1_001), 1);
  other.clock.advance(2_000);
  t.notOk(other.bound.stalled(crowdOf(12, 1, 3_001), 2_001));
  t.ok(other.bound.stalled(crowdOf(32, 1, 3_001), 2_001), "near it, Odoo is full again");
  t.same(other.values, [35, 28]);
});

t.test("while something waits and nothing stalls there is one place more every 5 s", async (t) => {
  const { clock, values, told, bound } = made();
  clock.advance(1_001);
  bound.stalled(crowdOf(19, 2, clock.nowMs()), 1);
  values.length = 0;
  const ticks = (ms: number, isWaiting: boolean) => {
    for (let at = 0; at < ms; at += 100) {
      clock.advance(100);
      bound.tick(isWaiting);
    }
  };
  ticks(oneMoreAfterMs, true);
  t.same(values, [], "5 s from the first look");
  ticks(100, true);
  t.same(values, [17]);
  ticks(oneMoreAfterMs - 100, true);
  t.same(values, [17]);
  ticks(100, true);
  t.same(values, [17, 18]);
  ticks(4_000, true);
  bound.stalled(crowdOf(17, 1, clock.nowMs()), clock.nowMs() - 1_000);
  t.same(values, [17, 18, 14], "full again: learnt anew");
  ticks(oneMoreAfterMs - 100, true);
  t.equal(values.length, 3);
  ticks(100, true);
  t.same(values.slice(3), [15]);
  ticks(60_000, false);
  t.equal(values.length, 4, "nothing waits: nothing is gained by more");
  t.same(told, [16, 14]);
});

t.test("when nothing has waited for 10 minutes the bound is forgotten", async (t) => {
  const { clock, values, bound } = made();
  clock.advance(1_001);
  bound.stalled(crowdOf(19, 2, clock.nowMs()), 1);
  clock.advance(forgottenAfterMs - 1);
  bound.tick(false);
  t.equal(bound.value, 16);
  bound.tick(true);
  clock.advance(forgottenAfterMs - 1);
  bound.tick(false);
  t.equal(bound.value, 16, "ten minutes anew");
  clock.advance(1);
  bound.tick(false);
  t.equal(bound.value, null);
  t.same(values, [16, null]);
  t.notOk(bound.stalled(crowdOf(19, 1, clock.nowMs()), 0), "of the old burst nothing is left");
});
