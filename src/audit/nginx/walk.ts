/** The road of one request through an nginx server, as far as its configuration tells. Pure. */
import type { Place } from "../../report/finding.ts";
import { pcreMatcher } from "../regex.ts";
import { refusal } from "./access.ts";
import { inherited, type Location, lastOf, locate, type NginxModel, portsOf, type Server } from "./model.ts";
import type { Directive } from "./parse.ts";
import { nginxTarget } from "./target.ts";
import { Variables } from "./variables.ts";

export interface Probe {
  readonly method: string;
  /** As it stands on the request line. */
  readonly target: string;
  readonly host: string;
  /** Upgrade: websocket is asked for. */
  readonly isUpgrade: boolean;
  /** Over TLS; when it is left out: if the server has TLS at all. */
  readonly isTls?: boolean;
}

/** Somebody on the internet (RFC 5737). */
export const stranger = "203.0.113.9";

type Levels = readonly (readonly Directive[])[];

export type Outcome =
  | {
      readonly kind: "proxied";
      /** Directives of the location and what is around it, innermost first; the server and http last. */
      readonly levels: Levels;
      /** The location; the server when there is none. */
      readonly place: Place;
      readonly pass: Directive;
      /** Ports of the upstream; empty when they are not known. */
      readonly ports: readonly number[];
      /** Request target as Odoo gets it. */
      readonly sent: string;
      /** A text of the configuration with what this request makes of its variables. */
      readonly expand: (text: string) => string;
    }
  /** nginx answers by itself: a refusal, a redirect, a file. */
  | { readonly kind: "answered"; readonly status: number; readonly place: Place; readonly location: string };

const turnsMax = 12;

interface Road {
  readonly model: NginxModel;
  readonly server: Server;
  readonly variables: Variables;
  /** Target as it came. */
  readonly raw: string;
  /** An error_page with a path makes it GET. */
  method: string;
  path: string;
  args: string;
  /** The path is no longer the one that came (r->valid_unparsed_uri). */
  isRewritten: boolean;
  /** `rewrite … break`: a path behind proxy_pass is passed over (r->valid_location). */
  isBroken: boolean;
  /** Sent here by nginx itself: locations with `internal` are open. */
  isInternal: boolean;
  /** An error_page has its say once. */
  isErrorPage: boolean;
  /** Locations that were entered; a configuration can send a request round for ever. */
  turns: number;
}

/** What happens to a request of a stranger. */
export function walk(model: NginxModel, server: Server, probe: Probe): Outcome {
  const mergeSlashes = lastOf([server.directives, server.outer], "merge_slashes")?.args[0] !== "off";
  const target = nginxTarget(probe.target, mergeSlashes);
  if (target === null) return answered(400, server.place);
  const isTls = probe.isTls ?? server.listens.some((one) => one.isTls);
  const listen = server.listens.find((one) => one.isTls === isTls);
  const variables = new Variables(model, {
    $request_uri: target.raw,
    $request_method: probe.method,
    $host: probe.host,
    $http_host: probe.host,
    $server_name: server.names[0] ?? "",
    $remote_addr: stranger,
    $scheme: isTls ? "https" : "http",
    $https: isTls ? "on" : "",
    $ssl_protocol: isTls ? "TLSv1.3" : "",
    $server_port: String(listen?.port ?? ""),
    // A stranger has no certificate of ours.
    $ssl_client_verify: "NONE",
    $ssl_client_s_dn: "",
    $http_upgrade: probe.isUpgrade ? "websocket" : "",
    $http_cookie: "",
    $http_user_agent: "Mozilla/5.0",
  });
  const road: Road = {
    model,
    server,
    variables,
    raw: target.raw,
    method: probe.method,
    path: "",
    args: "",
    isRewritten: false,
    isBroken: false,
    isInternal: false,
    isErrorPage: false,
    turns: 0,
  };
  moveTo(road, target.path, target.query);
  const certificate = lastOf([server.directives, server.outer], "ssl_verify_client");
  if (isTls && certificate?.args[0] === "on") return answered(400, certificate.place);
  const early = rewrite(road, server.directives);
  if (early.outcome !== null) return settled(road, early.outcome, [server.directives, server.outer]);
  return located(road);
}

function moveTo(road: Road, path: string, args: string): void {
  road.path = path;
  road.args = args;
  for (const name of ["$uri", "$document_uri"]) road.variables.set(name, path);
  for (const name of ["$args", "$query_string"]) road.variables.set(name, args);
}

