import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { auditChecks, auditGroups } from "../../src/audit/catalogue/catalogue.ts";
import { packageRoot } from "../../src/base/package-root.ts";

const path = join(packageRoot().directory, "docs/checks/inside.md");

/** Markdown of a sentence: what looks like a tag or a table is left as it is written. */
function escaped(text: string): string {
  return text.replaceAll(/[<>*_|]/g, "\\$&");
}

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
  for (const id of ids) t.match(id, /^(?:conf|compose|hba|pgconf|pg|nginx)-[a-z-]+[a-z]$/);
  for (const { id, title, why, fix, from } of auditChecks)
    t.ok([title, why, fix, from].every((text) => text.length > 3) && !title.endsWith("."), id);
});
