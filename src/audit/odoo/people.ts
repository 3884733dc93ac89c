import { type Note, note, quoted } from "../note.ts";
import { isPasswordOf } from "../pbkdf2.ts";
import { firstAccounts, type OdooFacts, type UserFacts } from "./read.ts";

/** More than this is nobody's small circle. */
const adminsMany = 5;
const dayMs = 86_400_000;
/** Half a year. */
const staleDays = 180;
const lengthLeast = 10;
const namesMax = 10;

/** Who may log in, and with what. */
export function people(facts: OdooFacts, nowMs: number): readonly Note[] {
  const notes = [firstPasswords(facts), passwordPolicy(facts)];
  if (!facts.users.ok) {
    const why = `the accounts could not be read: ${facts.users.error}`;
    const hidden = ["odoo-admins", "odoo-admin-login", "odoo-second-factor", "odoo-stale-accounts"];
    return [...notes, ...hidden.map((id) => note(id, "skipped", why))];
  }
  const users = facts.users.value;
  return [...notes, admins(users), adminLogin(users), secondFactor(users, facts), stale(users, nowMs)];
}

function named(users: readonly UserFacts[]): string {
  const more = users.length - namesMax;
  const shown = users.slice(0, namesMax).map(({ login }) => quoted(login));
  return `${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function admins(users: readonly UserFacts[]): Note {
  const powerful = users.filter(({ isAdmin }) => isAdmin);
  return note(
    "odoo-admins",
    powerful.length > adminsMany ? "warn" : "pass",
    `${powerful.length} of ${users.length} people may change settings and rights: ${named(powerful)}`,
  );
}

function adminLogin(users: readonly UserFacts[]): Note {
  const id = "odoo-admin-login";
  return users.some(({ login, isAdmin }) => login === "admin" && isAdmin)
    ? note(id, "warn", 'the account "admin" is active and has all rights')
    : note(id, "pass", 'no administrator logs in as "admin"');
}

function secondFactor(users: readonly UserFacts[], { modules, parameters }: OdooFacts): Note {
  const id = "odoo-second-factor";
  const policy = parameters.get("auth_totp.policy") ?? "";
  // Who has no app gets a code by mail then.
  const asks = modules.has("auth_totp_mail") || modules.has("auth_totp_mail_enforce");
  if (asks && (policy === "employee_required" || policy === "all_required"))
    return note(id, "pass", `auth_totp.policy = ${policy}: everybody is asked for a second factor`);
  const without = users.filter(({ isAdmin, hasSecondFactor }) => isAdmin && !hasSecondFactor);
  return without.length === 0
    ? note(id, "pass", "every administrator has one")
    : note(id, "warn", `administrators without one: ${named(without)}`);
}

function stale(users: readonly UserFacts[], nowMs: number): Note {
  const id = "odoo-stale-accounts";
  const since = nowMs - staleDays * dayMs;
  const old = users.filter(({ lastLoginMs, createdMs }) => (lastLoginMs ?? createdMs ?? nowMs) < since);
  return old.length === 0
    ? note(id, "pass", `everybody logged in within ${staleDays} days`)
    : note(
        id,
        "warn",
        `${old.length} of ${users.length} did not log in for ${staleDays} days: ${named(old)}`,
      );
}

/** Hashes are compared here, with the name of the account as password; nothing is sent to Odoo. */
function firstPasswords({ passwords }: OdooFacts): Note {
  const id = "odoo-first-passwords";
  const kept = firstAccounts.flatMap((login) => {
    const hash = passwords.get(login);
    return hash === undefined ? [] : [{ login, hash }];
  });
  const open = kept.filter(({ login, hash }) => hash === login || isPasswordOf(hash, [login]));
  if (open.length > 0)
    return note(id, "fail", open.map(({ login }) => `${login}/${login} logs in`).join(", "));
  return note(
    id,
    "pass",
    kept.length === 0
      ? `no password is kept for ${firstAccounts.join(" and ")}`
      : `${kept.map(({ login }) => login).join(" and ")}: another password than the name`,
  );
}

function passwordPolicy({ modules, parameters }: OdooFacts): Note {
  const id = "odoo-password-policy";
  if (modules.has("password_security")) return note(id, "pass", "password_security is installed");
  if (!modules.has("auth_password_policy")) return note(id, "warn", "a password of one character is taken");
  const least = Number.parseInt(parameters.get("auth_password_policy.minlength") ?? "0", 10) || 0;
  return note(
    id,
    least >= lengthLeast ? "pass" : "warn",
    `passwords have ${least} characters or more (auth_password_policy.minlength)`,
  );
}