function located(road: Road): Outcome {
  const { server } = road;
  for (;;) {
    const choice = locate(server.locations, road.path);
    if (choice?.isRedirect === true)
      return answered(301, choice.chain[0]?.place ?? server.place, `${road.path}/`);
    const outcome = inside(road, choice?.chain ?? []);
    if (outcome !== "again") return outcome;
  }
}

function answered(status: number, place: Place, location = ""): Outcome {
  return { kind: "answered", status, place, location };
}

/** One location: its rewrites, who may enter, and who answers. */
function inside(road: Road, chain: readonly Location[]): Outcome | "again" {
  const { server } = road;
  const [own] = chain;
  const place = own?.place ?? server.place;
  road.turns += 1;
  if (road.turns > turnsMax) return answered(500, place);
  let levels: Levels = [...chain.map(({ directives }) => directives), server.directives, server.outer];
  for (const { matcher } of chain.toReversed()) {
    const found = matcher?.(road.path);
    if (found?.matches === true) road.variables.capture(found);
  }
  if (own !== undefined) {
    // It holds for what nests in it, too.
    if (!road.isInternal && chain.some((one) => one.directives.some(({ name }) => name === "internal")))
      return settled(road, answered(404, place), levels);
    const rewritten = rewrite(road, own.directives);
    if (rewritten.outcome !== null) return settled(road, rewritten.outcome, levels);
    if (rewritten.isMoved) return "again";
    if (rewritten.block !== null) levels = [rewritten.block, ...levels];
  }
  const refused = refusal(levels, road.method, stranger);
  if (refused !== null) return settled(road, answered(refused.status, refused.by.place), levels);
  const tried = own?.directives.find(({ name }) => name === "try_files")?.args.at(-1);
  if (tried !== undefined) return tryFiles(road, tried, place, levels);
  // proxy_pass is of its own location only; an `if` block has its own.
  const pass = [...(levels[0] ?? []), ...(own?.directives ?? [])].find(({ name }) => name === "proxy_pass");
  return pass === undefined ? settled(road, answered(404, place), levels) : passed(road, pass, own, levels);
}

/** No file is there, so that the last word of try_files decides. */
function tryFiles(road: Road, last: string, place: Place, levels: Levels): Outcome | "again" {
  if (last.startsWith("=")) return settled(road, answered(Number(last.slice(1)) || 404, place), levels);
  if (last.startsWith("@")) return named(road, last) ?? answered(500, place);
  const [path = "", args] = road.variables.expand(last).split(/\?(.*)/s);
  if (path === road.path && args === undefined) return settled(road, answered(404, place), levels);
  return redirected(road, path, args ?? "") ?? "again";
}

/** nginx sends the request to another path by itself, and the server's own rules see it once more; null: they let it go on. */
function redirected(road: Road, path: string, args: string): Outcome | null {
  const { server } = road;
  moveTo(road, path, args);
  road.isRewritten = true;
  road.isInternal = true;
  road.turns += 1;
  if (road.turns > turnsMax) return answered(500, server.place);
  const { outcome } = rewrite(road, server.directives);
  return outcome === null ? null : settled(road, outcome, [server.directives, server.outer]);
}

/** A location with a name; null: there is none. */
function named(road: Road, name: string): Outcome | null {
  const found = road.server.locations.find(({ kind, text }) => kind === "@" && text === name);
  if (found === undefined) return null;
  road.isInternal = true;
  const outcome = inside(road, [found]);
  return outcome === "again" ? located(road) : outcome;
}

