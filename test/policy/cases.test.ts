import { readFileSync } from "node:fs";
import t from "tap";
import { parseYaml } from "../../src/base/yaml-positions.ts";
import type { Policy } from "../../src/policy/compile.ts";
import { decide } from "../../src/policy/decide.ts";
import type { Decision } from "../../src/policy/decision.ts";
import { explain } from "../../src/policy/explain.ts";
import type { Preset, Settings } from "../../src/settings/settings.ts";
import { type FactsSketch, factsFor } from "../support/facts.ts";
import { networks, root, settingsFor, shippedPolicy } from "./support.ts";

/** Golden cases: the shipped rules, said as requests and verdicts in test/cases/*.yaml. */

type Mapping = Readonly<Record<string, unknown>>;

const known = new Set([
  "request",
  "from",
  "preset",
  "manager",
  "selector",
  "admin",
  "api",
  "trusted",
  "session",
  "upgrade",
  "type",
  "host",
  "expect",
]);

const policies = new Map<string, Policy>();

/** Each policy is loaded once for all cases that share its settings. */
function policyFor(one: Mapping): Policy {
  const key = JSON.stringify([
    one["preset"],
    one["manager"],
    one["selector"],
    one["admin"],
    one["api"],
    one["trusted"],
  ]);
  const cached = policies.get(key);
  if (cached !== undefined) {
    return cached;
  }
  const change: { -readonly [K in keyof Settings]?: Settings[K] } = {};
  const manager = one["manager"];
  if (manager === "403" || manager === "redirect") {
    change.databaseManager = manager;
  }
  if (one["selector"] === "allow") {
    change.databaseSelector = "allow";
  }
  if (one["admin"] !== undefined) {
    change.adminNetworks = networks(...texts(one["admin"]));
  }
  if (one["api"] !== undefined) {
    change.apiNetworks = networks(...texts(one["api"]));
  }
  if (one["trusted"] !== undefined) {
    change.trustedNetworks = networks(...texts(one["trusted"]));
  }
  const policy = shippedPolicy(settingsFor(presetOf(one["preset"]), change));
  policies.set(key, policy);
  return policy;
}

function presetOf(value: unknown): Preset {
  switch (value) {
    case "strict":
    case "staging":
    case "nginx-guide":
      return value;
    case undefined:
      return "standard";
    default:
      throw new Error(`no preset: ${String(value)}`);
  }
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function mapping(value: unknown): Mapping {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Error("a map is expected");
  }
  return Object.fromEntries(Object.entries(value));
}

function readCases(name: string): Mapping {
  const yaml = parseYaml(readFileSync(`${root}test/cases/${name}`, "utf8"));
  if (!yaml.ok) {
    throw new Error(`${name}: ${yaml.error.map((one) => `${one.line}: ${one.message}`).join("; ")}`);
  }
  return mapping(yaml.value.value);
}

function sketchOf(one: Mapping): FactsSketch {
  const [method = "", target = ""] = text(one["request"]).split(" ");
  const mark = target.indexOf("?");
  return {
    method,
    path: mark === -1 ? target : target.slice(0, mark),
    query: mark === -1 ? "" : target.slice(mark + 1),
    sessionId: one["session"] === undefined ? null : "a-session",
    upgrade: one["upgrade"] === true ? "websocket" : null,
    contentType: text(one["type"]),
    ...(one["from"] === undefined ? {} : { from: text(one["from"]) }),
    ...(one["host"] === undefined ? {} : { host: text(one["host"]) }),
  };
}

/** The decision in the words of a case's `expect`. */
function seen(decision: Decision): Mapping {
  const common = { rule: decision.reason.rule, verdict: decision.verdict };
  switch (decision.verdict) {
    case "forward":
      return {
        ...common,
        pool: decision.pool,
        limits: [...decision.accountLimits, ...decision.limits].map((limit) => limit.name),
        timeout: decision.answerTimeoutMs,
        body: decision.bodyBytesMax,
        websocket: decision.websocket,
        xml: decision.xmlWithoutDoctype,
      };
    case "redirect":
      return { ...common, status: decision.status, location: decision.location };
    case "deny":
    case "answer":
      return { ...common, status: decision.status };
    case "drop":
      return common;
  }
}

