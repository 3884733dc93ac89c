/** odoo.conf as Odoo sees it: today's names, defaults, types. Pure. */
import type { Place } from "../../report/finding.ts";
import { type Ini, type IniEntry, readIni } from "./ini.ts";
import { confOptions, oldNames } from "./options.ts";

/** A yes/no as every Odoo reads it, or why there are two readings. */
export type YesNo = { readonly known: true; readonly value: boolean } | { readonly known: false };

export class ConfView {
  readonly file: string;
  readonly ini: Ini;
  /** Entries of [options], with those of [DEFAULT] that Python adds; the last of an old and a new name wins. */
  readonly #entries: ReadonlyMap<string, IniEntry>;

  constructor(file: string, text: string) {
    this.file = file;
    this.ini = readIni(text);
    const entries = new Map<string, IniEntry>();
    for (const entry of [...this.#section("DEFAULT"), ...this.#section("options")])
      entries.set(oldNames.get(entry.name) ?? entry.name, entry);
    this.#entries = entries;
  }

  #section(name: string): readonly IniEntry[] {
    return this.ini.sections.find((section) => section.name === name)?.entries ?? [];
  }

  /** The entries of [options] as they are written. */
  get written(): readonly IniEntry[] {
    return this.#section("options");
  }

  /** Is the option written, by its name of today or an old one. */
  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** The value as it is written, by its name of today or an old one; null when it is not. */
  raw(name: string): string | null {
    return this.#entries.get(name)?.value ?? null;
  }

  /** Is it written by an old name only, which Odoo 19 passes over. */
  isOldName(name: string): boolean {
    const entry = this.#entries.get(name);
    return entry !== undefined && entry.name !== name;
  }

  /** The value as text; the default when it is not written. `False` and `None` of text options count as empty, as in Odoo. */
  text(name: string): string {
    const value = this.#entries.get(name)?.value ?? confOptions.get(name)?.default ?? "";
    return value === "False" || value === "false" || value === "None" ? "" : value;
  }

  /**
   * A yes/no. Up to Odoo 18 only `True`, `true`, `False` and `false` mean what they say, and every other text but an empty one is
   * yes; Odoo 19 also reads yes, no, on, off, 1 and 0. A word both read alike is known, any other is not.
   */
  yesNo(name: string): YesNo {
    const value = this.#entries.get(name)?.value ?? confOptions.get(name)?.default ?? "";
    if (/^(?:True|true|TRUE|yes|on|1|Yes|On|YES|ON)$/.test(value)) return { known: true, value: true };
    if (value === "False" || value === "false") return { known: true, value: false };
    return { known: false };
  }

  /** A whole number; null when the text is none (Odoo does not start then). */
  whole(name: string): number | null {
    const value = this.text(name);
    // Python reads 2_147_483_648 as well.
    return /^[+-]?[0-9]+(?:_[0-9]+)*$/.test(value) && value.length <= 24
      ? Number(value.replaceAll("_", ""))
      : null;
  }

  /** Where the option is written; the file as a whole when it is not. */
  place(name: string): Place {
    return { file: this.file, line: this.#entries.get(name)?.line ?? null };
  }

  /** `workers = 0`, or `workers is not set (0)`. Not for secrets. */
  shown(name: string): string {
    const entry = this.#entries.get(name);
    if (entry !== undefined) return `${entry.name} = ${entry.value}`;
    const standard = confOptions.get(name)?.default ?? "";
    return `${name} is not set${standard === "" ? "" : ` (Odoo takes ${standard})`}`;
  }
}
