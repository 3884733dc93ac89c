import type { CanonicalPath } from "../base/brands.ts";
import { emptyIpSet, parseIpSet } from "../base/ip-set.ts";
import { parseBytes, parseDurationMs, parseRatePerSecond } from "../base/units.ts";
import type { KeyPath } from "../base/yaml-positions.ts";
import type { RequestFacts } from "../message/facts.ts";
import type { Settings } from "../settings/settings.ts";
import { ClientRules } from "./client-rules.ts";
import type { Decision, ForwardDecision, Limit, Reason } from "./decision.ts";
import type { Located, LocatedLimit } from "./decode.ts";
import {
  type Condition,
  contentTypeIs,
  fromIs,
  hostIs,
  methodIs,
  notAll,
  offsiteIs,
  pathIs,
  queryHas,
  type SourceNetwork,
  schemeIs,
  sessionIs,
  upgradeIs,
  userAgentHas,
} from "./matchers.ts";
import { compilePath, type PathPattern, parsePathPattern } from "./path-pattern.ts";
import { PathRules } from "./path-rules.ts";
import {
  type ConditionsDocument,
  listOf,
  type MatchDocument,
  namedNetworks,
  type RuleDocument,
  type WhenDocument,
} from "./rule-document.ts";
import { indexRules } from "./rule-index.ts";

/** A rule ready to run: its conditions, and its decision prebuilt and frozen. */
export interface CompiledRule {
  readonly reason: Reason;
  readonly conditions: readonly Condition[];
  /** Those of `conditions` that the path alone decides; null: any path. */
  readonly ofPath: Condition | null;
  /** Which of the policy's `from` conditions it has; -1: anybody. */
  readonly ofClient: number;
  /** The rest of `conditions`. */
  readonly others: readonly Condition[];
  readonly decision: Decision;
}

/** A rule that the settings leave out. */
export interface SkippedRule {
  readonly rule: string;
  readonly file: string;
  readonly line: number;
  /** `preset is standard, not strict`. */
  readonly because: string;
}

/** All compiled rules of one load. Immutable; counters and bans live elsewhere. */
export interface Policy {
  readonly rules: readonly CompiledRule[];
  readonly limits: ReadonlyMap<string, Limit>;
  readonly skipped: readonly SkippedRule[];
  readonly pathRules: PathRules<CompiledRule>;
  readonly clientRules: ClientRules;
  /** Every host that a rule names, and where first: for these, and for the others, it may decide otherwise. */
  readonly hosts: ReadonlyMap<string, string>;
  /** Every text that a rule looks for in the User-Agent: for who is called so it may decide otherwise. */
  readonly agents: ReadonlySet<string>;
  /**
   * Does STAGING_EXEMPT free this path from the staging password? Behind a language the rest must be listed too:
   * what opens a door is read strictly, what closes one widely.
   */
  readonly isStagingExempt: (facts: RequestFacts) => boolean;
}

/** How long Odoo may take when a rule says nothing. */
export const answerTimeoutMsDefault = 180_000;
/** Odoo ends a worker about 2 s after `limit_time_real` (odoo-wire h): who gives up before leaves it at work. */
const odooEndsMs = 10_000;

/** Why the settings leave a rule out; null when they do not. Keys are AND, lists are OR. */
export function excludedBecause(when: WhenDocument | undefined, settings: Settings): string | null {
  if (when === undefined) {
    return null;
  }
  const state: Readonly<Record<keyof WhenDocument, string>> = {
    preset: settings.preset,
    database_manager: settings.databaseManager,
    database_selector: settings.databaseSelector,
    admin_networks: settings.adminNetworks.isEmpty ? "empty" : "set",
    api_networks: settings.apiNetworks === null ? "any" : "listed",
    pos_networks: settings.posNetworks.isEmpty ? "empty" : "set",
  };
  for (const key of whenKeys) {
    const wanted = listOf(when[key]);
    if (wanted.length > 0 && !wanted.includes(state[key])) {
      return `${key} is ${state[key]}, not ${wanted.join(" or ")}`;
    }
  }
  return null;
}

const whenKeys = [
  "preset",
  "database_manager",
  "database_selector",
  "admin_networks",
  "api_networks",
  "pos_networks",
] as const satisfies readonly (keyof WhenDocument)[];

