import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { calibration } from "../../bench/functions/calibration.ts";
import { subjects } from "../../bench/functions/subjects.ts";
import { packageRoot } from "../../src/base/package-root.ts";

t.test("each hot function does its work in the bench, and has a recorded figure", async (test) => {
  const reference = JSON.parse(readFileSync(join(packageRoot().directory, "bench/reference.json"), "utf8"));
  test.same(
    Object.keys(reference.calls),
    subjects.map(({ name }) => name),
    "npm run bench:functions -- --record",
  );
  for (const { name, step } of [calibration, ...subjects]) test.ok(Number(step()) > 0, name);
  const screened = subjects.find(({ name }) => name === "screen");
  test.equal(screened?.step(), screened?.calls, "no request of the bench is refused");
});
