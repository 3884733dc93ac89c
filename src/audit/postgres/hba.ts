/** Reads pg_hba.conf (PostgreSQL documentation, 21.1). Pure: texts of included files come from `readIncluded`. */
import { parseIp } from "../../base/ip.ts";
import type { Place } from "../../report/finding.ts";
import { byteOrderMark, markTrouble } from "../mark.ts";
import { includeDepthMax, includedFilesMax, type ReadIncluded } from "./conf.ts";

export interface HbaLine {
  readonly place: Place;
  readonly type: "local" | "host" | "hostssl" | "hostnossl" | "hostgssenc" | "hostnogssenc";
  /** A word with a meaning of its own, such as `all`, keeps its quotes when it is quoted: it is a name then. */
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

/** One logical line: its fields, each a list of words without quotes. */
interface Row {
  readonly fields: readonly (readonly string[])[];
  readonly line: number;
}

/** Lines in the order in which PostgreSQL tries them; the first that fits decides. */
export function readHba(file: string, text: string, readIncluded: ReadIncluded): Hba {
  const found: Found = { lines: [], mistakes: [], unread: [], files: 0 };
  read(file, text, readIncluded, 0, found);
  return found;
}

interface Found {
  readonly lines: HbaLine[];
  readonly mistakes: HbaMistake[];
  readonly unread: HbaMistake[];
  files: number;
}

function read(file: string, text: string, readIncluded: ReadIncluded, depth: number, found: Found): void {
  const { lines, mistakes, unread } = found;
  if (text.startsWith(byteOrderMark)) mistakes.push({ place: { file, line: 1 }, thing: markTrouble });
  for (const { fields, line } of rowsOf(text.replace(byteOrderMark, ""))) {
    const place = { file, line };
    const [[type = ""] = [], databases = [], users = [], ...others] = fields;
    const rest = others.map((words) => words.join(","));
    if (type === "include" || type === "include_if_exists" || type === "include_dir") {
      const name = databases.join(",");
      found.files += 1;
      const isBounded = depth < includeDepthMax && found.files <= includedFilesMax;
      const files = isBounded ? readIncluded(type, name, file) : null;
      if (files === null && type !== "include_if_exists") unread.push({ place, thing: `${type} ${name}` });
      for (const one of files ?? []) read(one.file, one.text, readIncluded, depth + 1, found);
      continue;
    }
    if (!isType(type)) {
      mistakes.push({ place, thing: `${JSON.stringify(type)} is no connection type` });
      continue;
    }
    const { address, method } =
      type === "local" ? { address: null, method: rest[0] ?? "" } : addressAndMethod(rest);
    const names = [...databases, ...users].find((one) => one.startsWith("@"));
    if (names !== undefined) unread.push({ place, thing: `the names in ${names}` });
    const trouble =
      users.length === 0 || method === "" ? "the line is not complete" : troubleOf(type, address, method);
    if (trouble === null) lines.push({ place, type, databases, users, address, method });
    else mistakes.push({ place, thing: trouble });
  }
}

function isType(text: string): text is HbaLine["type"] {
  return types.has(text);
}

/** What keeps PostgreSQL from taking the line; null: nothing. */
function troubleOf(type: HbaLine["type"], address: string | null, method: string): string | null {
  if (address !== null && parseIp(address) !== null)
    return `${address} has neither a length behind it, such as /32, nor a mask`;
  const [base = "", length] = address?.split("/") ?? [];
  const bitsMax = base.includes(":") ? 128 : 32;
  if (length !== undefined && !(/^[0-9]{1,3}$/.test(length) && Number(length) <= bitsMax))
    return `${JSON.stringify(address)} is no network: behind the slash stands a length from 0 to ${bitsMax}`;
  if (!methods.has(method)) return `${JSON.stringify(method)} is no method`;
  if (method === "peer" && type !== "local") return "method peer is for local lines only";
  return method === "cert" && type !== "hostssl" ? "method cert is for hostssl lines only" : null;
}

/** `address method`, or `address mask method`. */
function addressAndMethod(rest: readonly string[]): { readonly address: string; readonly method: string } {
  const [address = "", second = "", third = ""] = rest;
  return /^[0-9]+\.[0-9.]+$|:/.test(second) && !methods.has(second)
    ? { address: `${address} ${second}`, method: third }
    : { address, method: second };
}

/** `#` ends a line, a backslash at its end joins the next. */
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
    const fields = fieldsOf(held + raw);
    held = "";
    if (fields.length > 0) rows.push({ fields, line: start });
  }
  return rows;
}

/** Words with a meaning of their own, unless they are quoted. */
const keywords: ReadonlySet<string> = new Set(["all", "sameuser", "samerole", "samegroup", "replication"]);

/** Fields stand between blanks, their words between commas with or without blanks behind; `"…"` keeps both. */
function fieldsOf(line: string): readonly (readonly string[])[] {
  const fields: string[][] = [];
  let field: string[] = [];
  const pattern = /[\s,]*((?:"[^"]*"|[^\s"#,])+)(,)?|#.*$/g;
  for (const [, word, comma] of line.matchAll(pattern)) {
    if (word === undefined) break;
    const bare = word.replaceAll('"', "");
    // A quoted keyword or `@name` is a name like any other.
    field.push(word.startsWith('"') && (keywords.has(bare) || bare.startsWith("@")) ? `"${bare}"` : bare);
    if (comma === undefined) {
      fields.push(field);
      field = [];
    }
  }
  return field.length > 0 ? [...fields, field] : fields;
}
