/** The road of one request through an nginx server, as far as its configuration tells. Pure. */
import { parseIp } from "../../base/ip.ts";
import { parseIpSet } from "../../base/ip-set.ts";
import type { Place } from "../../report/finding.ts";
import { pcreMatcher } from "../regex.ts";
import { inherited, type Location, lastOf, locate, type NginxModel, portOf, type Server } from "./model.ts";
import type { Directive } from "./parse.ts";
import { nginxTarget } from "./target.ts";

export interface Probe {
  readonly method: string;
  /** As it stands on the request line. */
  readonly target: string;
  readonly host: string;
  /** Upgrade: websocket is asked for. */
  readonly isUpgrade: boolean;
}

export type Outcome =
  | {
      readonly kind: "proxied";
      /** Directives of the location and what is around it, innermost first; the server and http last. */
      readonly levels: readonly (readonly Directive[])[];
      /** The location; the server when there is none. */
      readonly place: Place;
      readonly pass: Directive;
      /** Ports of the upstream; empty when they are not known. */
      readonly ports: readonly number[];
      /** Request target as Odoo gets it. */
      readonly sent: string;
    }
  /** nginx answers by itself: a refusal, a redirect, a file. */
  | { readonly kind: "answered"; readonly status: number; readonly place: Place; readonly location: string };

/** Somebody on the internet (RFC 5737). */
export const stranger = "203.0.113.9";
const rewritesMax = 10;

type Variables = Map<string, string>;

/** What happens to a request of a stranger. */
export function walk(model: NginxModel, server: Server, probe: Probe): Outcome {
  const mergeSlashes = lastOf([server.directives, server.outer], "merge_slashes")?.args[0] !== "off";
  const target = nginxTarget(probe.target, mergeSlashes);
  if (target === null) return answered(400, server.place);
  const variables: Variables = new Map([
    ["$request_uri", target.raw],
    ["$uri", target.path],
    ["$document_uri", target.path],
    ["$args", target.query],
    ["$query_string", target.query],
    ["$request_method", probe.method],
    ["$host", probe.host],
    ["$http_host", probe.host],
    ["$server_name", server.names[0] ?? ""],
    ["$remote_addr", stranger],
    ["$scheme", server.listens.some(({ isTls }) => isTls) ? "https" : "http"],
    ["$http_upgrade", probe.isUpgrade ? "websocket" : ""],
    ["$http_cookie", ""],
    ["$http_user_agent", "Mozilla/5.0"],
  ]);
  const road = { model, server, probe, variables, path: target.path, isRewritten: false };
  const early = rewrite(road, server.directives);
  if (early.outcome !== null) return early.outcome;
  for (let turn = 0; turn < rewritesMax; turn += 1) {
    const choice = locate(server.locations, road.path);
    if (choice?.isRedirect === true)
      return answered(301, choice.chain[0]?.place ?? server.place, `${road.path}/`);
    const outcome = inside(road, choice?.chain ?? [], target.raw);
    if (outcome !== "again") return outcome;
  }
  return answered(500, server.place);
}

interface Road {
  readonly model: NginxModel;
  readonly server: Server;
  readonly probe: Probe;
  readonly variables: Variables;
  path: string;
  isRewritten: boolean;
}

function answered(status: number, place: Place, location = ""): Outcome {
  return { kind: "answered", status, place, location };
}

