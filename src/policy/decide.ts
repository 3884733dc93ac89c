import type { RequestFacts } from "../message/facts.ts";
import { meets } from "./client-rules.ts";
import type { Policy } from "./compile.ts";
import type { Decision } from "./decision.ts";
import { allHold, type DecideExtra } from "./matchers.ts";

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
 * The first rule that matches decides. Allocates nothing for a path and a client that asked before; the index leaves a handful of rules
 * of any number for a path that was not asked before.
 */
export function decide(policy: Policy, facts: RequestFacts, extra: DecideExtra): Decision {
  let client: Uint32Array | null = null;
  for (const rule of policy.pathRules.of(facts)) {
    if (rule.ofClient >= 0) {
      client ??= policy.clientRules.of(facts);
      if (!meets(client, rule.ofClient)) continue;
    }
    if (allHold(rule.others, facts, extra)) return rule.decision;
  }
  return noRule;
}
