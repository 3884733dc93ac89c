import type { AuditContext } from "../context.ts";
import { type Note, note, orPass } from "../note.ts";
import { passwordFlag, secretName } from "../secret-names.ts";
import { type Command, kindOf, optionsOf, type UnitVariable } from "./odoo-command.ts";
import type { Unit } from "./read.ts";

/** Passwords that every user of the machine can read: in the unit, on the command line, in a file that is open to all. */
export function unitSecrets(
  unit: Unit,
  commands: readonly Command[],
  variables: ReadonlyMap<string, UnitVariable>,
  { modesOf }: Pick<AuditContext, "modesOf">,
): readonly Note[] {
  const id = "systemd-secrets";
  const notes: Note[] = [];
  for (const command of commands) {
    const words = kindOf(command) === "odoo" ? optionsOf(command) : command.words;
    for (const [index, word] of words.entries()) {
      const [flag = "", own] = word.split(/=(.*)/s);
      const isPassword = passwordFlag.test(flag) && (own ?? words[index + 1] ?? "") !== "";
      // Docker has a -w of its own, a folder.
      if (isPassword && !(flag === "-w" && kindOf(command) !== "odoo"))
        notes.push(
          note(
            id,
            "fail",
            `the password behind ${flag} is shown by ps to every user of the machine`,
            command.place,
            {
              fix: "Take it out of ExecStart= and write db_password in odoo.conf, mode 640.",
            },
          ),
        );
    }
  }
  const opened = new Set<string>();
  for (const { name, value, place, isInUnit } of variables.values()) {
    if (value === "" || !secretName.test(name)) continue;
    if (isInUnit)
      notes.push(
        note(
          id,
          "fail",
          `${name} stands in the unit, which systemctl show prints for every user of the machine`,
          place,
        ),
      );
    else if (!opened.has(place.file) && ((modesOf(place.file)?.mode ?? 0) & 0o007) !== 0) {
      opened.add(place.file);
      notes.push(
        note(id, "fail", `${name} stands in a file that every user of the machine can read`, place, {
          fix: `chown root:root ${place.file} && chmod 600 ${place.file}; systemd reads it before it changes the user.`,
        }),
      );
    }
  }
  return orPass(notes, id, "no password stands where every user can read it", {
    file: unit.file,
    line: null,
  });
}