/** An answer of nginx's own, or where error_page sends the request instead (ngx_http_special_response_handler). */
function settled(road: Road, outcome: Outcome, levels: Levels): Outcome {
  if (outcome.kind === "proxied" || outcome.status < 400 || road.isErrorPage) return outcome;
  const page = inherited(levels, "error_page").find(({ args }) => args.includes(String(outcome.status)));
  const to = road.variables.expand(page?.args.at(-1) ?? "");
  if (!/^[@/]/.test(to)) return outcome;
  road.isErrorPage = true;
  road.isInternal = true;
  if (to.startsWith("@")) return named(road, to) ?? outcome;
  const [path = "", args = ""] = to.split(/\?(.*)/s);
  road.method = road.method === "HEAD" ? "HEAD" : "GET";
  road.variables.set("$request_method", road.method);
  const shown = redirected(road, path, args) ?? located(road);
  return shown.kind === "proxied" ? shown : outcome;
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
    if (one.name === "set") road.variables.set(one.args[0] ?? "", road.variables.expand(one.args[1] ?? ""));
    else if (one.name === "return") return { outcome: returned(one, road), isMoved, block };
    else if (one.name === "rewrite") {
      const done = rewriteOnce(one, road);
      if (done === null) continue;
      if (done.outcome !== null) return { outcome: done.outcome, isMoved, block };
      isMoved ||= one.args[2] !== "break";
      road.isBroken ||= one.args[2] === "break";
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

function returned({ args, place }: Directive, { variables }: Road): Outcome {
  const [first = "", second = ""] = args;
  if (/^[0-9]{3}$/.test(first)) return answered(Number(first), place, variables.expand(second));
  return answered(302, place, variables.expand(first));
}

function rewriteOnce({ args, place }: Directive, road: Road): { readonly outcome: Outcome | null } | null {
  const [pattern = "", replacement = "", flag] = args;
  const found = pcreMatcher(pattern, false)(road.path);
  if (found === null || !found.matches) return null;
  road.variables.capture(found);
  const text = road.variables.expand(replacement);
  if (flag === "permanent" || flag === "redirect" || /^https?:\/\//.test(text))
    return { outcome: answered(flag === "permanent" ? 301 : 302, place, text) };
  // The query that came stands behind a new one, unless the replacement ends in `?`.
  const [path = "", added] = text.split(/\?(.*)/s);
  const kept = added === "" && text.endsWith("?") ? [] : [added ?? "", road.args];
  moveTo(road, path, added === undefined ? road.args : kept.filter((one) => one !== "").join("&"));
  road.isRewritten = true;
  road.isInternal = true;
  return { outcome: null };
}

/** Does an `if` hold; null: it asks something the configuration does not tell. */
function holds({ args }: Directive, { variables }: Road): boolean | null {
  const text = args
    .join(" ")
    .trim()
    .replace(/^\(\s*/, "")
    .replace(/\s*\)$/, "");
  const [, name = "", operator = "", right = ""] = /^(\$\w+)\s*(!?~\*?|!?=)?\s*([\s\S]*)$/.exec(text) ?? [];
  const value = variables.value(name);
  if (name === "" || value === null) return null;
  if (operator === "") return value !== "" && value !== "0";
  const isNot = operator.startsWith("!");
  if (operator.endsWith("=")) return (value === variables.expand(right)) !== isNot;
  const found = pcreMatcher(right.replace(/^["']|["']$/g, ""), operator.endsWith("*"))(value);
  if (found?.matches === true) variables.capture(found);
  return found === null ? null : found.matches !== isNot;
}

/** Where proxy_pass sends the request, and what Odoo then reads (ngx_http_proxy_create_request). */
function passed(road: Road, pass: Directive, location: Location | undefined, levels: Levels): Outcome {
  const { model, raw, variables } = road;
  const url = pass.args[0] ?? "";
  const [, host = "", path] = /^https?:\/\/([^/$]+|[^/$]*\$\{?\w+\}?[^/$]*)([/$].*)?$/.exec(url) ?? [];
  const known = variables.expand(host);
  const ports = known.includes("$") || known === "" ? [] : (model.upstreams.get(known) ?? portsOf(known));
  const query = road.args === "" ? "" : `?${road.args}`;
  const sent = (): string => {
    if (url.includes("$"))
      return path === undefined
        ? road.isRewritten
          ? escaped(road.path) + query
          : raw
        : variables.expand(path);
    if (path === undefined || road.isBroken) return road.isRewritten ? escaped(road.path) + query : raw;
    const isPrefix = location?.kind === "" || location?.kind === "^~" || location?.kind === "=";
    return `${path}${isPrefix ? escaped(road.path.slice(location.text.length)) : ""}${query}`;
  };
  return {
    kind: "proxied",
    levels,
    place: location?.place ?? road.server.place,
    pass,
    ports,
    sent: sent(),
    expand: (text) => variables.expand(text),
  };
}

/** ngx_escape_uri: what would end a path or a line is written out. */
function escaped(path: string): string {
  return path.replaceAll(/[^!-~]|[#%?]/gu, (unit) =>
    [...Buffer.from(unit, "utf8")]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`)
      .join(""),
  );
}
