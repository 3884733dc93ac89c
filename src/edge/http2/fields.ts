import type { Likeness } from "../../message/facts.ts";
import { lowerName } from "../../message/field-names.ts";

/** What a request's field section says, as the gateway reads it. */
export interface Http2Head {
  readonly method: string;
  readonly target: string;
  readonly authority: string | null;
  readonly scheme: string | null;
  readonly fields: readonly string[];
  /** What equal fields of this session have in common; null: nothing is known to be equal. */
  readonly likeness: Likeness | null;
  readonly expectsContinue: boolean;
  /** Content-Length where it is said once and is a plain number; null: it does not help to know when the body is whole. */
  readonly bodyBytes: number | null;
}

const plainNumber = /^[0-9]{1,15}$/;
const expectation = /^100-continue$/i;
/** RFC 9113 §8.2.2: fields of the connection, which a request must not have. */
const connectionSpecific: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/**
 * Splits a field section into pseudo-fields and field lines; cookie crumbs become one line (RFC 9113 §8.2.3). Null: it is malformed: a pseudo-field that is missing, comes
 * twice, behind a field, or is none of a request (§8.3), or a field of the connection (§8.2.2). Names and values themselves were looked at before.
 */
export function readHead(raw: readonly string[]): Http2Head | null {
  let method: string | null = null;
  let target: string | null = null;
  let authority: string | null = null;
  let scheme: string | null = null;
  let cookieAt = -1;
  let expect: string | null = null;
  let length: string | null = null;
  let isLengthOnce = true;
  const fields: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? "";
    const value = raw[i + 1] ?? "";
    if (name.charCodeAt(0) === 0x3a) {
      if (fields.length > 0) return null;
      if (name === ":method" && method === null) method = value;
      else if (name === ":path" && target === null) target = value;
      else if (name === ":authority" && authority === null) authority = value;
      else if (name === ":scheme" && scheme === null) scheme = value;
      else return null;
      continue;
    }
    switch (name) {
      case "cookie":
        if (cookieAt >= 0) {
          fields[cookieAt] = `${fields[cookieAt]}; ${value}`;
          continue;
        }
        cookieAt = fields.length + 1;
        break;
      case "content-length":
        if (length !== null) isLengthOnce = false;
        length = value;
        break;
      case "expect":
        expect = expect === null ? value : `${expect}, ${value}`;
        break;
      case "te":
        if (value !== "trailers") return null;
        break;
      default:
        if (connectionSpecific.has(name)) return null;
    }
    fields.push(name, value);
  }
  if (method === null) return null;
  if (method === "CONNECT") {
    // RFC 9113 §8.5: nothing but where to. The screen has its answer to CONNECT.
    if (target !== null || scheme !== null || authority === null) return null;
  } else if (target === null || target === "" || scheme === null) return null;
  return {
    method,
    target: target ?? "",
    authority,
    scheme,
    fields,
    likeness: null,
    expectsContinue: expect !== null && expectation.test(expect),
    bodyBytes: length !== null && isLengthOnce && plainNumber.test(length) ? Number(length) : null,
  };
}

/** Fields with one value (Node's kSingleValueFields, those of an answer), each with a bit of its own. */
const saidOnce: ReadonlyMap<string, number> = new Map(
  [
    "access-control-allow-credentials",
    "access-control-allow-origin",
    "access-control-max-age",
    "age",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "dnt",
    "etag",
    "expires",
    "last-modified",
    "location",
    "retry-after",
    "tk",
    "x-content-type-options",
  ].map((name, at) => [name, 1 << at]),
);

interface Section {
  readonly fields: readonly string[];
  /** Bits of `saidOnce`. */
  readonly said: number;
}

/** The same list goes with many answers when it is frozen: it is put in HTTP/2's words once. */
const sections = new WeakMap<readonly string[], Section>();

/** The fields of an answer as HTTP/2 has them: names in lower case, in our order, and what belongs behind them. */
export interface AnswerFields {
  /** Frozen when the list that was asked for is: then it is the same each time. */
  readonly fields: readonly string[];
  readonly more: readonly string[];
}

/** `length`: what Content-Length says behind the other fields; null: nothing. `date`: what Date says if nothing else does (RFC 9110 §6.6.1). */
export function answerFields(fields: readonly string[], length: number | null, date: string): AnswerFields {
  const section = sectionOf(fields);
  const more: string[] = [];
  if (length !== null && (section.said & lengthBit) === 0) more.push("content-length", String(length));
  if ((section.said & dateBit) === 0) more.push("date", date);
  return { fields: section.fields, more };
}

const lengthBit = saidOnce.get("content-length") ?? 0;
const dateBit = saidOnce.get("date") ?? 0;

function sectionOf(fields: readonly string[]): Section {
  if (!Object.isFrozen(fields)) return newSection(fields);
  const before = sections.get(fields);
  if (before !== undefined) return before;
  const section = newSection(fields);
  Object.freeze(section.fields);
  sections.set(fields, section);
  return section;
}

function newSection(fields: readonly string[]): Section {
  const out: string[] = [];
  let said = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const name = lowerName(fields[i] ?? "");
    if (connectionSpecific.has(name)) continue;
    const bit = saidOnce.get(name);
    if (bit !== undefined) {
      // Odoo or an add-on said it twice. The first holds: a client would choose.
      if ((said & bit) !== 0) continue;
      said |= bit;
    }
    out.push(name, fields[i + 1] ?? "");
  }
  return { fields: out, said };
}
