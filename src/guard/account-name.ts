import { isAscii, isUtf8 } from "node:buffer";
import { createHmac } from "node:crypto";
import type { RequestFacts } from "../message/facts.ts";
import { fieldsOf, formFields } from "./form-fields.ts";
import { type Found, JsonScan, type Wanted } from "./json-scan.ts";
import type { Door } from "./login-door.ts";
import type { AskedBody } from "./login-watch.ts";
import type { RpcEnvelope } from "./rpc-envelope.ts";
import { withoutReferences } from "./xml-references.ts";

/** Longest name that is read; Odoo's own column has no bound, e-mail addresses end at 254 characters (RFC 5321 §4.5.3.1). */
export const accountCharsMax = 254;
/** As sent: four characters become one in the normal form at most. Putting marks in their order takes time by the square of their number, so the length is looked at before. */
const writtenCharsMax = 4 * accountCharsMax;
type AskedFacts = Pick<RequestFacts, "contentType" | "query" | "fields">;

/** Whom an attempt is for. */
export type Named =
  | {
      readonly kind: "name";
      /** What attempts are counted by: in small letters, or `uid:<number>` for calls that name a user by number. */
      readonly folded: string;
      /** As Odoo compares it, to the letter: two users may differ in capitals alone. */
      readonly written: string;
    }
  /** Nobody is named. */
  | { readonly kind: "none" }
  /** Somebody is, in more than one reading. */
  | { readonly kind: "odd" };

const none: Named = Object.freeze({ kind: "none" });
const odd: Named = Object.freeze({ kind: "odd" });

/**
 * The account an attempt is for, where the request has exactly one reading: Odoo reads forms, JSON and XML in more ways than anybody writes
 * them (odoo-wire b). A body that is not all in memory is not read.
 */
export function accountName(door: Door, facts: AskedFacts, body: AskedBody | null): Named {
  switch (door) {
    case "form":
    case "upload":
      return formName("login", facts, body);
    case "authenticate":
      return authenticateName(body);
    case "call":
      return calledName(body);
    case "json-rpc": {
      const call = body?.call;
      if (call == null) return none;
      if (call.service === "object") return triesAnother(call) ? odd : userNumber(call.user);
      return call.user === null && triesPassword(call.method) ? odd : tidy(call.user);
    }
    case "xml-common": {
      const call = body?.call;
      const second = call?.user ?? xmlSecond(body);
      return second === null && (call == null || triesPassword(call.method)) ? odd : tidy(second);
    }
    case "xml-object":
      return triesAnother(body?.call ?? null) ? odd : userNumber(body?.call?.user ?? xmlSecond(body));
    // A customer who opens the sign-up link of an e-mail five times guesses nothing: who collects names uses many.
    case "lookup":
    case "second-factor":
    case "oauth":
    case "portal":
    case "master":
    case "xml-db":
    case "key":
    case "check":
      return none;
  }
}

/** A name of the operator's as attempts are counted by it (`Named.folded`). */
export function foldedAccount(name: string): string {
  return name.trim().normalize("NFC").toLowerCase();
}

/** Turns a name into what logs and stores may hold: the same word for the same name on this machine, nothing to anybody else. */
export function accountHasher(secret: Uint8Array): (name: string) => string {
  return (name) => createHmac("sha256", secret).update(name).digest("base64url").slice(0, 22);
}

function tidy(name: string | null): Named {
  if (name === null) return none;
  const trimmed = name.trim();
  if (trimmed.length > writtenCharsMax) return odd;
  const folded = foldedAccount(trimmed);
  if (folded === "") return none;
  if (folded.length > accountCharsMax || /[\u0000-\u001f\u007f]/.test(folded)) return odd;
  return { kind: "name", folded, written: name };
}

function userNumber(text: string | null): Named {
  if (text === null || !/^[1-9][0-9]{0,9}$/.test(text)) return none;
  return { kind: "name", folded: `uid:${text}`, written: `uid:${text}` };
}

/** A program that calls what checks another user's password (Odoo 19): not its own account is tried. */
function triesAnother(call: RpcEnvelope | null): boolean {
  return call?.model === "res.users" && call.modelMethod === "authenticate";
}

