import { byteOrderMark, markTrouble } from "../mark.ts";

/** Reads an INI file the way Python's RawConfigParser does, which is how Odoo reads odoo.conf. Pure. */

export interface IniEntry {
  /** Lower case, as Python folds it. */
  readonly name: string;
  /** All lines of the value, joined with line breaks, as Python hands it to Odoo. */
  readonly value: string;
  /** Counts from 1. */
  readonly line: number;
  /** Further lines of the value: indented ones. */
  readonly continued: readonly { readonly text: string; readonly line: number }[];
}

export interface IniSection {
  readonly name: string;
  readonly line: number;
  readonly entries: readonly IniEntry[];
}

/** A line at which Python stops with an error: Odoo does not start. */
export interface IniMistake {
  readonly line: number;
  readonly thing: string;
}

export interface Ini {
  readonly sections: readonly IniSection[];
  readonly mistakes: readonly IniMistake[];
}

/** Most lines and mistakes that are kept; a file of a megabyte could be made of nothing else. */
const mistakesMax = 100;

interface OpenEntry {
  name: string;
  parts: string[];
  line: number;
  continued: { text: string; line: number }[];
}

interface OpenSection {
  readonly name: string;
  readonly line: number;
  readonly entries: OpenEntry[];
  /** The first of each name. */
  readonly byName: Map<string, OpenEntry>;
}

/**
 * Sections, entries and mistakes, in file order. Python's rules (Lib/configparser.py, `_read`): a line that begins with `#` or
 * `;` is a comment, there are no comments behind a value, a line indented deeper than its entry continues it, keys and
 * sections must not be doubled, and nothing stands before the first section.
 */
export function readIni(text: string): Ini {
  // By name: a file of a megabyte has a hundred thousand of them, and to search all for each takes half a minute.
  const sections = new Map<string, OpenSection>();
  const mistakes: IniMistake[] = [];
  let section: OpenSection | null = null;
  let entry: OpenEntry | null = null;
  let indent = 0;
  const mistake = (line: number, thing: string) => {
    if (mistakes.length < mistakesMax) mistakes.push({ line, thing });
  };
  if (text.startsWith(byteOrderMark)) mistake(1, markTrouble);
  for (const [index, raw] of text.split(/\r\n|\r|\n/).entries()) {
    const line = index + 1;
    const content = raw.trim();
    if (/^[#;]/.test(content)) continue;
    if (content === "") {
      entry?.parts.push("");
      continue;
    }
    const depth = raw.search(/\S/);
    if (entry !== null && depth > indent) {
      entry.parts.push(content);
      entry.continued.push({ text: content, line });
      continue;
    }
    indent = depth;
    const header = /^\[(.+)\]/.exec(content)?.[1];
    if (header !== undefined) {
      const before = sections.get(header);
      if (before !== undefined && header !== "DEFAULT")
        mistake(line, `section [${header}] stands a second time (first in line ${before.line})`);
      section = before ?? { name: header, line, entries: [], byName: new Map() };
      sections.set(header, section);
      entry = null;
      continue;
    }
    if (section === null) {
      mistake(line, "a line stands before the first section, such as [options]");
      continue;
    }
    const [, name = "", value = ""] = /^(.*?)\s*[=:]\s*(.*)$/.exec(content) ?? [];
    if (name === "") {
      mistake(line, 'a line is no "name = value"');
      continue;
    }
    const key = name.toLowerCase();
    const twin = section.byName.get(key);
    if (twin !== undefined) mistake(line, `${key} stands a second time (first in line ${twin.line})`);
    entry = { name: key, parts: [value], line, continued: [] };
    section.entries.push(entry);
    if (twin === undefined) section.byName.set(key, entry);
  }
  return {
    sections: [...sections.values()].map(({ name, line, entries }) => ({
      name,
      line,
      entries: entries.map((one) => ({ ...one, value: one.parts.join("\n").trimEnd() })),
    })),
    mistakes,
  };
}
