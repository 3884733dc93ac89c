import type { Ip } from "../base/ip.ts";
import { remembered } from "../base/remembered.ts";
import type { RequestFacts } from "../message/facts.ts";
import type { Limit } from "../policy/decision.ts";
import type { ApiEntry, ApiService } from "../settings/settings.ts";
import type { RpcEnvelope } from "./rpc-envelope.ts";

/** What stands at an RPC path. `json-rpc`: the service is in the body. `other`: a service of XML-RPC that no list can name. */
export type ApiPath =
  | { readonly kind: "xml-rpc"; readonly service: string }
  | { readonly kind: "json-rpc" }
  | {
      readonly kind: "route";
      readonly service: ApiService;
      readonly model: string | null;
      readonly method: string | null;
    };

/** Why a call is refused: the rule's name in logs, and one sentence for the caller. */
export interface ApiRefusal {
  readonly rule: "api-network" | "api-service" | "api-model" | "api-method";
  readonly sentence: string;
}

/** One compiled entry. */
export interface ApiRules {
  readonly place: string;
  /** In place of the limits of the policy's rule; null: those hold. */
  readonly limits: readonly Limit[] | null;
  readonly services: ReadonlySet<string> | null;
  readonly models: NameTest | null;
  readonly methods: NameTest | null;
}

type NameTest = (name: string) => boolean;

/** Who may call what: the section `api:` compiled. */
export interface ApiList {
  /** The first entry that names the client's network (and the host); null: none does. */
  entryFor(client: Ip, host: string): ApiRules | null;
}

/** Compiles the entries once a plan. */
export function apiList(entries: readonly ApiEntry[]): ApiList {
  const compiled = entries.map((entry, index) => ({ entry, rules: compile(entry, index) }));
  return {
    entryFor: (client, host) =>
      compiled.find(
        ({ entry }) => entry.networks.contains(client) && (entry.hosts === null || entry.hosts.has(host)),
      )?.rules ?? null,
  };
}

function compile({ place, services, models, methods, rate }: ApiEntry, index: number): ApiRules {
  const limit: Limit | null =
    rate === null
      ? null
      : {
          name: `api-${index + 1}`,
          ratePerSecond: rate.perSecond,
          burst: rate.burst,
          key: "client",
          refund: false,
        };
  return {
    place,
    limits: limit === null ? null : Object.freeze([Object.freeze(limit)]),
    services,
    models: models === null ? null : namesTest(models),
    methods: methods === null ? null : namesTest(methods),
  };
}

function namesTest(patterns: readonly string[]): NameTest {
  const whole = new Set(patterns.filter((pattern) => !pattern.endsWith("*")));
  const beginnings = patterns
    .filter((pattern) => pattern.endsWith("*"))
    .map((pattern) => pattern.slice(0, -1));
  return (name) => whole.has(name) || beginnings.some((beginning) => name.startsWith(beginning));
}

const xmlRpc = /^(?:\/[^/]+)?\/xmlrpc\/(?:2\/)?([^/]+)$/;
const jsonRpc = /^(?:\/[^/]+)?\/jsonrpc(?:\/|$)/;
const jsonTwo = /^(?:\/[^/]+)?\/json\/2(?:\/([^/]+)(?:\/([^/]+))?)?(?:\/|$)/;
const jsonOne = /^(?:\/[^/]+)?\/json\/1(?:\/|$)/;
const doc = /^(?:\/[^/]+)?\/doc-bearer(?:\/|$)/;

/** What is called at this path, in any of its readings; null: no RPC route. Any first segment may be a language. */
export function apiPathOf({ paths }: Pick<RequestFacts, "paths">): ApiPath | null {
  return apiPathAt(paths);
}

const apiPathAt = remembered((paths: readonly string[]): ApiPath | null => {
  for (const path of paths) {
    const service = xmlRpc.exec(path)?.[1];
    if (service !== undefined) return { kind: "xml-rpc", service };
    if (jsonRpc.test(path)) return { kind: "json-rpc" };
    const two = jsonTwo.exec(path);
    if (two !== null)
      return { kind: "route", service: "json-2", model: two[1] ?? null, method: two[2] ?? null };
    if (jsonOne.test(path)) return { kind: "route", service: "json-1", model: null, method: null };
    if (doc.test(path)) return { kind: "route", service: "doc", model: null, method: null };
  }
  return null;
});

export const networkRefusal: ApiRefusal = {
  rule: "api-network",
  sentence: "Programs on this network may not call here.",
};

/** What can be told from the path alone; null: nothing against it so far. The `db` service has rules of its own. */
export function pathRefusal(rules: ApiRules, path: ApiPath): ApiRefusal | null {
  switch (path.kind) {
    case "xml-rpc":
      return path.service === "db" ? null : serviceRefusal(rules, path.service);
    case "json-rpc":
      return null;
    case "route": {
      const refusal = serviceRefusal(rules, path.service);
      // The documentation calls nothing.
      if (refusal !== null || path.service === "doc") return refusal;
      return nameRefusal(rules, path.model, path.method);
    }
  }
}

/** Must the call in the body be read before it can be judged. */
export function wantsCall(rules: ApiRules): boolean {
  return rules.models !== null || rules.methods !== null;
}

/** What the call in a body asks for; null: nothing against it. */
export function callRefusal(rules: ApiRules, call: RpcEnvelope): ApiRefusal | null {
  if (call.service === "db") return null;
  const refusal = serviceRefusal(rules, call.service);
  if (refusal !== null || call.service !== "object") return refusal;
  return nameRefusal(rules, call.model, call.modelMethod);
}

function serviceRefusal({ services }: ApiRules, service: string): ApiRefusal | null {
  if (services === null || services.has(service)) return null;
  return { rule: "api-service", sentence: "Programs on this network may not call this service." };
}

function nameRefusal(
  { models, methods }: ApiRules,
  model: string | null,
  method: string | null,
): ApiRefusal | null {
  if (models !== null && (model === null || !models(model)))
    return { rule: "api-model", sentence: "Programs on this network may not call this model." };
  if (methods !== null && (method === null || !methods(method)))
    return { rule: "api-method", sentence: "Programs on this network may not call this method." };
  return null;
}
