import { nearestName } from "../../base/nearest.ts";
import { type Note, note, orPass, quoted } from "../note.ts";
import { confOptions, deadNames, oldNames } from "./options.ts";
import type { ConfView } from "./view.ts";

/** Does Odoo read the file at all, and as it was meant. */
export function reading(conf: ConfView): readonly Note[] {
  return [...syntax(conf), ...comments(conf), ...continuations(conf), ...yesNos(conf), ...names(conf)];
}

function syntax(conf: ConfView): readonly Note[] {
  const id = "conf-syntax";
  const { file, ini } = conf;
  const notes: Note[] = ini.mistakes.map(({ line, thing }) => note(id, "fail", thing, { file, line }));
  if (!ini.sections.some(({ name }) => name === "options"))
    notes.push(
      note(
        id,
        "fail",
        "there is no section [options]: Odoo reads nothing of the file and runs with its defaults",
        { file, line: null },
        {
          fix: "Put [options] in a line of its own above the options.",
        },
      ),
    );
  for (const { name, value, line } of conf.written)
    if (/^(["']).*\1$/s.test(value) && value.length > 1)
      notes.push(
        note(
          id,
          "fail",
          `the value of ${name} stands in quotes, and they belong to it`,
          { file, line },
          {
            why: "odoo.conf knows no quotes: a filter then fits no name, a path no folder, and a hash is no hash.",
            fix: "Take the quotes away.",
          },
        ),
      );
  for (const entry of conf.written) {
    const name = oldNames.get(entry.name) ?? entry.name;
    const type = confOptions.get(name)?.type;
    if (type !== "whole number" && type !== "number") continue;
    if (entry.value === "" || /^(?:None|False|false)$/.test(entry.value) || hasComment(entry.value)) continue;
    const isNumber =
      type === "number" ? /^[+-]?[0-9.]+$/.test(entry.value) : /^[+-]?[0-9]+(?:_[0-9]+)*$/.test(entry.value);
    if (!isNumber)
      notes.push(
        note(id, "fail", `${entry.name} = ${quoted(entry.value)} is no ${type}`, { file, line: entry.line }),
      );
  }
  return orPass(notes, id, `${conf.written.length} options in [options]`, { file, line: null });
}

function hasComment(value: string): boolean {
  return /\s[;#]/.test(value);
}

function comments(conf: ConfView): readonly Note[] {
  const id = "conf-inline-comment";
  const notes = conf.written
    .filter(({ value }) => hasComment(value))
    .map(({ name, value, line }) => {
      const from = value.search(/\s[;#]/);
      const what =
        name === "admin_passwd" || /pass/.test(name)
          ? "what stands behind it"
          : quoted(value.slice(from).trim());
      return note(id, "fail", `the value of ${name} includes ${what}`, { file: conf.file, line });
    });
  return orPass(notes, id, "comments stand in lines of their own", { file: conf.file, line: null });
}

function continuations(conf: ConfView): readonly Note[] {
  const id = "conf-continuation";
  const notes = conf.written.flatMap((entry) =>
    entry.continued.flatMap(({ text, line }) => {
      const name = /^([A-Za-z_]+)\s*[=:]/.exec(text)?.[1]?.toLowerCase() ?? "";
      if (!confOptions.has(name) && !oldNames.has(name)) return [];
      return [
        note(
          id,
          "fail",
          `${name} is indented, so it is part of the value of ${entry.name} and not an option`,
          { file: conf.file, line },
        ),
      ];
    }),
  );
  return orPass(notes, id, "every option begins at the beginning of its line", {
    file: conf.file,
    line: null,
  });
}

function yesNos(conf: ConfView): readonly Note[] {
  const id = "conf-yes-no";
  const notes = conf.written.flatMap((entry) => {
    const name = oldNames.get(entry.name) ?? entry.name;
    if (confOptions.get(name)?.type !== "yes/no" || conf.yesNo(name).known || hasComment(entry.value))
      return [];
    return [
      note(
        id,
        "fail",
        `${entry.name} = ${quoted(entry.value)} is yes to Odoo up to 18 and may be no to a later one`,
        { file: conf.file, line: entry.line },
      ),
    ];
  });
  return orPass(notes, id, "every yes and no is written True or False", { file: conf.file, line: null });
}

function names(conf: ConfView): readonly Note[] {
  const id = "conf-option-names";
  const knownNames = [...confOptions.keys()];
  const notes: Note[] = [];
  for (const { name, value, line } of conf.written) {
    const place = { file: conf.file, line };
    const today = oldNames.get(name);
    const dead = deadNames.get(name);
    if (today !== undefined) {
      const twin = conf.written.find((one) => one.name === today);
      if (twin !== undefined && twin.value !== value)
        notes.push(note(id, "fail", `${name} and ${today} (line ${twin.line}) say different things`, place));
      else
        notes.push(
          note(
            id,
            "warn",
            `${name} is the name of an earlier version, which Odoo 19 no longer reads; today it is ${today}`,
            place,
          ),
        );
    } else if (dead !== undefined) notes.push(note(id, "warn", `${name}: ${dead}`, place));
    else if (!confOptions.has(name)) {
      const near = name.length < 5 ? null : nearestName(name, knownNames);
      if (near !== null)
        notes.push(note(id, "warn", `${name} is no option of Odoo; did you mean ${near}?`, place));
    }
  }
  return orPass(notes, id, "every option has the name Odoo reads today", { file: conf.file, line: null });
}
