import type { Likeness } from "../message/facts.ts";
import { lowerName } from "../message/field-names.ts";

/** What a request's field section says, as the gateway reads it. */
export interface Http2Head {
  readonly method: string;
  readonly target: string;
  readonly authority: string | null;
  readonly scheme: string | null;
  readonly fields: string[];
  readonly likeness: Likeness | null;
  readonly expectsContinue: boolean;
  /** Content-Length where it is said once and is a plain number; null: it does not help to know when the body is whole. */
  readonly bodyBytes: number | null;
}

/** As `framing` has it, and below 2^53 in any case. */
const plainNumber = /^(?:0|[1-9][0-9]{0,14})$/;
const expectation = /^100-continue$/i;

/** Longer heads are read anew each time. */
const knownBytesMax = 8 * 1024;

/**
 * Reads the heads of one session. The last one is remembered: whose fields are the same, but for the number in Content-Length, is not
 * read again, and has from the second time on a likeness.
 */
export class HeadReader {
  #raw: readonly string[] = [];
  #known: Http2Head | null = null;
  /** The place of Content-Length's value among the fields; 0: it has none. */
  #lengthAt = 0;

  /** `raw`: nghttp2's list, names and values in turn; `bytes`: what it takes. */
  read(raw: readonly string[], bytes: number): Http2Head {
    const same = this.#match(raw);
    if (same !== null) return same;
    const head = readHead(raw, null);
    const lengthAt = valueAt(head.fields, "content-length");
    const isKept = bytes <= knownBytesMax && (lengthAt === 0 || head.bodyBytes !== null);
    this.#raw = isKept ? raw : [];
    this.#known = isKept ? head : null;
    this.#lengthAt = lengthAt;
    return head;
  }

  #match(raw: readonly string[]): Http2Head | null {
    const known = this.#known;
    const before = this.#raw;
    if (known === null || raw.length !== before.length) return null;
    let length: string | null = null;
    // Pseudo-fields stand first (RFC 9113 §8.3). They may come in another order, and are read in any case.
    let i = 0;
    for (; i < raw.length && raw[i]?.charCodeAt(0) === 0x3a; i += 2)
      if (before[i]?.charCodeAt(0) !== 0x3a) return null;
    const pseudoEnd = i;
    for (; i < raw.length; i += 2) {
      if (raw[i] !== before[i]) return null;
      if (raw[i] === "content-length") length = raw[i + 1] ?? "";
      else if (raw[i + 1] !== before[i + 1]) return null;
    }
    if (length !== null && !plainNumber.test(length)) return null;
    const bodyBytes = length === null ? null : Number(length);
    const fields =
      length === null || bodyBytes === known.bodyBytes
        ? known.fields
        : known.fields.with(this.#lengthAt, length);
    const likeness = known.likeness ?? {};
    if (known.likeness === null) this.#known = { ...known, likeness };
    return {
      ...readHead(raw.slice(0, pseudoEnd), likeness),
      fields,
      expectsContinue: known.expectsContinue,
      bodyBytes,
    };
  }
}

/** The place of a field's value; 0: there is none. */
function valueAt(fields: readonly string[], name: string): number {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return i + 1;
  return 0;
}

/**
 * Splits nghttp2's list into pseudo-fields and field lines; cookie crumbs become one line (RFC 9113 §8.2.3). nghttp2 has refused what
 * names a pseudo-field twice, behind a field, or one that a request has not.
 */
function readHead(raw: readonly string[], likeness: Likeness | null): Http2Head {
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
    likeness,
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

const lengthBit = saidOnce.get("content-length") ?? 0;

interface Section {
  readonly status: number;
  /** As Node takes it: names in lower case, in our order. */
  readonly list: string[];
  /** Bits of `saidOnce`. */
  readonly said: number;
}

/** The same list goes with many answers when it is frozen: it is gone through once. */
const sections = new WeakMap<readonly string[], Section>();

/** The field section of an answer as Node takes it, with this Content-Length; null: without one of ours. */
export function answerFields(status: number, fields: readonly string[], bytes: number | null): string[] {
  const isKept = Object.isFrozen(fields);
  let section = isKept ? sections.get(fields) : undefined;
  if (section?.status !== status) {
    section = sectionOf(status, fields);
    if (isKept) sections.set(fields, section);
  }
  // Node puts a Date into it.
  const list = isKept ? section.list.slice() : section.list;
  if (bytes !== null && (section.said & lengthBit) === 0) list.push("content-length", String(bytes));
  return list;
}

function sectionOf(status: number, fields: readonly string[]): Section {
  const list = [":status", String(status)];
  let said = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const name = lowerName(fields[i] ?? "");
    const bit = saidOnce.get(name);
    if (bit !== undefined) {
      // Odoo or an add-on said it twice. The first holds: a client would choose.
      if ((said & bit) !== 0) continue;
      said |= bit;
    }
    list.push(name, fields[i + 1] ?? "");
  }
  return { status, list, said };
}
