import { setImmediate as turn } from "node:timers/promises";
import t from "tap";
import { StreamTurns } from "../../src/edge/stream-turns.ts";

t.test("requests that come together begin some in each turn, one of each session at a time", async (t) => {
  const turns = new StreamTurns(3);
  const begun: string[] = [];
  const [many, few] = [turns.line(), turns.line()];
  const request = (name: string) => ({ begin: () => void begun.push(name) });
  for (let i = 0; i < 8; i += 1) turns.take(many, request(`many ${i}`));
  turns.take(few, request("few 0"));
  t.same(begun, [], "what came behind them is read first");
  await turn();
  t.same(begun, ["many 0", "few 0", "many 1"]);
  turns.take(few, request("few 1"));
  t.equal(begun.length, 3, "whoever comes later waits for its turn");
  await turn();
  t.same(begun.slice(3), ["many 2", "few 1", "many 3"]);
  await turn();
  t.same(begun.slice(6), ["many 4", "many 5", "many 6"]);
  await turn();
  t.same(begun.slice(9), ["many 7"]);
  await turn();
  await turn();
  turns.take(few, request("few 2"));
  await turn();
  t.same(begun.slice(10), ["few 2"], "alone it begins in the turn it came in");
});
