import { remembered } from "../base/remembered.ts";
import type { RequestFacts } from "../message/facts.ts";
import { fieldValues } from "../message/fields.ts";

/**
 * Where a password, code, key or account name can be tried in Odoo 16 to 19, by how the outcome is read.
 * `portal`: the password forms of /my. `call`: the web client's calls, which reach `res.users` methods that check a
 * password. `check`: confirm-who-you-are over JSON. `lookup`: pages that tell whether an account exists. `master`: the database manager.
 */
export type Door =
  | "form"
  | "second-factor"
  | "authenticate"
  | "upload"
  | "oauth"
  | "lookup"
  | "portal"
  | "master"
  | "xml-common"
  | "xml-object"
  | "xml-db"
  | "json-rpc"
  | "key"
  | "call"
  | "check";

type AskedFacts = Pick<RequestFacts, "method" | "paths" | "query" | "fields">;

const exact: ReadonlyMap<string, Door> = new Map([
  ["/web/login", "form"],
  ["/web/login/totp", "second-factor"],
  ["/web/session/authenticate", "authenticate"],
  ["/base_import_module/login_upload", "upload"],
  ["/auth_oauth/signin", "oauth"],
  ["/web/reset_password", "lookup"],
  ["/web/signup", "lookup"],
  ["/my/security", "portal"],
  ["/my/deactivate_account", "portal"],
  ["/web/database/create", "master"],
  ["/web/database/duplicate", "master"],
  ["/web/database/drop", "master"],
  ["/web/database/backup", "master"],
  ["/web/database/restore", "master"],
  ["/web/database/change_password", "master"],
  ["/xmlrpc/common", "xml-common"],
  ["/xmlrpc/2/common", "xml-common"],
  ["/xmlrpc/object", "xml-object"],
  ["/xmlrpc/2/object", "xml-object"],
  ["/xmlrpc/db", "xml-db"],
  ["/xmlrpc/2/db", "xml-db"],
  ["/jsonrpc", "json-rpc"],
  ["/auth-timeout/session/check-identity", "check"],
]);
const below: readonly (readonly [string, Door])[] = [
  ["/web/dataset/", "call"],
  ["/json/1/", "key"],
  ["/json/2/", "key"],
  ["/doc-bearer/", "key"],
];

/** The door this request knocks at; null: nothing is tried. Any first segment may be a language of the website, as in the rules. */
export function doorOf(facts: AskedFacts): Door | null {
  const doors = doorsAt(facts.paths);
  return doors.length === 0 ? null : (doors.find((door) => mayTry(door, facts)) ?? null);
}

/** Doors that stand at a path, in the order they are tried. */
const doorsAt = remembered((paths: readonly string[]): readonly Door[] => {
  const doors: Door[] = [];
  for (const path of paths) {
    for (const reading of [path, path.slice(Math.max(0, path.indexOf("/", 1)))]) {
      const door = doorAt(reading);
      if (door !== null) doors.push(door);
    }
  }
  return doors;
});

function doorAt(path: string): Door | null {
  const door = exact.get(path);
  if (door !== undefined) return door;
  for (const [prefix, under] of below) if (path.startsWith(prefix)) return under;
  return null;
}

/** Pages try something only when they are posted to; RPC routes read a body from any method (odoo-wire b). */
function mayTry(door: Door, facts: AskedFacts): boolean {
  switch (door) {
    case "form":
    case "second-factor":
    case "portal":
    case "master":
      return facts.method === "POST";
    case "lookup":
      return facts.method === "POST" || new URLSearchParams(facts.query).has("signup_email");
    case "key":
      return hasAuthorization(facts);
    default:
      return true;
  }
}

/** Most bytes of the answer's body that are looked at. */
export function answerBytesMax(door: Door): number {
  switch (door) {
    case "form":
    case "second-factor":
    case "oauth":
      return 0;
    case "upload":
      return 64;
    case "xml-common":
    case "xml-object":
    case "xml-db":
    case "key":
      return 1_024;
    case "authenticate":
    case "json-rpc":
    case "call":
    case "check":
    case "lookup":
    case "portal":
    case "master":
      return 65_536;
  }
}

function hasAuthorization(facts: Pick<RequestFacts, "fields">): boolean {
  return fieldValues(facts.fields, "authorization").length > 0;
}
