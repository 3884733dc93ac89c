import { type Note, note } from "../note.ts";
import { gradePassword, triedPasswords } from "../password.ts";
import { isPasswordOf, readPbkdf2 } from "../pbkdf2.ts";
import type { ConfView } from "./view.ts";

const id = "conf-master-password";
/** Fewest rounds that are no news; passlib's default when it was introduced, and the guides' example. */
const roundsLeast = 25_000;

/**
 * The master password: who has it can copy, replace and drop every database. Odoo takes a hash of passlib's
 * `pbkdf2_sha512` or plain text (odoo/tools/config.py, `crypt_context`), and `admin` when nothing is written.
 */
export function masterPassword(conf: ConfView): Note {
  const place = conf.place("admin_passwd");
  if (!conf.has("admin_passwd"))
    return note(id, "fail", "admin_passwd is not set, so the master password is admin", place);
  const value = conf.raw("admin_passwd") ?? "";
  if (value === "False" || value === "false")
    return note(
      id,
      "fail",
      `admin_passwd = ${value}: Odoo 19 passes over the line, and the master password is admin`,
      place,
      {
        why: "Up to Odoo 18 the word means that no master password is accepted; Odoo 19 takes it for an option that is not set, and then everybody knows the password.",
        fix: 'Leave the value empty ("admin_passwd =") to refuse every master password, or write a hash.',
      },
    );
  if (value === "None")
    return note(
      id,
      "fail",
      "admin_passwd = None: up to Odoo 18 the password is the word None itself",
      place,
      {
        why: "Odoo 19 refuses every master password then, every version before takes the four letters.",
        fix: 'Leave the value empty ("admin_passwd =") to refuse every master password, or write a hash.',
      },
    );
  if (/^\$\{?[A-Za-z_][A-Za-z0-9_]*\}?$/.test(value))
    return note(
      id,
      "fail",
      "it is the name of a variable, which Odoo does not fill in: it takes this text itself as the password",
      place,
      {
        why: "Whoever knows the template of the file knows the master password, unless a script fills it in before Odoo starts.",
        fix: "Look at the file Odoo reads, after the script that fills it in; or write a hash.",
      },
    );
  if (value === "")
    return note(id, "pass", "admin_passwd is empty: Odoo refuses every master password", place);
  if (/^["']?\$/.test(value)) return hashed(value, conf);
  const { grade, words } = gradePassword(value);
  if (grade === "good")
    return note(id, "warn", `the password is strong (${words}) but stands there in plain text`, place, {
      why: "Who reads the file, a backup of it or a container's environment has the key to every database.",
      fix: "Let Odoo hash it: set it once in the database manager from an allowed network, or write the output of python3 -c 'from passlib.hash import pbkdf2_sha512 as h; print(h.hash(input()))'.",
    });
  return note(id, "fail", `plain text, and ${words}`, place);
}

function hashed(value: string, conf: ConfView): Note {
  const place = conf.place("admin_passwd");
  const hash = readPbkdf2(value);
  if (hash === null)
    return note(
      id,
      "fail",
      "it begins like a hash, but is none Odoo reads: it takes this text itself as the password",
      place,
      {
        why: "Odoo reads hashes of the form $pbkdf2-sha512$rounds$salt$sum only; anything else is a plain password that many may have seen.",
        fix: "Write a whole pbkdf2-sha512 hash, with nothing behind it: python3 -c 'from passlib.hash import pbkdf2_sha512 as h; print(h.hash(input()))'.",
      },
    );
  const { rounds } = hash;
  if (isPasswordOf(value, triedPasswords))
    return note(id, "fail", "it is hashed, but the password is one that every attacker tries first", place);
  if (rounds < roundsLeast)
    return note(id, "warn", `a pbkdf2-sha512 hash of only ${rounds} rounds`, place, {
      fix: `Hash it again with at least ${roundsLeast} rounds; passlib does so by itself.`,
    });
  return note(id, "pass", `a pbkdf2-sha512 hash of ${rounds} rounds`, place);
}
