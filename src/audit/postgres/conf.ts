/** Reads postgresql.conf (PostgreSQL documentation, 20.1.2); included files come from `readIncluded`. Pure. */
import type { Place } from "../../report/finding.ts";
import { byteOrderMark, markTrouble } from "../mark.ts";

export interface PgSetting {
  readonly value: string;
  readonly place: Place;
}

/** Texts of the files an include directive names, in order; null when they cannot be read. */
export type ReadIncluded = (
  kind: "include" | "include_if_exists" | "include_dir",
  name: string,
  from: string,
) => readonly { readonly file: string; readonly text: string }[] | null;

export interface PgTrouble {
  readonly place: Place;
  readonly thing: string;
}

/** As deep as PostgreSQL itself follows (guc-file.l, CONF_FILE_MAX_DEPTH), and most files in all. */
export const includeDepthMax = 10;
export const includedFilesMax = 100;

export class PgConf {
  readonly file: string;
  /** By name in lower case; of two the later holds. */
  readonly settings = new Map<string, PgSetting>();
  readonly mistakes: PgTrouble[] = [];
  readonly unread: PgTrouble[] = [];
  #files = 0;

  constructor(file: string, text: string, readIncluded: ReadIncluded) {
    this.file = file;
    this.#read(file, text, readIncluded, 0);
  }

  #read(file: string, text: string, readIncluded: ReadIncluded, depth: number): void {
    if (text.startsWith(byteOrderMark)) this.mistakes.push({ place: { file, line: 1 }, thing: markTrouble });
    for (const [index, raw] of text.split(/\r?\n/).entries()) {
      const place = { file, line: index + 1 };
      const [, name = "", rest = ""] = /^\s*([A-Za-z_][A-Za-z0-9_.$]*)\s*(?:=\s*|\s)(.*)$/.exec(raw) ?? [];
      if (name === "") {
        if (/^\s*[^\s#]/.test(raw)) this.mistakes.push({ place, thing: 'a line is no "name = value"' });
        continue;
      }
      const key = name.toLowerCase();
      const read = valueIn(rest);
      if (read === null)
        this.mistakes.push({
          place,
          thing: `the value of ${key} cannot be read; most values must stand in '…'`,
        });
      // What was meant is looked at all the same.
      const value = read ?? rest.replace(/\s*#.*$/, "").trim();
      if (key === "include" || key === "include_if_exists" || key === "include_dir") {
        this.#files += 1;
        const files =
          depth < includeDepthMax && this.#files <= includedFilesMax ? readIncluded(key, value, file) : null;
        if (files === null && key !== "include_if_exists")
          this.unread.push({ place, thing: `${key} ${value} could not be read` });
        for (const one of files ?? []) this.#read(one.file, one.text, readIncluded, depth + 1);
      } else this.settings.set(key, { value, place });
    }
  }

  /** The value in force; PostgreSQL's own default when it is not written. */
  text(name: string): string {
    return this.settings.get(name)?.value ?? defaults[name] ?? "";
  }

  place(name: string): Place {
    return this.settings.get(name)?.place ?? { file: this.file, line: null };
  }

  /** `on`, `true`, `yes`, `1` and what begins them. */
  isOn(name: string): boolean {
    return isOnText(this.text(name));
  }

  shown(name: string): string {
    const set = this.settings.get(name);
    return set === undefined
      ? `${name} is not set (${defaults[name] ?? "PostgreSQL's default"})`
      : `${name} = ${set.value}`;
  }
}

/** PostgreSQL's yes. */
export function isOnText(text: string): boolean {
  return /^(?:on|tr?u?e?|ye?s?|1)$/i.test(text);
}

/** Defaults of PostgreSQL 14 to 18. */
const defaults: Readonly<Record<string, string>> = {
  listen_addresses: "localhost",
  ssl: "off",
  ssl_min_protocol_version: "TLSv1.2",
  password_encryption: "scram-sha-256",
  log_connections: "off",
  log_disconnections: "off",
  log_min_duration_statement: "-1",
  log_line_prefix: "%m [%p] ",
  log_statement: "none",
  fsync: "on",
  full_page_writes: "on",
  synchronous_commit: "on",
  max_connections: "100",
  superuser_reserved_connections: "3",
  reserved_connections: "0",
};

/**
 * A value in quotes (`''` and `\'` are quotes in it), or a bare word or number, with its unit at once behind it (guc-file.l: other
 * signs, an address among them, must stand in quotes); null when neither.
 */
function valueIn(rest: string): string | null {
  const text = rest.trim();
  if (text.startsWith("'")) {
    const quoted = /^'((?:[^'\\]|''|\\.)*)'\s*(?:#.*)?$/.exec(text)?.[1];
    return quoted === undefined ? null : quoted.replaceAll("''", "'").replaceAll(/\\(.)/g, "$1");
  }
  const bare =
    /^([A-Za-z_][\w.:/-]*|[+-]?(?:0x[0-9A-Fa-f]+|[0-9]+)[A-Za-z]*|[+-]?[0-9]*\.[0-9]*(?:[Ee][+-]?[0-9]+)?)\s*(?:#.*)?$/.exec(
      text,
    )?.[1];
  return bare ?? null;
}