/** Methods of the service `common` that check a password. */
function triesPassword(method: string): boolean {
  return method === "login" || method === "authenticate";
}

/** The only value of a form field, in body and query together. */
function formName(name: string, facts: AskedFacts, body: AskedBody | null): Named {
  const values = fieldsOf(facts.query);
  const fromBody = body === null || body.memory.length === 0 ? [] : formFields(facts, body);
  if (values === null || fromBody === null) return odd;
  const found = [...values, ...fromBody].filter(([field]) => field === name);
  return found.length > 1 ? odd : tidy(found[0]?.[1] ?? null);
}

const authenticateLogin: Wanted = {
  members: { params: { as: "params", members: { login: { as: "name" } } } },
};

function authenticateName(body: AskedBody | null): Named {
  if (body === null) return none;
  const found = body.whole ? scanned(authenticateLogin, body) : null;
  if (found === null) return odd;
  const params = found.get("params");
  // Odoo takes a list of pairs for an object too.
  return params === undefined || params.kind === "object" ? textName(found.get("name")) : odd;
}

const credential: Wanted = { members: { login: { as: "name" } } };
/** `res.users.authenticate` of Odoo 19 called by a user: `[[], {login, password, type}, {…}]`, or the second by its name. */
const callLogin: Wanted = {
  members: {
    params: {
      members: {
        method: { as: "method" },
        args: { items: [null, credential] },
        kwargs: { members: { credential: { members: { login: { as: "named" } } } } },
      },
    },
  },
};

function calledName(body: AskedBody | null): Named {
  if (body === null) return none;
  const found = body.whole ? scanned(callLogin, body) : null;
  if (found === null) return odd;
  const method = found.get("method");
  if (method?.kind === "text" && method.text !== "authenticate") return none;
  const first = textName(found.get("name"));
  const second = textName(found.get("named"));
  if (first.kind === "none") return second;
  return second.kind === "none" ? first : odd;
}

function textName(found: Found | undefined): Named {
  if (found === undefined) return none;
  return found.kind === "text" ? tidy(found.text) : odd;
}

/** null: it has no one reading. */
function scanned(wanted: Wanted, body: AskedBody): ReadonlyMap<string, Found> | null {
  const scan = new JsonScan(wanted);
  scan.push(body.memory);
  const read = scan.end();
  return read.ok ? read.found : null;
}

const xmlScalar =
  "<value>(?:<string>([^<]{0,1000})</string>|<(?:int|i4)>([0-9]{1,10})</(?:int|i4)>|([^<]{0,1000}))</value>";
const xmlParam = `\\s*<param>\\s*${xmlScalar}\\s*</param>`;
/** A call as XML-RPC libraries write it: no attributes, comments, CDATA or prefixes before the second parameter's end. Nowhere can white space be shared out in two ways: trying them all takes seconds. */
const xmlCall = new RegExp(
  `^(?:<\\?xml version=["']1\\.0["'](?: encoding=["'](?:utf-?8|us-ascii|iso-8859-1|windows-1252)["'])? ?\\?>\\s*)?<methodCall>\\s*<methodName>\\s*[\\w.]{1,64}\\s*</methodName>\\s*<params>${xmlParam}${xmlParam}`,
  "i",
);

function xmlSecond(body: AskedBody | null): string | null {
  if (body?.whole !== true || !isUtf8(body.memory)) return null;
  const text = Buffer.from(body.memory).toString("utf8");
  // PHP's libraries say Latin-1 of what is ASCII, where all of these are one.
  if (!isAscii(body.memory) && /^\s*<\?xml[^>]*encoding=["'](?!utf-?8)/i.test(text)) return null;
  // Python takes the last method name and collects the values of every params: only one of each has one reading.
  if (text.split("methodName", 4).length !== 3 || text.split("params>", 4).length !== 3) return null;
  const call = xmlCall.exec(text.trimStart());
  if (call === null) return null;
  const value = call[4] ?? call[5] ?? call[6];
  return value === undefined ? null : withoutReferences(value);
}
