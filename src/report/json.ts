import { countsOf, type Report } from "./finding.ts";

/** The report for a program. Fields are only ever added; `schema` changes when one is taken away. */
export function jsonText(report: Report): string {
  const { command, version, subject, startedAt, lastedMs, facts, findings } = report;
  const whole = {
    schema: 1,
    command,
    version,
    subject,
    startedAt,
    lastedMs,
    facts: Object.fromEntries(facts),
    counts: countsOf(findings),
    ...(report.unfinished === undefined ? {} : { unfinished: report.unfinished }),
    ...(report.changes === undefined ? {} : { since: report.changes.since, changes: report.changes.list }),
    findings: findings.map(({ id, title, outcome, seen, why, fix, place }) => ({
      id,
      title,
      outcome,
      seen,
      why,
      fix,
      ...(place === null ? {} : { place }),
    })),
  };
  return `${JSON.stringify(whole, null, 2)}\n`;
}
