import { flatLatin1 } from "../base/flat.ts";
import { http } from "../base/node-http.ts";
import { isFieldValue, isToken } from "../message/fields.ts";
import { httpDate } from "./http-date.ts";

/** Names that were written before, so that each is checked once; the gateway's own and Odoo's are few. */
const knownNames = new Set<string>();
const knownNamesMax = 1_000;

/**
 * The head of an HTTP/1.1 answer, with its empty line; `more`: finished lines behind the others. Adds Date (RFC 9110 §6.6.1). Throws on a name or value that would break
 * the head: that is our mistake, and must not become a second answer on the wire.
 */
export function answerHead(status: number, fields: readonly string[], more = ""): string {
  const { text, hasDate } = beginning(status, fields);
  return hasDate ? `${text}${more}\r\n` : `${text}${more}${dateLines()}`;
}

/** The same list goes with many answers when it is frozen: its lines are written once. */
const beginnings = new WeakMap<readonly string[], { readonly status: number } & Lines>();

function beginning(status: number, fields: readonly string[]): Lines {
  const isKept = Object.isFrozen(fields);
  const known = isKept ? beginnings.get(fields) : undefined;
  if (known?.status === status) return known;
  const lines = linesOf(fields);
  const text = `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ""}\r\n${lines.text}`;
  const { hasDate } = lines;
  if (!isKept) return { text, hasDate };
  const written = { status, text: flatLatin1(text), hasDate };
  beginnings.set(fields, written);
  return written;
}

interface Lines {
  readonly text: string;
  readonly hasDate: boolean;
}

function linesOf(fields: readonly string[]): Lines {
  let text = "";
  let hasDate = false;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? "";
    const value = fields[i + 1] ?? "";
    if (!knownNames.has(name)) {
      if (!isToken(name)) throw new Error(`a field name of an answer is no token: ${JSON.stringify(name)}`);
      if (knownNames.size < knownNamesMax) knownNames.add(name);
    }
    if (!isFieldValue(value)) throw new Error(`the value of ${name} in an answer holds a control character`);
    if (name.length === 4 && name.toLowerCase() === "date") hasDate = true;
    text += `${name}: ${value}\r\n`;
  }
  return { text, hasDate };
}

let date = "";
let ending = "";

/** Date, and the empty line; put together once a second. */
function dateLines(): string {
  const now = httpDate();
  if (now !== date) {
    date = now;
    ending = flatLatin1(`Date: ${now}\r\n\r\n`);
  }
  return ending;
}
