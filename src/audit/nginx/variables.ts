/** Variables of nginx, as far as a configuration and a request tell them. Pure. */
import { type Ip, parseIp } from "../../base/ip.ts";
import { pcreMatcher, type RegExpMatch } from "../regex.ts";
import type { NginxModel } from "./model.ts";
import { isInRange, prefixAround } from "./networks.ts";
import type { Directive } from "./parse.ts";

/** As deep as the variables of maps may stand in each other. */
const depthMax = 10;

/** What is known of one request on its road; `set`, `rewrite` and regular expressions add to it. */
export class Variables {
  readonly #known: Map<string, string>;
  readonly #model: NginxModel;

  constructor(model: NginxModel, known: Readonly<Record<string, string>>) {
    this.#model = model;
    this.#known = new Map(Object.entries(known));
  }

  set(name: string, value: string): void {
    this.#known.set(name, value);
  }

  /** `$1` to `$9` and named groups, as the last regular expression that matched left them. */
  capture({ groups, named }: RegExpMatch): void {
    for (let digit = 1; digit <= 9; digit += 1) this.#known.set(`$${digit}`, groups[digit] ?? "");
    for (const [name, value] of Object.entries(named)) this.#known.set(`$${name}`, value);
  }

  /** The value of `$name`; null: the configuration does not tell. */
  value(name: string, depth = 0): string | null {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    if (depth > depthMax) return null;
    const args = this.#known.get("$args") ?? "";
    if (name === "$is_args") return args === "" ? "" : "?";
    if (name.startsWith("$arg_")) return new URLSearchParams(args).get(name.slice(5)) ?? "";
    const map = this.#model.maps.get(name);
    if (map !== undefined) return this.#mapped(map, depth);
    const geo = this.#model.geos.get(name);
    return geo === undefined ? null : this.#located(geo, depth);
  }

  /** The text with what is known in place of its variables; an unknown one stays as it is written. */
  expand(text: string, depth = 0): string {
    return text.replaceAll(
      /\$(?:\{([A-Za-z0-9_]+)\}|([1-9]|[A-Za-z_][A-Za-z0-9_]*))/g,
      (whole, braced?: string, bare?: string) => this.value(`$${braced ?? bare ?? ""}`, depth) ?? whole,
    );
  }

  /** Are all variables of a text known. */
  knows(text: string, depth = 0): boolean {
    return !/\$(?:\{?[A-Za-z_]|[1-9])/.test(this.expand(text, depth));
  }

  /** ngx_http_map_module: exact texts, then names with a star, then regular ones in order, then the default. */
  #mapped({ args, block }: Directive, depth: number): string | null {
    const source = args[0] ?? "";
    if (block === null || !this.knows(source, depth + 1)) return null;
    const text = this.expand(source, depth + 1);
    const value = (one: Directive) =>
      this.knows(one.args[0] ?? "", depth + 1)
        ? this.expand(one.args[0] ?? "", depth + 1)
        : (one.args[0] ?? "");
    const entries = block.filter(({ name }) => !/^(?:default|hostnames|volatile|include)$/.test(name));
    const plain = (name: string) => name.replace(/^\\/, "").toLowerCase();
    const exact = entries.find(({ name }) => !name.startsWith("~") && plain(name) === text.toLowerCase());
    if (exact !== undefined) return value(exact);
    if (block.some(({ name }) => name === "hostnames")) {
      const starred = starredName(entries, text.toLowerCase());
      if (starred !== null) return value(starred);
    }
    for (const one of entries) {
      const [, star, pattern = ""] = /^~(\*)?(.*)$/s.exec(one.name) ?? [];
      const found = pattern === "" ? null : pcreMatcher(pattern, star !== undefined)(text);
      if (found?.matches !== true) continue;
      this.capture(found);
      return value(one);
    }
    const standard = block.find(({ name }) => name === "default");
    return standard === undefined ? "" : value(standard);
  }

  /** ngx_http_geo_module: the longest network that holds the address, or the last range. */
  #located({ args, block }: Directive, depth: number): string | null {
    const text = args.length > 1 ? this.value(args[0] ?? "", depth + 1) : this.value("$remote_addr");
    const ip = text === null ? null : parseIp(text);
    if (ip === null || block === null) return null;
    const answers = geoAnswers.get(block) ?? new Map<string, string | null>();
    geoAnswers.set(block, answers);
    const known = answers.get(ip.text);
    if (known !== undefined) return known;
    const found = inNetworks(block, ip);
    answers.set(ip.text, found);
    return found;
  }
}

/** Answers of geo blocks by the address: each request asks for the same one, and a block can have thousands of networks. */
const geoAnswers = new WeakMap<readonly Directive[], Map<string, string | null>>();

function inNetworks(block: readonly Directive[], ip: Ip): string | null {
  // Its proxies and files are not read here.
  if (block.some(({ name }) => /^(?:include|proxy)/.test(name))) return null;
  const isRanges = block.some(({ name }) => name === "ranges");
  const deleted = new Set(block.filter(({ name }) => name === "delete").map(({ args: [net = ""] }) => net));
  let best = -1;
  let value = block.find(({ name }) => name === "default")?.args[0] ?? "";
  for (const { name, args } of block) {
    if (/^(?:default|ranges|delete)$/.test(name) || deleted.has(name)) continue;
    const length = isRanges ? (isInRange(name, ip) === true ? 0 : -1) : (prefixAround(name, ip) ?? -1);
    if (length < 0 || length < best) continue;
    best = length;
    value = args[0] ?? "";
  }
  return value;
}

/** Of `*.example.com` and `.example.com` the longest, then of `www.example.*`. */
function starredName(entries: readonly Directive[], host: string): Directive | null {
  const longest = (fits: (name: string) => boolean) =>
    entries
      .filter(({ name }) => fits(name.toLowerCase()))
      .toSorted((a, b) => b.name.length - a.name.length)[0] ?? null;
  const behind = longest(
    (name) =>
      (name.startsWith("*.") && host.endsWith(name.slice(1))) ||
      (name.startsWith(".") && (host.endsWith(name) || host === name.slice(1))),
  );
  return behind ?? longest((name) => name.endsWith(".*") && host.startsWith(name.slice(0, -1)));
}
