import { createHash } from "node:crypto";
import { unreachable } from "../base/result.ts";
import type { Finding, Outcome, Report } from "./finding.ts";

/**
 * The report as SARIF 2.1.0 (OASIS, 27 March 2020), for code-scanning pages. Every check that ran is a rule; passes and
 * skipped ones are results too (§3.27.9 `kind`), so that a viewer can tell "good" from "not looked at".
 */
export function sarifText(report: Report): string {
  const ids = [...new Set(report.findings.map(({ id }) => id))];
  const rules = ids.map((id) => {
    const finding = report.findings.find((one) => one.id === id);
    return {
      id,
      shortDescription: { text: finding?.title ?? id },
      fullDescription: { text: finding?.why ?? id },
      help: { text: finding?.fix ?? id },
    };
  });
  const results = report.findings.map((finding, index) => ({
    ruleId: finding.id,
    ruleIndex: ids.indexOf(finding.id),
    ...kindOf(finding.outcome),
    message: { text: messageOf(finding) },
    locations: [{ physicalLocation: locationOf(finding, report) }],
    // The same finding in the next run is the same alert, whatever the measured values are.
    partialFingerprints: { "finding/v1": fingerprint(finding, report, index) },
  }));
  const log = {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: { driver: { name: `odoo-gateway ${report.command}`, version: report.version, rules } },
        invocations: [{ executionSuccessful: true, startTimeUtc: report.startedAt }],
        results,
      },
    ],
  };
  return `${JSON.stringify(log, null, 2)}\n`;
}

/** What is good, or was not looked at, has nothing to be mended. */
function messageOf({ title, seen, fix, outcome }: Finding): string {
  const told = `${title}. Seen: ${seen}${/[.!?]$/.test(seen) ? "" : "."}`;
  return outcome === "fail" || outcome === "warn" ? `${told} Fix: ${fix}` : told;
}

/** §3.27.9, §3.27.10: a kind other than "fail" has the level "none". */
function kindOf(outcome: Outcome): { readonly kind: string; readonly level: string } {
  switch (outcome) {
    case "fail":
      return { kind: "fail", level: "error" };
    case "warn":
      return { kind: "fail", level: "warning" };
    case "skipped":
      return { kind: "notApplicable", level: "none" };
    case "pass":
      return { kind: "pass", level: "none" };
    default:
      return unreachable(outcome);
  }
}

function locationOf({ place }: Finding, report: Report): object {
  if (place === null) return { artifactLocation: { uri: encodeURI(report.subject) } };
  const artifactLocation = { uri: uriOf(place.file) };
  return place.line === null ? { artifactLocation } : { artifactLocation, region: { startLine: place.line } };
}

/** A name of a file as a URI reference (RFC 3986 §3.3): # and ? would end the path. */
function uriOf(file: string): string {
  return encodeURI(file.replaceAll("\\", "/")).replaceAll("#", "%23").replaceAll("?", "%3F");
}

function fingerprint({ id, place }: Finding, report: Report, index: number): string {
  const isTwin = (one: Finding) => one.id === id && one.place?.file === place?.file;
  // The second of one check in one file is an alert of its own; the line would change with each edit above it.
  const before = report.findings.slice(0, index).filter(isTwin).length;
  const thing = JSON.stringify([
    report.command,
    place?.file ?? report.subject,
    id,
    ...(before > 0 ? [before] : []),
  ]);
  return createHash("sha256").update(thing).digest("hex").slice(0, 32);
}
