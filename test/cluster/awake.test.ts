import { setImmediate } from "node:timers/promises";
import t from "tap";
import { afterAwake } from "../../src/cluster/awake.ts";

/** Nothing of this process runs for so long, as when it, or the machine, was stopped. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

t.test("time in which the process stood still is not waited", async (t) => {
  let isOver = false;
  const over = new Promise<void>((resolve) => {
    afterAwake(200, () => {
      isOver = true;
      resolve();
    });
  });
  standStill(300);
  // Timers that are due run in here.
  await setImmediate();
  await setImmediate();
  t.notOk(isOver, "what others said meanwhile is heard before");
  await over;
});

t.test("what was called off does not come", async (t) => {
  let isOver = false;
  const callOff = afterAwake(20, () => {
    isOver = true;
  });
  callOff();
  await new Promise<void>((resolve) => void afterAwake(60, resolve));
  t.notOk(isOver);
});
