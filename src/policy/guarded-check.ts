import { type Ip, parseIp } from "../base/ip.ts";
import type { IpSet } from "../base/ip-set.ts";
import type { Problem } from "../base/problem.ts";
import type { RequestFacts } from "../message/facts.ts";
import { type IncomingHead, screen } from "../message/screen.ts";
import type { Site } from "../message/site.ts";
import type { Policy } from "./compile.ts";
import { decide } from "./decide.ts";
import type { Decision } from "./decision.ts";
import {
  commonLanguages,
  type GuardedRequest,
  managerPaths,
  managerRequests,
  managerSpellings,
  serviceRequests,
} from "./guarded.ts";

/** What the guarded requests are decided in. */
export interface GuardedWorld {
  readonly policy: Policy;
  readonly site: Site;
  /** Served names: the canonical one first, those that a rule names, and one that none names. Without a port, which is always ours: the listener's own may not be known yet. */
  readonly hosts: readonly string[];
  /** Who may reach the manager: nobody in it is a stranger. */
  readonly admins: IpSet;
  /** Networks to which the operator gave something else; a stranger is rather looked for outside of them. */
  readonly named: readonly IpSet[];
  /** DATABASE_SELECTOR=allow: looking at the selector is meant. */
  readonly selectorOpen: boolean;
}

/** Addresses of nobody (RFC 5737, RFC 3849): a rule for some of them leaves the others strangers. */
const strangers = ["203.0.113.9", "198.51.100.9", "2001:db8::9"];

/**
 * Decides every guarded request as strangers would send it and answers a problem for each rule that would let one through to
 * Odoo. What the screen refuses never gets to a rule. When the operator opened the manager to everybody
 * (ADMIN_NETWORKS=0.0.0.0/0, ::/0) there is no stranger left, and no problem.
 */
export function guardedProblems(world: GuardedWorld): readonly Problem[] {
  const { admins, named, hosts } = world;
  const outside = strangers.flatMap((text) => parseIp(text) ?? []).filter((ip) => !admins.contains(ip));
  const nameless = outside.filter((ip) => !named.some((set) => set.contains(ip)));
  const found = new Map<string, { readonly decision: Decision; readonly first: string; count: number }>();
  const clients = nameless.length > 0 ? nameless : outside;
  for (const [index, host] of hosts.entries()) {
    const to = index === 0 ? "" : ` to ${host}`;
    for (const request of guardedRequests(host, world.selectorOpen)) {
      for (const client of clients) {
        for (const decision of decisionsFor(request, client, host, world)) {
          if (!letsThrough(decision, request)) continue;
          const { rule, file, line } = decision.reason;
          const key = `${file}:${line} ${rule}`;
          const seen = found.get(key);
          const words = `${request.method} ${request.target} (${request.spelling}) from ${client.text}${to}`;
          if (seen === undefined) found.set(key, { decision, first: words, count: 1 });
          else seen.count += 1;
        }
      }
    }
  }
  return [...found.values()].map(({ decision, first, count }) => {
    const { rule, file, line } = decision.reason;
    return {
      place: `${file}:${line}`,
      thing: `rule ${rule} lets strangers reach the database manager: it forwards ${first}${count > 1 ? `, and ${count - 1} like it` : ""}`,
      remedy:
        "put a rule before it that denies this for everybody but from: admin, as the shipped policies/10-database.yaml does (JSON-RPC needs rpc: envelope), and name your own networks in ADMIN_NETWORKS",
    };
  });
}

/** A rule may ask for a method or a media type; the manager takes any method (odoo-wire h), and its forms come as either type. */
const actionForms = [
  ["GET", null],
  ["POST", null],
  ["POST", "application/x-www-form-urlencoded"],
  ["POST", "multipart/form-data"],
  ["OPTIONS", null],
] as const;

function guardedRequests(authority: string, selectorOpen: boolean): readonly GuardedRequest[] {
  const prefixes = ["", ...commonLanguages.map((language) => `/${language}`)];
  const actions = prefixes.flatMap((prefix) =>
    managerPaths.flatMap((path) =>
      actionForms.map(([method, contentType]): GuardedRequest => {
        const spelling = prefix === "" ? "as it is written" : `behind the language ${prefix.slice(1)}`;
        return { method, target: `${prefix}${path}`, contentType, body: null, spelling, odd: false };
      }),
    ),
  );
  const all = [
    ...managerRequests,
    ...managerSpellings(authority, commonLanguages),
    ...actions,
    ...[...serviceRequests(commonLanguages), ...serviceRequests(["fr"])].flatMap(callForms),
  ];
  return selectorOpen
    ? all.filter(({ method, target }) => method !== "GET" || !target.endsWith("/web/database/selector"))
    : all;
}

/** A call of the db service as Odoo takes it too: by other methods, and as other media types (odoo-wire b). */
function callForms(request: GuardedRequest): readonly GuardedRequest[] {
  const types = request.contentType === "text/xml" ? ["application/xml", null] : ["application/json-rpc"];
  return [
    request,
    { ...request, method: "GET" },
    { ...request, method: "PUT" },
    ...types.map((contentType) => ({ ...request, contentType })),
  ];
}

/** Without a session, and with one that was seen to log in or not: a portal user is a stranger too. */
function decisionsFor(
  request: GuardedRequest,
  client: Ip,
  authority: string,
  { policy, site }: GuardedWorld,
): readonly Decision[] {
  const session = ["Cookie", `${site.sessionCookie}=${"x".repeat(84)}`];
  const without = screen(headOf(request, client, authority, [], site), site);
  const having = screen(headOf(request, client, authority, session, site), site);
  if (!without.ok || !having.ok) return [];
  return ["", ...policy.agents].flatMap((agent) => [
    decide(policy, called(agent, without.value), { knownSession: false }),
    ...[false, true].map((knownSession) => decide(policy, called(agent, having.value), { knownSession })),
  ]);
}

/** The same request of a program of this name: anybody can call himself anything. */
function called(agent: string, facts: RequestFacts): RequestFacts {
  return agent === "" ? facts : { ...facts, fields: [...facts.fields, "User-Agent", agent] };
}

function headOf(
  request: GuardedRequest,
  peer: Ip,
  authority: string,
  session: readonly string[],
  site: Site,
): IncomingHead {
  const fields = ["Host", authority, ...session];
  if (request.contentType !== null) fields.push("Content-Type", request.contentType);
  if (request.method === "POST" || request.body !== null)
    fields.push("Content-Length", String(Buffer.byteLength(request.body ?? "")));
  return {
    protocol: "HTTP/1.1",
    method: request.method,
    target: request.target,
    fields,
    authority: null,
    scheme: null,
    peer,
    secure: true,
    localPort: site.publicPort,
  };
}

/** JSON-RPC may go on when its body is read: the road refuses the db service there. */
function letsThrough(decision: Decision, request: GuardedRequest): boolean {
  if (decision.verdict !== "forward") return false;
  return !(decision.rpcEnvelope && request.target.includes("jsonrpc"));
}
