/** What a running PostgreSQL says about itself and about one role. */
import { err, ok, type Result } from "../../base/result.ts";
import type { PgSession, Rows } from "./session.ts";

export interface RoleFacts {
  readonly name: string;
  readonly isSuperuser: boolean;
  readonly mayCreateDatabases: boolean;
  readonly mayCreateRoles: boolean;
  readonly mayReplicate: boolean;
  readonly bypassesRowSecurity: boolean;
  /** Roles it is a member of that reach beyond databases: files, programs, superusers. */
  readonly powers: readonly string[];
  /** How its password is kept; null: we may not see it. */
  readonly passwordKind: "scram-sha-256" | "md5" | "none" | null;
}

export interface DatabaseFacts {
  readonly name: string;
  readonly owner: string;
  /** May the role of Odoo connect to it. */
  readonly isOpen: boolean;
}

export interface ServerFacts {
  /** As `server_version_num`: 150012. */
  readonly version: number;
  readonly settings: ReadonlyMap<string, string>;
  /** The database we are connected to. */
  readonly database: string;
  /** May every role create in its schema public. */
  readonly isPublicOpen: boolean;
  readonly encrypted: boolean;
  readonly proof: string;
  readonly role: RoleFacts;
  readonly databases: readonly DatabaseFacts[];
}

const settingNames = [
  "server_version_num",
  "max_connections",
  "superuser_reserved_connections",
  "reserved_connections",
  "ssl",
  "password_encryption",
  "log_connections",
  "log_disconnections",
  "log_min_duration_statement",
  "listen_addresses",
];

/** Asks everything once. `role` is Odoo's; null: the role of the session. */
export async function serverFacts(
  session: PgSession,
  role: string | null,
): Promise<Result<ServerFacts, string>> {
  const asked = settingNames
    .map((name) => `coalesce(current_setting(${literal(name)}, true), '')`)
    .join(", ");
  const base = await session.query(
    `SELECT current_user, current_database(), has_schema_privilege('public', to_regnamespace('public'), 'CREATE'), ${asked}`,
  );
  if (!base.ok) return base;
  const [row = []] = base.value;
  const [user = "", database = "", isPublicOpen, ...values] = row;
  const settings = new Map(settingNames.map((name, index) => [name, values[index] ?? ""]));
  const name = role ?? user ?? "";
  const facts = await roleFacts(session, name);
  if (!facts.ok) return facts;
  const databases = await session.query(
    `SELECT d.datname, pg_get_userbyid(d.datdba), has_database_privilege(${literal(name)}, d.oid, 'CONNECT') AND d.datallowconn FROM pg_database d WHERE NOT d.datistemplate ORDER BY 1 LIMIT 1000`,
  );
  if (!databases.ok) return databases;
  return ok({
    version: Number(settings.get("server_version_num") ?? 0),
    settings,
    database: database ?? "",
    isPublicOpen: isPublicOpen === "t",
    encrypted: session.encrypted,
    proof: session.proof,
    role: facts.value,
    databases: databases.value.map(([datname, owner, open]) => ({
      name: datname ?? "",
      owner: owner ?? "",
      isOpen: open === "t",
    })),
  });
}

async function roleFacts(session: PgSession, name: string): Promise<Result<RoleFacts, string>> {
  const found = await session.query(
    `SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = ${literal(name)}`,
  );
  if (!found.ok) return found;
  const [row] = found.value;
  if (row === undefined) return err(`the server has no role ${JSON.stringify(name)}`);
  const [superuser, createDb, createRole, replication, bypass] = row.map((one) => one === "t");
  const powers =
    superuser === true
      ? ok<Rows>([])
      : await session.query(
          `SELECT r.rolname FROM pg_roles r WHERE pg_has_role(${literal(name)}, r.oid, 'MEMBER') AND r.rolname <> ${literal(name)} AND (r.rolsuper OR r.rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program', 'pg_read_all_data', 'pg_write_all_data')) ORDER BY 1 LIMIT 100`,
        );
  if (!powers.ok) return powers;
  // Only superusers may read it; a refusal is an answer.
  const password = await session.query(
    `SELECT left(rolpassword, 14) FROM pg_authid WHERE rolname = ${literal(name)}`,
  );
  return ok({
    name,
    isSuperuser: superuser === true,
    mayCreateDatabases: createDb === true,
    mayCreateRoles: createRole === true,
    mayReplicate: replication === true,
    bypassesRowSecurity: bypass === true,
    powers: powers.value.map(([one]) => one ?? ""),
    passwordKind: password.ok ? passwordKind(password.value[0]?.[0] ?? null) : null,
  });
}

function passwordKind(beginning: string | null): RoleFacts["passwordKind"] {
  if (beginning === null) return "none";
  return beginning.startsWith("SCRAM-SHA-256$") ? "scram-sha-256" : "md5";
}

/** A text in SQL; the session has standard_conforming_strings on, so a backslash is a backslash. */
function literal(text: string): string {
  return `'${text.replaceAll("\0", "").replaceAll("'", "''")}'`;
}
