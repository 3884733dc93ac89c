import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { parse } from "yaml";
import { alertNames, conditionOf } from "../../src/alert/conditions.ts";
import { packageRoot } from "../../src/base/package-root.ts";

interface Rule {
  readonly alert: string;
  readonly labels: { readonly severity: string };
}

const file = readFileSync(join(packageRoot().directory, "docs/prometheus/alerts.yml"), "utf8");
const { groups }: { readonly groups: readonly { readonly rules: readonly Rule[] }[] } = parse(file);

t.test("what people are told stands in Prometheus' rules by the same name and severity", async (t) => {
  const rules = new Map(groups.flatMap(({ rules }) => rules.map((rule) => [rule.alert, rule])));
  for (const name of alertNames) t.equal(rules.get(name)?.labels.severity, conditionOf(name).severity, name);
});

t.test("each text is short, and has no sign that a chat takes for something else", async (t) => {
  for (const name of alertNames) {
    const { title, over, meaning, remedy } = conditionOf(name);
    for (const text of [title, over, meaning, remedy]) {
      t.match(text, /^[A-Z][\u0020-\u007e]+$|^odoo-gateway [\u0020-\u007e]+$/, text);
      t.notMatch(text, /[&<>*`~|@#[\]]/, text);
      t.ok(text.length < 200, text);
    }
    t.notMatch(`${title}${over}`, /\.$/, "figures come behind it");
  }
});
