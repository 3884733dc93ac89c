/** What became of the findings since an earlier report, for runs by timer. */
import { readFileSync, statSync } from "node:fs";
import { cleanText } from "../base/clean.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { Change, Finding, Outcome, Report } from "./finding.ts";

/** Largest report that is read: hundreds of findings of the longest text. */
const reportBytesMax = 16 * 1024 * 1024;
/** Most changes that are named in words; JSON has all. */
const namedMax = 30;

/** The worst outcome of each check in an earlier report. */
export interface Earlier {
  readonly startedAt: string;
  readonly outcomes: ReadonlyMap<string, Outcome>;
}

const ranks: Readonly<Record<Outcome, number>> = { pass: 0, skipped: 1, warn: 2, fail: 3 };

/** Reads what `--json` of the same command wrote. Null: there is no such file, as before the first run. */
export function readEarlier(path: string, command: Report["command"]): Result<Earlier | null, string> {
  const none = err(`--since ${path} is no report of ${command} --json`);
  let text: string;
  try {
    // A pipe or a device could block, or never end.
    const stat = statSync(path);
    if (!stat.isFile() || stat.size > reportBytesMax) return none;
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return ok(null);
    return err(`--since ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    return none;
  }
  if (!isRecord(read) || read["schema"] !== 1 || read["command"] !== command) return none;
  const { startedAt, findings } = read;
  if (typeof startedAt !== "string" || !Array.isArray(findings)) return none;
  const pairs = findings.flatMap((one: unknown) =>
    isRecord(one) &&
    typeof one["id"] === "string" &&
    /^[a-z0-9-]{1,60}$/.test(one["id"]) &&
    isOutcome(one["outcome"])
      ? [{ id: one["id"], outcome: one["outcome"] }]
      : [],
  );
  if (pairs.length < findings.length) return none;
  return ok({ startedAt: cleanText(startedAt, 40), outcomes: worst(pairs) });
}

/** The report with what changed since the earlier one, as a fact for people and a list for programs. */
export function withChanges(report: Report, earlier: Earlier | null, path: string): Report {
  if (earlier === null)
    return { ...report, facts: [...report.facts, ["since", `there is no report at ${path} yet`]] };
  const changes = changesOf(earlier, report.findings);
  const words = changes.length === 0 ? "nothing changed" : wordsOf(changes);
  return {
    ...report,
    facts: [...report.facts, ["since", `${earlier.startedAt}: ${words}`]],
    changes: { since: earlier.startedAt, list: changes },
  };
}

/** What is seen in another way now, and what was not looked at then and is not well. What is not looked at now is no change. */
function changesOf({ outcomes }: Earlier, findings: readonly Finding[]): readonly Change[] {
  return [...worst(findings)].flatMap(([id, now]) => {
    const before = outcomes.get(id) ?? null;
    const isNews = before === null ? now === "fail" || now === "warn" : before !== now;
    return isNews ? [{ id, before, now }] : [];
  });
}

function wordsOf(changes: readonly Change[]): string {
  const sorted = [...changes].sort((a, b) => ranks[b.now] - ranks[a.now]);
  const more = changes.length - namedMax;
  const named = sorted
    .slice(0, namedMax)
    .map(({ id, before, now }) => `${id} ${before === null ? "is new and" : `${before} →`} ${now}`);
  return `${named.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function worst(findings: readonly { readonly id: string; readonly outcome: Outcome }[]) {
  const found = new Map<string, Outcome>();
  for (const { id, outcome } of findings) {
    const before = found.get(id);
    if (before === undefined || ranks[before] < ranks[outcome]) found.set(id, outcome);
  }
  return found;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isOutcome(value: unknown): value is Outcome {
  return value === "fail" || value === "warn" || value === "skipped" || value === "pass";
}
