import { type Note, note, orPass, quoted } from "../note.ts";
import { gradePassword } from "../password.ts";
import type { ComposeFile } from "./read.ts";
import { interpolate } from "./variables.ts";

const secretName = /(?:PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|HMAC_KEY|PRIVATE_KEY)$/i;

/** Passwords in the file itself, and how PostgreSQL's image is told to ask for them. */
export function composeSecrets(compose: ComposeFile): readonly Note[] {
  return [...environmentPasswords(compose), ...postgresAuth(compose), ...postgresRole(compose)];
}

function environmentPasswords(compose: ComposeFile): readonly Note[] {
  const id = "compose-secrets";
  const notes: Note[] = [];
  for (const service of compose.services)
    for (const { name, written, place } of service.environment()) {
      if (!secretName.test(name)) continue;
      const { hasVariable, defaults } = interpolate(written, compose.variables);
      const bad = defaults.find((one) => one !== "");
      if (bad !== undefined)
        notes.push(
          note(
            id,
            "fail",
            `${service.name}: ${name} has a default in the file, which holds when the variable is forgotten`,
            place,
          ),
        );
      else if (!hasVariable && written !== "") {
        const { words } = gradePassword(written);
        notes.push(note(id, "fail", `${service.name}: ${name} stands in the file (${words})`, place));
      }
    }
  return orPass(notes, id, "no password stands in the file", { file: compose.file, line: null });
}

function postgresAuth(compose: ComposeFile): readonly Note[] {
  const id = "compose-postgres-auth";
  const notes: Note[] = [];
  const services = compose.services.filter(({ kind }) => kind === "postgres");
  for (const service of services)
    for (const { name, written, resolved, place } of service.environment()) {
      const value = resolved ?? written;
      if (name === "POSTGRES_HOST_AUTH_METHOD" && value === "trust")
        notes.push(
          note(
            id,
            "fail",
            `${service.name}: ${name} is trust: every container that reaches it is any role, without a password`,
            place,
          ),
        );
      if (name === "POSTGRES_HOST_AUTH_METHOD" && (value === "md5" || value === "password"))
        notes.push(note(id, "warn", `${service.name}: ${name} is ${quoted(value)}`, place));
      if (name === "POSTGRES_INITDB_ARGS" && /--auth(?:-host|-local)?[= ]trust|-A ?trust/.test(value))
        notes.push(note(id, "fail", `${service.name}: ${name} makes a cluster that trusts everybody`, place));
    }
  if (services.length === 0)
    return [note(id, "skipped", "no service runs PostgreSQL", { file: compose.file, line: null })];
  return orPass(notes, id, "PostgreSQL asks for passwords as its image does by itself", {
    file: compose.file,
    line: null,
  });
}

/** The image makes POSTGRES_USER a superuser; Odoo's role must be another. */
function postgresRole(compose: ComposeFile): readonly Note[] {
  const id = "compose-postgres-role";
  const file = { file: compose.file, line: null };
  const superusers = compose.services
    .filter(({ kind }) => kind === "postgres")
    .map((service) => service.environment().find(({ name }) => name === "POSTGRES_USER"));
  const users = compose.services
    .filter(({ kind }) => kind === "odoo")
    .flatMap((service) =>
      service
        .environment()
        .filter(({ name }) => /^(?:USER|DB_USER|PGUSER|ODOO_DB_USER|DB_ENV_POSTGRES_USER)$/.test(name)),
    );
  if (superusers.length === 0 || users.length === 0)
    return [note(id, "skipped", "the file does not say both roles", file)];
  const same = users.find((user) =>
    superusers.some((one) =>
      one === undefined
        ? user.written === "postgres"
        : one.written === user.written || (one.resolved !== null && one.resolved === user.resolved),
    ),
  );
  return same === undefined
    ? [note(id, "pass", "Odoo's role is not the one the image makes superuser", file)]
    : [
        note(
          id,
          "fail",
          `${same.name} is the role POSTGRES_USER names, which the image of PostgreSQL makes superuser`,
          same.place,
        ),
      ];
}
