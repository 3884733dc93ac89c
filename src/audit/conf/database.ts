import { isLoopback, parseIp } from "../../base/ip.ts";
import type { AuditContext } from "../context.ts";
import { type Note, note, quoted } from "../note.ts";
import { gradePassword } from "../password.ts";
import type { ConfView } from "./view.ts";

const sslModes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/** How Odoo comes to PostgreSQL. */
export function database(conf: ConfView, context: AuditContext): readonly Note[] {
  return [role(conf, context), password(conf), sslMode(conf, context)];
}

/** By what the server says when it was asked (--pg-dsn), else by the name alone. */
function role(conf: ConfView, { serverRole }: AuditContext): Note {
  const id = "conf-db-user";
  const user = conf.text("db_user");
  const place = conf.place("db_user");
  if (user === "postgres")
    return note(
      id,
      "fail",
      "db_user = postgres is PostgreSQL's superuser; Odoo refuses to start with it",
      place,
    );
  const shown = user === "" ? "the role is named as the system user of Odoo" : conf.shown("db_user");
  if (serverRole !== null && user !== "" && user === serverRole.name) {
    const { name, isSuperuser, rights, from } = serverRole;
    const told = (words: string) => `${shown}; ${from} says ${quoted(name)} ${words}`;
    if (isSuperuser) return note(id, "fail", told("is a superuser"), place);
    return rights.length === 0
      ? note(id, "pass", told("has no rights of an administrator"), place)
      : note(id, "warn", told(`has ${rights.slice(0, 8).join(", ")}`), place);
  }
  if (/^(?:root|admin|superuser|pgadmin|rds_superuser|doadmin|azure_pg_admin|cloudsqlsuperuser)$/i.test(user))
    return note(
      id,
      "warn",
      `${conf.shown("db_user")} sounds like an administrator's role; --pg-dsn tells`,
      place,
    );
  return note(id, "pass", `${shown}; judged by its name only, --pg-dsn asks the server`, place);
}

function password(conf: ConfView): Note {
  const id = "conf-db-password";
  const text = conf.text("db_password");
  const place = conf.place("db_password");
  if (text === "")
    return note(
      id,
      "pass",
      isSocket(conf.text("db_host")) ? "none: the system user is the proof (peer)" : "none in this file",
      place,
    );
  if (text === conf.text("db_user")) return note(id, "fail", "the password is the name of the role", place);
  if (text === conf.text("admin_passwd"))
    return note(id, "fail", "the password is also the master password", place);
  const { grade, words } = gradePassword(text);
  return note(id, grade === "good" ? "pass" : grade === "middling" ? "warn" : "fail", words, place);
}

function sslMode(conf: ConfView, { isContainer }: AuditContext): Note {
  const id = "conf-db-sslmode";
  const place = conf.place("db_sslmode");
  const host = conf.text("db_host");
  const mode = conf.text("db_sslmode");
  if (!sslModes.includes(mode))
    return note(id, "fail", `${conf.shown("db_sslmode")}: it can be ${sslModes.join(", ")}`, place);
  if (isSocket(host)) return note(id, "pass", "a local socket needs no TLS", place);
  const address = parseIp(host);
  if (host === "localhost" || (address !== null && isLoopback(address)))
    return note(id, "pass", `${quoted(host)} is this machine`, place);
  if (isContainer && address === null && !host.includes("."))
    return note(id, "pass", `${quoted(host)} is a container of the same network`, place);
  if (mode === "require" || mode.startsWith("verify"))
    return note(
      id,
      "pass",
      `${conf.shown("db_sslmode")} to ${quoted(host)}${mode === "require" ? "; verify-full would also prove whom it talks to" : ""}`,
      place,
    );
  // Guide 3: inside one network of containers prefer is acceptable; a name without a dot is hardly anything else.
  if (address === null && !host.includes("."))
    return note(
      id,
      "warn",
      `${conf.shown("db_sslmode")} to ${quoted(host)}: fine when that is a container of the same network (--compose tells)`,
      place,
    );
  return note(
    id,
    "fail",
    `${conf.shown("db_sslmode")} to ${quoted(host)}: whoever stands between them can switch encryption off`,
    place,
  );
}

function isSocket(host: string): boolean {
  return host === "" || host.startsWith("/");
}
