import { type Note, note, orPass, quoted } from "../note.ts";
import { type Command, userSwitch } from "./odoo-command.ts";
import type { Unit } from "./read.ts";

/** The text of /etc/passwd; null: it is not here. */
export type ReadUsers = () => string | null;

/** Accounts that other programs, or people, have too. */
const shared =
  /^(?:nobody|daemon|bin|www-data|www|http|nginx|apache|caddy|traefik|mail|backup|ubuntu|debian|admin|centos|rocky|fedora|ec2-user|pi|vagrant)$/;

/** Who runs Odoo. */
export function unitUser(unit: Unit, command: Command, readUsers: ReadUsers): readonly Note[] {
  const id = "systemd-user";
  const set = unit.last("User");
  const place = set?.place ?? command.place;
  const changes = userSwitch(command);
  const isDynamic = unit.yesNo("DynamicUser") === true;
  if (/[+!]/.test(command.prefix))
    return [
      note(
        id,
        "fail",
        `ExecStart=${command.prefix}… : with that sign Odoo runs as root, whatever User= says`,
        command.place,
        {
          fix: "Take the sign in front of the program out.",
        },
      ),
    ];
  if (set === null && isDynamic)
    return [note(id, "pass", "DynamicUser: a user of its own", unit.place("DynamicUser"))];
  if (set === null && changes !== null)
    return [
      note(id, "warn", `it starts as root, and ${quoted(changes)} changes the user`, command.place, {
        why: "systemd's own protections then begin around root, and a mistake in that line leaves Odoo with root's rights.",
        fix: "Write User=odoo and start Odoo itself in ExecStart=.",
      }),
    ];
  if (set === null) return [note(id, "fail", "User= is not set, so Odoo runs as root", command.place)];
  const name = set.value;
  if (/[\s#;:/]/.test(name))
    return [note(id, "fail", `User=${name} names no user, and the unit does not start as one`, place)];
  const notes: Note[] = [];
  const account = accountOf(name, readUsers());
  if (name === "root" || name === "0" || account?.uid === 0)
    notes.push(note(id, "fail", `User=${name}: Odoo runs as root`, place));
  else if (name === "postgres")
    notes.push(
      note(id, "fail", "User=postgres: Odoo runs as the owner of PostgreSQL", place, {
        why: "Over the local socket that user is the superuser of every database, without a password.",
      }),
    );
  else if (shared.test(name))
    notes.push(
      note(
        id,
        "warn",
        `User=${name}: other programs or people are that user, too, and read Odoo's files`,
        place,
      ),
    );
  const group = unit.last("Group");
  if (group !== null && /^(?:root|0|docker|sudo|wheel|adm|shadow|disk)$/.test(group.value))
    notes.push(
      note(id, "fail", `Group=${group.value}: a group with the rights of root, or near to them`, group.place),
    );
  for (const extra of unit.list("SupplementaryGroups"))
    if (/(?:^|\s)(?:root|docker|sudo|wheel|disk|shadow)(?:\s|$)/.test(extra.value))
      notes.push(
        note(
          id,
          "fail",
          `SupplementaryGroups=${extra.value}: a group with the rights of root, or near to them`,
          extra.place,
        ),
      );
  if (account !== null && !/\/(?:nologin|false)$/.test(account.shell))
    notes.push(
      note(
        id,
        "warn",
        `User=${name} may log in: its shell is ${quoted(account.shell)} (/etc/passwd:${account.line})`,
        place,
        {
          why: "An account with a shell can be logged in to by SSH and su, once somebody has put a key or a password there.",
          fix: `usermod --shell /usr/sbin/nologin ${/^[a-z_][a-z0-9_-]*$/i.test(name) ? name : "odoo"}`,
        },
      ),
    );
  return orPass(notes, id, `User=${name}`, place);
}

interface Account {
  readonly uid: number;
  readonly shell: string;
  readonly line: number;
}

/** The account by its name or number; null when this machine has none. */
function accountOf(name: string, users: string | null): Account | null {
  for (const [index, line] of (users ?? "").split("\n").entries()) {
    const [own, , uid = "", , , , shell = ""] = line.split(":");
    // An empty shell is /bin/sh (passwd(5)).
    if (own === name || (uid === name && uid !== ""))
      return { uid: Number(uid), shell: shell.trim() === "" ? "/bin/sh" : shell.trim(), line: index + 1 };
  }
  return null;
}
