/** What a database of Odoo (16 to 19) says of its users and settings, read over SQL. */
import { err, ok, type Result } from "../../base/result.ts";
import type { PgSession, Rows } from "../postgres/session.ts";

export interface UserFacts {
  readonly login: string;
  /** In a group that may give itself every right: Settings or Access Rights, or one that implies them. */
  readonly isAdmin: boolean;
  /** A code of an app or a passkey is set up. */
  readonly hasSecondFactor: boolean;
  /** Null: never, or the log of log-ins is gone. */
  readonly lastLoginMs: number | null;
  readonly createdMs: number | null;
}

export interface OdooFacts {
  readonly database: string;
  /** Of module base: `19.0.1.3`. */
  readonly version: string;
  readonly hasDemoData: boolean;
  /** Installed ones of `moduleNames`. */
  readonly modules: ReadonlySet<string>;
  readonly parameters: ReadonlyMap<string, string>;
  /** People of the company, not portal users; at most `usersMax`; or the server's sentence on why not. */
  readonly users: Result<readonly UserFacts[], string>;
  /** What is kept for the accounts every new database has, by login; those without are left out. */
  readonly passwords: ReadonlyMap<string, string>;
}

export const usersMax = 5_000;

const moduleNames = [
  ...["base", "auditlog", "auth_password_policy", "password_security"],
  // Up to Odoo 16 a module of its own enforces the second factor.
  ...["auth_totp_mail", "auth_totp_mail_enforce"],
];
const parameterNames = [
  "web.base.url",
  "web.base.url.freeze",
  "report.url",
  "web.max_file_upload_size",
  "auth_password_policy.minlength",
  "auth_totp.policy",
];
/** The administrator, and the account of the demonstration data. */
export const firstAccounts = ["admin", "demo"];

const list = (names: readonly string[]) => names.map((name) => `'${name}'`).join(", ");

/** Reads it; null: the session's database holds no Odoo. */
export async function odooFacts(
  session: PgSession,
  database: string,
): Promise<Result<OdooFacts | null, string>> {
  const there = await session.query("SELECT to_regclass('public.ir_module_module') IS NOT NULL");
  if (!there.ok) return there;
  if (there.value[0]?.[0] !== "t") return ok(null);
  const modules = await session.query(
    `SELECT name, coalesce(demo, false), coalesce(latest_version, '') FROM public.ir_module_module WHERE state = 'installed' AND name IN (${list(moduleNames)})`,
  );
  if (!modules.ok) return modules;
  const base = modules.value.find(([name]) => name === "base");
  if (base === undefined) return err("module base is not installed in it");
  const parameters = await session.query(
    `SELECT key, value FROM public.ir_config_parameter WHERE key IN (${list(parameterNames)})`,
  );
  if (!parameters.ok) return parameters;
  const [users, passwords] = [await session.query(usersSql), await session.query(passwordsSql)];
  // From Odoo 18 on; a database without it has no such table.
  const passkeys = await session.query("SELECT DISTINCT create_uid FROM public.auth_passkey_key");
  const withKey = new Set(passkeys.ok ? passkeys.value.map(([id]) => id) : []);
  return ok({
    database,
    version: base[2] ?? "",
    hasDemoData: base[1] === "t",
    modules: new Set(modules.value.map(([name]) => name ?? "")),
    parameters: new Map(parameters.value.map(([key, value]) => [key ?? "", value ?? ""])),
    users: users.ok ? ok(users.value.map((row) => userOf(row, withKey))) : users,
    passwords: new Map(passwords.ok ? passwords.value.map(([login, kept]) => [login ?? "", kept ?? ""]) : []),
  });
}

function userOf(
  [id, login, isAdmin, totp, last, created]: Rows[number],
  withKey: ReadonlySet<string | null | undefined>,
): UserFacts {
  const ms = (text: string | null | undefined) => (text === null || text === undefined ? null : Number(text));
  return {
    login: login ?? "",
    isAdmin: isAdmin === "t",
    hasSecondFactor: totp === "t" || withKey.has(id),
    lastLoginMs: ms(last),
    createdMs: ms(created),
  };
}

/** Odoo 19 keeps with a user only the groups that were given, not those they imply. `to_jsonb`: a column that no module made is null. */
const usersSql = `WITH RECURSIVE powerful(id) AS (
  SELECT res_id FROM public.ir_model_data WHERE module = 'base' AND model = 'res.groups' AND name IN ('group_system', 'group_erp_manager')
  UNION SELECT i.gid FROM public.res_groups_implied_rel i JOIN powerful p ON i.hid = p.id)
SELECT u.id, u.login,
  EXISTS (SELECT 1 FROM public.res_groups_users_rel r JOIN powerful p ON p.id = r.gid WHERE r.uid = u.id),
  coalesce(to_jsonb(u) ->> 'totp_secret', '') <> '',
  floor(extract(epoch FROM l.last) * 1000),
  floor(extract(epoch FROM u.create_date) * 1000)
FROM public.res_users u
LEFT JOIN (SELECT create_uid, max(create_date) AS last FROM public.res_users_log GROUP BY create_uid) l ON l.create_uid = u.id
WHERE u.active AND NOT coalesce(u.share, false) ORDER BY u.login LIMIT ${usersMax}`;

const passwordsSql = `SELECT login, password FROM public.res_users WHERE active AND login IN (${list(firstAccounts)}) AND coalesce(password, '') <> ''`;
