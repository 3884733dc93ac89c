import { readFileSync } from "node:fs";
import fc from "fast-check";
import t from "tap";
import { problemLine } from "../../src/base/problem.ts";
import { parseYaml } from "../../src/base/yaml-positions.ts";
import type { CompiledRule, Policy } from "../../src/policy/compile.ts";
import { decide, noRule } from "../../src/policy/decide.ts";
import { explain } from "../../src/policy/explain.ts";
import { compilePath, parsePathPattern, patternCovers } from "../../src/policy/path-pattern.ts";
import { PathRules } from "../../src/policy/path-rules.ts";
import { hasParameter, isOnSite, offsiteParameter, parameterValues } from "../../src/policy/query.ts";
import { indexRules } from "../../src/policy/rule-index.ts";
import { policySchemaText } from "../../src/policy/schema.ts";
import { unservedHosts } from "../../src/policy/unserved-hosts.ts";
import type { Settings } from "../../src/settings/settings.ts";
import { factsFor } from "../support/facts.ts";
import { loadTexts, networks, root, settingsFor, shippedPolicy } from "./support.ts";

const stranger = { knownSession: false };
const standard = settingsFor("standard");
const rest = "  - { id: rest, why: takes everything that is left, forward: web }\n";

/** The problems of one file `20-login.yaml`, as lines. */
function problemsOf(text: string, settings: Settings = standard): readonly string[] {
  const loaded = loadTexts({ "20-login.yaml": text }, settings);
  return loaded.ok ? [] : loaded.error.map(problemLine);
}

function policyOf(text: string, settings: Settings = standard): Policy {
  const loaded = loadTexts({ "50-test.yaml": text }, settings);
  if (!loaded.ok) {
    throw new Error(loaded.error.map(problemLine).join("\n"));
  }
  return loaded.value;
}

/** A policy of one denying rule with this match, before one that forwards all. */
function deciding(match: string, settings: Settings = standard): Policy {
  return policyOf(
    `rules:
  - { id: tested, why: the rule this test is about, match: ${match}, redirect: { to: / } }
  - { id: rest, why: takes everything that is left, forward: web }
`,
    settings,
  );
}

t.test("path patterns", async (t) => {
  const matches = (pattern: string, path: string): boolean => {
    const read = parsePathPattern(pattern);
    return read.ok && compilePath(read.value)(path);
  };
  const table: readonly [string, string, boolean][] = [
    ["/x/y", "/x/y", true],
    ["/x/y", "/x/y/z", false],
    ["/x/y", "/x", false],
    ["/x/**", "/x", true],
    ["/x/**", "/x/y", true],
    ["/x/**", "/x/y/z", true],
    ["/x/**", "/xy", false],
    ["/x/**", "/", false],
    ["/**", "/", true],
    ["/**", "/a/b", true],
    ["/", "/", true],
    ["/", "/a", false],
    ["/*", "/a", true],
    ["/*", "/", false],
    ["/*", "/a/b", false],
    ["/*/x", "/a/x", true],
    ["/*/x", "/x", false],
    ["/*/x", "/a/b/x", false],
    ["/*/x", "/a/xy", false],
    ["/*/x/**", "/a/x", true],
    ["/*/x/**", "/a/x/b", true],
    ["/*/x/**", "/a/xb", false],
    ["/a/*/b", "/a/q/b", true],
    ["/a/*/b", "/a/b", false],
    ["/.*/**", "/.git/config", true],
    ["/.*/**", "/git/.config", false],
    ["/.*", "/.", true],
    ["/wp-*", "/wp-login.php", true],
    ["/wp-*", "/wp-", true],
    ["/wp-*", "/wp", false],
    ["/X", "/x", false],
  ];
  for (const [pattern, path, expected] of table) {
    t.equal(matches(pattern, path), expected, `${pattern} ${expected ? "is" : "is not"} ${path}`);
  }
  const refused: readonly [string, RegExp][] = [
    ["web/login", /must begin with "\/"/],
    ["", /must begin with "\/"/],
    ["/x/", /must not end in "\/"/],
    ["//x", /empty segment/],
    ["/x/../y", /segment "\.\."/],
    ["/**/x", /only as its last segment/],
    ["/x**", /only as its last segment/],
    ["/a*b", /only at the end of a segment/],
    ["/%77eb", /percent escape/],
    ["/x?y=1", /the path alone/],
    ["/a b", /white space/],
    ["/a\\b", /backslash/],
    [`/${"x".repeat(600)}`, /longer than 512/],
    [`${"/x".repeat(40)}`, /more than 32 segments/],
  ];
  for (const [pattern, message] of refused) {
    const read = parsePathPattern(pattern);
    t.match(read.ok ? "" : read.error, message, `${pattern.slice(0, 20)} is refused`);
  }
});

