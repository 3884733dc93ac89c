import { setImmediate as turn } from "node:timers/promises";
import t from "tap";
import { StreamTurns } from "../../src/edge/stream-turns.ts";

t.test("requests that come together begin some in each turn, one of each session at a time", async (t) => {
  const turns = new StreamTurns(3);
  const begun: string[] = [];
  const [many, few] = [turns.line(), turns.line()];
  for (let i = 0; i < 8; i += 1) turns.take(many, () => begun.push(`many ${i}`));
  turns.take(few, () => begun.push("few 0"));
  t.same(begun, ["many 0", "many 1", "many 2"]);
  await turn();
  t.same(begun.slice(3), ["many 3", "few 0", "many 4"]);
  turns.take(few, () => begun.push("few 1"));
  t.equal(begun.length, 6, "whoever comes later waits for its turn");
  await turn();
  t.same(begun.slice(6), ["many 5", "few 1", "many 6"]);
  await turn();
  t.same(begun.slice(9), ["many 7"]);
  await turn();
  await turn();
  turns.take(few, () => begun.push("few 2"));
  t.equal(begun.length, 11, "alone it begins at once");
});