for (const name of ["database.yaml", "login.yaml", "rpc.yaml", "others.yaml"]) {
  t.test(`shipped rules: ${name}`, async (t) => {
    const cases = readCases(name)["cases"];
    if (!Array.isArray(cases)) {
      throw new Error(`${name}: a list of cases is expected`);
    }
    for (const raw of cases) {
      const one = mapping(raw);
      const unknown = Object.keys(one).filter((key) => !known.has(key));
      t.same(unknown, [], `${text(one["request"])}: no unknown keys`);
      const expect = mapping(one["expect"]);
      const policy = policyFor(one);
      const facts = factsFor(sketchOf(one));
      const extra = { knownSession: one["session"] === "known" };
      const decision = decide(policy, facts, extra);
      const got = seen(decision);
      const compared = Object.fromEntries(Object.keys(expect).map((key) => [key, got[key]]));
      const settings = Object.entries(one)
        .filter(([key]) => key !== "request" && key !== "expect")
        .map(([key, value]) => `${key} ${String(value)}`)
        .join(", ");
      t.same(compared, expect, `${text(one["request"])} ${settings}`);
      t.equal(explain(policy, facts, extra).decision, decision, "explain walks to the same decision");
    }
  });
}

t.test("every route of Odoo is reached, but for the guarded ones", async (t) => {
  const file = readCases("routes.yaml");
  const denied = texts(file["denied"]);
  const reached = texts(file["reached"]);
  t.equal(denied.length + reached.length, 356, "all routes are there");
  for (const preset of ["standard", "staging", "nginx-guide"] as const) {
    const policy = shippedPolicy(settingsFor(preset));
    for (const method of ["GET", "POST"]) {
      const verdicts = (paths: readonly string[], verdict: string) =>
        paths.filter((path) => decide(policy, factsFor({ method, path }), stranger).verdict !== verdict);
      const own = preset === "staging" && method === "GET" ? ["/robots.txt"] : [];
      t.same(verdicts(reached, "forward"), own, `${preset}: ${method} of an ordinary route reaches Odoo`);
      t.same(verdicts(denied, "deny"), [], `${preset}: ${method} of a database route is denied`);
    }
  }
  const strict = shippedPolicy(settingsFor("strict"));
  const refused = reached.filter(
    (path) => decide(strict, factsFor({ path }), { knownSession: true }).verdict !== "forward",
  );
  t.same(
    refused.filter((path) => !/^\/(xmlrpc|jsonrpc|json|doc-bearer)(\/|$)/.test(path)),
    [
      "/web/become",
      "/web/tests",
      "/web/tests/legacy",
      "/web/version",
      "/web/webclient/version_info",
      "/website/info",
    ].filter((path) => reached.includes(path)),
    "strict denies, beside RPC, only leaks and developer routes",
  );
  const bus = reached.filter((path) => {
    const decision = decide(strict, factsFor({ path }), stranger);
    return decision.verdict === "forward" && decision.pool === "bus";
  });
  t.same(
    bus.map((path) => path.split("/")[1]),
    bus.map(() => "websocket"),
    "only /websocket goes to the bus",
  );
  t.ok(bus.length >= 4);
});