t.test("property: what covers a pattern matches all that the pattern matches", async () => {
  const segment = fc.constantFrom("a", "b", "ab", "*", "a*");
  const pattern = fc
    .tuple(fc.array(segment, { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([segments, below]) => `/${[...segments, ...(below ? ["**"] : [])].join("/")}`);
  const path = fc
    .array(fc.constantFrom("a", "b", "ab", "c"), { maxLength: 4 })
    .map((segments) => `/${segments.join("/")}`);
  fc.assert(
    fc.property(pattern, pattern, path, (wideText, narrowText, target) => {
      const wide = parsePathPattern(wideText);
      const narrow = parsePathPattern(narrowText);
      if (!wide.ok || !narrow.ok || !patternCovers(wide.value, narrow.value)) {
        return true;
      }
      return !compilePath(narrow.value)(target) || compilePath(wide.value)(target);
    }),
    { numRuns: 2_000 },
  );
});

t.test("a redirect parameter cannot carry people to another site", async (t) => {
  const hosts = new Set(["erp.example.com", "[::1]", "127.0.0.1"]);
  const away = [
    "//evil.test",
    "///evil.test",
    "/%2Fevil.test",
    "%2F%2Fevil.test",
    "%252F%252Fevil.test",
    "/%252Fevil.test",
    "%25252F%25252Fevil.test",
    "%2525252525252F%2525252525252Fevil.test",
    "/\\evil.test",
    "/%5Cevil.test",
    "/%255Cevil.test",
    "\\\\evil.test",
    "/%09/evil.test",
    "/%0A/evil.test",
    "/%2509/evil.test",
    "%09//evil.test",
    "%20//evil.test",
    "+//evil.test",
    "+/odoo",
    "/.//evil.test",
    "/..//evil.test",
    "/././/evil.test",
    "https://evil.test",
    "HTTPS://EVIL.TEST/",
    "https:evil.test",
    "https:/evil.test",
    "https:///evil.test",
    "http://erp.example.com.evil.test/",
    "https://erp.example.com@evil.test/",
    "https://erp.example.com:443@evil.test/",
    "https://evil.test/erp.example.com",
    "https://evil.test#erp.example.com",
    "https://erp.example.com%2eevil.test/",
    "https%253A%252F%252Fevil.test",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,x",
    "mailto:a@b.test",
    "x%3Aalert",
    "/odoo%00",
    "/odoo%0d%0aSet-Cookie:a",
    "/100%",
    "/%zz",
    "/%c0%af/evil.test",
    "/%ff",
  ];
  for (const value of away) {
    t.equal(isOnSite(value, hosts), false, `${value} leads away`);
  }
  const here = [
    "",
    "/",
    "/odoo",
    "%2Fodoo%3F",
    "/odoo?debug=1#x",
    "/shop?search=a+b",
    "/web#action=1&id=2",
    "/odoo?r=https%3A%2F%2Felsewhere.test%2F",
    "/odoo?next=//elsewhere.test",
    "/odoo%3Fsearch%3Da%250Ab",
    "/shop/100%2525-cotton",
    "odoo",
    "odoo/contacts:7",
    "?x=1",
    "#x",
    "https://erp.example.com",
    "https://erp.example.com/odoo",
    "HTTPS://ERP.example.com/odoo",
    "https%3A%2F%2Ferp.example.com%2Fodoo",
    "http://erp.example.com:8069/odoo",
    "https://erp.example.com?x",
    "https://[::1]:8443/odoo",
    "/caf%C3%A9",
  ];
  for (const value of here) {
    t.equal(isOnSite(value, hosts), true, `${value} stays here`);
  }
  t.equal(offsiteParameter("a=1&%72edirect=//evil.test", ["redirect"], hosts), "redirect");
  t.equal(offsiteParameter("redirect=/x&redirect=//evil.test", ["redirect"], hosts), "redirect");
  t.equal(offsiteParameter("a=1;redirect=//evil.test", ["redirect"], hosts), "redirect", "; splits for some");
  t.equal(offsiteParameter("other=//evil.test", ["redirect", "r"], hosts), null);
  t.equal(offsiteParameter("redirect", ["redirect"], hosts), null);
  t.equal(hasParameter("a&debug", ["debug"]), true);
  t.equal(hasParameter("a=debug", ["debug"]), false);
  t.equal(hasParameter("%64%65bug=1", ["debug"]), true);
  t.equal(hasParameter("%zz&debug%=1", ["debug"]), false, "a broken escape is not repaired");
});

t.test("property: a value said to stay here stays here for the WHATWG URL parser", async () => {
  const piece = fc.constantFrom(
    "/",
    "\\",
    ":",
    "http",
    "https:",
    "evil.test",
    "%2f",
    "%5c",
    "%09",
    "%20",
    "+",
    ".",
    "..",
    "@",
    "?",
    "#",
    "erp.example.com",
    "a",
    "%25",
    "2f",
  );
  const base = "https://erp.example.com/web/login";
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 7 }).map((parts) => parts.join("")),
      (raw) => {
        if (!isOnSite(raw, new Set(["erp.example.com"]))) {
          return true;
        }
        const value = decodeURIComponent(raw.replaceAll("+", " "));
        return !URL.canParse(value, base) || new URL(value, base).hostname === "erp.example.com";
      },
    ),
    { numRuns: 20_000 },
  );
});

