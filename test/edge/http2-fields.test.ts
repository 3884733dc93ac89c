import t from "tap";
import { answerFields, HeadReader } from "../../src/edge/http2-fields.ts";

/** Numbers that are the same in each run. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}

const lines: readonly (readonly [string, string])[] = [
  ["user-agent", "a"],
  ["user-agent", "b"],
  ["cookie", "a=b"],
  ["cookie", "session_id=1"],
  ["content-length", "4"],
  ["content-length", "12"],
  ["content-length", "0"],
  ["content-length", "012"],
  ["content-length", "+4"],
  ["expect", "100-continue"],
  ["x-forwarded-for", "192.0.2.1"],
  ["x-forwarded-for", "192.0.2.2"],
  ["host", "odoo.test"],
];
const pseudo: readonly (readonly [string, string])[] = [
  [":method", "POST"],
  [":path", "/a"],
  [":authority", "odoo.test"],
  [":scheme", "https"],
];

t.test("a head reads the same alone and behind others of its connection (4000 heads)", async (t) => {
  const roll = dice(7);
  const reader = new HeadReader();
  let likely: object | null = null;
  let last = "";
  let alike = 0;
  for (let round = 0; round < 4_000; round += 1) {
    const count = roll(4);
    const fields = Array.from({ length: count }, () => lines[roll(lines.length)] ?? ["x", "y"]);
    const paths = pseudo.map(([name, value]) =>
      name === ":path" ? ([name, `/${roll(3)}`] as const) : ([name, value] as const),
    );
    if (roll(4) === 0) paths.reverse();
    if (roll(8) === 0) paths.pop();
    const raw = [...paths, ...fields].flat();
    // As often as not the same again, with another path and another length.
    for (let again = 0; again < 1 + roll(4); again += 1) {
      if (again > 0 && roll(2) === 0) raw[raw.indexOf(":path") + 1] = `/${roll(3)}`;
      const at = raw.indexOf("content-length");
      if (again > 0 && at >= 0 && roll(2) === 0) raw[at + 1] = ["4", "70", "04", "x"][roll(4)] ?? "4";
      const given = [...raw];
      const alone = new HeadReader().read(given, 100);
      const behind = reader.read(given, 100);
      if (alone.likeness !== null) t.fail("alone, it is like no other");
      const said = JSON.stringify({ ...behind, likeness: null });
      if (said !== JSON.stringify(alone)) t.same({ ...behind, likeness: null }, alone, given.join(" "));
      const equal = alone.fields.map((text, i) =>
        i % 2 === 1 && alone.fields[i - 1] === "content-length" ? "" : text,
      );
      if (behind.likeness !== null && behind.likeness === likely) {
        alike += 1;
        if (last !== JSON.stringify(equal))
          t.equal(last, JSON.stringify(equal), "alike are equal fields only");
        if (alone.bodyBytes === null && alone.fields.includes("content-length"))
          t.fail(`a length that was not looked at: ${given.join(" ")}`);
      }
      likely = behind.likeness;
      last = JSON.stringify(equal);
    }
  }
  t.ok(alike > 100, `${alike} were known again`);
});

t.test("a long head is not kept", async (t) => {
  const reader = new HeadReader();
  for (let i = 0; i < 3; i += 1) t.equal(reader.read([":path", "/", "x-a", "b"], 9_000).likeness, null);
});

t.test("an answer's list that is known again is written anew for each status and length", async (t) => {
  const fields = Object.freeze(["Content-Type", "text/html", "ETag", "a", "etag", "b"]);
  const head = ["content-type", "text/html", "etag", "a"];
  t.same(answerFields(200, fields, 5), [":status", "200", ...head, "content-length", "5"]);
  t.same(answerFields(200, fields, 6), [":status", "200", ...head, "content-length", "6"]);
  answerFields(200, fields, null).push("date", "now");
  t.same(answerFields(200, fields, null), [":status", "200", ...head], "what Node adds is not kept");
  t.same(answerFields(304, fields, null), [":status", "304", ...head]);
  t.same(answerFields(200, ["Content-Length", "7"], 9), [":status", "200", "content-length", "7"]);
});
