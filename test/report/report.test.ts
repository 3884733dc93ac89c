import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import {
  countsLine,
  exitStatusOf,
  type Finding,
  findingOf,
  type Look,
  type Report,
  textLengthMax,
} from "../../src/report/finding.ts";
import { readOutputOptions } from "../../src/report/options.ts";
import { selectIds } from "../../src/report/select.ts";
import { deliver, formText } from "../../src/report/write.ts";

const info = { id: "banner", title: "Nothing names a version", why: "why it is", fix: "what to do" };
const made = (look: Look, id = "banner"): Finding => findingOf({ ...info, id }, look);
const hostile = `</script><img src=x onerror=alert(1)>&"'\u001b[2J\u0000\n<u>`;
const report: Report = {
  command: "check",
  version: "1.2.3",
  subject: "https://erp.example.com/",
  startedAt: "2026-11-21T13:00:00.000Z",
  lastedMs: 1234,
  facts: [["requests", "61 of at most 80"]],
  findings: [
    made({ outcome: "fail", seen: hostile }, "one"),
    made({ outcome: "warn", seen: "weak", fix: "another remedy" }, "two"),
    made({ outcome: "skipped", seen: "not asked for" }, "three"),
    made({ outcome: "pass", seen: "good", place: { file: "odoo.conf", line: 7 } }, "four"),
  ],
};

t.test("a site's text reaches no report as markup or terminal control", async (t) => {
  const [first] = report.findings;
  t.equal(first?.seen, `</script><img src=x onerror=alert(1)>&"'\\x1b[2J\\x00 <u>`);
  t.equal(made({ outcome: "pass", seen: "x".repeat(textLengthMax * 3) }).seen.length, textLengthMax + 1);
  for (const form of ["html", "junit"] as const) {
    const text = formText(report, form);
    t.notMatch(text, /<img|<u>|<\/script>/, form);
    t.match(text, "&lt;img src=x onerror=alert(1)&gt;&amp;&quot;&#39;", form);
  }
  t.notMatch(tableOf(report), /[\u0000-\u0009\u000b-\u001f]/);
});

t.test("the table says why and what to change only where something is to be done", async (t) => {
  const text = tableOf(report);
  t.match(text, /^FAIL {2}one .*\n {6}seen: .*\n {6}why: {2}why it is\n {6}fix: {2}what to do$/m);
  t.match(text, "fix:  another remedy");
  t.match(text, /^pass {2}four .*\n {6}seen: odoo.conf:7: good\n\n/m);
  t.match(text, "requests: 61 of at most 80");
  t.ok(text.endsWith("\n1 fail, 1 warn, 1 skipped, 1 pass\n"));
  t.ok(text.split("\n").every((line) => line.length < 80));
});

t.test("JSON carries every finding and the counts", async (t) => {
  const { schema, counts, findings, subject, facts } = JSON.parse(formText(report, "json"));
  t.same([schema, subject, facts.requests], [1, "https://erp.example.com/", "61 of at most 80"]);
  t.same(counts, { fail: 1, warn: 1, skipped: 1, pass: 1 });
  t.same(
    findings.map((one: Finding) => [one.id, one.outcome]),
    [
      ["one", "fail"],
      ["two", "warn"],
      ["three", "skipped"],
      ["four", "pass"],
    ],
  );
  t.same(findings[3].place, { file: "odoo.conf", line: 7 });
});

t.test("SARIF names rules, kinds, levels and places", async (t) => {
  const { version, runs } = JSON.parse(formText(report, "sarif"));
  t.equal(version, "2.1.0");
  const [{ tool, results }] = runs;
  t.equal(tool.driver.name, "odoo-gateway check");
  t.same(
    tool.driver.rules.map(({ id }: { id: string }) => id),
    ["one", "two", "three", "four"],
  );
  t.same(
    results.map((one: Record<string, unknown>) => [
      one["ruleId"],
      one["ruleIndex"],
      one["kind"],
      one["level"],
    ]),
    [
      ["one", 0, "fail", "error"],
      ["two", 1, "fail", "warning"],
      ["three", 2, "notApplicable", "none"],
      ["four", 3, "pass", "none"],
    ],
  );
  t.equal(results[1].message.text, "Nothing names a version. Seen: weak. Fix: another remedy");
  t.equal(
    results[3].message.text,
    "Nothing names a version. Seen: good.",
    "nothing to mend where all is well",
  );
  const odd = { file: "conf #1?.conf", line: null };
  const named = { ...report, findings: [made({ outcome: "fail", seen: "x", place: odd }, "one")] };
  const [one] = JSON.parse(formText(named, "sarif")).runs[0].results;
  t.equal(one.locations[0].physicalLocation.artifactLocation.uri, "conf%20%231%3F.conf");
  t.equal(results[0].locations[0].physicalLocation.artifactLocation.uri, "https://erp.example.com/");
  t.same(results[3].locations[0].physicalLocation, {
    artifactLocation: { uri: "odoo.conf" },
    region: { startLine: 7 },
  });
  const again = JSON.parse(
    formText({ ...report, findings: [made({ outcome: "fail", seen: "other" }, "one")] }, "sarif"),
  );
  t.same(
    again.runs[0].results[0].partialFingerprints,
    results[0].partialFingerprints,
    "the same alert next time",
  );
});

