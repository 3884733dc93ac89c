import type { RequestFacts } from "../message/facts.ts";
import type { Policy } from "./compile.ts";
import type { Decision } from "./decision.ts";
import { allHold, type DecideExtra } from "./matchers.ts";
import { candidates, candidatesIn } from "./rule-index.ts";

/** What happens when no rule matches: nobody allowed it, so it is refused. */
export const noRule: Decision = Object.freeze({
  verdict: "deny",
  status: 403,
  strike: false,
  reason: Object.freeze({
    rule: "no-rule",
    file: "(built in)",
    line: 0,
    why: "No rule of the policy matches; what no rule allows is refused.",
  }),
});

/**
 * The first rule that matches decides. Pure, and quick: the index leaves a handful of rules however many
 * there are, and what is allocated is the path segments that are looked up.
 */
export function decide(policy: Policy, facts: RequestFacts, extra: DecideExtra): Decision {
  const { index, rules } = policy;
  const found = candidates(index, facts);
  for (let word = 0; word < index.words; word += 1) {
    let bits = candidatesIn(index, found, word);
    while (bits !== 0) {
      const rule = rules[word * 32 + 31 - Math.clz32(bits & -bits)];
      if (rule !== undefined && allHold(rule.conditions, facts, extra)) {
        return rule.decision;
      }
      bits &= bits - 1;
    }
  }
  return noRule;
}
