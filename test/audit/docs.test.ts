import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { auditChecks, auditGroups } from "../../src/audit/catalogue/catalogue.ts";
import { elsewhereOf, strayElsewhere } from "../../src/audit/catalogue/elsewhere.ts";
import { packageRoot } from "../../src/base/package-root.ts";

const path = join(packageRoot().directory, "docs/checks/inside.md");

/** Markdown of a sentence: what looks like a tag or a table is left as it is written. */
function escaped(text: string): string {
  return text.replaceAll(/[<>*_|]/g, "\\$&");
}

/** Sections of the outside view, by id. */
const outside = new Map(
  readFileSync(join(packageRoot().directory, "docs/checks/outside.md"), "utf8")
    .split(/^## /m)
    .slice(1)
    .map((section) => [section.split("\n", 1)[0] ?? "", section]),
);

/** A line of the outside view, with links that hold in this file. */
function outsideLine(id: string, proxy: string): string {
  const line = new RegExp(`^- ${proxy}: (.*)$`, "m").exec(outside.get(id) ?? "")?.[1];
  if (line === undefined) throw new Error(`outside.md has no line for ${proxy} in ${id}`);
  return line.replaceAll("[above](#", "[there](outside.md#").replaceAll("](#", "](outside.md#");
}

/** What is to be changed in the four proxies. */
function proxyLines(id: string): string {
  const written = elsewhereOf(id);
  switch (written?.kind) {
    case "all":
      return `- nginx, Traefik, Caddy, odoo-gateway: ${written.line}\n`;
    case "own": {
      const { nginx, traefik, caddy, gateway } = written.lines;
      return `- nginx: ${nginx}\n- Traefik: ${traefik}\n- Caddy: ${caddy}\n- odoo-gateway: ${gateway}\n`;
    }
    case "outside":
      return ["nginx", "Traefik", "Caddy", "odoo-gateway"]
        .map((proxy) =>
          proxy === "nginx" && written.nginx !== null
            ? `- nginx: ${written.nginx}\n`
            : `- ${proxy}: ${outsideLine(written.id, proxy)}\n`,
        )
        .join("");
    case undefined:
      throw new Error(`nobody has written what ${id} means for nginx, Traefik, Caddy and us`);
  }
}

t.test("every section says what to change in each of the four", async (t) => {
  t.same(strayElsewhere(), [], "and nothing is written about ids that are gone");
  const sections = readFileSync(path, "utf8").split(/^### /m).slice(1);
  for (const section of sections) {
    const id = section.split("\n", 1)[0] ?? "";
    const inOne = section.includes("\n- nginx, Traefik, Caddy, odoo-gateway: ");
    const inFour = ["nginx", "Traefik", "Caddy", "odoo-gateway"].every((name) =>
      section.includes(`\n- ${name}: `),
    );
    t.ok(inOne || inFour, id);
    t.ok(inFour || !id.startsWith("nginx-"), `${id}: a proxy's own line has four`);
    t.match(section, /\nFix: \S.*\n\nFrom: \S/, `${id}: what to change, and where it comes from`);
  }
  t.equal(sections.length, auditChecks.length);
});

t.test("every check has a section, and every section a check", async (t) => {
  const made = [
    "<!-- Made from src/audit/catalogue; a test holds the two equal. -->\n",
    ...auditGroups.map(([title, checks]) =>
      [
        `## ${title}\n`,
        ...checks.map(({ id, title: name, why, fix, from }) =>
          [
            `### ${id}\n`,
            `**${escaped(name)}.** ${escaped(why)}\n`,
            `Fix: ${escaped(fix)}\n`,
            `From: ${escaped(from)}.\n`,
            proxyLines(id),
          ].join("\n"),
        ),
      ].join("\n"),
    ),
  ].join("\n");
  const begin = "<!-- begin: checks -->\n";
  const end = "<!-- end: checks -->";
  const text = readFileSync(path, "utf8");
  const from = text.indexOf(begin) + begin.length;
  const to = text.indexOf(end);
  if (process.env["UPDATE_DOCS"] === "1")
    return void writeFileSync(path, text.slice(0, from) + made + text.slice(to));
  t.equal(text.slice(from, to), made, "UPDATE_DOCS=1 writes it anew");
  const sections = [...text.matchAll(/^### (.*)$/gm)].map(([, id]) => id);
  t.same(
    sections,
    auditChecks.map(({ id }) => id),
  );
});

t.test("ids are stable words of their own", async (t) => {
  const ids = auditChecks.map(({ id }) => id);
  t.equal(new Set(ids).size, ids.length, "no id twice");
  for (const id of ids)
    t.match(id, /^(?:conf|compose|hba|pgconf|pg|odoo|nginx|systemd|fail2ban|backup)-[a-z-]+[a-z]$/);
  for (const { id, title, why, fix, from } of auditChecks)
    t.ok([title, why, fix, from].every((text) => text.length > 3) && !title.endsWith("."), id);
});
