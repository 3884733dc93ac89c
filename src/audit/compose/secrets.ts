import type { Place } from "../../report/finding.ts";
import { type Note, note, orPass, quoted } from "../note.ts";
import { gradePassword } from "../password.ts";
import { passwordFlag, secretName } from "../secret-names.ts";
import type { ComposeFile, Service } from "./read.ts";
import { interpolate } from "./variables.ts";

/** A word of Bitnami's images that is no password: it allows to have none. */
const emptyAllowed = "ALLOW_EMPTY_PASSWORD";

/** Passwords in the file itself, and how PostgreSQL's image is told to ask for them. */
export function composeSecrets(compose: ComposeFile): readonly Note[] {
  return [...environmentPasswords(compose), ...postgresAuth(compose), ...postgresRole(compose)];
}

function environmentPasswords(compose: ComposeFile): readonly Note[] {
  const id = "compose-secrets";
  const notes: Note[] = [];
  const look = (service: Service, what: string, secret: string, place: Place) => {
    const { hasVariable, defaults } = interpolate(secret, compose.variables);
    if (defaults.some((one) => one !== ""))
      notes.push(
        note(
          id,
          "fail",
          `${service.name}: ${what} has a default in the file, which holds when the variable is forgotten`,
          place,
        ),
      );
    else if (!hasVariable && secret !== "")
      notes.push(
        note(
          id,
          "fail",
          `${service.name}: ${what} stands in the file (${gradePassword(secret).words})`,
          place,
        ),
      );
  };
  for (const service of compose.services) {
    for (const { name, written, place } of service.environment()) {
      if (name === emptyAllowed) continue;
      if (secretName.test(name)) look(service, name, written, place);
      else {
        // `scheme://user:password@host`, where the password may be a variable with a default.
        const inUrl = /:\/\/[^/\s:@]*:((?:\$\{[^}]*\}+|[^@/\s])+)@/.exec(written)?.[1];
        if (inUrl !== undefined) look(service, `the password in the address ${name}`, inUrl, place);
      }
    }
    if (service.kind !== "odoo") continue;
    const words = service.words();
    for (const [index, { written, place }] of words.entries()) {
      const [flag = "", own] = written.split(/=(.*)/s);
      if (passwordFlag.test(flag))
        look(service, `the password behind ${flag}`, own ?? words[index + 1]?.written ?? "", place);
    }
  }
  return orPass(notes, id, "no password stands in the file", { file: compose.file, line: null });
}

function postgresAuth(compose: ComposeFile): readonly Note[] {
  const id = "compose-postgres-auth";
  const notes: Note[] = [];
  const services = compose.services.filter(({ kind }) => kind === "postgres");
  for (const service of services)
    for (const { name, written, resolved, place } of service.wholeEnvironment()) {
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
      if (name === emptyAllowed && /^(?:yes|true|1)$/i.test(value))
        notes.push(
          note(id, "fail", `${service.name}: with ${name} the database's role needs no password`, place, {
            why: "Every container that reaches PostgreSQL then is Odoo's role without a password.",
            fix: "Take ALLOW_EMPTY_PASSWORD out and set POSTGRESQL_PASSWORD_FILE, and the same password for Odoo.",
          }),
        );
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
    .map((service) => service.wholeEnvironment().find(({ name }) => name === "POSTGRES_USER"));
  const users = compose.services
    .filter(({ kind }) => kind === "odoo")
    .flatMap((service) => {
      const own = service
        .wholeEnvironment()
        .filter(({ name }) => /^(?:USER|DB_USER|PGUSER|ODOO_DB_USER|DB_ENV_POSTGRES_USER)$/.test(name));
      // The official image takes `odoo` when nobody says anything else.
      const isOfficial = /^(?:docker\.io\/)?(?:library\/)?odoo(?:[:@]|$)/.test(service.text("image") ?? "");
      const isSaid =
        own.length > 0 ||
        service.envFiles().length > 0 ||
        service.words().some(({ value }) => /^(?:--db_user|-r$)/.test(value));
      return isOfficial && !isSaid
        ? [
            {
              name: "odoo, which the image of Odoo takes when USER is not set,",
              written: "odoo",
              resolved: "odoo",
              place: service.place,
            },
          ]
        : own;
    });
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