t.test("property: a value is decoded as decodeURIComponent does it, and nothing is thrown", async (t) => {
  const ascii = ["a", "%", "%4", "%41", "%zz", "%00", "é"];
  const beyond = ["%c3", "%C3%A9", "%a9", "%ed%a0%80", "%f4%90%80%80", "%f0%9f%98%80", "%e2%82", "%c0%af"];
  const original = globalThis.decodeURIComponent;
  let thrown = 0;
  const counting = (raw: string) => {
    try {
      return original(raw);
    } catch (error) {
      thrown += 1;
      throw error;
    }
  };
  const reference = (raw: string) => {
    try {
      return counting(raw);
    } catch {
      return raw;
    }
  };
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...ascii, ...beyond), { maxLength: 8 }), (parts) => {
      const raw = parts.join("");
      return parameterValues(`x=${raw}`, "x")[0] === reference(raw);
    }),
    { numRuns: 2_000 },
  );
  t.ok(thrown > 100);
  // A thousand throws are ten milliseconds in which nobody else is served.
  t.teardown(() => {
    globalThis.decodeURIComponent = original;
  });
  globalThis.decodeURIComponent = counting;
  thrown = 0;
  offsiteParameter("r=%25ff&r=%25&r=/%25&".repeat(400), ["r"], new Set());
  parameterValues("r=%ff&r=%&".repeat(400), "r");
  t.equal(thrown, 0);
});