t.test("a language prefix never changes the rule of a guarded route", async (t) => {
  const policy = shippedPolicy(settingsFor("strict"));
  const guarded = [
    "/web/database/manager",
    "/xmlrpc/db",
    "/xmlrpc/2/db",
    "/xmlrpc/2/common",
    "/jsonrpc",
    "/json/2/res.partner/read",
    "/web/login",
    "/web/login/totp",
    "/web/session/authenticate",
    "/base_import_module/login_upload",
    "/web/version",
    "/web/become",
  ];
  for (const path of guarded) {
    const bare = decide(policy, factsFor({ method: "POST", path }), stranger).reason.rule;
    // The last three are not of a language code's form: a website language's URL code can be anything.
    for (const prefix of [
      "/fr",
      "/fr_FR",
      "/pt_BR",
      "/zh_CN",
      "/sr@latin",
      "/es-419",
      "/english",
      "/d",
      "/fr/xx",
    ]) {
      if (prefix !== "/fr/xx") {
        const facts = factsFor({ method: "POST", path: `${prefix}${path}` });
        t.equal(decide(policy, facts, stranger).reason.rule, bare, `${prefix}${path}`);
      }
    }
  }
});

t.test("the values the presets promise", async (t) => {
  const standard = shippedPolicy(settingsFor("standard"));
  const rate = (name: string) => {
    const limit = standard.limits.get(name);
    return limit === undefined ? null : [limit.ratePerSecond, limit.burst, limit.key, limit.refund];
  };
  t.same(rate("login"), [5 / 60, 5, "account", true]);
  t.same(rate("login-address"), [15 / 60, 15, "client", true]);
  t.same(rate("guide-login"), [5 / 60, 3, "client", false]);
  t.same(rate("rpc"), [30, 20, "client", false]);
  t.same(rate("rpc-web"), [30, 50, "session", false]);
  t.same(rate("guide-dataset"), [30, 50, "client", false]);
  t.same(rate("everything"), [100, 100, "client", false]);
  t.same(rate("session-everything"), [100, 200, "session", false]);
  t.same(rate("address-total"), [1000, 2000, "client", false]);
  t.same(rate("assets"), [500, 1000, "client", false]);

  const robots = decide(shippedPolicy(settingsFor("staging")), factsFor({ path: "/robots.txt" }), stranger);
  t.equal(robots.verdict === "answer" ? robots.body : "", "User-agent: *\nDisallow: /\n");
});

t.test("no rule gives up on Odoo before Odoo's own limit", async (t) => {
  const times = (odooTimeLimitMs: number | null) => {
    const policy = shippedPolicy(settingsFor("standard", { odooTimeLimitMs }));
    return ["/", "/report/pdf/sale.report/1", "/websocket/peek_notifications"].map((path) => {
      const decision = decide(policy, factsFor({ path }), stranger);
      return decision.verdict === "forward" ? decision.answerTimeoutMs : 0;
    });
  };
  t.same(times(null), [180_000, 720_000, 180_000]);
  t.same(times(120_000), [180_000, 720_000, 180_000], "never less than the rules say");
  t.same(times(1_200_000), [1_210_000, 1_210_000, 180_000]);
});

t.test("a webhook is freed from the staging password only under its own name", async (t) => {
  const policy = shippedPolicy(settingsFor("staging"));
  const exempt = (path: string) => policy.isStagingExempt(factsFor({ path }));
  t.equal(exempt("/payment/stripe/webhook"), true);
  t.equal(exempt("/shop"), false);
  t.equal(exempt("/payments"), false);
  t.equal(exempt("/fr/payment/stripe/webhook"), false, "two readings, one of them not listed");
  const own = settingsFor("staging", {
    stagingExempt: ["/web/hook/**", "/im_livechat/x", "/my/**", "/*/hook"],
  });
  const freed = (path: string) => shippedPolicy(own).isStagingExempt(factsFor({ path }));
  t.equal(freed("/web/hook/3f2b8c1e"), true, "where Odoo's own webhooks are: web is no language");
  t.equal(freed("/im_livechat/x"), true);
  t.equal(freed("/my/web/login"), false, "Burmese: whoever frees the portal does not free the log-in");
  t.equal(freed("/fr/hook"), false);
  t.equal(freed("/fr/web/hook/3f2b8c1e"), false);
  t.equal(shippedPolicy(settingsFor("standard")).isStagingExempt(factsFor({ path: "/payment/x" })), false);
});

const stranger = { knownSession: false };
