import t from "tap";
import { globMatches } from "../../src/audit/glob.ts";

t.test("patterns match as in a shell, and never over a slash", async (t) => {
  const cases: readonly (readonly [pattern: string, text: string, matches: boolean])[] = [
    ["a.conf", "a.conf", true],
    ["a.conf", "axconf", false],
    ["*.conf", "a.conf", true],
    ["*.conf", ".conf", true],
    ["*.conf", "a.conf.bak", false],
    ["*.conf", "a/b.conf", false],
    ["/etc/*/x", "/etc/a/x", true],
    ["/etc/*/x", "/etc/a/b/x", false],
    ["a*b*c", "a1b2b3c", true],
    ["a?c", "abc", true],
    ["a?c", "a/c", false],
    ["[a-o]*", "odoo", true],
    ["[a-o]*", "redmine", false],
    ["[!a-o]*", "redmine", true],
    ["[]x]", "]", true],
    ["[a", "[a", true],
    ["[a-a]", "a", true],
    ["[a-]", "-", true],
    ["**", "abc", true],
    ["", "", true],
    ["*", "", true],
    ["?", "", false],
  ];
  for (const [pattern, text, matches] of cases)
    t.equal(globMatches(pattern, text), matches, `${pattern} ${text}`);
});

t.test("a pattern of stars ends", async (t) => {
  t.equal(globMatches(`${"a*".repeat(200)}b`, "a".repeat(5_000)), false);
});
