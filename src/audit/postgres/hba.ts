/** Reads pg_hba.conf (PostgreSQL documentation, 21.1). Pure: an included file's text comes from `include`. */
import type { Place } from "../../report/finding.ts";

export interface HbaLine {
  readonly place: Place;
  readonly type: "local" | "host" | "hostssl" | "hostnossl" | "hostgssenc" | "hostnogssenc";
  readonly databases: readonly string[];
  readonly users: readonly string[];
  /** As it is written; null for `local`. An address with a mask is `address mask`. */
  readonly address: string | null;
  readonly method: string;
}

export interface HbaMistake {
  readonly place: Place;
  readonly thing: string;
}

export interface Hba {
  readonly lines: readonly HbaLine[];
  readonly mistakes: readonly HbaMistake[];
  /** Included files that were not looked at, with the place of the directive. */
  readonly unread: readonly HbaMistake[];
}

const methods = new Set(
  "trust reject scram-sha-256 md5 password gss sspi ident peer ldap radius cert pam bsd oauth".split(" "),
);
const types: ReadonlySet<string> = new Set([
  "local",
  "host",
  "hostssl",
  "hostnossl",
  "hostgssenc",
  "hostnogssenc",
]);

/** One logical line, its words without quotes. */
interface Row {
  readonly words: readonly string[];
  readonly line: number;
}

/** Lines in the order in which PostgreSQL tries them; the first that fits decides. */
export function readHba(file: string, text: string): Hba {
  const lines: HbaLine[] = [];
  const mistakes: HbaMistake[] = [];
  const unread: HbaMistake[] = [];
  for (const { words, line } of rowsOf(text)) {
    const place = { file, line };
    const [type = "", databases = "", users = "", ...rest] = words;
    if (/^include(?:_if_exists|_dir)?$/.test(type)) {
      unread.push({ place, thing: `${type} ${databases}` });
      continue;
    }
    if (!isType(type)) {
      mistakes.push({ place, thing: `${JSON.stringify(type)} is no connection type` });
      continue;
    }
    const read = type === "local" ? { address: null, method: rest[0] ?? "" } : addressAndMethod(rest);
    if (users === "" || read.method === "") mistakes.push({ place, thing: "the line is not complete" });
    else if (!methods.has(read.method))
      mistakes.push({ place, thing: `${JSON.stringify(read.method)} is no method` });
    else lines.push({ place, type, databases: databases.split(","), users: users.split(","), ...read });
  }
  return { lines, mistakes, unread };
}

function isType(text: string): text is HbaLine["type"] {
  return types.has(text);
}

/** `address method`, or `address mask method`. */
function addressAndMethod(rest: readonly string[]): { readonly address: string; readonly method: string } {
  const [address = "", second = "", third = ""] = rest;
  return /^[0-9]+\.[0-9.]+$|:/.test(second) && !methods.has(second)
    ? { address: `${address} ${second}`, method: third }
    : { address, method: second };
}

/** Words between blanks; `"…"` keeps blanks, `#` ends the line, a backslash at its end joins the next. Spaces behind a comma join a list. */
function rowsOf(text: string): readonly Row[] {
  const rows: Row[] = [];
  let held = "";
  let start = 0;
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    if (held === "") start = index + 1;
    if (raw.endsWith("\\")) {
      held += `${raw.slice(0, -1)} `;
      continue;
    }
    const words = wordsOf(held + raw);
    held = "";
    if (words.length > 0) rows.push({ words, line: start });
  }
  return rows;
}

function wordsOf(line: string): readonly string[] {
  const words: string[] = [];
  const pattern = /(?:"[^"]*"|[^\s"#,]|,\s*)+|#.*$/g;
  for (const [word] of line.matchAll(pattern)) {
    if (word.startsWith("#")) break;
    words.push(word.replaceAll(/,\s+/g, ",").replaceAll('"', ""));
  }
  return words;
}
