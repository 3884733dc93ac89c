import { basename } from "node:path";
import { type Note, note, orPass, quoted } from "../note.ts";
import { badFlags, badVariables } from "../odoo-flags.ts";
import type { UnitSurroundings } from "./audit-systemd.ts";
import { type Command, environmentFiles, kindOf, optionsOf, type UnitVariable } from "./odoo-command.ts";
import type { Unit } from "./read.ts";

const id = "systemd-odoo-options";

/** What a start script of its own adds, beside what the flags of a command line say against odoo.conf. */
const startFlags: readonly { readonly flag: RegExp; readonly words: string; readonly isFatal: boolean }[] = [
  { flag: /^--stop-after-init$/, words: "ends Odoo as soon as it has started", isFatal: true },
  {
    flag: /^(?:-u|--update)$/,
    words: "updates modules at every start, which takes minutes and changes databases",
    isFatal: false,
  },
  { flag: /^(?:-i|--init)$/, words: "installs modules at every start", isFatal: false },
];

/** Options in ExecStart and variables that outdo odoo.conf, and which odoo.conf is read. */
export function startOptions(
  unit: Unit,
  command: Command,
  variables: ReadonlyMap<string, UnitVariable>,
  around: UnitSurroundings,
): readonly Note[] {
  const notes: Note[] = [];
  for (const { path, isOptional, place } of environmentFiles(unit))
    if (around.readEnvironment(path) === null && !isOptional)
      notes.push(
        note(id, "skipped", `EnvironmentFile=${quoted(path)} is not here; what it sets is not known`, place),
      );
  for (const { name, value, place } of variables.values()) {
    const bad = badVariables.find((one) => one.name.test(name) && value !== "" && one.value.test(value));
    if (bad !== undefined)
      notes.push(note(id, "warn", `${name}=${quoted(value)} ${bad.words}, if the start reads it`, place));
  }
  const { place } = command;
  if (kindOf(command) === "script") {
    notes.push(
      note(
        id,
        "skipped",
        `${quoted(command.words[0] ?? "")} starts Odoo; which options it passes on is not known`,
        place,
      ),
    );
    return notes;
  }
  const words = optionsOf(command);
  for (const [index, word] of words.entries()) {
    const [flag = "", own] = word.split(/=(.*)/s);
    const argument = own ?? words[index + 1] ?? "";
    const bad = badFlags.find((one) => one.flag.test(flag) && one.value.test(argument));
    if (bad !== undefined)
      notes.push(
        note(
          id,
          "fail",
          `${quoted(own === undefined && /^[^-]/.test(argument) ? `${flag} ${argument}` : word)} ${bad.words}`,
          place,
        ),
      );
    const start = startFlags.find((one) => one.flag.test(flag));
    if (start !== undefined)
      notes.push(note(id, start.isFatal ? "fail" : "warn", `${flag} ${start.words}`, place));
  }
  notes.push(...confFile(words, around.odooConf, variables, place));
  return orPass(notes, id, "its command line says nothing against odoo.conf", place);
}

function confFile(
  words: readonly string[],
  odooConf: string | null,
  variables: ReadonlyMap<string, UnitVariable>,
  place: Command["place"],
): readonly Note[] {
  const at = words.findIndex((word) => /^(?:-c.*|--config(?:=.*)?)$/s.test(word));
  const word = words[at] ?? "";
  const path =
    at === -1
      ? (variables.get("ODOO_RC")?.value ?? null)
      : /^(?:-c|--config)$/.test(word)
        ? (words[at + 1] ?? "")
        : word.replace(/^(?:-c|--config=)/, "");
  const isUnknown = words.some((one) => /^\$[A-Za-z_{]/.test(one)) || path?.includes("$") === true;
  if (isUnknown)
    return at === -1 || path?.includes("$") === true
      ? [note(id, "skipped", "a variable that is not known here says which odoo.conf is read", place)]
      : [];
  if (path === null)
    return [
      note(
        id,
        "warn",
        "there is no -c: Odoo reads .odoorc in its user's home, and without that file its own defaults",
        place,
        {
          why: "Odoo's defaults are the master password admin and an open list of databases.",
          fix: "Write ExecStart=… -c /etc/odoo/odoo.conf.",
        },
      ),
    ];
  return odooConf !== null && basename(odooConf) !== basename(path)
    ? [
        note(
          id,
          "warn",
          `it starts Odoo with ${quoted(path)}, and --odoo-conf is ${quoted(odooConf)}`,
          place,
          {
            why: "What was said of odoo.conf is true of a file that this Odoo may not read.",
            fix: "Give --odoo-conf the file that -c names.",
          },
        ),
      ]
    : [];
}
