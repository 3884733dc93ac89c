import { isUtf8 } from "node:buffer";
import { createHmac } from "node:crypto";
import type { RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import { JsonScan, type Wanted } from "./json-scan.ts";
import type { Door } from "./login-door.ts";
import type { AskedBody } from "./login-watch.ts";

/** Longest name that is read; Odoo's own column has no bound, e-mail addresses end at 254 characters (RFC 5321 §4.5.3.1). */
export const accountCharsMax = 254;
/** Most form fields or parts that are looked at; more give no reading. */
const fieldsMax = 100;

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
  const fromBody = body === null || body.memory.length === 0 ? [] : bodyFields(facts, body);
  if (values === null || fromBody === null) return null;
  const found = [...values, ...fromBody].filter(([field]) => field === name);
  return found.length === 1 ? (found[0]?.[1] ?? null) : null;
}

type Field = readonly [name: string, value: string];

function bodyFields(facts: AskedFacts, body: AskedBody): Field[] | null {
  if (!body.whole || !isUtf8(body.memory)) return null;
  const type = firstField(facts.fields, "content-type") ?? "";
  const text = Buffer.from(body.memory).toString("utf8");
  switch (facts.contentType) {
    case "application/x-www-form-urlencoded":
    case "application/x-url-encoded":
      return /;[ \t]*charset[ \t]*=[ \t]*(?!"?utf-8"?[ \t]*(?:;|$))/i.test(type) ? null : fieldsOf(text);
    case "multipart/form-data":
      return partsOf(type, text);
    default:
      return [];
  }
}

/** Name and value pairs; null when an escape is broken or does not spell UTF-8. */
function fieldsOf(text: string): Field[] | null {
  if (text === "") return [];
  const pairs = text.split("&", fieldsMax + 1);
  if (pairs.length > fieldsMax) return null;
  const fields: Field[] = [];
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    const name = decoded(at < 0 ? pair : pair.slice(0, at));
    const value = decoded(at < 0 ? "" : pair.slice(at + 1));
    if (name === null || value === null) return null;
    fields.push([name, value]);
  }
  return fields;
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return null;
  }
}

const partHead =
  /^\r\nContent-Disposition: form-data; name="([^"\\%\r\n]*)"(; filename="[^"\r\n]*")?(\r\nContent-Type: [^\r\n]*)?\r\n\r\n/i;

/** Parts as browsers write them (RFC 7578 §4.2); anything else has no reading. */
function partsOf(type: string, text: string): Field[] | null {
  const boundary = /;[ \t]*boundary=(?:"([^"\\]{1,70})"|([A-Za-z0-9'()+_,./:=?-]{1,70}))[ \t]*$/.exec(type);
  const mark = boundary?.[1] ?? boundary?.[2];
  if (mark === undefined) return null;
  const pieces = text.split(`--${mark}`, fieldsMax + 2);
  if (pieces.length < 2 || pieces.length > fieldsMax + 1 || pieces[0] !== "") return null;
  if (!/^--(?:\r\n)?$/.test(pieces.at(-1) ?? "")) return null;
  const fields: Field[] = [];
  for (const piece of pieces.slice(1, -1)) {
    const head = partHead.exec(piece);
    const name = head?.[1];
    if (head === null || name === undefined || !piece.endsWith("\r\n")) return null;
    if (head[2] !== undefined) continue;
    if (head[3] !== undefined) return null;
    fields.push([name, piece.slice(head[0].length, -2)]);
  }
  return fields;
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

const named: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** XML 1.0 §4.1 and §4.6: the five entities every parser knows, and characters by number; null for any other. */
function withoutReferences(text: string): string | null {
  let broken = false;
  const plain = text.replace(/&([^;]{0,10})(;?)/g, (_whole, name: string, end: string) => {
    const number = /^#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}))$/.exec(name);
    const code =
      number === null
        ? null
        : Number.parseInt(number[1] ?? number[2] ?? "", number[1] === undefined ? 10 : 16);
    const character =
      code === null ? named[name] : code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : undefined;
    if (end === "" || character === undefined) broken = true;
    return character ?? "";
  });
  return broken ? null : plain;
}
