import t from "tap";
import { nodeProblem } from "../../src/base/node-version.ts";

t.test("an old Node is told in one line, before anything it cannot read is loaded", async (t) => {
  t.match(nodeProblem("20.20.2"), /^problem: Node 20\.20\.2 is too old; use Node 24 or 26/);
  t.equal(nodeProblem("24.17.0"), null);
  t.equal(nodeProblem("26.10.0"), null);
  t.equal(nodeProblem("26.3.1"), null);
  t.equal(nodeProblem("28.0.0"), null);
});

t.test("a Node of the right line that lacks the security fixes is told too", async (t) => {
  for (const version of ["24.0.0", "24.16.9", "26.0.0", "26.3.0"])
    t.match(nodeProblem(version), `Node ${version} is too old; use Node 24 or 26, from 24.17 or 26.3.1 on`);
  t.match(nodeProblem("25.9.0"), "Node 25.9.0 gets no security fixes any more");
});
