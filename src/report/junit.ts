import { escapeMarkup as esc } from "../base/markup.ts";
import { countsOf, type Finding, type Report } from "./finding.ts";
import { placeText } from "./table.ts";

/** The report as JUnit XML, the form Jenkins and GitLab read: one suite, one case a finding; a warning is a case that passes with a note. */
export function junitText(report: Report): string {
  const counts = countsOf(report.findings);
  const seconds = (report.lastedMs / 1000).toFixed(3);
  const totals = `tests="${report.findings.length}" failures="${counts.fail}" errors="0" skipped="${counts.skipped}" time="${seconds}"`;
  const name = esc(`odoo-gateway ${report.command} ${report.subject}`);
  return [
    `<?xml version="1.0" encoding="UTF-8"?>`,
    `<testsuites name="${name}" ${totals}>`,
    `  <testsuite name="${name}" ${totals} timestamp="${esc(report.startedAt)}">`,
    ...report.findings.map((finding) => testCase(finding, report)),
    `  </testsuite>`,
    `</testsuites>`,
    "",
  ].join("\n");
}

function testCase(finding: Finding, report: Report): string {
  const open = `    <testcase classname="odoo-gateway.${report.command}" name="${esc(`${finding.id}: ${finding.title}`)}"`;
  const at = finding.place === null ? "" : `${placeText(finding.place)}: `;
  const told = esc(`${at}${finding.seen}\nWhy: ${finding.why}\nFix: ${finding.fix}`);
  const inner = {
    fail: `<failure message="${esc(finding.seen)}" type="fail">${told}</failure>`,
    warn: `<system-out>warning: ${told}</system-out>`,
    skipped: `<skipped message="${esc(finding.seen)}"/>`,
    pass: `<system-out>${esc(`${at}${finding.seen}`)}</system-out>`,
  }[finding.outcome];
  return `${open}>${inner}</testcase>`;
}
