/** What `check` and `audit` find, in one form, whoever looked and however it is printed. */
import { cleanText } from "../base/clean.ts";

/**
 * pass: as it should be. warn: works, but weaker than the guides ask. fail: open, or broken.
 * skipped: could not be looked at, or does not apply; `seen` says which.
 */
export type Outcome = "pass" | "warn" | "fail" | "skipped";

/** Every outcome, the gravest first; reports count them in this order. */
export const outcomes: readonly Outcome[] = ["fail", "warn", "skipped", "pass"];

/** What is known of a check before it runs. The catalogue of a command is a list of these. */
export interface CheckInfo {
  /** Stable, lower case with hyphens: `database-manager`. Used by --only, --skip, docs/checks and other programs. */
  readonly id: string;
  /** A few words that are true when it passes: `The database manager is closed`. */
  readonly title: string;
  /** Why it matters, one or two sentences. */
  readonly why: string;
  /** What to change when it does not pass, one or two sentences. */
  readonly fix: string;
}

/** A place in a file of the operator's; lines and columns count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number | null;
}

/** What one look answered. `why` and `fix` replace the catalogue's words where something more exact can be said. */
export interface Look {
  readonly outcome: Outcome;
  readonly seen: string;
  readonly why?: string;
  readonly fix?: string;
  readonly place?: Place;
}

/** One line of a report. */
export interface Finding extends CheckInfo {
  readonly outcome: Outcome;
  /** What was seen, in plain words with the values; safe to print. */
  readonly seen: string;
  /** Where in which file; null for what was seen from outside. */
  readonly place: Place | null;
}

/** One check whose worst outcome is another one than in an earlier report; null: it was not looked at then. */
export interface Change {
  readonly id: string;
  readonly before: Outcome | null;
  readonly now: Outcome;
}

/** A whole report, before it is rendered. */
export interface Report {
  readonly command: "check" | "audit";
  /** Our version, as `package.json` states it. */
  readonly version: string;
  /** What was looked at: the URL, or the files. */
  readonly subject: string;
  /** ISO 8601 in UTC. */
  readonly startedAt: string;
  readonly lastedMs: number;
  /** Short facts beside the findings, printed above them: `requests` → `61 of at most 80`. At most 20. */
  readonly facts: readonly (readonly [name: string, value: string])[];
  readonly findings: readonly Finding[];
  /** Why not everything was looked at, in words; left out: it was. */
  readonly unfinished?: string;
  /** What changed since an earlier report; left out: none was given. */
  readonly changes?: { readonly since: string; readonly list: readonly Change[] };
}

/** Longest text of one finding, in UTF-16 units: a site chooses part of it. */
export const textLengthMax = 2_000;

/** Puts a look beside what is known of its check. Text from outside is cleaned of control characters and cut. */
export function findingOf(check: CheckInfo, look: Look): Finding {
  const text = (value: string) => cleanText(oneLine(value), textLengthMax);
  return {
    id: check.id,
    title: check.title,
    outcome: look.outcome,
    seen: text(look.seen),
    why: text(look.why ?? check.why),
    fix: text(look.fix ?? check.fix),
    place: look.place === undefined ? null : { file: text(look.place.file), line: look.place.line },
  };
}

/** Several lines as one, what stands around their ends as one space. In time by the length, whatever a site wrote. */
function oneLine(text: string): string {
  if (!/[\r\n\t]/.test(text)) return text;
  const parts = text.split(/[\r\n\t]+/).map((part) => part.trim());
  return parts.filter((part) => part !== "").join(" ");
}

/** How many findings have each outcome. No score is made of it. */
export function countsOf(findings: readonly Finding[]): Readonly<Record<Outcome, number>> {
  const counts: Record<Outcome, number> = { fail: 0, warn: 0, skipped: 0, pass: 0 };
  for (const { outcome } of findings) counts[outcome] += 1;
  return counts;
}

/** The exit status of a report that could be made: 1 when something fails, else 0. (2: no report could be made.) */
export function exitStatusOf(findings: readonly Finding[]): 0 | 1 {
  return findings.some(({ outcome }) => outcome === "fail") ? 1 : 0;
}

/** `1 fail, 2 warn, 0 skipped, 30 pass`. */
export function countsLine(findings: readonly Finding[]): string {
  const counts = countsOf(findings);
  return outcomes.map((outcome) => `${counts[outcome]} ${outcome}`).join(", ");
}
