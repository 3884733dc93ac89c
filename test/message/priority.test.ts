import t from "tap";
import { mergedPriority, readPriority } from "../../src/message/priority.ts";

t.test("the priority field is read as RFC 9218 has it, and what cannot be read counts as not said", (t) => {
  const cases: readonly (readonly [string | null, number, boolean])[] = [
    [null, 3, true],
    ["", 3, false],
    ["u=0", 0, false],
    ["u=1, i", 1, true],
    ["i", 3, true],
    ["i=?1,u=7", 7, true],
    ["i=?0", 3, false],
    ["u=8", 3, false],
    ["u=-1", 3, false],
    ["u=10", 3, false],
    ["xu=1, ui", 3, false],
    ["u=2;a=b, q", 3, false],
  ];
  for (const [value, urgency, incremental] of cases)
    t.same(readPriority(value), { urgency, incremental }, String(value));
  t.end();
});

t.test("what the answer says of its urgency goes before what its client said (RFC 9218 §8)", (t) => {
  const said = { urgency: 0, incremental: true };
  t.same(mergedPriority(said, null), said);
  t.same(mergedPriority(said, "u=3"), { urgency: 3, incremental: true });
  t.same(mergedPriority(said, "i"), said, "nothing of the urgency");
  t.same(mergedPriority(said, "u=9"), said, "nothing that can be read");
  t.end();
});