/** One location: its rewrites, who may enter, and who answers. */
function inside(road: Road, chain: readonly Location[], raw: string): Outcome | "again" {
  const { server } = road;
  const [own] = chain;
  const place = own?.place ?? server.place;
  let levels: readonly (readonly Directive[])[] = [
    ...chain.map(({ directives }) => directives),
    server.directives,
    server.outer,
  ];
  if (own !== undefined) {
    const rewritten = rewrite(road, own.directives);
    if (rewritten.outcome !== null) return rewritten.outcome;
    if (rewritten.isMoved) return "again";
    if (rewritten.block !== null) levels = [rewritten.block, ...levels];
    if (own.directives.some(({ name }) => name === "internal")) return answered(404, place);
  }
  const closed = access(road, levels);
  if (closed !== null) return closed;
  // proxy_pass is of its own location only; an `if` block has its own.
  const ownLevel = levels[0] ?? [];
  const pass = [...ownLevel, ...(own?.directives ?? [])].find(({ name }) => name === "proxy_pass");
  if (pass !== undefined)
    return { kind: "proxied", levels, place, pass, ...destination(road, pass, own, raw) };
  const tried = own?.directives.find(({ name }) => name === "try_files")?.args.at(-1);
  if (tried?.startsWith("@") === true) {
    const named = server.locations.find(({ kind, text }) => kind === "@" && text === tried);
    return named === undefined ? answered(500, place) : inside(road, [named], raw);
  }
  if (tried?.startsWith("=") === true) return answered(Number(tried.slice(1)) || 404, place);
  if (tried?.startsWith("/") === true) {
    const next = expand(tried, road).split("?")[0] ?? tried;
    if (next === road.path) return answered(404, place);
    road.path = next;
    return "again";
  }
  return answered(404, place);
}

/** return, rewrite, set and if, in file order (ngx_http_rewrite_module). */
function rewrite(
  road: Road,
  directives: readonly Directive[],
): {
  readonly outcome: Outcome | null;
  readonly isMoved: boolean;
  readonly block: readonly Directive[] | null;
} {
  let isMoved = false;
  let block: readonly Directive[] | null = null;
  for (const one of directives) {
    if (one.name === "break") break;
    if (one.name === "set") road.variables.set(one.args[0] ?? "", expand(one.args[1] ?? "", road));
    else if (one.name === "return") return { outcome: returned(one, road), isMoved, block };
    else if (one.name === "rewrite") {
      const done = rewriteOnce(one, road);
      if (done === null) continue;
      if (done.outcome !== null) return { outcome: done.outcome, isMoved, block };
      isMoved ||= one.args[2] !== "break";
      if (one.args[2] === "last" || one.args[2] === "break") break;
    } else if (one.name === "if" && one.block !== null && holds(one, road) === true) {
      const inner = rewrite(road, one.block);
      if (inner.outcome !== null) return { outcome: inner.outcome, isMoved, block };
      isMoved ||= inner.isMoved;
      block = one.block;
      if (one.block.some(({ name }) => name === "break")) break;
    }
  }
  return { outcome: null, isMoved, block };
}

function returned({ args, place }: Directive, road: Road): Outcome {
  const [first = "", second = ""] = args;
  if (/^[0-9]{3}$/.test(first)) return answered(Number(first), place, expand(second, road));
  return answered(302, place, expand(first, road));
}