t.test("conditions", async (t) => {
  const settings = settingsFor("standard", {
    adminNetworks: networks("10.0.0.0/8"),
    posNetworks: networks("192.168.7.0/24"),
  });
  const rule = (match: string, sketch: Parameters<typeof factsFor>[0], known = false): boolean =>
    decide(deciding(match, settings), factsFor(sketch), { knownSession: known }).reason.rule === "tested";
  const path = "/x";
  t.equal(rule("{ method: [GET] }", { path, method: "HEAD" }), true, "GET includes HEAD");
  t.equal(rule("{ method: [HEAD] }", { path, method: "GET" }), false);
  t.equal(rule("{ method: POST }", { path, method: "POST" }), true, "one value needs no list");
  t.equal(rule("{ from: admin }", { path, from: "10.1.1.1" }), true);
  t.equal(rule("{ from: admin }", { path, from: "11.1.1.1" }), false);
  t.equal(rule("{ from: trusted }", { path, from: "127.0.0.1" }), false, "an empty network holds nobody");
  t.equal(rule("{ from: api }", { path, from: "203.0.113.1" }), true, "API_NETWORKS any holds everyone");
  t.equal(rule("{ from: pos }", { path, from: "192.168.7.9" }), true);
  t.equal(rule("{ from: [admin, 198.51.100.0/24] }", { path, from: "198.51.100.9" }), true);
  t.equal(rule("{ from: '2001:db8::/32' }", { path, from: "2001:db8::1" }), true);
  t.equal(rule("{ host: [shop.example.com] }", { path, host: "shop.example.com" }), true);
  t.equal(rule("{ host: [shop.example.com] }", { path }), false);
  t.equal(rule("{ content_type: application/json }", { path, contentType: "application/json" }), true);
  t.equal(rule("{ content_type: application/json }", { path }), false);
  const called = (match: string, ...fields: string[]): boolean =>
    decide(deciding(match, settings), { ...factsFor({ path }), fields }, { knownSession: false }).reason
      .rule === "tested";
  t.equal(
    called("{ user_agent: [gptbot, CCBot] }", "user-agent", "Mozilla/5.0 (compatible; GPTBot/1.2)"),
    true,
  );
  t.equal(called("{ user_agent: [gptbot, CCBot] }", "User-Agent", "Mozilla/5.0 Firefox"), false);
  t.equal(called("{ user_agent: bot }"), false, "no name holds no text");
  t.equal(
    called("{ user_agent: bot }", "User-Agent", `${"x".repeat(512)}bot`),
    false,
    "only so much is looked at",
  );
  t.equal(called("{ path: /x, not: { user_agent: bot } }"), true);
  t.equal(rule("{ upgrade: websocket }", { path, upgrade: "websocket" }), true);
  t.equal(rule("{ upgrade: websocket }", { path }), false);
  t.equal(rule("{ session: none }", { path }), true);
  t.equal(rule("{ session: none }", { path, sessionId: "s" }), false);
  t.equal(rule("{ session: present }", { path, sessionId: "s" }), true);
  t.equal(rule("{ session: known }", { path, sessionId: "s" }), false);
  t.equal(rule("{ session: known }", { path, sessionId: "s" }, true), true);
  t.equal(rule("{ session: known }", { path }, true), false, "nobody is known without a cookie");
  t.equal(rule("{ scheme: http }", { path, secure: false }), true);
  t.equal(rule("{ scheme: http }", { path }), false);
  t.equal(rule("{ path: /x, method: [POST] }", { path }), false, "keys are AND");
  t.equal(rule("{ path: [/y, /x] }", { path }), true, "values are OR");
  t.equal(rule("{ path: /x, not: { from: admin } }", { path }), true);
  t.equal(rule("{ path: /x, not: { from: admin } }", { path, from: "10.0.0.1" }), false);
  t.equal(
    rule("{ path: /x, not: { from: admin, method: [POST] } }", { path, from: "10.0.0.1" }),
    true,
    "not negates the whole",
  );
  t.equal(rule("{ path: /X }", { path }), false, "only refusals compare without case");
  t.equal(rule("{ path: /x }", { path: "/fr/x" }), true, "every reading of the path counts");
});

t.test("every verdict carries what is needed to carry it out", async (t) => {
  const policy = policyOf(`limits: { slow: { rate: 6/min, burst: 2, key: session, refund: success } }
rules:
  - { id: dropped, why: closes without an answer, match: { path: /drop }, drop: true }
  - { id: moved, why: sends people elsewhere, match: { path: /old }, redirect: { to: /new, status: 308 } }
  - { id: said, why: answers by itself, match: { path: /say }, answer: { status: 200, content_type: text/plain, body: hi } }
  - { id: hook, why: a webhook on staging, match: { path: /hook }, forward: bus, limits: [slow], timeout: 2s, body_max: 1MiB, xml: without-doctype, rpc: envelope, staging_password: skip, frame_ancestors: any }
${rest}`);
  const of = (path: string) => decide(policy, factsFor({ path }), stranger);
  t.match(of("/DROP"), {
    verdict: "drop",
    reason: { rule: "dropped", file: "policies/50-test.yaml", line: 3 },
  });
  t.match(of("/old"), { verdict: "redirect", status: 308, location: "/new" });
  t.match(of("/say"), { verdict: "answer", status: 200, contentType: "text/plain", body: "hi" });
  t.match(of("/hook"), {
    verdict: "forward",
    pool: "bus",
    limits: [{ name: "slow", ratePerSecond: 0.1, burst: 2, key: "session", refund: true }],
    websocket: false,
    answerTimeoutMs: 2_000,
    bodyBytesMax: 1_048_576,
    xmlWithoutDoctype: true,
    rpcEnvelope: true,
    withoutStagingPassword: true,
    framedByAny: true,
  });
  t.match(of("/"), {
    verdict: "forward",
    limits: [],
    answerTimeoutMs: 180_000,
    withoutStagingPassword: false,
    framedByAny: false,
  });
});

t.test("what no rule allows is refused", async (t) => {
  const policy = deciding("{ path: /x }");
  const empty = { ...policy, rules: [], pathRules: new PathRules<CompiledRule>([], indexRules([])) };
  t.equal(decide(empty, factsFor({ path: "/y" }), stranger), noRule);
  t.match(noRule, { verdict: "deny", status: 403, reason: { rule: "no-rule" } });
});

