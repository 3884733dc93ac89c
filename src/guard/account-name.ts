import { isUtf8 } from "node:buffer";
import { createHmac } from "node:crypto";
import type { RequestFacts } from "../message/facts.ts";
import { fieldsOf, formFields } from "./form-fields.ts";
import { JsonScan, type Wanted } from "./json-scan.ts";
import type { Door } from "./login-door.ts";
import type { AskedBody } from "./login-watch.ts";
import { withoutReferences } from "./xml-references.ts";

/** Longest name that is read; Odoo's own column has no bound, e-mail addresses end at 254 characters (RFC 5321 §4.5.3.1). */
export const accountCharsMax = 254;
type AskedFacts = Pick<RequestFacts, "contentType" | "query" | "fields">;

/**
 * The account an attempt is for, in small letters, or `uid:<number>` for calls that name a user by number. Null where the
 * request has not exactly one reading: Odoo reads forms, JSON and XML in more ways than anybody writes them
 * (odoo-wire b), and a guesser who writes oddly is counted by address alone. A body that is not all in memory is not read.
 */
export function accountName(door: Door, facts: AskedFacts, body: AskedBody | null): string | null {
  switch (door) {
    case "form":
    case "upload":
      return tidy(formValue("login", facts, body));
    case "authenticate":
      return tidy(jsonValue(authenticateLogin, body));
    case "call":
      return tidy(jsonValue(callLogin, body));
    case "json-rpc": {
      const call = body?.call;
      if (call == null) return null;
      return call.service === "object" ? userNumber(call.user) : tidy(call.user);
    }
    case "xml-common":
      return tidy(xmlSecond(body));
    case "xml-object":
      return userNumber(xmlSecond(body));
    // A customer who opens the sign-up link of an e-mail five times guesses nothing: who collects names uses many.
    case "lookup":
    case "second-factor":
    case "oauth":
    case "portal":
    case "master":
    case "xml-db":
    case "key":
    case "check":
      return null;
  }
}

/** Turns a name into what logs and stores may hold: the same word for the same name on this machine, nothing to anybody else. */
export function accountHasher(secret: Uint8Array): (name: string) => string {
  return (name) => createHmac("sha256", secret).update(name).digest("base64url").slice(0, 22);
}

function tidy(name: string | null): string | null {
  const text = name?.trim().normalize("NFC").toLowerCase() ?? "";
  return text === "" || text.length > accountCharsMax || /[\u0000-\u001f\u007f]/.test(text) ? null : text;
}

function userNumber(text: string | null): string | null {
  return text !== null && /^[1-9][0-9]{0,9}$/.test(text) ? `uid:${text}` : null;
}

/** The only value of a form field, in body and query together. */
function formValue(name: string, facts: AskedFacts, body: AskedBody | null): string | null {
  const values = fieldsOf(facts.query);
  const fromBody = body === null || body.memory.length === 0 ? [] : formFields(facts, body);
  if (values === null || fromBody === null) return null;
  const found = [...values, ...fromBody].filter(([field]) => field === name);
  return found.length === 1 ? (found[0]?.[1] ?? null) : null;
}

const authenticateLogin: Wanted = { members: { params: { members: { login: { as: "name" } } } } };
/** `res.users.authenticate` of Odoo 19 called by a user: `[[], {login, password, type}, {…}]`. */
const callLogin: Wanted = {
  members: { params: { members: { args: { items: [null, { members: { login: { as: "name" } } }] } } } },
};

function jsonValue(wanted: Wanted, body: AskedBody | null): string | null {
  if (body?.whole !== true) return null;
  const scan = new JsonScan(wanted);
  scan.push(body.memory);
  const scanned = scan.end();
  const found = scanned.ok ? scanned.found.get("name") : undefined;
  return found?.kind === "text" ? found.text : null;
}

const xmlScalar =
  "<value>(?:<string>([^<]{0,1000})</string>|<(?:int|i4)>([0-9]{1,10})</(?:int|i4)>|([^<]{0,1000}))</value>";
const xmlParam = `\\s*<param>\\s*${xmlScalar}\\s*</param>`;
/** A call as XML-RPC libraries write it: no attributes, comments, CDATA or prefixes before the second parameter's end. */
const xmlCall = new RegExp(
  `^\\s*(?:<\\?xml version=["']1\\.0["'](?: encoding=["']utf-?8["'])? ?\\?>)?\\s*<methodCall>\\s*<methodName>\\s*[\\w.]{1,64}\\s*</methodName>\\s*<params>${xmlParam}${xmlParam}`,
  "i",
);

function xmlSecond(body: AskedBody | null): string | null {
  if (body?.whole !== true || !isUtf8(body.memory)) return null;
  const text = Buffer.from(body.memory).toString("utf8");
  // Python takes the last method name and collects the values of every params: only one of each has one reading.
  if (text.split("methodName", 4).length !== 3 || text.split("params>", 4).length !== 3) return null;
  const call = xmlCall.exec(text);
  if (call === null) return null;
  const value = call[4] ?? call[5] ?? call[6];
  return value === undefined ? null : withoutReferences(value);
}
