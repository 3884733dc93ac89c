/** Files of fail2ban, laid over each other and with their variables in place (client/configparserinc.py). Pure. */
import type { Place } from "../../report/finding.ts";
import { readIni } from "../conf/ini.ts";

export interface Text {
  readonly file: string;
  readonly text: string;
}

export interface Option {
  /** Lines joined with line breaks. */
  readonly value: string;
  readonly place: Place;
}

export interface Trouble {
  readonly place: Place;
  readonly thing: string;
}

/** As deep as variables may stand in variables, and longest text they may make. */
const depthMax = 10;
/** Most variables one text may hold, those in its variables among them: ten in each of ten would be filled in for ever. */
const fillsMax = 500;
const textCharsMax = 20_000;
/** Most files of one configuration, includes among them. */
export const filesMax = 300;

export class Fail2banConfig {
  readonly files: readonly string[];
  readonly sections: ReadonlyMap<string, ReadonlyMap<string, Option>>;
  /** What keeps fail2ban from reading a file. */
  readonly mistakes: readonly Trouble[];

  constructor(texts: readonly Text[]) {
    const sections = new Map<string, Map<string, Option>>();
    const mistakes: Trouble[] = [];
    for (const { file, text } of texts) {
      const ini = readIni(withoutComments(text));
      for (const { line, thing } of ini.mistakes)
        mistakes.push({ place: { file, line }, thing: thing.replace(", such as [options]", "") });
      for (const { name, entries } of ini.sections) {
        const section = sections.get(name) ?? new Map<string, Option>();
        sections.set(name, section);
        for (const entry of entries)
          section.set(entry.name, { value: entry.value, place: { file, line: entry.line } });
      }
    }
    this.files = texts.map(({ file }) => file);
    this.sections = sections;
    this.mistakes = mistakes;
  }

  /** As it is written in the section, else in [DEFAULT]. */
  option(section: string, name: string): Option | null {
    return this.sections.get(section)?.get(name) ?? this.sections.get("DEFAULT")?.get(name) ?? null;
  }

  /**
   * With `%(name)s` and `<name>` in place; `more` outdoes the file (what a jail says behind its filter's name). null: it is
   * not written, or a variable of it is not known here.
   */
  text(section: string, name: string, more: ReadonlyMap<string, string> = new Map()): string | null {
    const option = this.option(section, name);
    if (option === null) return more.get(name) ?? null;
    return this.#filled(more.get(name) ?? option.value, section, more, { left: fillsMax }, 0);
  }

  #filled(
    text: string,
    section: string,
    more: ReadonlyMap<string, string>,
    budget: { left: number },
    depth: number,
  ): string | null {
    if (depth > depthMax) return null;
    let isKnown = true;
    const value = (name: string, written: string): string => {
      budget.left -= 1;
      if (budget.left < 0) isKnown = false;
      if (!isKnown) return written;
      const own =
        name === "__name__"
          ? section
          : (more.get(name) ??
            this.option(section, name)?.value ??
            this.sections.get("Init")?.get(name)?.value);
      const inner = own === undefined ? null : this.#filled(own, section, more, budget, depth + 1);
      isKnown &&= inner !== null;
      return inner ?? written;
    };
    const python = text.replaceAll(/%%|%\(([^()%\s]+)\)s/g, (whole, name?: string) =>
      name === undefined ? "%" : value(name.toLowerCase(), whole),
    );
    if (!isKnown || python.length > textCharsMax) return null;
    // Tags of addresses (HOST, F-USER) are in capitals, parameters are not.
    const filled = python.replaceAll(/(?<!\(\?P?)<([a-z_][a-z0-9_-]*)>/g, (whole, name: string) =>
      this.option(section, name) === null &&
      !more.has(name) &&
      this.sections.get("Init")?.get(name) === undefined
        ? whole
        : value(name, whole),
    );
    return isKnown && filled.length <= textCharsMax ? filled : null;
  }
}

/** fail2ban takes a `;` behind a blank for a comment; a `#` there it takes for a part of the value. */
function withoutComments(text: string): string {
  return text.replaceAll(/(^|[^\S\n]);[^\n]*/gm, "$1");
}

/** Files named by [INCLUDES] of a text: those read before it, and those read after it. */
export function includesOf(text: string): {
  readonly before: readonly string[];
  readonly after: readonly string[];
} {
  const section = readIni(withoutComments(text)).sections.find(({ name }) => name === "INCLUDES");
  const named = (key: string) =>
    (section?.entries.find(({ name }) => name === key)?.value ?? "").split("\n").filter((one) => one !== "");
  return { before: named("before"), after: named("after") };
}

/** Seconds of `600`, `10m`, `1h 30m`, `-1`; null: it is none. */
export function secondsOf(text: string): number | null {
  const units: Readonly<Record<string, number>> = {
    s: 1,
    m: 60,
    h: 3_600,
    d: 86_400,
    w: 604_800,
    mo: 2_629_800,
    y: 31_557_600,
  };
  const value = text.trim().toLowerCase();
  if (/^-?[0-9]{1,12}$/.test(value)) return Number(value);
  let seconds = 0;
  let rest = value;
  for (let parts = 0; rest !== "" && parts < 10; parts += 1) {
    const [whole = "", number = "", word = ""] = /^([0-9]{1,9})\s*([a-z]+)\s*\+?\s*/.exec(rest) ?? [];
    const unit = /^mo/.test(word) ? "mo" : (word[0] ?? "");
    if (whole === "" || units[unit] === undefined) return null;
    seconds += Number(number) * units[unit];
    rest = rest.slice(whole.length);
  }
  return value === "" || rest !== "" ? null : seconds;
}
