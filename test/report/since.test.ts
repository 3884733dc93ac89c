import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { findingOf, type Outcome, type Report } from "../../src/report/finding.ts";
import { readOutputOptions } from "../../src/report/options.ts";
import { readEarlier, withChanges } from "../../src/report/since.ts";
import { formText } from "../../src/report/write.ts";

function reportOf(findings: readonly (readonly [id: string, outcome: Outcome])[]): Report {
  return {
    command: "audit",
    version: "1.2.3",
    subject: "odoo.conf",
    startedAt: "2026-11-21T13:00:00.000Z",
    lastedMs: 1,
    facts: [],
    findings: findings.map(([id, outcome]) =>
      findingOf({ id, title: "T", why: "W.", fix: "F." }, { outcome, seen: "s" }),
    ),
  };
}
const sinceOf = (report: Report) => report.facts.find(([name]) => name === "since")?.[1];

t.test("what became worse, better and new since an earlier report", async (t) => {
  const path = join(t.testdir({}), "last.json");
  const first = reportOf([
    ...([
      ["one", "pass"],
      ["two", "pass"],
      ["two", "fail"],
      ["three", "warn"],
    ] as const),
    ...([
      ["gone", "fail"],
      ["same", "fail"],
    ] as const),
  ]);
  writeFileSync(path, formText(first, "json"));
  const now = reportOf([
    ...([
      ["one", "fail"],
      ["two", "warn"],
      ["two", "pass"],
      ["three", "pass"],
    ] as const),
    ...([
      ["new-bad", "warn"],
      ["new-good", "pass"],
      ["same", "fail"],
    ] as const),
  ]);
  const earlier = readEarlier(path, "audit");
  if (!earlier.ok) throw new Error(earlier.error);
  const told = withChanges(now, earlier.value, path);
  t.equal(
    sinceOf(told),
    "2026-11-21T13:00:00.000Z: one pass → fail, two fail → warn, new-bad is new and warn, three warn → pass",
  );
  t.same(JSON.parse(formText(told, "json")).changes, [
    { id: "one", before: "pass", now: "fail" },
    { id: "two", before: "fail", now: "warn" },
    { id: "three", before: "warn", now: "pass" },
    { id: "new-bad", before: null, now: "warn" },
  ]);
  t.match(sinceOf(withChanges(first, earlier.value, path)), /: nothing changed$/);
  t.notOk("changes" in JSON.parse(formText(now, "json")), "and nothing is said when nobody asks");
});

t.test("a report that is not there yet, or is none", async (t) => {
  const folder = t.testdir({
    ...{ empty: "", list: "[]", check: formText({ ...reportOf([]), command: "check" }, "json") },
    escapes: formText(reportOf([["one", "pass"]]), "json").replace('"one"', '"\\u001b[2J"'),
    outcome: formText(reportOf([["one", "pass"]]), "json").replace('"outcome": "pass"', '"outcome": "x"'),
    newer: formText(reportOf([]), "json").replace('"schema": 1', '"schema": 2'),
  });
  const missing = join(folder, "none.json");
  t.same(readEarlier(missing, "audit"), { ok: true, value: null });
  t.equal(sinceOf(withChanges(reportOf([]), null, missing)), `there is no report at ${missing} yet`);
  for (const name of ["empty", "list", "check", "escapes", "outcome", "newer"])
    t.match(
      readEarlier(join(folder, name), "audit"),
      { ok: false, error: "is no report of audit --json" },
      name,
    );
  for (const path of [folder, "/dev/zero"])
    t.match(readEarlier(path, "audit"), { ok: false, error: "is no report of audit --json" }, path);
  t.match(readEarlier(join(folder, "empty", "x"), "audit"), { ok: false, error: "cannot be read" });
});

t.test("--since takes one file", async (t) => {
  const read = (...args: string[]) => {
    const options = readOutputOptions(args);
    return options.ok ? options.value.output.since : options.error;
  };
  t.equal(read("--since=a.json", "--json=a.json"), "a.json");
  t.equal(read("--since", "a.json"), "a.json");
  t.equal(read(), null);
  for (const args of [["--since"], ["--since="], ["--since", "--json"]])
    t.equal(read(...args), "--since needs the file of an earlier --json");
  t.equal(read("--since=a", "--since=b"), "--since stands twice; it takes one");
});