/** Compiles one checked limit. */
export function compileLimit({ name, document }: LocatedLimit): Limit {
  return Object.freeze({
    name,
    ratePerSecond: parseRatePerSecond(document.rate) ?? 0,
    burst: document.burst,
    key: document.key ?? "client",
    refund: document.refund === "success",
  });
}

/** Compiles checked rules, in order; those that the settings exclude are listed apart. */
export function compilePolicy(
  rules: readonly Located<RuleDocument>[],
  limits: ReadonlyMap<string, Limit>,
  settings: Settings,
): Policy {
  const compiled: CompiledRule[] = [];
  const patterns: (readonly PathPattern[] | null)[] = [];
  const skipped: SkippedRule[] = [];
  const clients: Condition[] = [];
  const hosts = new Map<string, string>();
  const agents = new Set<string>();
  for (const { document, file, line, placeOf } of rules) {
    const because = excludedBecause(document.when, settings);
    if (because !== null) {
      skipped.push({ rule: document.id, file, line, because });
      continue;
    }
    const reason: Reason = Object.freeze({ rule: document.id, file, line, why: document.why });
    const { ofPath, ofClient, conditions } = compileMatch(document, settings);
    if (ofClient !== null) clients.push(ofClient);
    compiled.push({
      reason,
      conditions,
      ofPath,
      ofClient: ofClient === null ? -1 : clients.length - 1,
      others: conditions.filter((one) => one !== ofPath && one !== ofClient),
      decision: Object.freeze(compileDecision(document, reason, limits, settings)),
    });
    for (const text of [...listOf(document.match?.user_agent), ...listOf(document.match?.not?.user_agent)])
      agents.add(text.toLowerCase());
    noteHosts(document.match?.host, ["match", "host"], placeOf, hosts);
    noteHosts(document.match?.not?.host, ["match", "not", "host"], placeOf, hosts);
    patterns.push(document.match?.path === undefined ? null : patternsOf(document.match.path));
  }
  return {
    rules: compiled,
    limits,
    skipped,
    pathRules: new PathRules(compiled, indexRules(patterns)),
    clientRules: new ClientRules(clients),
    hosts,
    agents,
    isStagingExempt: opensFor(settings.stagingExempt),
  };
}

function noteHosts(
  named: ConditionsDocument["host"],
  path: KeyPath,
  placeOf: (path: KeyPath) => string,
  hosts: Map<string, string>,
): void {
  for (const [index, host] of listOf(named).entries())
    if (!hosts.has(host)) hosts.set(host, placeOf([...path, index]));
}

/** Of a path with two readings the first counts: Odoo may take the other for somebody's page. */
function storesTest(texts: RuleDocument["store"]): ForwardDecision["stores"] {
  const tests = patternsOf(listOf(texts)).map(compilePath);
  return (path) => tests.some((test) => test(path));
}

/** What Odoo calls languages in addresses: two letters with a region or not, Filipino and Kabyle. `/web`, `/api`, `/im_livechat` are none. */
const languageAhead = /^\/(?:[a-z]{2}|fil|kab)(?:[_@-][a-z0-9]{2,5})?(?:\/|$)/i;

/** Are these patterns what Odoo will read: for what opens a door, so behind what could be a language they must name the rest as well. */
export function opensFor(texts: readonly string[]): (facts: Pick<RequestFacts, "paths">) => boolean {
  const tests = patternsOf(texts).map(compilePath);
  const isNamed = (path: CanonicalPath) => tests.some((test) => test(path));
  return ({ paths: [path, behind] }) =>
    path !== undefined &&
    isNamed(path) &&
    (behind === undefined || !languageAhead.test(path) || isNamed(behind));
}

/** The patterns of checked texts. */
export function patternsOf(texts: string | readonly string[]): readonly PathPattern[] {
  return listOf(texts).flatMap((text) => {
    const pattern = parsePathPattern(text);
    return pattern.ok ? [pattern.value] : [];
  });
}

/** The conditions of a rule, and which of them hang on the path or the client's address alone. */
interface CompiledMatch {
  readonly conditions: readonly Condition[];
  readonly ofPath: Condition | null;
  readonly ofClient: Condition | null;
}

function compileMatch(document: RuleDocument, settings: Settings): CompiledMatch {
  const match: MatchDocument = document.match ?? {};
  // A refusal looks at the path without case, everything else with it.
  const anyCase = document.deny !== undefined || document.drop !== undefined;
  const compiled = compileConditions(match, anyCase, settings);
  if (match.not === undefined) return compiled;
  const { conditions } = compileConditions(match.not, anyCase, settings);
  return { ...compiled, conditions: [...compiled.conditions, notAll(conditions)] };
}

