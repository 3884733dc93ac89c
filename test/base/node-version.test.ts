import t from "tap";
import { nodeProblem } from "../../src/base/node-version.ts";

t.test("an old Node is told in one line, before anything it cannot read is loaded", async (t) => {
  t.match(nodeProblem("20.20.2"), /^problem: Node 20\.20\.2 is too old; use Node 24 or 26/);
  t.equal(nodeProblem("24.17.0"), null);
  t.equal(nodeProblem("26.10.0"), null);
});
