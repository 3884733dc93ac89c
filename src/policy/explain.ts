import type { RequestFacts } from "../message/facts.ts";
import type { Policy } from "./compile.ts";
import { noRule } from "./decide.ts";
import type { Decision } from "./decision.ts";
import type { DecideExtra } from "./matchers.ts";

/** One rule that was tried. */
export interface TriedRule {
  readonly rule: string;
  readonly file: string;
  readonly line: number;
  readonly matched: boolean;
  /** The first condition that failed, or all that hold. */
  readonly because: string;
}

export interface Explanation {
  /** In order, up to the rule that matched. Rules that the settings leave out are in `policy.skipped`. */
  readonly tried: readonly TriedRule[];
  readonly decision: Decision;
}

/**
 * Why a request is decided as it is: every rule tried, in order, with the reason it did or did not match.
 * It walks all rules without the index, so that it is also the check on `decide`.
 */
export function explain(policy: Policy, facts: RequestFacts, extra: DecideExtra): Explanation {
  const tried: TriedRule[] = [];
  for (const { reason, conditions, decision } of policy.rules) {
    const { rule, file, line } = reason;
    const failed = conditions.find((condition) => !condition.holds(facts, extra));
    if (failed !== undefined) {
      tried.push({ rule, file, line, matched: false, because: failed.because(facts, extra) });
      continue;
    }
    const all = conditions.map((condition) => condition.because(facts, extra)).join(" and ");
    tried.push({ rule, file, line, matched: true, because: all === "" ? "it takes every request" : all });
    return { tried, decision };
  }
  return { tried, decision: noRule };
}
