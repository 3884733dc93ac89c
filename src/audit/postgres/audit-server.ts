import type { AuditContext, ConnectionRoom, ServerRole } from "../context.ts";
import { type Note, note, quoted } from "../note.ts";
import { isOnText } from "./conf.ts";
import { type Dsn, shownDsn } from "./dsn.ts";
import type { RoleFacts, ServerFacts } from "./server.ts";
import { lastDayOf } from "./versions.ts";

const warnBeforeMs = 90 * 86_400_000;

/** What the running server tells about Odoo's role, its databases and itself. */
export function auditServer(
  facts: ServerFacts,
  dsn: Dsn,
  context: AuditContext,
  nowMs: number,
): readonly Note[] {
  const place = { file: shownDsn(dsn), line: null };
  return [
    superuser(facts),
    createDb(facts),
    createRole(facts),
    powers(facts),
    passwordKept(facts),
    owner(facts, context),
    otherDatabases(facts, context),
    publicSchema(facts),
    encryption(facts, dsn),
    serverPasswordEncryption(facts),
    logs(facts),
    version(facts, nowMs),
  ].map((one) => ({ ...one, place }));
}

/** What is left of max_connections for ordinary roles. */
export function serverRoom({ settings }: ServerFacts, dsn: Dsn): ConnectionRoom {
  const number = (name: string) => Number(settings.get(name) ?? "") || 0;
  return {
    connections:
      number("max_connections") - number("superuser_reserved_connections") - number("reserved_connections"),
    from: shownDsn(dsn),
  };
}

/** What the role that was looked at may do, for the checks of odoo.conf. */
export function serverRole({ role }: ServerFacts, dsn: Dsn): ServerRole {
  const { name, isSuperuser } = role;
  const rights = [...(role.mayCreateDatabases ? ["CREATEDB"] : []), ...furtherRights(role), ...role.powers];
  return { name, isSuperuser, rights, from: shownDsn(dsn) };
}

function superuser({ role }: ServerFacts): Note {
  return note(
    "pg-role-superuser",
    role.isSuperuser ? "fail" : "pass",
    `${quoted(role.name)} is ${role.isSuperuser ? "" : "no "}superuser`,
  );
}

function createDb({ role }: ServerFacts): Note {
  return role.mayCreateDatabases || role.isSuperuser
    ? note("pg-role-createdb", "warn", `${quoted(role.name)} may create databases`)
    : note("pg-role-createdb", "pass", `${quoted(role.name)} may create no database`);
}

function createRole({ role }: ServerFacts): Note {
  const rights = furtherRights(role);
  return rights.length === 0
    ? note("pg-role-rights", "pass", "neither CREATEROLE nor REPLICATION nor BYPASSRLS")
    : note("pg-role-rights", "fail", `${quoted(role.name)} has ${rights.join(", ")}`);
}

function furtherRights(role: RoleFacts): readonly string[] {
  return [
    ...(role.mayCreateRoles ? ["CREATEROLE"] : []),
    ...(role.mayReplicate ? ["REPLICATION"] : []),
    ...(role.bypassesRowSecurity ? ["BYPASSRLS"] : []),
  ];
}

function powers({ role }: ServerFacts): Note {
  if (role.isSuperuser) return note("pg-role-membership", "skipped", "a superuser needs no membership");
  return role.powers.length === 0
    ? note("pg-role-membership", "pass", "in no role that reaches files, programs or all data")
    : note(
        "pg-role-membership",
        "fail",
        `${quoted(role.name)} is a member of ${role.powers.map(quoted).join(", ")}`,
      );
}

function passwordKept({ role, proof }: ServerFacts): Note {
  const id = "pg-role-password";
  switch (role.passwordKind) {
    case "scram-sha-256":
      return note(id, "pass", `the password of ${quoted(role.name)} is kept as SCRAM-SHA-256`);
    case "md5":
      return note(
        id,
        "fail",
        `the password of ${quoted(role.name)} is kept as MD5: whoever reads it can log in with it`,
      );
    case "none":
      return note(id, "pass", `${quoted(role.name)} has no password and comes by another proof`);
    case null:
      return proof === "md5" || proof === "password"
        ? note(
            id,
            "warn",
            `the server asked for our password by ${quoted(proof)}; how that of ${quoted(role.name)} is kept only a superuser sees`,
          )
        : note(id, "skipped", "only a superuser sees how the password is kept");
  }
}

