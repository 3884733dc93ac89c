import type { Likeness } from "../message/facts.ts";
import { lowerName } from "../message/field-names.ts";

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

/**
 * Splits nghttp2's list into pseudo-fields and field lines; cookie crumbs become one line (RFC 9113 §8.2.3). nghttp2 has refused what
 * names a pseudo-field twice, behind a field, or one that a request has not.
 */
export function readHead(raw: readonly string[]): Http2Head {
  let method = "";
  let target = "";
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
      if (name === ":method") method = value;
      else if (name === ":path") target = value;
      else if (name === ":authority") authority = value;
      else if (name === ":scheme") scheme = value;
      continue;
    }
    if (name === "cookie") {
      if (cookieAt >= 0) {
        fields[cookieAt] = `${fields[cookieAt]}; ${value}`;
        continue;
      }
      cookieAt = fields.length + 1;
    } else if (name === "content-length") {
      if (length !== null) isLengthOnce = false;
      length = value;
    } else if (name === "expect") expect = expect === null ? value : `${expect}, ${value}`;
    fields.push(name, value);
  }
  return {
    method,
    target,
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
  readonly status: number;
  readonly fields: readonly string[];
  /** Bits of `saidOnce`. */
  readonly said: number;
}

/** The same list goes with many answers when it is frozen: it is put in Node's words once. */
const sections = new WeakMap<readonly string[], Section>();

/**
 * The field section of an answer as Node takes it: names in lower case, in our order. `length`: what Content-Length says behind the other fields;
 * null: nothing.
 */
export function answerFields(status: number, fields: readonly string[], length: number | null): string[] {
  const isKept = Object.isFrozen(fields);
  let section = isKept ? sections.get(fields) : undefined;
  if (section?.status !== status) {
    section = sectionOf(status, fields);
    if (isKept) sections.set(fields, section);
  }
  if (length === null || (section.said & lengthBit) !== 0) return [...section.fields];
  return [...section.fields, "content-length", String(length)];
}

const lengthBit = saidOnce.get("content-length") ?? 0;

function sectionOf(status: number, fields: readonly string[]): Section {
  const out = [":status", String(status)];
  let said = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const name = lowerName(fields[i] ?? "");
    const bit = saidOnce.get(name);
    if (bit !== undefined) {
      // Odoo or an add-on said it twice. The first holds: a client would choose.
      if ((said & bit) !== 0) continue;
      said |= bit;
    }
    out.push(name, fields[i + 1] ?? "");
  }
  return { status, fields: out, said };
}
