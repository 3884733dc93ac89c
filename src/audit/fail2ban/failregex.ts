/** Tries a filter on a line as fail2ban does (server/failregex.py), as far as its patterns can be read here. Pure. */
import { pythonSearcher } from "../regex.ts";
import type { Filter } from "./jails.ts";

const ip4 = String.raw`(?:::f{4,6}:)?(?P<ip4>(?:\d{1,3}\.){3}\d{1,3})`;
const ip6 = "(?P<ip6>(?:[0-9a-fA-F]{1,4}::?|::){1,7}(?:[0-9a-fA-F]{1,4}|(?<=:):))";
const dns = String.raw`(?P<dns>[\w\-.^_]*\w)`;
const address = String.raw`\[?(?:${ip4}|${ip6})\]?`;

/** Tags that stand for an address; <HOST> takes a name too, and looks it up. */
const tags: Readonly<Record<string, string>> = {
  "<HOST>": `(?:${address}|${dns})`,
  "<ADDR>": address,
  "<F-ADDR/>": address,
  "<IP4>": ip4,
  "<F-IP4/>": ip4,
  "<IP6>": ip6,
  "<F-IP6/>": ip6,
  "<DNS>": dns,
  "<F-DNS/>": dns,
  "<CIDR>": String.raw`(?P<cidr>\d+)`,
  "<SUBNET>": String.raw`\[?(?:${ip4}|${ip6})(?:/(?P<cidr>\d+))?\]?`,
  "<F-ID/>": String.raw`(?P<fid>\S+)`,
  "<F-PORT/>": String.raw`(?P<fport>\w+)`,
};

/** What a filter reads from a line: an address, or that it does not match; "unknown": a pattern cannot be tried here. */
export type Reading =
  | { readonly kind: "address"; readonly address: string; readonly pattern: string }
  | { readonly kind: "none" }
  | { readonly kind: "unknown" };

/** Most patterns of one filter that are tried. */
const patternsMax = 50;

export function readLine(filter: Filter, line: string): Reading {
  if (filter.failregex === null || filter.ignoreregex === null) return { kind: "unknown" };
  let text = line;
  if (filter.prefregex !== null) {
    const found = searcherOf(filter.prefregex)(line);
    if (found === null) return { kind: "unknown" };
    if (!found.matches) return { kind: "none" };
    text = found.named["F_CONTENT"] ?? line;
  }
  for (const pattern of filter.ignoreregex.slice(0, patternsMax)) {
    const found = searcherOf(pattern)(line);
    if (found === null) return { kind: "unknown" };
    if (found.matches) return { kind: "none" };
  }
  let isKnown = filter.failregex.length <= patternsMax;
  for (const pattern of filter.failregex.slice(0, patternsMax)) {
    const found = searcherOf(pattern)(text);
    if (found === null) isKnown = false;
    else if (found.matches) {
      const { named } = found;
      const read = [named["ip4"], named["ip6"], named["dns"], named["fid"]].find(
        (one) => one !== undefined && one !== "",
      );
      return read === undefined ? { kind: "none" } : { kind: "address", address: read, pattern };
    }
  }
  return { kind: isKnown ? "none" : "unknown" };
}

function searcherOf(pattern: string): ReturnType<typeof pythonSearcher> {
  const opened = new Set<string>();
  const translated = pattern.replaceAll(/<\/?[\w-]+\/?>/g, (tag) => {
    const own = tags[tag];
    if (own !== undefined) return own;
    const [, close = "", name = ""] = /^<(\/?)F-([A-Z0-9_-]+)>$/.exec(tag) ?? [];
    if (name === "") return tag;
    if (close !== "") return opened.has(name) ? ")" : tag;
    opened.add(name);
    // A group's name has no hyphen in either language.
    const group =
      name === "ID"
        ? "fid"
        : name === "PORT"
          ? "fport"
          : name === "CONTENT"
            ? "F_CONTENT"
            : name.toLowerCase().replaceAll("-", "_");
    return `(?P<${group}>`;
  });
  return translated.includes("<SKIPLINES>") ? () => null : pythonSearcher(translated);
}
