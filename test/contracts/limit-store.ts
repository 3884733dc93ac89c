import t from "tap";
import { type ManualClock, manualClock } from "../../src/base/clock.ts";
import type { LimitStore } from "../../src/guard/limit-store.ts";

/** What every limit store must do, whoever keeps its numbers. `make` starts with an empty store on the given clock. */
export function limitStoreContract(
  name: string,
  make: (options: { clock: ManualClock; ratePerSecond: number; burst: number }) => LimitStore,
): void {
  const start = (ratePerSecond: number, burst: number) => {
    const clock = manualClock();
    return { clock, store: make({ clock, ratePerSecond, burst }) };
  };
  const takes = (store: LimitStore, key: string, count: number) =>
    Array.from({ length: count }, () => store.take(key).ok);

  t.test(name, (t) => {
    t.test("burst more than the first may come at once", (t) => {
      const { store } = start(10, 5);
      t.same(takes(store, "a", 8), [true, true, true, true, true, true, false, false]);
      t.end();
    });

    t.test("one client's requests do not use up another's", (t) => {
      const { store } = start(1, 0);
      t.same(takes(store, "a", 2), [true, false]);
      t.same(takes(store, "b", 1), [true]);
      t.end();
    });

    t.test("the wait it names is exactly enough", (t) => {
      for (const [rate, burst] of [
        [10, 5],
        [5 / 60, 3],
        [0.01, 0],
        [333, 7],
      ] as const) {
        const { clock, store } = start(rate, burst);
        takes(store, "a", burst + 1);
        clock.advance(3);
        const refused = store.take("a");
        if (refused.ok) throw new Error("should be exhausted");
        clock.advance(refused.retryAfterMs - 1);
        t.equal(store.take("a").ok, false, `rate ${rate}: one millisecond early`);
        clock.advance(1);
        t.equal(store.take("a").ok, true, `rate ${rate}: in time`);
      }
      t.end();
    });

    t.test("a refused attempt does not lengthen the wait", (t) => {
      const { clock, store } = start(1, 0);
      store.take("a");
      for (let i = 0; i < 9; i += 1) {
        clock.advance(100);
        t.equal(store.take("a").ok, false);
      }
      clock.advance(100);
      t.equal(store.take("a").ok, true);
      t.end();
    });

    t.test("a point given back is as if never taken, and there are never more than all", (t) => {
      const { store } = start(1, 2);
      store.take("a");
      store.giveBack("a");
      store.giveBack("a");
      store.giveBack("nobody");
      t.same(takes(store, "a", 4), [true, true, true, false]);
      store.giveBack("a");
      t.same(takes(store, "a", 2), [true, false]);
      t.end();
    });

    t.test("after a long quiet a key is as new", (t) => {
      const { clock, store } = start(1, 2);
      takes(store, "a", 3);
      clock.advance(365 * 86_400_000);
      t.same(takes(store, "a", 4), [true, true, true, false]);
      t.end();
    });

    t.end();
  });
}
