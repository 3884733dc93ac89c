import { setImmediate as turn } from "node:timers/promises";
import t from "tap";
import { StreamTurns } from "../../src/edge/stream-turns.ts";

t.test("requests that come together begin some in each turn, one of each session at a time", async (t) => {
  const turns = new StreamTurns(3);
  const begun: string[] = [];
  const [many, few] = [turns.line(), turns.line()];
  const request = (name: string) => ({ begin: () => void begun.push(name) });
  for (let i = 0; i < 8; i += 1) turns.take(many, request(`many ${i}`), false);
  turns.take(few, request("few 0"), false);
  t.same(begun, [], "what came behind them is read first");
  await turn();
  t.same(begun, ["many 0", "few 0", "many 1"]);
  turns.take(few, request("few 1"), true);
  t.equal(begun.length, 3, "whoever comes later waits for its turn");
  await turn();
  t.same(begun.slice(3), ["many 2", "few 1", "many 3"]);
  await turn();
  t.same(begun.slice(6), ["many 4", "many 5", "many 6"]);
  await turn();
  t.same(begun.slice(9), ["many 7"]);
  await turn();
  await turn();
  turns.take(few, request("few 2"), false);
  await turn();
  t.same(begun.slice(10), ["few 2"], "alone it begins in the turn it came in");
});

t.test("what is complete begins at once, while the turn has room and nobody waits", async (t) => {
  const turns = new StreamTurns(2);
  const begun: string[] = [];
  const line = turns.line();
  const request = (name: string) => ({ begin: () => void begun.push(name) });
  for (const name of ["a", "b", "c"]) turns.take(line, request(name), true);
  t.same(begun, ["a", "b"]);
  turns.take(turns.line(), request("d"), true);
  t.same(begun, ["a", "b"], "another session waits behind it");
  await turn();
  t.same(begun, ["a", "b", "c", "d"]);
  await turn();
  turns.take(line, request("body to come"), false);
  turns.take(line, request("e"), true);
  t.same(begun.slice(4), [], "a session's requests keep their order");
  await turn();
  t.same(begun.slice(4), ["body to come", "e"]);
});
