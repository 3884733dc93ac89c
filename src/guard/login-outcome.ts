import { setCookieName } from "../message/cookies.ts";
import type { RawFields, RequestFacts } from "../message/facts.ts";
import { fieldValues, firstField } from "../message/fields.ts";
import { answerBytesMax, type Door, doorOf } from "./login-door.ts";
import { readErrorName, readRpcAnswer } from "./login-json.ts";

/** What an answer says about the attempt. */
export interface LoginReading {
  /** `pending`: the password was right and a second factor is asked. `unknown`: nothing was tried, or the answer does not tell. */
  readonly outcome: "success" | "pending" | "failure" | "unknown";
  /** The answer's new session cookie belongs to a session that is logged in (a right password before a second factor is not). */
  readonly loggedIn: boolean;
}

/** What Odoo answered, before our own changes to its fields. */
export interface LoginAnswer {
  readonly status: number;
  readonly fields: RawFields;
  /** The first `answerBytesMax(door)` bytes at most; empty when not read. */
  readonly body: Uint8Array;
}

/** What the request's body asked for, where it was read: it tells a wrong answer from a wrong password. */
export interface AskedCall {
  readonly service: string | null;
  readonly method: string;
}

type AskedFacts = Pick<RequestFacts, "method" | "paths" | "host" | "query" | "fields">;

const loggedIn: LoginReading = Object.freeze({ outcome: "success", loggedIn: true });
const right: LoginReading = Object.freeze({ outcome: "success", loggedIn: false });
const pending: LoginReading = Object.freeze({ outcome: "pending", loggedIn: false });
const failed: LoginReading = Object.freeze({ outcome: "failure", loggedIn: false });
const unknown: LoginReading = Object.freeze({ outcome: "unknown", loggedIn: false });

/**
 * Reads from Odoo's answer whether a password was right (odoo-wire b). The answer is the only good witness: a
 * body can be written in too many ways. Where the answer does not tell, or where success is what must
 * stay rare (reset mails, new accounts), it is `unknown`, and the point stays taken.
 */
export function readLogin(
  facts: AskedFacts,
  answer: LoginAnswer,
  door: Door | null = doorOf(facts),
  call: AskedCall | null = null,
): LoginReading {
  switch (door) {
    case null:
      return unknown;
    case "form":
      return readForm(facts, answer, false);
    case "second-factor":
      return readForm(facts, answer, true);
    case "authenticate":
      return readAuthenticate(facts, answer);
    case "upload":
      return readLoginUpload(answer);
    case "oauth":
      return readOauth(facts, answer);
    case "lookup":
      return readLookup(facts, answer);
    case "portal":
      return readPortal(answer);
    case "master":
      return readMaster(answer);
    case "xml-common":
    case "xml-object":
    case "xml-db":
      return readXml(facts, answer, door);
    case "json-rpc":
      return readService(facts, answer, call);
    case "key":
      return readKey(facts, answer);
    case "call":
    case "check":
      return readCall(facts, answer, door, call);
  }
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
  if (below[1] === "/totp" && !secondFactor) return setsSession(answer.fields) ? pending : unknown;
  // A link said `redirect=/web/login`: a right password leads there too, with another session.
  const isError = /[?&](?:oauth_)?error=/.test(path);
  return !secondFactor && !isError && setsSession(answer.fields) ? unknown : failed;
}

const language = "(?:/[a-z]{2,3}(?:[_@-][a-z0-9]+)*)?";
const loginPath = new RegExp(`^${language}/web/login(/[^?#]*)?(?:[?#]|$)`, "i");
const databasePath = new RegExp(`^${language}/web/database(?:[/?#]|$)`, "i");

const accessDenied = /(?:^|\.)AccessDenied$/;

function readAuthenticate(facts: AskedFacts, answer: LoginAnswer): LoginReading {
  if (answer.status !== 200) return unknown;
  // Odoo reads a body from HEAD too, and its answer has none: the cookie is what tells then.
  if (facts.method === "HEAD") return setsSession(answer.fields) ? loggedIn : failed;
  const read = readRpcAnswer(answer.body);
  switch (read.kind) {
    case "result":
      if (read.uid === "number") return loggedIn;
      return read.uid === "null" && setsSession(answer.fields) ? pending : unknown;
    case "error":
      return read.name === "" || accessDenied.test(read.name) ? failed : unknown;
    case "unknown":
      return hidden(answer, "authenticate");
  }
}

/** An answer that does not tell within the bound: it echoes an id of that length, which nobody but a guesser sends. */
function hidden(answer: LoginAnswer, door: Door): LoginReading {
  return answer.body.length >= answerBytesMax(door) ? failed : unknown;
}

function readLoginUpload(answer: LoginAnswer): LoginReading {
  if (answer.status !== 500) return unknown;
  const text = Buffer.from(answer.body.subarray(0, 64)).toString("latin1");
  if (text === "Access Denied") return failed;
  // The first of the two also follows the right password of a user with a second factor.
  if (text === "Only administrators can upload a module" || text === "No file sent.") return right;
  return unknown;
}

function readOauth(facts: AskedFacts, answer: LoginAnswer): LoginReading {
  if (answer.status !== 303) return unknown;
  const path = ownPath(firstField(answer.fields, "location"), facts.host);
  if (path === null) return unknown;
  if (loginPath.test(path)) return path.includes("oauth_error=") ? failed : unknown;
  return setsSession(answer.fields) ? loggedIn : unknown;
}