t.test("problems name place, thing and remedy, all at once", async (t) => {
  const found = problemsOf(`limits:
  logn: {rate: 5/mn, brust: 5}
rules:
  - id: Login
    why: short
    mach: {}
    match:
      path: web/login
      form: x
      from: [admn, 10.0.0.1/8]
      not: {path: [/a//b, /x/]}
    deny: 404
    limits: [login]
  - id: b
    why: long enough a sentence
    redirect: {to: //evil, status: 304}
    answer: {}
  - 5
  - id: c
    when: {preset: [standrad], database_manager: 404}
tables: {}
`);
  const expected: readonly string[] = [
    "policies/20-login.yaml:2:9 limits.logn.burst is missing",
    'policies/20-login.yaml:2:16 limits.logn.rate "5/mn" must be a rate like "5/min", "30/s" or "100/h"',
    'policies/20-login.yaml:2:22 limits.logn: key "brust" is not known here, did you mean "burst"?',
    'policies/20-login.yaml:4:9 id "Login" must be kebab-case: small letters, digits and single "-"',
    'policies/20-login.yaml:5:10 why "short" must be a sentence that says what the rule is for',
    'policies/20-login.yaml:6:5 key "mach" is not known here, did you mean "match"?',
    'policies/20-login.yaml:8:13 match.path "web/login" must begin with "/"',
    'policies/20-login.yaml:9:7 match: key "form" is not known here, did you mean "from"?',
    'policies/20-login.yaml:10:14 match.from "admn" is no network of the settings (admin, api, trusted, pos), did you mean "admin"?',
    'policies/20-login.yaml:10:20 match.from "10.0.0.1/8" has bits set beyond /8; the network is 10.0.0.0/8',
    'policies/20-login.yaml:11:20 match.not.path "/a//b" must not have an empty segment ("//")',
    'policies/20-login.yaml:13:5 limits has no meaning beside deny; it belongs to "forward"',
    "policies/20-login.yaml:14:5 rule b has several verdicts: redirect and answer; give exactly one of forward, deny, redirect, answer, drop",
    'policies/20-login.yaml:16:20 redirect.to "//evil" must be a path on this host: one leading "/", visible ASCII',
    "policies/20-login.yaml:16:36 redirect.status 304 must be 301 or 302 or 303 or 307 or 308",
    "policies/20-login.yaml:17:13 answer.body is missing",
    "policies/20-login.yaml:18:5 entry 5 must be a map of keys",
    "policies/20-login.yaml:19:5 rule c has no verdict; give exactly one of forward, deny, redirect, answer, drop",
    "policies/20-login.yaml:19:5 why is missing",
    'policies/20-login.yaml:20:21 when.preset "standrad" must be "standard" or "strict" or "staging" or "nginx-guide"',
    'policies/20-login.yaml:20:50 when.database_manager 404 must be "403" or "404" or "redirect"',
    'policies/20-login.yaml:21:1 key "tables" is not known here (known: limits, rules)',
  ];
  for (const line of expected) {
    t.ok(found.includes(line), line);
  }
  t.equal(found.length, expected.length + 3, "and beside them the sibling keys of the same rules");
});

t.test("a host that no rule can ever meet is named, and is no reason not to start", async (t) => {
  const policy = policyOf(`rules:
  - { id: a, why: long enough a sentence, match: { host: [erp.exmaple.com, erp.example.com] }, deny: 404 }
  - { id: b, why: long enough a sentence, match: { path: /x, not: { host: www.example.com } }, deny: 404 }
  - { id: c, why: long enough a sentence, match: { host: "[::1]", path: /x }, deny: 404 }
${rest}`);
  t.match(unservedHosts(policy, settingsFor("standard")).map(problemLine), [
    /:2:\d+ host "erp.exmaple.com" is none of DOMAIN: nobody ever asks for it here; did you mean erp.example.com\?$/,
    /:3:\d+ host "www.example.com" is one of REDIRECT_DOMAINS, which no rule is asked for/,
    /:4:\d+ host "\[::1\]" is none of DOMAIN: .*; serve it/,
  ]);
  t.same(unservedHosts(shippedPolicy(settingsFor("standard")), settingsFor("standard")), []);
});

