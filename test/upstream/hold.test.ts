import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { HoldGate, type HoldOutcome, outageHeldMs } from "../../src/upstream/hold.ts";
import type { ProbeAnswer } from "../../src/upstream/probe.ts";

function made(options: { readonly timeoutMs?: number; readonly waitingMax?: number } = {}) {
  const clock = manualClock();
  const news: string[] = [];
  let answer: ProbeAnswer = "down";
  let looks = 0;
  const gate = new HoldGate({
    clock,
    waitClock: clock,
    timeoutMs: options.timeoutMs ?? 10_000,
    waitingMax: options.waitingMax ?? 100,
    look: async () => {
      looks += 1;
      return answer;
    },
    onAway: () => void news.push("away"),
    onBack: (awayMs, held) => void news.push(`back after ${awayMs} ms, ${held} held`),
  });
  const outcomes: HoldOutcome[] = [];
  const wait = () => gate.wait(gate.deadlineMs(), (outcome) => void outcomes.push(outcome));
  /** Lets time pass in steps of the gate's timer. */
  const pass = async (ms: number) => {
    for (let gone = 0; gone < ms; gone += 50) {
      clock.advance(50);
      gate.tick();
      await Promise.resolve();
      await Promise.resolve();
    }
  };
  t.teardown(() => gate.stop());
  return {
    gate,
    clock,
    news,
    outcomes,
    wait,
    pass,
    say: (next: ProbeAnswer) => {
      answer = next;
    },
    looks: () => looks,
  };
}

t.test("held requests are sent a few at a time, so that Odoo is not run over", async (t) => {
  const { gate, outcomes, wait, pass, say, news } = made();
  gate.close();
  gate.close();
  for (let i = 0; i < 35; i += 1) wait();
  t.ok(gate.isClosed);
  await pass(1_000);
  t.equal(outcomes.length, 0);
  say("up");
  await pass(250);
  t.notOk(gate.isClosed);
  const first = outcomes.length;
  t.ok(first >= 10 && first < 35);
  await pass(50);
  t.equal(outcomes.length, first + 10);
  await pass(200);
  t.same(new Set(outcomes), new Set(["go"]));
  t.equal(outcomes.length, 35);
  t.match(news, ["away", /^back after 1\d\d\d ms, 35 held$/]);
});

t.test("Odoo is asked often at first, then once a second", async (t) => {
  const { gate, pass, looks } = made();
  gate.close();
  await pass(5_000);
  const early = looks();
  t.ok(early >= 15 && early <= 20, `${early} in 5 s`);
  await pass(10_000);
  t.ok(looks() - early >= 9 && looks() - early <= 10);
});

t.test("each waits its own time and is then tried", async (t) => {
  const { gate, outcomes, wait, pass } = made();
  gate.close();
  wait();
  await pass(6_000);
  wait();
  await pass(4_000);
  t.same(outcomes, ["late"]);
  await pass(6_000);
  t.same(outcomes, ["late", "late"]);
  t.equal(gate.waiting, 0);
});

t.test("an Odoo that stays away is no reason to wait", async (t) => {
  const { gate, pass, say } = made();
  gate.close();
  await pass(outageHeldMs - 50);
  t.ok(gate.isClosed);
  await pass(50);
  t.notOk(gate.isClosed);
  t.notOk(gate.mayHold);
  say("up");
  await pass(1_100);
  t.equal(gate.awayMs, null, "it is still looked for");
  t.ok(gate.mayHold, "and the next outage is a new one");
});

t.test("hung up on: only an Odoo that is not there closes the gate, a busy one does not", async (t) => {
  const { gate, say, looks } = made();
  say("silent");
  await gate.ask();
  t.notOk(gate.isClosed);
  say("up");
  await gate.ask();
  t.notOk(gate.isClosed);
  say("down");
  await Promise.all([gate.ask(), gate.ask(), gate.ask()]);
  t.ok(gate.isClosed);
  t.equal(looks(), 3, "who asks at the same time shares a look");
});

t.test("an answer ends an outage, but not one to a request from before it", async (t) => {
  const { gate, clock } = made();
  clock.advance(1_000);
  gate.close();
  clock.advance(1_000);
  gate.answered(999);
  t.ok(gate.isClosed);
  gate.answered(1_500);
  t.notOk(gate.isClosed);
});

t.test("the queue is bounded, who leaves makes room, and nobody hears anything after leaving", async (t) => {
  const { gate, outcomes, wait, pass } = made({ waitingMax: 2 });
  gate.close();
  const first = wait();
  wait();
  wait();
  await Promise.resolve();
  t.same(outcomes, ["full"]);
  wait().leave();
  await Promise.resolve();
  t.same(outcomes, ["full"]);
  first.leave();
  t.equal(gate.waiting, 1);
  wait();
  t.equal(gate.waiting, 2);
  await pass(20_000);
  t.same(outcomes, ["full", "late", "late"]);
});

t.test("stopping, nobody waits", async (t) => {
  const { gate, outcomes, wait } = made();
  gate.close();
  wait();
  gate.stop();
  t.same(outcomes, ["late"]);
  t.notOk(gate.mayHold);
  t.notOk(made({ timeoutMs: 0 }).gate.mayHold, "nor with a time of 0");
});