/** An account that is not there (reset), or is there (signup): both are asked for by who collects names. Never a success. */
function readLookup(facts: AskedFacts, answer: LoginAnswer): LoginReading {
  if (answer.status !== 200) return unknown;
  if (facts.method !== "POST") return failed;
  return includes(answer, "alert-danger") ? failed : unknown;
}

/** The forms show the field of the current password as wrong; other mistakes in them are no guesses. */
const passwordField = /\bname=["'](?:old|password)["']/;
const wrongField = /\bis-invalid\b/;
/** Longest tag of a field that is looked at. */
const tagCharsMax = 1_000;

/** Tag by tag: an expression for all of it would look to the page's end from each tag that has none. */
function showsWrongPassword(page: string): boolean {
  for (let at = page.indexOf("<input"); at >= 0; at = page.indexOf("<input", at + 6)) {
    const tag = page.slice(at + 6, at + 6 + tagCharsMax);
    const end = tag.indexOf(">");
    if (end < 0 || /^\w/.test(tag)) continue;
    const inside = tag.slice(0, end);
    if (wrongField.test(inside) && passwordField.test(inside)) return true;
  }
  return false;
}

function readPortal(answer: LoginAnswer): LoginReading {
  if (answer.status === 303) return right;
  if (answer.status !== 200) return unknown;
  if (showsWrongPassword(pageOf(answer))) return failed;
  return includes(answer, "alert-success") ? right : unknown;
}

/** A page that shows Odoo's own text, which is not translated there; a file or a redirect is the deed done. */
function readMaster(answer: LoginAnswer): LoginReading {
  if (answer.status === 303) return right;
  if (answer.status !== 200) return unknown;
  const type = firstField(answer.fields, "content-type")?.toLowerCase() ?? "";
  if (!type.startsWith("text/html")) return right;
  return includes(answer, "Access Denied") ? failed : unknown;
}

/** Odoo writes these with Python's xmlrpc.client: nothing of the caller's stands before the value or the fault. */
const xmlHead = "^(?:<\\?xml[^>]*>)?\\s*<methodResponse>\\s*";
const xmlDenied = new RegExp(
  `${xmlHead}<fault>\\s*<value><struct>\\s*<member>\\s*<name>faultCode</name>\\s*<value>(?:<int>3</int>|<string>AccessDenied</string>)</value>`,
);
const xmlValue = new RegExp(`${xmlHead}<params>\\s*<param>\\s*<value>(?:<(int|i4|boolean)>([0-9]{1,10})<)?`);

function readXml(facts: AskedFacts, answer: LoginAnswer, door: Door): LoginReading {
  if (answer.status !== 200) return unknown;
  // Without a body only the length tells, and a guesser can read that.
  if (facts.method === "HEAD") return failed;
  const text = pageOf(answer);
  if (xmlDenied.test(text)) return failed;
  const value = xmlValue.exec(text);
  if (value === null || door === "xml-db") return unknown;
  if (door === "xml-object") return right;
  if (value[1] === "boolean") return value[2] === "0" ? failed : unknown;
  return value[1] === undefined ? unknown : right;
}

function readService(facts: AskedFacts, answer: LoginAnswer, call: AskedCall | null): LoginReading {
  if (answer.status !== 200) return unknown;
  if (facts.method === "HEAD") return failed;
  const read = readRpcAnswer(answer.body);
  switch (read.kind) {
    case "error":
      return accessDenied.test(read.name) ? failed : unknown;
    case "unknown":
      return hidden(answer, "json-rpc");
    case "result":
      if (call?.service === "object") return right;
      if (call?.service !== "common" || (call.method !== "login" && call.method !== "authenticate"))
        return unknown;
      if (read.value === "false") return failed;
      return read.value === "number" ? right : unknown;
  }
}

function readKey(facts: AskedFacts, answer: LoginAnswer): LoginReading {
  if (answer.status === 401) return failed;
  if (answer.status === 403) {
    // A good key that tries another user's password.
    if (facts.paths.some((path) => path.endsWith("/res.users/authenticate"))) return failed;
    return accessDenied.test(readErrorName(answer.body)) ? failed : unknown;
  }
  return answer.status >= 200 && answer.status < 300 ? right : unknown;
}

/** The web client's calls: only `AccessDenied` is a wrong password, but for the methods that say it as a translated UserError. */
function readCall(facts: AskedFacts, answer: LoginAnswer, door: Door, call: AskedCall | null): LoginReading {
  if (answer.status !== 200) return unknown;
  const tries = door === "check" || call !== null;
  if (facts.method === "HEAD") return tries ? failed : unknown;
  const read = readRpcAnswer(answer.body);
  switch (read.kind) {
    case "error":
      if (accessDenied.test(read.name)) return failed;
      return call?.method === "run_check" && read.name === "odoo.exceptions.UserError" ? failed : unknown;
    case "unknown":
      return hidden(answer, door);
    case "result":
      return tries ? right : unknown;
  }
}

function pageOf(answer: LoginAnswer): string {
  return bufferOf(answer).toString("latin1");
}

function includes(answer: LoginAnswer, text: string): boolean {
  return bufferOf(answer).includes(text, 0, "latin1");
}

function bufferOf({ body }: LoginAnswer): Buffer {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
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
