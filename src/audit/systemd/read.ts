/** Reads a unit of systemd with its drop-ins, or what `systemctl cat` prints (src/shared/conf-parser.c). Pure. */
import type { Place } from "../../report/finding.ts";

export interface UnitText {
  readonly file: string;
  readonly text: string;
}

export interface UnitSetting {
  readonly section: string;
  readonly name: string;
  /** Continued lines as one. */
  readonly value: string;
  readonly place: Place;
}

export interface UnitTrouble {
  readonly place: Place;
  readonly thing: string;
}

/** Most settings of one unit that are read; what stands behind them is named as not read. */
export const settingsMax = 5_000;

export class Unit {
  /** The unit itself, without its drop-ins. */
  readonly file: string;
  readonly settings: readonly UnitSetting[];
  readonly mistakes: readonly UnitTrouble[];

  constructor(file: string, settings: readonly UnitSetting[], mistakes: readonly UnitTrouble[]) {
    this.file = file;
    this.settings = settings;
    this.mistakes = mistakes;
  }

  /** Where a setting of [Service] is written that holds, the last one; null when there is none. An empty one takes back what stood before. */
  last(name: string): UnitSetting | null {
    const one = this.settings.findLast((each) => each.section === "Service" && each.name === name);
    return one === undefined || one.value === "" ? null : one;
  }

  /** Settings of [Service] that add up; an empty one takes back all before it. */
  list(name: string): readonly UnitSetting[] {
    const all = this.settings.filter((each) => each.section === "Service" && each.name === name);
    return all.slice(all.findLastIndex(({ value }) => value === "") + 1);
  }

  /** A yes/no of [Service]; null when it is not written, or is none. */
  yesNo(name: string): boolean | null {
    const value = this.last(name)?.value ?? "";
    if (/^(?:1|yes|y|true|t|on)$/i.test(value)) return true;
    return /^(?:0|no|n|false|f|off)$/i.test(value) ? false : null;
  }

  /** Where a setting stands, else the unit as a whole. */
  place(name: string): Place {
    return this.last(name)?.place ?? { file: this.file, line: null };
  }
}

/** The unit and its drop-ins in the order in which systemd reads them. */
export function readUnit(file: string, texts: readonly UnitText[]): Unit {
  const settings: UnitSetting[] = [];
  const mistakes: UnitTrouble[] = [];
  for (const one of texts.flatMap(sectionsOfDump)) readText(one, settings, mistakes);
  return new Unit(file, settings, mistakes);
}

interface Part extends UnitText {
  /** Line of the operator's file that is this part's first. */
  readonly firstLine: number;
}

/** `systemctl cat` writes the path of each file as a comment above it; lines are counted in what the operator has named. */
function sectionsOfDump({ file, text }: UnitText): readonly Part[] {
  const lines = text.replace(/^\ufeff/, "").split("\n");
  const parts: Part[] = [];
  let from = 0;
  for (let at = 1; at <= lines.length; at += 1)
    if (at === lines.length || /^# \/\S+\.(?:service|conf)\s*$/.test(lines[at] ?? "")) {
      parts.push({ file, text: lines.slice(from, at).join("\n"), firstLine: from + 1 });
      from = at;
    }
  return parts;
}

function readText({ file, text, firstLine }: Part, settings: UnitSetting[], mistakes: UnitTrouble[]): void {
  // Each file begins without a section.
  let section = "";
  for (const { line, text: whole } of logicalLines(text)) {
    const place = { file, line: firstLine + line };
    const [, header] = /^\[([^\]]*)\]$/.exec(whole) ?? [];
    if (header !== undefined) {
      section = header;
      continue;
    }
    const cut = whole.indexOf("=");
    if (cut < 1)
      mistakes.push({
        place,
        thing: "a line that is neither a section nor NAME=VALUE; systemd passes over it",
      });
    else if (section === "")
      mistakes.push({ place, thing: "it stands above every [Section]; systemd passes over it" });
    else if (settings.length >= settingsMax) {
      mistakes.push({
        place,
        thing: `the unit has more than ${settingsMax} settings; the rest was not read`,
      });
      return;
    } else
      settings.push({ section, name: whole.slice(0, cut).trim(), value: whole.slice(cut + 1).trim(), place });
  }
}

/** Lines without comments, those that end in a backslash joined with the next; `line` counts from 0. */
function logicalLines(text: string): readonly { readonly line: number; readonly text: string }[] {
  const found: { line: number; text: string }[] = [];
  let parts: string[] | null = null;
  let begun = 0;
  for (const [line, written] of text.split(/\r?\n/).entries()) {
    const bare = written.trim();
    // A comment between continued lines does not end them.
    if (/^[#;]/.test(bare)) continue;
    const isContinued = /(?<!\\)(?:\\\\)*\\$/.test(written);
    if (parts === null) {
      if (bare === "") continue;
      begun = line;
      parts = [];
    }
    parts.push(isContinued ? written.slice(0, -1) : written);
    if (isContinued) continue;
    found.push({ line: begun, text: parts.join(" ").trim() });
    parts = null;
  }
  if (parts !== null) found.push({ line: begun, text: parts.join(" ").trim() });
  return found;
}

/** Words as systemd splits them: quotes and backslashes as in C, `;` alone stays a word. */
export function unitWords(text: string): readonly string[] {
  const words: string[] = [];
  let word: string | null = null;
  let quote = "";
  for (let at = 0; at < text.length; at += 1) {
    const unit = text[at] ?? "";
    if (unit === "\\" && at + 1 < text.length) {
      at += 1;
      const next = text[at] ?? "";
      word = `${word ?? ""}${next === "s" ? " " : next === "n" ? "\n" : next === "t" ? "\t" : next}`;
    } else if (quote !== "") {
      if (unit === quote) quote = "";
      else word = `${word ?? ""}${unit}`;
    } else if (unit === '"' || unit === "'") {
      quote = unit;
      word ??= "";
    } else if (/\s/.test(unit)) {
      if (word !== null) words.push(word);
      word = null;
    } else word = `${word ?? ""}${unit}`;
  }
  if (word !== null) words.push(word);
  return words;
}
