/** How a unit starts Odoo: its command with the variables that are known, and who runs it. Pure. */

import type { Place } from "../../report/finding.ts";
import { envLines } from "../compose/variables.ts";
import { type Unit, unitWords } from "./read.ts";

/** The text of a file that `EnvironmentFile` names, null: it is not here. */
export type ReadEnvironment = (path: string) => string | null;

export interface UnitVariable {
  readonly name: string;
  readonly value: string;
  readonly place: Place;
  /** It stands in the unit, which every user of the machine may read. */
  readonly isInUnit: boolean;
}

export interface Command {
  /** `+`, `!` and their like in front of the program. */
  readonly prefix: string;
  readonly words: readonly string[];
  readonly place: Place;
}

/** What `Environment=` and `EnvironmentFile=` set; of two the later holds, and files outdo lines. */
export function variablesOf(unit: Unit, readEnvironment: ReadEnvironment): ReadonlyMap<string, UnitVariable> {
  const found = new Map<string, UnitVariable>();
  for (const { value, place } of unit.list("Environment"))
    for (const word of unitWords(value)) {
      const cut = word.indexOf("=");
      if (cut > 0) {
        const name = word.slice(0, cut);
        found.set(name, { name, value: word.slice(cut + 1), place, isInUnit: true });
      }
    }
  for (const { path } of environmentFiles(unit)) {
    const text = readEnvironment(path);
    for (const { name, value, line } of text === null ? [] : envLines(text))
      found.set(name, { name, value, place: { file: path, line }, isInUnit: false });
  }
  return found;
}

/** Paths behind `EnvironmentFile=`; with a `-` in front the file may be missing. */
export function environmentFiles(
  unit: Unit,
): readonly { readonly path: string; readonly isOptional: boolean; readonly place: Place }[] {
  return unit
    .list("EnvironmentFile")
    .map(({ value, place }) => ({ path: value.replace(/^-/, ""), isOptional: value.startsWith("-"), place }));
}

/** The commands of `ExecStart=`; `;` between blanks parts two in one line. */
export function commandsOf(unit: Unit, variables: ReadonlyMap<string, UnitVariable>): readonly Command[] {
  return unit.list("ExecStart").flatMap(({ value, place }) => {
    const commands: string[][] = [[]];
    for (const word of unitWords(value))
      if (word === ";") commands.push([]);
      else commands.at(-1)?.push(word);
    return commands
      .filter((words) => words.length > 0)
      .map(([program = "", ...rest]) => {
        const [, prefix = "", bare = program] = /^([@\-:+!|]*)(.*)$/s.exec(program) ?? [];
        return {
          prefix,
          // With `@` the second word is the name the program is told it has.
          words: [bare, ...(prefix.includes("@") ? rest.slice(1) : rest)].flatMap((word, index) =>
            index === 0 || prefix.includes(":") ? [word] : expanded(word, variables),
          ),
          place,
        };
      });
  });
}

/** `${NAME}` stays in its word, `$NAME` alone is split at blanks. A variable that is not known stays as it is written. */
function expanded(word: string, variables: ReadonlyMap<string, UnitVariable>): readonly string[] {
  const alone = /^\$([A-Za-z_][A-Za-z0-9_]*)$/.exec(word)?.[1];
  if (alone !== undefined) {
    const value = variables.get(alone)?.value;
    return value === undefined ? [word] : value.split(/\s+/).filter((one) => one !== "");
  }
  return [
    word
      .replaceAll(/\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (whole, name?: string) =>
        name === undefined ? "$" : (variables.get(name)?.value ?? whole),
      )
      .replaceAll("%%", "%"),
  ];
}

const odooProgram = /(?:^|\/)(?:odoo|odoo-bin|odoo\.py|openerp-server|openerp-gevent|odoo-server)$/;
const containerProgram = /(?:^|\/)(?:docker|podman|nerdctl|docker-compose|podman-compose)$/;
/** Programs that change the user by themselves. */
const switches = /(?:^|\/)(?:sudo|su|runuser|setpriv|gosu|su-exec|chpst|start-stop-daemon)$/;

export type CommandKind = "odoo" | "container" | "script" | "other";

/** What a command starts: Odoo itself, a container, a program that has Odoo in its name or words, or something else. */
export function kindOf({ words }: Command): CommandKind {
  if (containerProgram.test(words[0] ?? "")) return "container";
  if (words.some((word) => odooProgram.test(word))) return "odoo";
  return words.some((word) => /odoo|openerp/i.test(word)) ? "script" : "other";
}

/** The program that changes the user before Odoo starts; null: none does. */
export function userSwitch({ words }: Command): string | null {
  return words.slice(0, 3).find((word) => switches.test(word)) ?? null;
}

/** The words behind the program of Odoo. */
export function optionsOf({ words }: Command): readonly string[] {
  return words.slice(words.findIndex((word) => odooProgram.test(word)) + 1);
}
