import { isUtf8 } from "node:buffer";

/** Reading the raw query for rules: names as Odoo sees them, and redirect values as a browser would. */

/** One pass over the raw query; stops when `visit` answers true. Names and values are still encoded. */
function someParameter(query: string, visit: (name: string, value: string) => boolean): boolean {
  let start = 0;
  while (start < query.length) {
    const amp = query.indexOf("&", start);
    const end = amp === -1 ? query.length : amp;
    if (end > start && somePiece(query.slice(start, end), visit)) {
      return true;
    }
    start = end + 1;
  }
  return false;
}

function somePiece(piece: string, visit: (name: string, value: string) => boolean): boolean {
  if (visitPiece(piece, visit)) {
    return true;
  }
  // Werkzeug 2 splits at "&" only, Python before 3.10 and older Odoos at ";" too. A rule sees both readings.
  return piece.includes(";") && piece.split(";").some((part) => part !== "" && visitPiece(part, visit));
}

function visitPiece(piece: string, visit: (name: string, value: string) => boolean): boolean {
  const equals = piece.indexOf("=");
  return equals === -1 ? visit(piece, "") : visit(piece.slice(0, equals), piece.slice(equals + 1));
}

/** Is there a parameter whose decoded name is one of `names` (`%64ebug` is `debug`)? Never throws. */
export function hasParameter(query: string, names: readonly string[]): boolean {
  return query !== "" && someParameter(query, (name) => names.includes(decodeName(name)));
}

/** Every value of a parameter in every reading of the query, decoded; one that cannot be decoded stays as it is. */
export function parameterValues(query: string, name: string): readonly string[] {
  const values: string[] = [];
  someParameter(query, (rawName, rawValue) => {
    const plain = rawValue.replaceAll("+", " ");
    if (decodeName(rawName) === name) values.push(decodeStrict(plain) ?? plain);
    return false;
  });
  return values;
}

/**
 * The first of `names` in the query whose value a browser would take to another site than `hosts`; null when
 * none does. A value that cannot be read in exactly one way counts as off-site.
 */
export function offsiteParameter(
  query: string,
  names: readonly string[],
  hosts: ReadonlySet<string>,
): string | null {
  if (query === "") {
    return null;
  }
  let found: string | null = null;
  someParameter(query, (rawName, rawValue) => {
    const name = decodeName(rawName);
    if (names.includes(name) && !isOnSite(rawValue, hosts)) {
      found = name;
      return true;
    }
    return false;
  });
  return found;
}

/** Decodes what is decodable and keeps the rest, as Werkzeug does for names; only ASCII is ever compared. */
function decodeName(raw: string): string {
  if (!raw.includes("%") && !raw.includes("+")) {
    return raw;
  }
  return raw
    .replaceAll("+", " ")
    .replace(/%([0-9a-fA-F]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** How many further decodings are tried on a value's path part: a second reader may decode once more. */
const nestedDecodingsMax = 4;

/**
 * Does a raw (still encoded) query value stay on this site? Empty, a path with one leading slash, a relative
 * reference, or http(s) with a served name do; all else does not (WHATWG URL: browsers drop tabs and line
 * breaks, read "\" as "/", and take "//host" and "/\host" as another host).
 */
export function isOnSite(raw: string, hosts: ReadonlySet<string>): boolean {
  const value = decodeStrict(raw.replaceAll("+", " "));
  if (value === null || /[\u0000-\u001f\u007f\\]/.test(value) || value.startsWith(" ")) {
    return false;
  }
  if (!staysHere(value, hosts)) {
    return false;
  }
  let layer = pathPart(value);
  for (let i = 0; i < nestedDecodingsMax && layer.includes("%"); i += 1) {
    const deeper = decodeStrict(layer);
    if (deeper === null) {
      return true;
    }
    layer = pathPart(deeper);
    if (/[\u0000-\u001f\u007f\\]/.test(layer) || layer.startsWith(" ") || !staysHere(layer, hosts)) {
      return false;
    }
  }
  return !/%[0-9a-fA-F]{2}/.test(layer);
}

function staysHere(value: string, hosts: ReadonlySet<string>): boolean {
  const path = pathPart(value);
  if (path.startsWith("/")) {
    return !withoutDotSegments(path).startsWith("//");
  }
  if (!path.includes(":")) {
    return true;
  }
  const scheme = /^https?:\/\//i.exec(value);
  if (scheme === null) {
    // A colon before the first slash is a scheme; after it, it is part of a relative path.
    const firstSlash = path.indexOf("/");
    return firstSlash !== -1 && path.indexOf(":") > firstSlash;
  }
  const rest = value.slice(scheme[0].length);
  const end = rest.search(/[/?#]/);
  const authority = (end === -1 ? rest : rest.slice(0, end)).toLowerCase();
  return hosts.has(authority.replace(/:[0-9]{1,5}$/, ""));
}

/** Removes leading `.` and `..` segments: `/.//host` would become `//host` for whoever resolves them. */
function withoutDotSegments(path: string): string {
  let rest = path;
  for (;;) {
    if (rest.startsWith("/./")) {
      rest = rest.slice(2);
    } else if (rest.startsWith("/../")) {
      rest = rest.slice(3);
    } else {
      return rest;
    }
  }
}

function pathPart(value: string): string {
  const end = value.search(/[?#]/);
  return end === -1 ? value : value.slice(0, end);
}

const brokenEscape = /%(?![0-9A-Fa-f]{2})/;
const escapesBeyondAscii = /(?:%[89A-Fa-f][0-9A-Fa-f])+/g;

/**
 * Null where `decodeURIComponent` would throw: broken escapes, and such as spell no UTF-8. Looked at before, since a throw costs ten
 * microseconds, and a query has room for more than a thousand values.
 */
function decodeStrict(raw: string): string | null {
  if (!raw.includes("%")) {
    return raw;
  }
  if (brokenEscape.test(raw)) {
    return null;
  }
  for (const [run] of raw.matchAll(escapesBeyondAscii)) {
    if (!isUtf8(Buffer.from(run.replaceAll("%", ""), "hex"))) {
      return null;
    }
  }
  return decodeURIComponent(raw);
}
