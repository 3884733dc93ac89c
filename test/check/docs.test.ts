import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { packageRoot } from "../../src/base/package-root.ts";
import { outsideChecks } from "../../src/check/catalogue.ts";
import { startDemo } from "../../src/demo/start.ts";
import { lookAt, troubles } from "../support/look.ts";
import { guideNginx, plainCaddy } from "../support/peer-configs.ts";
import { peerMissing, startPeer } from "../support/peers.ts";
import { freePorts } from "../support/ports.ts";

const text = readFileSync(join(packageRoot().directory, "docs/checks/outside.md"), "utf8");
const sections = text.split(/^## /m).slice(1);

t.test("every check has its section, and every section its check, in order", async (t) => {
  const ids = sections
    .map((section) => section.split("\n", 1)[0] ?? "")
    .filter((title) => !title.startsWith("The database block"));
  t.same(
    ids,
    outsideChecks.map(({ id }) => id),
  );
  t.equal(new Set(ids).size, ids.length, "ids are unique");
});

t.test("every section says what, why, from where, and what to change in each of the four", async (t) => {
  for (const section of sections.filter((one) => !one.startsWith("The database block"))) {
    const [id = "", ...rest] = section.split("\n");
    const body = rest.join("\n");
    for (const mark of ["\nFrom: ", "\n- nginx: ", "\n- Traefik: ", "\n- Caddy: ", "\n- odoo-gateway: "])
      t.ok(body.includes(mark), `${id}:${mark}`);
    t.ok(body.split("\n\n").length >= 4, id);
  }
});

t.test("ids, titles and remedies read like sentences of one hand", async (t) => {
  for (const { id, title, why, fix } of outsideChecks) {
    t.match(id, /^[a-z0-9]+(?:-[a-z0-9]+)*$/);
    t.match(title, /^[A-Z].*[^.]$/, id);
    t.match(why, /^[A-Z].*\.$/, id);
    t.match(fix, /\S.*[.)]$/, id);
  }
});

/** A fenced block of the page. */
function block(language: string): string {
  return new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(text)?.[1] ?? "";
}

for (const name of ["nginx", "caddy"] as const) {
  t.test(
    `the page's block for ${name} closes the database`,
    { skip: peerMissing(name) ?? false },
    async (t) => {
      const demo = await startDemo();
      t.teardown(() => demo.close());
      const odoo = { web: demo.webPort, bus: demo.busPort };
      const [https = 0, http = 0] = await freePorts(2);
      const lines = block(name).replaceAll("127.0.0.1:8069", `127.0.0.1:${odoo.web}`);
      t.not(lines, "");
      const peer = await startPeer(name, [https, http], (place) =>
        name === "nginx"
          ? guideNginx(place, odoo).replace(/location ~\* \^\/web\/database\/.*\n/, lines)
          : plainCaddy(place, odoo).replace("  reverse_proxy", `${lines}  reverse_proxy`),
      );
      t.teardown(() => peer.close());
      const ids = ["database-manager", "database-manager-spellings", "database-service", "database-list"];
      const report = await lookAt(`https://odoo.test:${https}`, { caFile: peer.caFile, ids });
      t.same(troubles(report), [], report.findings.map(({ seen }) => seen).join("\n"));
    },
  );
}