t.test("a mistake in one rule does not hide what is wrong between the others", async (t) => {
  const found = problemsOf(`limits:
  one: {rate: 5/min, burst: 5}
  two: {rate: 5/mn, burst: 5}
rules:
  - { id: a, why: long enough a sentence, match: { path: /x/** }, deny: 404 }
  - { id: a, why: long enough a sentence, match: { path: /x/y }, deny: 404 }
  - { id: b, why: long enough a sentence, forward: web, limits: [two], store: /my/** }
`);
  t.match(found, [
    /:3:15 limits.two.rate "5\/mn" must be a rate/,
    /:6:11 id "a" is already at policies\/20-login.yaml:5/,
    /:7:\d+ rule b would keep answers of \/my\/\*\*/,
    /:6:5 rule a can never match: a at policies\/20-login.yaml:5 takes all its requests/,
  ]);
  t.equal(found.length, 4, "the limit that could not be read is not called unknown");
});

t.test("mistakes in the YAML itself have a place too", async (t) => {
  t.match(problemsOf("rules:\n  - id: a\n    id: b\n"), [/^policies\/20-login\.yaml:3:5 .*unique/]);
  t.match(problemsOf("rules: [\n"), [/^policies\/20-login\.yaml:\d+:\d+ /]);
  const laughs = "a: &a [x, x]\nb: [*a, *a]\n";
  t.match(problemsOf(laughs)[0], /^policies\/20-login\.yaml:2:5 alias "\*a" is not allowed/);
  t.match(problemsOf("- x\n"), [/must be a map/]);
  t.match(problemsOf("rules: {}\n"), [/rules must be a list/]);
  t.match(problemsOf("__proto__: {}\n"), [/key "__proto__" is not known here/]);
  t.match(problemsOf(`rules: "${"x".repeat(1_100_000)}"\n`), [/is longer than/]);
});

t.test("a rule keeps files in memory on the paths it names, and only where all are public", async (t) => {
  const policy = policyOf(`rules:
  - { id: files, why: files and pictures, match: { path: [/web/**, /shop/static/**] }, forward: web, store: [/web/assets/**, /*/static/**] }
${rest}`);
  const stores = (path: string) => {
    const facts = factsFor({ path });
    const decision = decide(policy, facts, stranger);
    return decision.verdict === "forward" && decision.stores(facts.path);
  };
  t.equal(stores("/web/assets/1/x.js"), true);
  t.equal(stores("/shop/static/x.js"), true);
  t.equal(stores("/web/image/1"), false);
  t.equal(stores("/fr/web/assets/1/x.js"), false, "another reading of it is a page");
  t.equal(stores("/other/static/x.js"), false, "another rule");
  for (const wrong of ["/web/content/**", "/**", "/my/**", "/web/*", "/*/x/static/**"])
    t.match(
      problemsOf(
        `rules:\n  - { id: files, why: files and pictures, match: { path: /web/** }, forward: web, store: ${wrong} }\n${rest}`,
      ).join(),
      "which may be somebody's own; keep files below /web/assets/** and /*/static/** only",
      wrong,
    );
  t.match(
    problemsOf(
      `rules:\n  - { id: files, why: files and pictures, match: { path: /x }, deny: 404, store: /web/assets/** }\n${rest}`,
    ).join(),
    "store has no meaning beside deny",
  );
});