t.test("JUnit: only a failure fails a case", async (t) => {
  const text = formText(report, "junit");
  t.match(text, 'tests="4" failures="1" errors="0" skipped="1" time="1.234"');
  t.equal(text.match(/<failure /g)?.length, 1);
  t.equal(text.match(/<skipped /g)?.length, 1);
  t.match(text, "warning: weak");
});

t.test("the page loads nothing and runs nothing", async (t) => {
  const text = formText(report, "html");
  t.match(text, "default-src 'none'; style-src 'unsafe-inline'");
  t.notMatch(text, /<script|<link|<img|<[^>]*\ssrc=|url\(|@import/);
  t.match(text, '<details open id="one">');
  t.match(text, '<details id="four">');
  t.match(text, "<b>1</b> fail");
});

t.test("an id stands once in the page, however many findings a check has", async (t) => {
  const finding = made({ outcome: "fail", seen: "x" }, "one");
  const text = formText(
    { ...report, findings: [...report.findings, finding, { ...finding, outcome: "warn" }] },
    "html",
  );
  const ids = [...text.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
  t.same(ids.length, new Set(ids).size);
  t.ok(ids.includes("one") && ids.includes("one-2") && ids.includes("one-3"));
});

t.test("the exit status is 1 only when something fails, 2 when a file cannot be written", async (t) => {
  const passing = report.findings.filter(({ outcome }) => outcome !== "fail");
  t.equal(exitStatusOf(report.findings), 1);
  t.equal(exitStatusOf(passing), 0);
  t.equal(countsLine(passing), "0 fail, 1 warn, 1 skipped, 1 pass");
  const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-report-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "report.html");
  const said: string[] = [];
  const terminal = {
    out: () => undefined,
    error: (text: string) => void said.push(text),
    columns: 80,
    colour: false,
  };
  const output = { form: null, selection: { only: [], skip: [] }, since: null, list: false };
  t.equal(
    deliver({ ...report, findings: passing }, { ...output, files: [{ form: "html", path }] }, terminal),
    0,
  );
  t.equal(readFileSync(path, "utf8"), formText({ ...report, findings: passing }, "html"));
  const files = [{ form: "json" as const, path: join(folder, "no", "where.json") }];
  t.equal(deliver(report, { ...output, files }, terminal), 2);
  t.match(said.join(""), /^--json=.*cannot be written: ENOENT/);
});

t.test("the shared options", async (t) => {
  const read = (...args: string[]) => {
    const result = readOutputOptions(args);
    return result.ok ? { ...result.value.output, rest: result.value.rest } : result.error;
  };
  t.same(read("https://a", "--json", "--html=a.html", "--only", "x,y", "--skip=z", "--timeout", "3s"), {
    form: "json",
    files: [{ form: "html", path: "a.html" }],
    selection: { only: ["x,y"], skip: ["z"] },
    since: null,
    list: false,
    rest: ["https://a", "--timeout", "3s"],
  });
  t.equal(
    read("--json", "--sarif"),
    "--json and --sarif cannot both go to standard output; write --sarif=FILE",
  );
  t.equal(read("--html="), '--html= needs a file name, or no "="');
  t.equal(read("--only"), "--only needs ids, see --list");
  t.equal(read("--only", "--json"), "--only needs ids, see --list");
});

t.test("a mistyped id neither runs what was left out nor passes by looking at nothing", async (t) => {
  const known = ["tls-versions", "tls-ciphers", "banner"];
  const chosen = (only: string[], skip: string[]) => {
    const result = selectIds(known, { only, skip });
    return result.ok ? [...result.value] : result.error;
  };
  t.same(chosen([], []), known);
  t.same(chosen(["tls-*"], ["tls-ciphers"]), ["tls-versions"]);
  t.same(chosen(["banner, tls-ciphers"], []), ["tls-ciphers", "banner"], "in the catalogue's order");
  t.equal(chosen([], ["baner"]), '--skip "baner" is no check: did you mean banner?');
  t.equal(chosen(["qqq"], []), '--only "qqq" is no check: see --list');
  t.equal(chosen([""], []), '--only "" is no check: see --list');
  t.equal(chosen(["banner"], ["banner"]), "--only and --skip leave no check to run");
});

function tableOf(of: Report): string {
  let text = "";
  const out = (part: string) => {
    text += part;
  };
  const terminal = { out, error: out, columns: 80, colour: false };
  deliver(
    of,
    { form: null, files: [], selection: { only: [], skip: [] }, since: null, list: false },
    terminal,
  );
  return text;
}
