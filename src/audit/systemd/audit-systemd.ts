import type { AuditContext } from "../context.ts";
import { type Note, note, orPass, quoted } from "../note.ts";
import { type Command, commandsOf, kindOf, type ReadEnvironment, variablesOf } from "./odoo-command.ts";
import { startOptions } from "./options.ts";
import type { Unit } from "./read.ts";
import { sandbox } from "./sandbox.ts";
import { unitSecrets } from "./secrets.ts";
import { type ReadUsers, unitUser } from "./user.ts";

export interface UnitSurroundings {
  readonly readEnvironment: ReadEnvironment;
  readonly readUsers: ReadUsers;
  readonly modesOf: AuditContext["modesOf"];
  /** `--odoo-conf` as it was written; null when it was not given. */
  readonly odooConf: string | null;
}

/** Everything a unit of Odoo tells, its drop-ins included. */
export function auditUnit(unit: Unit, around: UnitSurroundings): readonly Note[] {
  const variables = variablesOf(unit, around.readEnvironment);
  const commands = commandsOf(unit, variables);
  const command = commands.find((one) => kindOf(one) !== "other") ?? null;
  const reading = syntax(unit, commands, command);
  if (command === null) return reading;
  // What runs in a container is not confined by the unit that starts it.
  if (kindOf(command) === "container")
    return [
      ...reading,
      note(
        "systemd-user",
        "skipped",
        "it starts a container; who runs Odoo there stands in the image and the compose file (--compose)",
        command.place,
      ),
      ...unitSecrets(unit, commands, variables, around),
      restart(unit),
    ];
  return [
    ...reading,
    ...unitUser(unit, command, around.readUsers),
    ...sandbox(unit, command),
    ...startOptions(unit, command, variables, around),
    ...unitSecrets(unit, commands, variables, around),
    restart(unit),
  ];
}

function syntax(unit: Unit, commands: readonly Command[], command: Command | null): readonly Note[] {
  const id = "systemd-syntax";
  const place = { file: unit.file, line: null };
  const notes: Note[] = unit.mistakes.map((one) => note(id, "warn", one.thing, one.place));
  for (const one of unit.settings)
    if (
      one.section === "Service" &&
      /^(?:User|Group|Restart|NoNewPrivileges|ProtectSystem|ProtectHome|PrivateTmp|DynamicUser|Type)$/.test(
        one.name,
      ) &&
      /\s[#;]/.test(one.value)
    )
      notes.push(
        note(
          id,
          "fail",
          `${one.name}=${one.value}: systemd knows no comments behind values, all of it is the value`,
          one.place,
          {
            fix: "Put the comment in a line of its own.",
          },
        ),
      );
  const isOneshot = unit.last("Type")?.value === "oneshot";
  const second = unit.list("ExecStart")[1];
  if (second !== undefined && !isOneshot)
    notes.push(
      note(
        id,
        "fail",
        "a second ExecStart=; systemd starts such a unit only with Type=oneshot",
        second.place,
        {
          why: "Above all in a drop-in: its ExecStart= is added to the unit's own, and the unit no longer starts.",
          fix: "In the drop-in write an empty ExecStart= above the new one.",
        },
      ),
    );
  if (commands.length === 0)
    notes.push(
      note(
        id,
        "fail",
        "there is no ExecStart= in [Service]: it is no unit of a service, or only a drop-in of one",
        place,
        {
          fix: "Name the unit itself (its drop-ins are found beside it), or a file with what systemctl cat odoo prints.",
        },
      ),
    );
  else if (command === null)
    notes.push(
      note(
        id,
        "warn",
        `ExecStart=${quoted(commands[0]?.words[0] ?? "")} starts no Odoo: nothing to look at`,
        commands[0]?.place,
      ),
    );
  return orPass(
    notes,
    id,
    `the unit and ${new Set(unit.settings.map((one) => one.place.file)).size - 1} drop-ins`,
    place,
  );
}

function restart(unit: Unit): Note {
  const id = "systemd-restart";
  const value = unit.last("Restart")?.value ?? "no";
  return /^(?:always|on-failure|on-abnormal)$/.test(value)
    ? note(id, "pass", `Restart=${value}`, unit.place("Restart"))
    : note(
        id,
        "warn",
        `${unit.last("Restart") === null ? "Restart= is not set" : `Restart=${value}`}: after a crash Odoo stays down`,
        unit.place("Restart"),
      );
}
