import type { Dialect } from "./http-parse.ts";

/** A request target as Odoo reads it. */
export interface Target {
  /** Unquoted once, exactly one leading slash; anything else (inner `//`, dot segments) is as it came. */
  readonly path: string;
  /** Without `?`. */
  readonly query: string;
  /** The host of an absolute-form target, which replaces `Host` on the prefork port; null otherwise. */
  readonly host: string | null;
}

/** `%XX` to bytes once, then UTF-8; broken escapes stay as they are (Python `unquote`). */
export function unquote(text: string): string {
  if (!text.includes("%") && !/[^\x00-\x7f]/.test(text)) return text;
  const bytes: number[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const digits = text.charAt(at) === "%" ? /^[0-9a-fA-F]{2}/.exec(text.slice(at + 1, at + 3)) : null;
    if (digits === null) bytes.push(text.charCodeAt(at) & 0xff);
    else {
      bytes.push(Number.parseInt(digits[0], 16));
      at += 2;
    }
  }
  return Buffer.from(bytes).toString("utf8");
}

/** Reads a target: Python's `urlsplit` on the prefork port, a split at `?` on the bus port. */
export function readTarget(target: string, dialect: Dialect): Target {
  if (dialect === "gevent") {
    const mark = target.indexOf("?");
    const rawPath = mark < 0 ? target : target.slice(0, mark);
    return {
      path: oneLeadingSlash(unquote(rawPath)),
      query: mark < 0 ? "" : target.slice(mark + 1),
      host: null,
    };
  }
  let rest = target.replace(/^[\x00-\x20]+/, "").replace(/[\t\r\n]/g, "");
  const scheme = /^[a-zA-Z][a-zA-Z0-9+.-]*:/.exec(rest);
  if (scheme !== null) rest = rest.slice(scheme[0].length);
  let host: string | null = null;
  if (rest.startsWith("//")) {
    const end = rest.slice(2).search(/[/?#]/);
    const authority = end < 0 ? rest.slice(2) : rest.slice(2, 2 + end);
    rest = end < 0 ? "" : rest.slice(2 + end);
    // Werkzeug: two slashes without a scheme were never an authority.
    if (scheme === null) rest = `/${authority}${rest}`;
    else if (authority !== "") host = authority;
  }
  const hash = rest.indexOf("#");
  if (hash >= 0) rest = rest.slice(0, hash);
  const mark = rest.indexOf("?");
  const rawPath = mark < 0 ? rest : rest.slice(0, mark);
  return { path: oneLeadingSlash(unquote(rawPath)), query: mark < 0 ? "" : rest.slice(mark + 1), host };
}

function oneLeadingSlash(path: string): string {
  return `/${path.replace(/^\/+/, "")}`;
}

/** `.` and `..` segments and NUL: Odoo does not resolve them, it answers 500. */
export function breaksOdoo(path: string): boolean {
  return path.includes("\0") || path.split("/").some((segment) => segment === "." || segment === "..");
}

/** Doubled slashes merged and the trailing one cut, as the route table sees a path. */
export function mergeSlashes(path: string): string {
  const merged = path.replace(/\/{2,}/g, "/");
  return merged.length > 1 && merged.endsWith("/") ? merged.slice(0, -1) : merged;
}

/** What a leading language segment does; the first language is the default. Codes compare case-sensitively. */
export interface LanguageReading {
  readonly kind: "default" | "active" | "alias";
  readonly code: string;
  /** The path behind the segment, with its leading slash. */
  readonly rest: string;
}

const LOCALES: Readonly<Record<string, string>> = {
  en: "en_US",
  fr: "fr_FR",
  de: "de_DE",
  nl: "nl_NL",
  es: "es_ES",
};

/** Reads a leading language segment, or null when the first segment is no active language. */
export function readLanguage(path: string, languages: readonly string[]): LanguageReading | null {
  const [, first = "", ...others] = path.split("/");
  const rest = `/${others.join("/")}`;
  if (first === languages[0]) return { kind: "default", code: first, rest };
  if (languages.includes(first)) return { kind: "active", code: first, rest };
  const alias = languages.find((code) => LOCALES[code] === first);
  return alias === undefined ? null : { kind: "alias", code: alias, rest };
}
