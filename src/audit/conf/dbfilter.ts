import { type Note, note, orPass, quoted } from "../note.ts";
import { pythonMatcher } from "../regex.ts";
import type { ConfView } from "./view.ts";

/** Most pairs of host and database that are tried. */
const pairsMax = 5_000;

/**
 * Which databases a host may see. Odoo puts the host (`%h`, without `www.` and port) and its first label (`%d`) into the
 * pattern and asks `re.match`, which holds the beginning by itself but not the end (odoo/http.py, `db_filter`).
 */
export function dbfilter(conf: ConfView): readonly Note[] {
  const id = "conf-dbfilter";
  const filter = conf.text("dbfilter");
  const place = conf.place("dbfilter");
  const named = databaseNames(conf);
  if (filter === "") {
    if (named.length > 0)
      return [
        note(
          id,
          "pass",
          `no dbfilter, but db_name names ${named.map(quoted).join(", ")}, and Odoo serves nothing else`,
          conf.place("db_name"),
        ),
      ];
    return [
      note(
        id,
        "fail",
        "neither dbfilter nor db_name is set: every database of the PostgreSQL role is served on every host",
        place,
      ),
    ];
  }
  if (pythonMatcher(fill(filter, "www.example.com"))("example") === null)
    return [
      note(
        id,
        "warn",
        `${quoted(filter)} cannot be tried here: it is no regular expression, or one this program cannot read`,
        place,
      ),
    ];
  const notes: Note[] = [];
  const open = openEnds(filter);
  if (takesAnything(filter))
    notes.push(
      note(
        id,
        "fail",
        `${quoted(filter)} takes every name: every database of the PostgreSQL role is served on every host`,
        place,
      ),
    );
  else if (open.length > 0)
    notes.push(
      note(
        id,
        "fail",
        `${quoted(filter)} does not hold the end of the name: ${open.map(quoted).join(", ")} also takes names that only begin so, such as a copy or a test database`,
        place,
      ),
    );
  else if (/(?:\.|\\[wSD]|\[[^\]]*\])[*+]\??\)*(?:\$|\\Z)\)*$/.test(filter))
    notes.push(
      note(
        id,
        "warn",
        `${quoted(filter)} ends in "anything": copies and test databases whose names begin alike are served too`,
        place,
      ),
    );
  return orPass(notes, id, `${quoted(filter)} holds the whole name`, place);
}

/** The filter against each host that is served and each database that is known. */
export function dbfilterHosts(
  conf: ConfView,
  hosts: readonly string[],
  databases: readonly string[],
): readonly Note[] {
  const id = "conf-dbfilter-hosts";
  const filter = conf.text("dbfilter");
  const place = conf.place(filter === "" ? "db_name" : "dbfilter");
  const known = [...new Set([...databases, ...databaseNames(conf)])];
  if (hosts.length === 0)
    return [
      note(id, "skipped", "no served host is known: name them with --host, or let DOMAIN be set", place),
    ];
  if (known.length === 0) {
    const asks =
      filter === ""
        ? ""
        : `; ${hosts
            .slice(0, 5)
            .map((host) => `${host} asks for ${quoted(fill(filter, host))}`)
            .join(", ")}`;
    return [note(id, "skipped", `no database is known: name them with --db, or give --pg-dsn${asks}`, place)];
  }
  if (hosts.length * known.length > pairsMax)
    return [note(id, "skipped", `more than ${pairsMax} pairs of host and database; name fewer`, place)];
  const notes: Note[] = [];
  const good: string[] = [];
  for (const host of hosts) {
    const named = databaseNames(conf);
    const seen = filter !== "" ? visible(filter, host, known) : named.length > 0 ? named : known;
    if (seen === null) return [note(id, "skipped", `${quoted(filter)} cannot be tried here`, place)];
    const [only, ...more] = seen;
    if (only === undefined)
      notes.push(
        note(
          id,
          "fail",
          `${host} sees no database: its pattern is ${quoted(fill(filter, host))}, and there are ${known.map(quoted).join(", ")}`,
          place,
          {
            why: "With no database for a host its visitors meet the database selector or an error.",
            fix: "Name the database as the filter expects it, or change the filter. %d is the first label of the host, without a leading www.",
          },
        ),
      );
    else if (more.length > 0)
      notes.push(
        note(
          id,
          "fail",
          `${host} sees ${seen.length} databases: ${seen.slice(0, 8).map(quoted).join(", ")}`,
          place,
        ),
      );
    else good.push(`${host} sees ${quoted(only)}`);
  }
  return orPass(notes, id, good.slice(0, 8).join(", "), place);
}

/** db_name: one name or several behind commas. */
export function databaseNames(conf: ConfView): readonly string[] {
  return conf
    .text("db_name")
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");
}

/** The databases of `known` that a host sees; null when the filter cannot be tried. */
export function visible(filter: string, host: string, known: readonly string[]): readonly string[] | null {
  const matcher = pythonMatcher(fill(filter, host));
  const seen: string[] = [];
  for (const name of known) {
    const match = matcher(name);
    if (match === null) return null;
    if (match.matches) seen.push(name);
  }
  return seen;
}

/** The alternatives of a filter that do not hold the end of a name; empty: it is closed. */
export function openEnds(filter: string): readonly string[] {
  return alternatives(filter).filter((one) => !isClosed(one));
}

/** Does a filter let in names that have nothing to do with each other, nor with the host. */
export function takesAnything(filter: string): boolean {
  const matcher = pythonMatcher(fill(filter, "www.example.com"));
  return ["q7", "a_copy"].every((name) => matcher(name)?.matches === true);
}

/** Host and domain in place of `%h` and `%d`, escaped as Python's `re.escape` does. */
function fill(filter: string, host: string): string {
  const [name = ""] = host.toLowerCase().split(":");
  const bare = name.startsWith("www.") ? name.slice(4) : name;
  const [domain = ""] = bare.split(".");
  return filter.replaceAll("%h", escaped(bare)).replaceAll("%d", escaped(domain));
}

function escaped(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9_]/g, "\\$&");
}

/** The alternatives of a pattern at its top level, without a group around everything. */
function alternatives(pattern: string): readonly string[] {
  const found: string[] = [];
  let depth = 0;
  let isClass = false;
  let start = 0;
  for (let i = 0; i < pattern.length; i += 1) {
    const unit = pattern[i];
    if (unit === "\\") i += 1;
    else if (isClass) isClass = unit !== "]";
    else if (unit === "[") isClass = true;
    else if (unit === "(") depth += 1;
    else if (unit === ")") depth -= 1;
    else if (unit === "|" && depth === 0) {
      found.push(pattern.slice(start, i));
      start = i + 1;
    }
  }
  return [...found, pattern.slice(start)];
}

/** Does an alternative hold the end of the name: `…$`, `…\Z`, or a group of such alternatives. */
function isClosed(alternative: string): boolean {
  const [, slashes = ""] = /(\\*)\$$/.exec(alternative) ?? [];
  if (alternative.endsWith("$")) return slashes.length % 2 === 0;
  if (/(?:^|[^\\])(?:\\\\)*\\Z$/.test(alternative)) return true;
  const inner = /^\^?\((?:\?:)?([\s\S]*)\)$/.exec(alternative)?.[1];
  return inner !== undefined && isBalanced(inner) && alternatives(inner).every(isClosed);
}

function isBalanced(text: string): boolean {
  let depth = 0;
  for (const unit of text.replaceAll(/\\./g, "")) {
    if (unit === "(") depth += 1;
    if (unit === ")") depth -= 1;
    if (depth < 0) return false;
  }
  return depth === 0;
}
