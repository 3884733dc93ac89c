/** Servers and locations of an nginx configuration, with inheritance. Pure. */
import { isLoopback, parseIp } from "../../base/ip.ts";
import type { Place } from "../../report/finding.ts";
import { type Matcher, pcreMatcher } from "../regex.ts";
import type { Directive } from "./parse.ts";

/** `""` is a plain prefix. */
export type LocationKind = "=" | "^~" | "" | "~" | "~*" | "@";

export interface Location {
  readonly kind: LocationKind;
  readonly text: string;
  readonly place: Place;
  readonly directives: readonly Directive[];
  readonly locations: readonly Location[];
  /** Of a regular expression; null answers mean that it could not be tried. */
  readonly matcher: Matcher | null;
}

export interface Listen {
  readonly port: number;
  readonly isTls: boolean;
  readonly isDefault: boolean;
  /** Empty: every address of IPv4. */
  readonly address: string;
  /** A loopback address or a socket file: only programs of this machine come in. */
  readonly isLocal: boolean;
}

export interface Server {
  readonly place: Place;
  readonly names: readonly string[];
  readonly listens: readonly Listen[];
  readonly directives: readonly Directive[];
  readonly locations: readonly Location[];
  /** Directives of the http block, or what stands beside the servers of a site file. */
  readonly outer: readonly Directive[];
}

export interface NginxModel {
  readonly servers: readonly Server[];
  readonly outer: readonly Directive[];
  /** Ports of the members of an upstream, by its name. */
  readonly upstreams: ReadonlyMap<string, readonly number[]>;
  /** `map` and `geo` blocks by the variable they make. */
  readonly maps: ReadonlyMap<string, Directive>;
  readonly geos: ReadonlyMap<string, Directive>;
}

/** A whole nginx.conf, or a site file as it stands in conf.d or sites-enabled. */
export function modelOf(directives: readonly Directive[]): NginxModel {
  const outer = directives.flatMap((one) => (one.name === "http" && one.block !== null ? one.block : [one]));
  const upstreams = new Map<string, readonly number[]>();
  const maps = new Map<string, Directive>();
  const geos = new Map<string, Directive>();
  for (const one of outer) {
    if (one.name === "upstream" && one.block !== null)
      upstreams.set(
        one.args[0] ?? "",
        one.block.filter(({ name }) => name === "server").flatMap(({ args }) => portsOf(args[0] ?? "")),
      );
    if (one.name === "map") maps.set(one.args[1] ?? "", one);
    if (one.name === "geo") geos.set(one.args.at(-1) ?? "", one);
  }
  const servers = outer
    .filter(({ name, block }) => name === "server" && block !== null)
    .map((one) => serverOf(one, outer));
  return { servers, outer, upstreams, maps, geos };
}

/** The nearest level that has the directive at all decides, with all of its lines there: nginx inherits lists whole or not at all. */
export function inherited(levels: readonly (readonly Directive[])[], name: string): readonly Directive[] {
  for (const level of levels) {
    const found = level.filter((one) => one.name === name);
    if (found.length > 0) return found;
  }
  return [];
}

/** The last value of a simple directive; null when no level has it. */
export function lastOf(levels: readonly (readonly Directive[])[], name: string): Directive | null {
  return inherited(levels, name).at(-1) ?? null;
}

/** The port of a member; none for a socket file. */
export function portsOf(text: string): readonly number[] {
  return text.startsWith("unix:") ? [] : [portOf(text)];
}

/** `host:port`, `[v6]:port`; 80 when no port stands there. */
export function portOf(text: string): number {
  const port = /^(?:\[[^\]]*\]|[^:[\]]*):([0-9]{1,5})$/.exec(text)?.[1];
  return port === undefined ? 80 : Number(port);
}

function serverOf(server: Directive, outer: readonly Directive[]): Server {
  const directives = server.block ?? [];
  const isTlsByWord = directives.some(({ name, args }) => name === "ssl" && args[0] === "on");
  const listens = directives
    .filter(({ name }) => name === "listen")
    .map(({ args }) => listenOf(args, isTlsByWord));
  return {
    place: server.place,
    names: directives.filter(({ name }) => name === "server_name").flatMap(({ args }) => args),
    listens:
      listens.length > 0
        ? listens
        : [{ port: 80, isTls: isTlsByWord, isDefault: false, address: "", isLocal: false }],
    directives,
    locations: locationsOf(directives),
    outer,
  };
}