t.test("problems across rules and files", async (t) => {
  t.same(
    problemsOf(`limits: { login: { rate: 5/min, burst: 5 } }
rules:
  - { id: a, why: the first rule of two, match: { path: /a }, forward: web, limits: [logni] }
  - { id: a, why: the second rule of two, match: { path: /b }, forward: web }
${rest}`),
    [
      'policies/20-login.yaml:4:11 id "a" is already at policies/20-login.yaml:3; logs and metrics name rules by their id: give each its own',
      'policies/20-login.yaml:3:86 limits "logni" is no limit of any file; did you mean "login"?',
    ],
  );
  const unreachable = (first: string, second: string): boolean =>
    problemsOf(
      `rules:\n  - { id: a, why: the first rule of two, ${first} }\n  - { id: b, why: the second rule of two, ${second} }\n${rest}`,
    ).some((line) => line.includes("rule b can never match: a at policies/20-login.yaml:2"));
  t.equal(
    unreachable("forward: web", "match: { path: /x }, deny: 404"),
    true,
    "behind a rule for everything",
  );
  t.equal(
    unreachable("match: { path: /x/** }, deny: 404", "match: { path: /x/y, method: POST }, deny: 403"),
    true,
  );
  t.equal(
    unreachable("match: { path: /x/** }, forward: web", "match: { path: /x/y }, deny: 403"),
    false,
    "the refusal also sees /X/Y",
  );
  t.equal(
    unreachable("match: { path: /X }, deny: 404", "match: { path: /x }, forward: web"),
    true,
    "the refusal sees /x too",
  );
  t.equal(unreachable("match: { method: GET }, deny: 404", "match: { method: HEAD }, deny: 403"), true);
  t.equal(
    unreachable("match: { path: /x, from: admin }, forward: web", "match: { path: /x }, forward: web"),
    false,
  );
  t.equal(
    unreachable(
      "match: { path: /x, from: api }, forward: web",
      "match: { path: /x, from: [api, admin] }, forward: web",
    ),
    false,
  );
  t.equal(
    unreachable(
      "match: { path: /x, from: [api, admin] }, forward: web",
      "match: { path: /x, from: api }, forward: web",
    ),
    true,
  );
  t.equal(
    unreachable("when: { preset: strict }, forward: web", "match: { path: /x }, deny: 404"),
    false,
    "a rule left out hides nothing",
  );

  t.match(
    problemsOf("rules:\n  - { id: a, why: the only rule there is, match: { path: /a }, forward: web }\n"),
    [/^policies\/20-login\.yaml:2:5 the last rule, a, does not take every request; end the last file/],
  );

  const two = loadTexts(
    {
      "10-b.yaml": `limits: { x: { rate: 1/s, burst: 0 } }\nrules:\n${rest}`,
      "05-a.yaml": "limits: { x: { rate: 1/s, burst: 0 } }\n",
    },
    standard,
  );
  t.match(two.ok ? [] : two.error.map(problemLine), [
    /^policies\/10-b\.yaml:1:14 limits\.x is already at policies\/05-a\.yaml:1/,
  ]);
});

t.test("a directory that cannot be read, is empty or misnamed is a problem, not a crash", async (t) => {
  const misnamed = loadTexts({ "a.yml": "" }, standard);
  t.match(misnamed.ok ? [] : misnamed.error.map(problemLine), [
    "policies/a.yml would not be read; rename it to a.yaml",
  ]);
  const empty = loadTexts({ "README.md": "" }, standard);
  t.match(empty.ok ? [] : empty.error.map(problemLine), [/holds no policy file/]);
  const none = loadTexts({ "a.yaml": "" }, standard);
  t.match(none.ok ? [] : none.error.map(problemLine), [/no rule is left/]);
  const exempt = loadTexts(
    { "a.yaml": `rules:\n${rest}` },
    settingsFor("staging", { stagingExempt: ["payment"] }),
  );
  t.match(exempt.ok ? [] : exempt.error.map(problemLine), [
    'environment STAGING_EXEMPT "payment" must begin with "/"',
  ]);
});

t.test("explain names every rule tried and why", async (t) => {
  const settings = settingsFor("standard", { adminNetworks: networks("10.0.0.0/8") });
  const policy = shippedPolicy(settings);
  const { tried, decision } = explain(policy, factsFor({ method: "POST", path: "/fr/web/login" }), stranger);
  t.equal(decision.reason.rule, "login");
  t.equal(decision.reason.file, "policies/20-login.yaml");
  const line = readFileSync(`${root}policies/20-login.yaml`, "utf8").split("\n")[decision.reason.line - 1];
  t.equal(line?.trim(), "- id: login", "the line is where the rule begins");
  t.match(tried.at(-1), {
    rule: "login",
    matched: true,
    because: "path is /web/login/** and method POST is POST",
  });
  t.equal(tried.filter((one) => one.matched).length, 1);
  t.match(tried[0], {
    rule: "acme-challenge",
    matched: false,
    because: "path is not /.well-known/acme-challenge/**",
  });

  const manager = explain(policy, factsFor({ path: "/web/database/manager" }), stranger);
  t.match(
    manager.tried.find((one) => one.rule === "database-admin"),
    {
      because: "from 203.0.113.9 is not in ADMIN_NETWORKS",
    },
  );
  t.match(
    policy.skipped.find((one) => one.rule === "version-leaks"),
    {
      file: "policies/15-leaks.yaml",
      because: "preset is standard, not strict",
    },
  );
  const rule = (match: string, sketch: Parameters<typeof factsFor>[0]) =>
    explain(deciding(match, settings), factsFor(sketch), stranger).tried[0]?.because;
  t.equal(rule("{ method: [POST, PUT] }", { path: "/" }), "method GET is not POST or PUT");
  t.equal(rule("{ path: [/a, /b, /c, /d, /e] }", { path: "/" }), "path is not /a, /b, /c (or 2 more)");
  t.equal(rule("{ query: [debug] }", { path: "/" }), "query has no parameter debug");
  t.equal(rule("{ offsite: [r] }", { path: "/", query: "r=//x" }), "parameter r points off-site");
  t.equal(rule("{ offsite: [r] }", { path: "/" }), "no parameter r points off-site");
  t.equal(
    rule("{ not: { from: admin } }", { path: "/", from: "10.0.0.1" }),
    "excepted: from 10.0.0.1 is in ADMIN_NETWORKS",
  );
  t.equal(rule("{ session: known }", { path: "/" }), "the session is not one that was seen to log in");
});

