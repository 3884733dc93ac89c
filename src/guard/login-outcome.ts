import { setCookieName } from "../message/cookies.ts";
import type { RawFields, RequestFacts } from "../message/facts.ts";
import { fieldValues, firstField } from "../message/fields.ts";
import { readUid } from "./login-json.ts";

/** Most bytes of an answer's body that are looked at. */
export const loginAnswerBytesMax = 4_096;

/** What an answer says about the attempt. */
export interface LoginReading {
  /** `success` and nothing else gives the point back. */
  readonly outcome: "success" | "failure" | "unknown";
  /** The answer's new session cookie belongs to a session that is logged in (a right password before a second factor is not). */
  readonly loggedIn: boolean;
}

/** What Odoo answered, before our own changes to its fields. */
export interface LoginAnswer {
  readonly status: number;
  readonly fields: RawFields;
  /** The first `loginAnswerBytesMax` bytes at most; empty when not read. */
  readonly body: Uint8Array;
}

const loggedIn: LoginReading = Object.freeze({ outcome: "success", loggedIn: true });
const passwordRight: LoginReading = Object.freeze({ outcome: "success", loggedIn: false });
const failed: LoginReading = Object.freeze({ outcome: "failure", loggedIn: false });
const unknown: LoginReading = Object.freeze({ outcome: "unknown", loggedIn: false });

/** Must the beginning of the answer's body be kept for `readLogin`. */
export function loginNeedsBody(facts: Pick<RequestFacts, "paths">): boolean {
  return isRoute(facts, "/web/session/authenticate") || isRoute(facts, "/base_import_module/login_upload");
}

/**
 * Reads from Odoo's answer whether a password was right (odoo-wire b). The answer is the only good witness: a
 * body can be written in too many ways. Where the answer does not tell, or where success is what must
 * stay rare (reset mails, new accounts), it is `unknown`, and the point stays taken.
 */
export function readLogin(
  facts: Pick<RequestFacts, "method" | "paths" | "host">,
  answer: LoginAnswer,
): LoginReading {
  if (isRoute(facts, "/web/session/authenticate")) return readAuthenticate(answer);
  if (isRoute(facts, "/base_import_module/login_upload")) return readLoginUpload(answer);
  if (facts.method !== "POST") return unknown;
  if (isRoute(facts, "/web/login")) return readForm(facts, answer, false);
  if (isRoute(facts, "/web/login/totp")) return readForm(facts, answer, true);
  return unknown;
}

/** Success is a 303 that leads out of the log-in pages and changes the session; failure is the page again (500 on the bus port). */
function readForm(
  facts: Pick<RequestFacts, "host">,
  answer: LoginAnswer,
  secondFactor: boolean,
): LoginReading {
  if (answer.status === 200 || answer.status === 500) return failed;
  if (answer.status !== 303) return unknown;
  const path = ownPath(firstField(answer.fields, "location"), facts.host);
  if (path === null) return unknown;
  const below = loginPath.exec(path);
  if (below === null) {
    // With several databases and none chosen Odoo sends to the selector: nothing was tried.
    if (databasePath.test(path)) return unknown;
    if (secondFactor) return loggedIn;
    return setsSession(answer.fields) ? loggedIn : unknown;
  }
  // The half-open session of a user with a second factor: the password was right.
  if (below[1] === "/totp" && !secondFactor) return setsSession(answer.fields) ? passwordRight : unknown;
  return failed;
}

const language = "(?:/[a-z]{2,3}(?:[_@-][a-z0-9]+)*)?";
const loginPath = new RegExp(`^${language}/web/login(/[^?#]*)?(?:[?#]|$)`, "i");
const databasePath = new RegExp(`^${language}/web/database(?:[/?#]|$)`, "i");

function readAuthenticate(answer: LoginAnswer): LoginReading {
  if (answer.status !== 200) return unknown;
  switch (readUid(answer.body.subarray(0, loginAnswerBytesMax))) {
    case "number":
      return loggedIn;
    case "null":
      return setsSession(answer.fields) ? passwordRight : unknown;
    case "error":
      return failed;
    case "unknown":
      return unknown;
  }
}

function readLoginUpload(answer: LoginAnswer): LoginReading {
  if (answer.status !== 500) return unknown;
  const text = Buffer.from(answer.body.subarray(0, 64)).toString("latin1");
  if (text === "Access Denied") return failed;
  if (text === "Only administrators can upload a module" || text === "No file sent.") return passwordRight;
  return unknown;
}

/** Is one of the readings of the path this route. */
export function isRoute(facts: Pick<RequestFacts, "paths">, route: string): boolean {
  for (const path of facts.paths) if (path === route) return true;
  return false;
}

/** The path and what follows of a Location on the own host; null for a foreign one, or none. */
export function ownPath(location: string | null, host: string): string | null {
  if (location === null) return null;
  if (location.startsWith("/") && !location.startsWith("//")) return location;
  const absolute = /^(?:https?:)?\/\/([^/?#@:]+|\[[^\]]*\])(?::[0-9]*)?(\/.*)?$/is.exec(location);
  if (absolute === null || absolute[1]?.toLowerCase() !== host) return null;
  return absolute[2] ?? "/";
}

/** Does the answer set Odoo's session cookie. */
function setsSession(fields: RawFields): boolean {
  return fieldValues(fields, "set-cookie").some((line) => setCookieName(line) === "session_id");
}