function listenOf(args: readonly string[], isTlsByWord: boolean): Listen {
  const [first = "", ...flags] = args;
  const port = /^[0-9]+$/.test(first) ? Number(first) : portOf(first);
  const written = /^[0-9]+$/.test(first) ? "" : first.replace(/(?<!^unix):[0-9]+$/, "");
  const ip = parseIp(written.replace(/^\[(.*)\]$/, "$1"));
  return {
    port,
    isTls: flags.includes("ssl") || flags.includes("quic") || isTlsByWord,
    isDefault: flags.includes("default_server") || flags.includes("default"),
    address: written === "*" || written === "0.0.0.0" ? "" : written,
    isLocal: written === "localhost" || written.startsWith("unix:") || (ip !== null && isLoopback(ip)),
  };
}

function locationsOf(directives: readonly Directive[]): readonly Location[] {
  return directives.flatMap((one) => {
    if (one.name !== "location" || one.block === null) return [];
    const { kind, text } = kindOf(one.args);
    const matcher = kind === "~" || kind === "~*" ? pcreMatcher(text, kind === "~*") : null;
    return [
      { kind, text, place: one.place, directives: one.block, locations: locationsOf(one.block), matcher },
    ];
  });
}

/** `= /x`, `=/x`, `~* x`, `@name`, `/x`. */
function kindOf(args: readonly string[]): { readonly kind: LocationKind; readonly text: string } {
  const [first = "", second] = args;
  if (second !== undefined) return { kind: kinds.find((one) => one === first) ?? "", text: second };
  for (const kind of ["^~", "~*", "=", "~", "@"] as const)
    if (first.startsWith(kind)) return { kind, text: kind === "@" ? first : first.slice(kind.length) };
  return { kind: "", text: first };
}
const kinds: readonly LocationKind[] = ["=", "^~", "~", "~*"];

/** What nginx chooses for a path. */
export interface Choice {
  /** The location with those around it, the innermost first. */
  readonly chain: readonly Location[];
  /** nginx answers 301 to the path with a slash: `/x` where there is a proxying `location /x/`. */
  readonly isRedirect: boolean;
}

/** The location nginx chooses for a normalised path; null: none, or not to be told. */
export function locate(locations: readonly Location[], path: string): Choice | null {
  return search(locations, path);
}

interface Found extends Choice {
  /** An exact or regular location: what stands around it has no further say. */
  readonly isFinal: boolean;
}

/** ngx_http_core_find_location: exact, else the longest prefix and what nests in it, then regular ones in file order. */
function search(locations: readonly Location[], path: string): Found | null {
  const exact = locations.find(({ kind, text }) => kind === "=" && text === path);
  if (exact !== undefined) return { chain: [exact], isFinal: true, isRedirect: false };
  const prefixes = locations.filter(({ kind }) => kind === "" || kind === "^~");
  // A prefix that is the path itself comes before the redirect to the one with a slash.
  const slashed = prefixes.some(({ text }) => text === path)
    ? undefined
    : [...prefixes, ...locations.filter(({ kind }) => kind === "=")].find(
        ({ text, directives }) => text === `${path}/` && directives.some(({ name }) => name === "proxy_pass"),
      );
  if (slashed !== undefined) return { chain: [slashed], isFinal: true, isRedirect: true };
  let longest: Location | null = null;
  for (const one of prefixes)
    if (path.startsWith(one.text) && one.text.length >= (longest?.text.length ?? 0)) longest = one;
  const nested = longest === null ? null : search(longest.locations, path);
  const within =
    nested === null || longest === null ? null : { ...nested, chain: [...nested.chain, longest] };
  if (within?.isFinal === true) return within;
  if (longest?.kind !== "^~")
    for (const one of locations) {
      if (one.matcher === null || one.matcher(path)?.matches !== true) continue;
      const inner = search(one.locations, path);
      const chain = inner === null ? [one] : [...inner.chain, one];
      return { chain, isFinal: true, isRedirect: inner?.isRedirect ?? false };
    }
  return within ?? (longest === null ? null : { chain: [longest], isFinal: false, isRedirect: false });
}