function rewriteOnce({ args, place }: Directive, road: Road): { readonly outcome: Outcome | null } | null {
  const [pattern = "", replacement = "", flag] = args;
  const found = pcreMatcher(pattern, false)(road.path);
  if (found === null || !found.matches) return null;
  const text = expand(
    replacement.replaceAll(/\$([1-9])/g, (_whole, digit: string) => found.groups[Number(digit)] ?? ""),
    road,
  );
  if (flag === "permanent" || flag === "redirect" || /^https?:\/\//.test(text))
    return { outcome: answered(flag === "permanent" ? 301 : 302, place, text) };
  road.path = text.split("?")[0] ?? text;
  road.isRewritten = true;
  road.variables.set("$uri", road.path);
  return { outcome: null };
}

/** Does an `if` hold; null: it asks something the configuration does not tell. */
function holds({ args }: Directive, road: Road): boolean | null {
  const text = args
    .join(" ")
    .trim()
    .replace(/^\(\s*/, "")
    .replace(/\s*\)$/, "");
  const [, name = "", operator = "", right = ""] = /^(\$\w+)\s*(!?~\*?|!?=)?\s*([\s\S]*)$/.exec(text) ?? [];
  const value = variable(name, road);
  if (name === "" || value === null) return null;
  if (operator === "") return value !== "" && value !== "0";
  const isNot = operator.startsWith("!");
  if (operator.endsWith("=")) return (value === expand(right, road)) !== isNot;
  const found = pcreMatcher(right.replace(/^["']|["']$/g, ""), operator.endsWith("*"))(value);
  return found === null ? null : found.matches !== isNot;
}

function variable(name: string, { variables, model }: Road): string | null {
  const known = variables.get(name);
  if (known !== undefined) return known;
  if (name.startsWith("$arg_")) {
    const query = new URLSearchParams(variables.get("$args") ?? "");
    return query.get(name.slice(5)) ?? "";
  }
  const map = model.maps.get(name);
  return map === undefined ? null : mapped(map, variables);
}

/** ngx_http_map_module: exact texts first, then regular ones in order, then the default. */
function mapped({ args, block }: Directive, variables: Variables): string | null {
  const source = variables.get(args[0] ?? "");
  if (source === undefined || block === null) return null;
  const exact = block.find(({ name }) => name.toLowerCase() === source.toLowerCase());
  if (exact !== undefined) return exact.args[0] ?? "";
  for (const {
    name,
    args: [value = ""],
  } of block) {
    const [, star, pattern = ""] = /^~(\*)?(.*)$/s.exec(name) ?? [];
    if (pattern !== "" && pcreMatcher(pattern, star !== undefined)(source)?.matches === true) return value;
  }
  return block.find(({ name }) => name === "default")?.args[0] ?? "";
}

function expand(text: string, road: Road): string {
  return text.replaceAll(
    /\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?/g,
    (whole, name: string) => variable(`$${name}`, road) ?? whole,
  );
}

/** allow and deny, a password, or another server that is asked; null: the stranger may enter. */
function access(road: Road, levels: readonly (readonly Directive[])[]): Outcome | null {
  const method = levels
    .flat()
    .find(
      ({ name, args }) =>
        name === "limit_except" && !args.includes(road.probe.method === "HEAD" ? "GET" : road.probe.method),
    );
  const all = method?.block === null || method === undefined ? levels : [method.block, ...levels];
  const rules = inheritedAccess(all);
  const satisfy = lastOf(levels, "satisfy")?.args[0] ?? "all";
  const basic = lastOf(all, "auth_basic");
  const asks = basic !== null && basic.args[0] !== "off" ? basic : lastOf(levels, "auth_request");
  const password = asks !== null && asks.args[0] !== "off" ? asks : null;
  const refused = rules.find(({ name, args }) => fits(args[0] ?? "", name)) ?? null;
  const isDenied = refused?.name === "deny";
  if (satisfy === "any" && password !== null)
    return rules.length > 0 && !isDenied ? null : answered(401, password.place);
  if (isDenied && refused !== null) return answered(403, refused.place);
  return password === null ? null : answered(401, password.place);
}

/** allow and deny are one list. */
function inheritedAccess(levels: readonly (readonly Directive[])[]): readonly Directive[] {
  for (const level of levels) {
    const found = level.filter(({ name }) => name === "allow" || name === "deny");
    if (found.length > 0) return found;
  }
  return inherited(levels, "deny");
}

function fits(network: string, name: string): boolean {
  if (network === "all") return true;
  if (network === "unix:") return false;
  const ip = parseIp(stranger);
  const set = parseIpSet([network]);
  // A network that cannot be read: an allow is taken as given, so that nothing is called closed that is open.
  return set.ok && ip !== null ? set.value.contains(ip) : name === "allow";
}

/** Where proxy_pass sends the request, and what Odoo then reads. */
function destination(
  road: Road,
  pass: Directive,
  location: Location | undefined,
  raw: string,
): { readonly ports: readonly number[]; readonly sent: string } {
  const url = pass.args[0] ?? "";
  const [, host = "", path] = /^https?:\/\/([^/]+)(\/.*)?$/.exec(url) ?? [];
  const ports = host.includes("$") || host === "" ? [] : (road.model.upstreams.get(host) ?? [portOf(host)]);
  if (road.isRewritten) return { ports, sent: road.path };
  if (path === undefined || url.includes("$"))
    return { ports, sent: url.includes("$") && path !== undefined ? expand(path, road) : raw };
  const isPrefix = location?.kind === "" || location?.kind === "^~" || location?.kind === "=";
  return { ports, sent: isPrefix ? `${path}${road.path.slice(location.text.length)}` : path };
}
