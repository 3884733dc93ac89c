import t from "tap";
import { oneBehind } from "../../src/base/one-behind.ts";

/** Runs that end when they are told to, and how many were under way at most. */
function start() {
  const ends: ((failed: boolean) => void)[] = [];
  let begun = 0;
  let under = 0;
  let most = 0;
  const ask = oneBehind(async () => {
    begun += 1;
    const number = begun;
    under += 1;
    most = Math.max(most, under);
    const failed = await new Promise<boolean>((resolve) => ends.push(resolve));
    under -= 1;
    if (failed) throw new Error(`run ${number}`);
    return number;
  });
  const end = async (failed = false) => {
    ends.shift()?.(failed);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { ask, end, most: () => most, begun: () => begun };
}

t.test("who asks while one runs gets the next, one for all", async (t) => {
  const { ask, end, most, begun } = start();
  const first = ask();
  const second = ask();
  t.equal(ask(), second);
  t.equal(begun(), 1);
  await end();
  t.equal(await first, 1);
  t.equal(begun(), 2);
  const third = ask();
  await end();
  t.equal(await second, 2);
  await end();
  t.equal(await third, 3);
  const fourth = ask();
  await end();
  t.equal(await fourth, 4, "and a new one when none runs");
  t.equal(most(), 1);
});

t.test("one that fails is its caller's failure alone", async (t) => {
  const { ask, end, most } = start();
  const first = ask();
  const second = ask();
  const failed = t.rejects(first, /run 1/);
  await end(true);
  await failed;
  await end();
  t.equal(await second, 2);
  t.equal(most(), 1);
});

t.test("who asks in the moment in which one ends does not begin beside the next", async (t) => {
  const { ask, end, most } = start();
  const asked: Promise<number>[] = [];
  const first = ask();
  asked.push(ask());
  void first.then(() => asked.push(ask()));
  await end();
  asked.push(ask());
  await end();
  await end();
  await Promise.all(asked);
  t.equal(most(), 1);
});