t.test("property: the index never changes the decision", async () => {
  const segments = ["a", "b", "A", "fr", "x.y", ".env", "web"];
  const pattern = fc
    .tuple(fc.array(fc.constantFrom(...segments, "*", "a*"), { maxLength: 3 }), fc.boolean())
    .map(([parts, below]) => `/${[...parts, ...(below ? ["**"] : [])].join("/")}`);
  const ruleText = fc.tuple(fc.array(pattern, { minLength: 1, maxLength: 3 }), fc.boolean());
  const path = fc
    .array(fc.constantFrom(...segments, "zz"), { maxLength: 4 })
    .map((parts) => `/${parts.join("/")}`);
  fc.assert(
    fc.property(
      fc.array(ruleText, { minLength: 1, maxLength: 40 }),
      fc.array(path, { minLength: 5, maxLength: 20 }),
      (rules, paths) => {
        const text = rules
          .map(
            ([patterns, deny], index) =>
              `  - { id: r${index}, why: one of many rules, match: { path: ${JSON.stringify(patterns)} }, ${deny ? "deny: 404" : "forward: web"} }\n`,
          )
          .join("");
        const loaded = loadTexts({ "a.yaml": `rules:\n${text}${rest}` }, standard);
        // Rules made at random are often unreachable; the problem is right, the case is skipped.
        return (
          !loaded.ok ||
          paths.every((one) => {
            const facts = factsFor({ path: one });
            return decide(loaded.value, facts, stranger) === explain(loaded.value, facts, stranger).decision;
          })
        );
      },
    ),
    { numRuns: 150 },
  );
});

t.test("500 rules cost a request little more than 20", async (t) => {
  const many = (count: number): Policy =>
    policyOf(
      `rules:\n${Array.from({ length: count }, (_one, index) => `  - { id: r${index}, why: one of many rules, match: { path: /app${index}/** }, deny: 404 }\n`).join("")}${rest}`,
    );
  const facts = factsFor({ path: "/fr/shop/product-7" });
  const cost = (policy: Policy): number => {
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 8; round += 1) {
      const start = performance.now();
      for (let index = 0; index < 5_000; index += 1) {
        decide(policy, facts, stranger);
      }
      best = Math.min(best, performance.now() - start);
    }
    return best;
  };
  const few = cost(many(20));
  const lots = cost(many(500));
  t.comment(`${((few / 5_000) * 1_000).toFixed(2)} and ${((lots / 5_000) * 1_000).toFixed(2)} µs a decision`);
  t.ok(lots < few * 8 + 5, "25 times the rules do not cost 8 times the time");
});

t.test("decisions are prebuilt and frozen", async (t) => {
  const policy = shippedPolicy(standard);
  for (const rule of policy.rules) {
    t.ok(Object.isFrozen(rule.decision) && Object.isFrozen(rule.decision.reason), rule.reason.rule);
    t.ok(rule.reason.why.length > 20, "says why");
  }
});

t.test("policies/policy.schema.json is what the code reads", async (t) => {
  const shipped: unknown = JSON.parse(readFileSync(`${root}policies/policy.schema.json`, "utf8"));
  t.same(shipped, JSON.parse(policySchemaText()), "write policySchemaText() to the file again");
});

t.test("places in YAML", async (t) => {
  const yaml = parseYaml("a:\n  - b: 1\n    c: [x, y]\n");
  if (!yaml.ok) {
    throw new Error("must parse");
  }
  t.same(yaml.value.valuePlace(["a", 0, "c", 1]), { line: 3, column: 12 });
  t.same(yaml.value.keyPlace(["a", 0, "c"]), { line: 3, column: 5 });
  t.same(yaml.value.keyPlace(["a", 0]), { line: 2, column: 5 });
  t.same(yaml.value.valuePlace(["a", 0, "missing", "deep"]), { line: 2, column: 5 });
});
