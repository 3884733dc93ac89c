import type { RawFields } from "./facts.ts";
import { fieldValues, firstField } from "./fields.ts";

/** An entity tag without its marks: `W/"x"` and `"x"` have the same opaque text (RFC 9110 §8.8.3). */
export interface EntityTag {
  readonly opaque: string;
  readonly weak: boolean;
}

const tag = /^(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"$/;
const opaqueText = /^[\x21\x23-\x7e\x80-\xff]*$/;
const months = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec";
const time = "([0-9]{2}:[0-9]{2}:[0-9]{2})";
/** RFC 9110 §5.6.7: the form that is sent, and the two that have to be read too. */
const imfDate = new RegExp(
  `^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{2}) (${months}) ([0-9]{4}) ${time} GMT$`,
);
const rfc850Date = new RegExp(
  `^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, ([0-9]{2})-(${months})-([0-9]{2}) ${time} GMT$`,
);
const asctimeDate = new RegExp(
  `^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (${months}) ([0-9]{2}| [0-9]) ${time} ([0-9]{4})$`,
);
/** Years of two digits from here on are of the century before, as in cookies (RFC 6265 §5.1.1). */
const lastCentury = 70;

/** Reads one entity tag; null when it is none. */
export function parseTag(text: string | null): EntityTag | null {
  const match = text === null ? null : tag.exec(text);
  return match === null ? null : { opaque: match[2] ?? "", weak: match[1] !== undefined };
}

/** Reads an HTTP date as milliseconds since 1970; null when it is none. */
export function parseHttpDate(text: string | null): number | null {
  if (text === null) return null;
  const sent = imfDate.exec(text);
  if (sent !== null) return utc(sent[1], sent[2], sent[3], sent[4]);
  const dashed = rfc850Date.exec(text);
  if (dashed !== null) return utc(dashed[1], dashed[2], fullYear(dashed[3] ?? ""), dashed[4]);
  const plain = asctimeDate.exec(text);
  return plain === null ? null : utc(plain[2]?.trim(), plain[1], plain[4], plain[3]);
}

function utc(day = "", month = "", year = "", clock = ""): number | null {
  const ms = Date.parse(`${day} ${month} ${year} ${clock} GMT`);
  return Number.isNaN(ms) ? null : ms;
}

function fullYear(twoDigits: string): string {
  return Number(twoDigits) < lastCentury ? `20${twoDigits}` : `19${twoDigits}`;
}

/** What If-None-Match asks for: the opaque texts of its tags, "any" for `*`, null when absent or not understood. */
export function readNoneMatch(fields: RawFields): readonly string[] | "any" | null {
  const lines = fieldValues(fields, "if-none-match");
  if (lines.length === 0) return null;
  const value = lines.join(",");
  if (value === "*") return "any";
  return readTags(value);
}

/**
 * The opaque texts of a list of tags, empty elements left out; null when it is none. Not a regular expression: white space between commas can be shared out in
 * many ways, and one that tries them all takes for ever over a list of thirty that ends badly.
 */
function readTags(value: string): readonly string[] | null {
  const tags: string[] = [];
  for (let at = skipBlanks(value, 0); at < value.length; at = skipBlanks(value, at)) {
    if (value[at] === ",") {
      at += 1;
      continue;
    }
    const start = value.startsWith("W/", at) ? at + 2 : at;
    const end = value[start] === '"' ? value.indexOf('"', start + 1) : -1;
    const opaque = value.slice(start + 1, end);
    if (end < 0 || !opaqueText.test(opaque)) return null;
    tags.push(opaque);
    at = skipBlanks(value, end + 1);
    if (at < value.length && value[at] !== ",") return null;
  }
  return tags.length === 0 ? null : tags;
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (text[at] === " " || text[at] === "\t") at += 1;
  return at;
}

/** Part of a body, both ends included. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/**
 * What a GET's Range field asks of a body of `size` bytes: one range, "unsatisfiable" (416), or "whole": no Range, several ranges,
 * another unit, or a field that is malformed or repeated (RFC 9110 §14.2: a server may ignore it).
 */
export function readRange(fields: RawFields, size: number): ByteRange | "whole" | "unsatisfiable" {
  const lines = fieldValues(fields, "range");
  const match = lines.length === 1 ? /^bytes=([0-9]{0,15})-([0-9]{0,15})$/i.exec(lines[0] ?? "") : null;
  if (match === null) return "whole";
  const [, from = "", to = ""] = match;
  if (from === "" && to === "") return "whole";
  if (from === "") {
    const suffix = Number(to);
    return suffix === 0 || size === 0
      ? "unsatisfiable"
      : { first: Math.max(0, size - suffix), last: size - 1 };
  }
  const first = Number(from);
  if (to !== "" && Number(to) < first) return "whole";
  if (first >= size) return "unsatisfiable";
  return { first, last: to === "" ? size - 1 : Math.min(Number(to), size - 1) };
}

/**
 * Does If-Range let a range through: absent, or the strong tag, or the very date. A weak tag never does (RFC 9110 §13.1.5).
 */
export function rangeHolds(fields: RawFields, etag: EntityTag | null, lastModified: string | null): boolean {
  const value = firstField(fields, "if-range");
  if (value === null) return true;
  const asked = parseTag(value);
  if (asked !== null) return etag !== null && !etag.weak && !asked.weak && asked.opaque === etag.opaque;
  return lastModified !== null && value === lastModified;
}