function owner({ role, databases }: ServerFacts, context: AuditContext): Note {
  const id = "pg-database-owner";
  const relevant =
    context.databases.length > 0
      ? databases.filter(({ name }) => context.databases.includes(name))
      : databases;
  const owned = relevant.filter((one) => one.owner === role.name).map(({ name }) => name);
  return owned.length === 0
    ? note(id, "pass", `${quoted(role.name)} owns none of ${relevant.length} databases`)
    : note(
        id,
        "warn",
        `${quoted(role.name)} owns ${owned.slice(0, 8).map(quoted).join(", ")} and can drop ${owned.length === 1 ? "it" : "them"}`,
      );
}

function otherDatabases({ role, databases, database }: ServerFacts, context: AuditContext): Note {
  const id = "pg-other-databases";
  const meant = new Set(context.databases.length > 0 ? context.databases : [database]);
  // Odoo itself connects to `postgres` to list and create databases.
  const others = databases
    .filter(({ name, isOpen }) => isOpen && !meant.has(name) && name !== "postgres")
    .map(({ name }) => name);
  return others.length === 0
    ? note(id, "pass", `${quoted(role.name)} reaches no database that is not Odoo's`)
    : note(
        id,
        "warn",
        `${quoted(role.name)} may connect to ${others.slice(0, 8).map(quoted).join(", ")} too`,
      );
}

function publicSchema({ isPublicOpen, database }: ServerFacts): Note {
  return isPublicOpen
    ? note("pg-public-schema", "warn", `every role may create in schema public of ${quoted(database)}`)
    : note("pg-public-schema", "pass", `schema public of ${quoted(database)} is closed`);
}

function encryption({ encrypted, settings }: ServerFacts, dsn: Dsn): Note {
  const id = "pg-ssl";
  const isOn = isOnText(settings.get("ssl") ?? "");
  const isNear = dsn.host.startsWith("/") || /^(?:localhost|127\.|::1$)/.test(dsn.host);
  if (encrypted) return note(id, "pass", "ssl is on, and our own connection used it");
  if (isNear) return note(id, "pass", `ssl is ${isOn ? "on" : "off"}; we came from the same machine`);
  return note(id, "fail", `our connection went over the network without TLS (ssl is ${isOn ? "on" : "off"})`);
}

function serverPasswordEncryption({ settings }: ServerFacts): Note {
  const kind = settings.get("password_encryption") ?? "";
  return note(
    "pg-password-encryption",
    kind === "scram-sha-256" ? "pass" : "fail",
    `password_encryption = ${kind}`,
  );
}

function logs({ settings }: ServerFacts): Note {
  const off = ["log_connections", "log_disconnections"].filter((name) =>
    /^(?:off|false|no|0|)$/.test(settings.get(name) ?? ""),
  );
  const slow = settings.get("log_min_duration_statement") === "-1" ? ["log_min_duration_statement"] : [];
  const all = [...off, ...slow];
  return all.length === 0
    ? note("pg-logs", "pass", "connections and slow statements are written")
    : note("pg-logs", "warn", `off: ${all.join(", ")}`);
}

function version({ version: number }: ServerFacts, nowMs: number): Note {
  const id = "pg-version";
  const major = Math.floor(number / 10_000);
  const last = lastDayOf(major);
  const words = `PostgreSQL ${major}.${number % 10_000}`;
  if (last === "past") return note(id, "fail", `${words} has had no fixes for years`);
  if (last === null) return note(id, "pass", `${words}, newer than this program's table`);
  const leftMs = Date.parse(last) - nowMs;
  if (leftMs < 0) return note(id, "fail", `${words} has had no fixes since ${last}`);
  return note(id, leftMs < warnBeforeMs ? "warn" : "pass", `${words}, with fixes until ${last}`);
}
