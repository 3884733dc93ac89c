import t from "tap";
import { atTurnEnd, turnOrder } from "../../src/base/turn-end.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));

t.test(
  "what is due waits for all that arrived in the turn: answers leave first, Odoo gets new work last",
  async (t) => {
    const done: string[] = [];
    const due = (name: string) => ({ due: () => void done.push(name) });
    atTurnEnd(turnOrder.request, due("request"));
    atTurnEnd(turnOrder.close, due("close"));
    atTurnEnd(turnOrder.answer, due("answer 1"));
    await Promise.resolve();
    await new Promise<void>((resolve) => process.nextTick(resolve));
    atTurnEnd(turnOrder.answer, due("answer 2"));
    t.same(done, [], "nothing before the turn ends");
    await turn();
    t.same(done, ["answer 1", "answer 2", "close", "request"]);
  },
);

t.test("what becomes due inside belongs to the next turn, and nothing is done twice", async (t) => {
  const done: string[] = [];
  let again = 0;
  const one = {
    due: () => {
      done.push(`due ${again}`);
      again += 1;
      if (again < 3) atTurnEnd(turnOrder.answer, one);
    },
  };
  atTurnEnd(turnOrder.request, one);
  await turn();
  t.same(done, ["due 0"]);
  await turn();
  t.same(done, ["due 0", "due 1"]);
  await turn();
  await turn();
  t.same(done, ["due 0", "due 1", "due 2"]);
});

t.test("what failed is not done again, nor what was done before it", async (t) => {
  const done: string[] = [];
  const failing = {
    due: () => {
      throw new Error("one of them");
    },
  };
  const caught = new Promise<void>((resolve) => {
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.once("uncaughtException", () => {
      for (const listener of listeners) process.on("uncaughtException", listener);
      resolve();
    });
  });
  atTurnEnd(turnOrder.answer, { due: () => void done.push("first") });
  atTurnEnd(turnOrder.answer, failing);
  await caught;
  atTurnEnd(turnOrder.answer, { due: () => void done.push("next turn") });
  await turn();
  t.same(done, ["first", "next turn"]);
});
