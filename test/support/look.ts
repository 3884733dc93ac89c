import { readFileSync } from "node:fs";
import { systemClock } from "../../src/base/clock.ts";
import { outsideChecks } from "../../src/check/catalogue.ts";
import { type CheckOptions, checkSite } from "../../src/check/run.ts";
import { readTarget } from "../../src/check/target.ts";
import type { Finding, Report } from "../../src/report/finding.ts";

export interface LookOptions extends Partial<Omit<CheckOptions, "target" | "ids">> {
  readonly caFile?: string;
  /** Left out: all. */
  readonly ids?: readonly string[];
  /** Connect to this loopback port whatever the URL says. */
  readonly port?: number;
}

/** Looks at a site on loopback; throws when nothing could be looked at. */
export async function lookAt(url: string, options: LookOptions = {}): Promise<Report> {
  const target = readTarget(url);
  if (!target.ok) throw new Error(target.error);
  const { caFile, ids, port, ...rest } = options;
  const looked = await checkSite({
    address: { address: "127.0.0.1", port: port ?? target.value.port },
    from: null,
    authorities: caFile === undefined ? null : readFileSync(caFile, "latin1"),
    httpPort: null,
    directPorts: null,
    loginCanary: false,
    version: "0.0.0-test",
    clock: systemClock,
    ...rest,
    target: target.value,
    ids: new Set(ids ?? outsideChecks.map(({ id }) => id)),
  });
  if (!looked.ok) throw new Error(looked.error);
  return looked.value;
}

export function findingIn(report: Report, id: string): Finding {
  const found = report.findings.find((finding) => finding.id === id);
  if (found === undefined) throw new Error(`no finding ${id}`);
  return found;
}

/** `id outcome` of everything that is not a pass, sorted. */
export function troubles(report: Report): string[] {
  return report.findings
    .filter(({ outcome }) => outcome !== "pass")
    .map(({ id, outcome }) => `${id} ${outcome}`)
    .sort();
}

/** How many requests it took. */
export function requestsOf(report: Report): number {
  return Number(/^\d+/.exec(report.facts.find(([name]) => name === "requests")?.[1] ?? "")?.[0]);
}