/** In order of cost: the path first, the query last. */
function compileConditions(match: ConditionsDocument, anyCase: boolean, settings: Settings): CompiledMatch {
  const conditions: Condition[] = [];
  const ofPath = match.path === undefined ? null : pathIs(patternsOf(match.path), anyCase);
  const ofClient =
    match.from === undefined ? null : fromIs(listOf(match.from).map((text) => networkOf(text, settings)));
  if (ofPath !== null) {
    conditions.push(ofPath);
  }
  if (match.method !== undefined) {
    conditions.push(methodIs(listOf(match.method)));
  }
  if (match.upgrade !== undefined) {
    conditions.push(upgradeIs(match.upgrade));
  }
  if (match.scheme !== undefined) {
    conditions.push(schemeIs(match.scheme));
  }
  if (match.session !== undefined) {
    conditions.push(sessionIs(match.session));
  }
  if (match.host !== undefined) {
    conditions.push(hostIs(listOf(match.host)));
  }
  if (match.content_type !== undefined) {
    conditions.push(contentTypeIs(listOf(match.content_type)));
  }
  if (match.user_agent !== undefined) {
    conditions.push(userAgentHas(listOf(match.user_agent)));
  }
  if (ofClient !== null) {
    conditions.push(ofClient);
  }
  if (match.query !== undefined) {
    conditions.push(queryHas(listOf(match.query)));
  }
  if (match.offsite !== undefined) {
    conditions.push(offsiteIs(listOf(match.offsite), servedHosts(settings)));
  }
  return { conditions, ofPath, ofClient };
}

function networkOf(text: string, settings: Settings): SourceNetwork {
  switch (text) {
    case "admin":
      return { name: namedNetworks.admin, set: settings.adminNetworks };
    case "api":
      return { name: namedNetworks.api, set: settings.apiNetworks };
    case "trusted":
      return { name: namedNetworks.trusted, set: settings.trustedNetworks };
    case "pos":
      return { name: namedNetworks.pos, set: settings.posNetworks };
    default: {
      const set = parseIpSet([text]);
      return { name: text, set: set.ok ? set.value : emptyIpSet };
    }
  }
}

function servedHosts(settings: Settings): ReadonlySet<string> {
  return new Set([...settings.domains, ...settings.redirectDomains].map((served) => served.host));
}

function compileDecision(
  document: RuleDocument,
  reason: Reason,
  limits: ReadonlyMap<string, Limit>,
  { odooTimeLimitMs }: Settings,
): Decision {
  if (document.forward !== undefined) {
    const ownMs =
      (document.timeout === undefined ? null : parseDurationMs(document.timeout)) ?? answerTimeoutMsDefault;
    const leastMs = odooTimeLimitMs === null ? 0 : odooTimeLimitMs + odooEndsMs;
    const named = (document.limits ?? []).flatMap((name) => limits.get(name) ?? []);
    return {
      verdict: "forward",
      reason,
      pool: document.forward,
      limits: Object.freeze(named.filter(({ key }) => key !== "account")),
      accountLimits: Object.freeze(named.filter(({ key }) => key === "account")),
      websocket: document.websocket ?? false,
      answerTimeoutMs: document.forward === "web" ? Math.max(ownMs, leastMs) : ownMs,
      bodyBytesMax: document.body_max === undefined ? null : parseBytes(document.body_max),
      xmlWithoutDoctype: document.xml === "without-doctype",
      rpcEnvelope: document.rpc === "envelope",
      withoutStagingPassword: document.staging_password === "skip",
      framedByAny: document.frame_ancestors === "any",
      stores: storesTest(document.store),
    };
  }
  if (document.deny !== undefined) {
    return { verdict: "deny", reason, status: document.deny, strike: document.strike !== undefined };
  }
  if (document.redirect !== undefined) {
    const { to, status } = document.redirect;
    return { verdict: "redirect", reason, status: status ?? 303, location: to };
  }
  if (document.answer !== undefined) {
    const { status, content_type: contentType, body } = document.answer;
    return { verdict: "answer", reason, status, contentType, body };
  }
  if (document.drop !== undefined) {
    return { verdict: "drop", reason, strike: document.strike !== undefined };
  }
  throw new Error(`rule ${reason.rule} was let through without a verdict`);
}
