import fc from "fast-check";
import t, { type Test } from "tap";
import type { RequestFacts } from "../../src/message/facts.ts";
import type { Policy } from "../../src/policy/compile.ts";
import { decide, noRule } from "../../src/policy/decide.ts";
import type { Decision } from "../../src/policy/decision.ts";
import { allHold, type DecideExtra } from "../../src/policy/matchers.ts";
import { type FactsSketch, factsFor } from "../support/facts.ts";
import { loadTexts, settingsFor, shippedPolicy } from "./support.ts";

/** What a path or a client was found to be is remembered; these tests hold that nobody gets another's verdict by it. */

/** The meaning of a policy, without index and memory. */
function naive(policy: Policy, facts: RequestFacts, extra: DecideExtra): Decision {
  return policy.rules.find((rule) => allHold(rule.conditions, facts, extra))?.decision ?? noRule;
}

const paths = [
  ..."/ /web /web/login /fr/web/login /Web/Login /web/database/manager /fr_BE/web/database/list /WEB/DATABASE/MANAGER".split(
    " ",
  ),
  ..."/xmlrpc/2/object /xmlrpc/2/db /jsonrpc /json/2/res.partner/read /websocket /.env /wp-login.php /a1 /a2 /a499".split(
    " ",
  ),
  `/web/assets/${"x".repeat(300)}.js`,
];
const sketch = fc.record({
  path: fc.constantFrom(...paths),
  method: fc.constantFrom("GET", "HEAD", "POST"),
  from: fc.constantFrom("203.0.113.9", "10.0.0.1", "10.0.1.1", "192.0.2.77", "2001:db8::1"),
  host: fc.constantFrom("erp.example.com", "localhost"),
  sessionId: fc.constantFrom(null, "s".repeat(84)),
  secure: fc.boolean(),
  query: fc.constantFrom("", "redirect=https://evil.example/", "db=prod"),
});
const extra = fc.boolean().map((knownSession) => ({ knownSession }));

function holds(t: Test, policy: Policy): void {
  fc.assert(
    fc.property(fc.array(fc.tuple(sketch, extra), { minLength: 1, maxLength: 30 }), (asked) =>
      asked.every(([one, more]) => {
        const facts = factsFor(one satisfies FactsSketch);
        return decide(policy, facts, more) === naive(policy, facts, more);
      }),
    ),
    { numRuns: 400 },
  );
  t.pass("every verdict is the one of the first rule that matches");
}

t.test("shipped rules", async (t) => {
  for (const preset of ["standard", "strict", "staging"] as const)
    holds(t, shippedPolicy(settingsFor(preset)));
});

t.test("hundreds of rules by network and path", async (t) => {
  const rules: string[] = [];
  for (let i = 0; i < 300; i += 1) {
    const shared = i % 7 === 0 ? "192.0.2.77" : `10.0.${i % 2}.${i % 250}`;
    // With one of its own, for no rule may be hidden behind another.
    const from = `[${shared}, 198.18.${i >> 8}.${i & 255}]`;
    const match = i % 3 === 0 ? `{ from: ${from} }` : `{ path: /a${i}, from: ${from} }`;
    const kind = i % 5 === 0 ? `not: { method: GET }` : `method: POST`;
    rules.push(
      `  - { id: rule-${i}, why: one of many rules, match: ${match.replace(" }", `, ${kind} }`)}, deny: 403 }`,
    );
  }
  rules.push("  - { id: rest, why: takes everything that is left, forward: web }");
  const loaded = loadTexts({ "50-many.yaml": `rules:\n${rules.join("\n")}\n` }, settingsFor("standard"));
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.error));
  holds(t, loaded.value);
});

t.test("more paths and clients than are remembered", async (t) => {
  const policy = shippedPolicy(settingsFor("standard"));
  let wrong = 0;
  for (let i = 0; i < 10_000; i += 1) {
    const facts = factsFor({
      path: i % 3 === 0 ? "/web/login" : `/p${i}`,
      from: `10.${i >> 8}.${i & 255}.1`,
    });
    const more = { knownSession: false };
    if (decide(policy, facts, more) !== naive(policy, facts, more)) wrong += 1;
  }
  t.equal(wrong, 0);
});
