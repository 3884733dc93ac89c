import t from "tap";
import { startTestGateway } from "../support/gateway.ts";
import type { RawCase } from "./corpus/case.ts";
import { framing } from "./corpus/framing.ts";
import { lines } from "./corpus/lines.ts";
import { names } from "./corpus/names.ts";
import { plain } from "./corpus/plain.ts";
import { routes } from "./corpus/routes.ts";
import { runCase } from "./corpus/run.ts";

const themes: readonly (readonly [string, readonly RawCase[]])[] = [
  ["no request hides in the framing of another", framing],
  ["no request line and no field line has two meanings", lines],
  ["nobody chooses host, address or connection but the gateway", names],
  ["no spelling reaches what is guarded", routes],
  ["plain HTTP leads nowhere but to us", plain],
];

for (const [title, cases] of themes) {
  t.test(`${title} (${cases.length} attacks)`, async (t) => {
    const gateway = await startTestGateway();
    t.teardown(() => gateway.close());
    for (const one of cases) {
      const problems = await runCase(gateway, one);
      if (problems.length > 0) t.fail(one.name, { problems, sent: String(one.bytes).slice(0, 300) });
    }
    const errors = gateway.events.filter((event) => event.type === "error");
    t.strictSame(errors, [], "no attack meets a mistake of ours");
    t.equal(gateway.running.gateway.exchanges, 0, "no exchange is left behind");
  });
}

t.test("the corpus stays as large as it was", async (t) => {
  const count = themes.reduce((sum, [, cases]) => sum + cases.length, 0);
  t.ok(count >= 1_050, `${count} attacks`);
  const all = themes.flatMap(([, cases]) => cases.map((one) => one.name));
  t.equal(new Set(all).size, all.length, "each has its own name");
});
