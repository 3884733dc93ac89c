import type { RawFields } from "./facts.ts";
import { fieldName, lowerName, lowerNames } from "./field-names.ts";

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// Anything above U+00FF would lose its high byte on the wire: U+010A would become a line feed.
const value = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * Fields that concern one connection only and are never passed on (RFC 9110 §7.6.1), in lower case.
 * Whatever the message's own Connection field names comes on top: `connectionTokens`.
 */
export const hopByHop: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Is the text a token (RFC 9110 §5.6.2): a method, a field name, a connection option. */
export function isToken(text: string): boolean {
  return token.test(text);
}

/** The same of a field name; quicker for names that were seen before. */
export function isFieldName(name: string): boolean {
  return fieldName(name).isToken;
}

/** Is the text a field value (RFC 9110 §5.5): no control character but HTAB; obs-text is let through. */
export function isFieldValue(text: string): boolean {
  return value.test(text);
}

/** Python's WSGI folds `-` and `_` of field names into one; such names never go to Odoo. */
export function hasUnderscore(name: string): boolean {
  return name.includes("_");
}

/** Does the raw name equal this name, given in lower case. */
export function nameIs(name: string, lower: string): boolean {
  return name.length === lower.length && lowerName(name) === lower;
}

/**
 * Without leading and trailing spaces and tabs (RFC 9110 §5.6.3). Not `trim`, which also takes U+00A0; not a
 * regular expression, which takes quadratic time on a long run of spaces inside.
 */
export function trimOws(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isOws(text.charCodeAt(start))) start += 1;
  while (end > start && isOws(text.charCodeAt(end - 1))) end -= 1;
  return end - start === text.length ? text : text.slice(start, end);
}

function isOws(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

const none: readonly string[] = Object.freeze([]);

/** All values of one field, in order, without surrounding white space; the name is given in lower case. */
export function fieldValues(fields: RawFields, lower: string): readonly string[] {
  const names = lowerNames(fields);
  let at = names.indexOf(lower);
  if (at < 0) return none;
  const found: string[] = [];
  for (; at >= 0; at = names.indexOf(lower, at + 1)) found.push(trimOws(fields[2 * at + 1] ?? ""));
  return found;
}

/** The first value of a field, or null; for fields already known not to repeat. */
export function firstField(fields: RawFields, lower: string): string | null {
  const at = lowerNames(fields).indexOf(lower);
  return at < 0 ? null : trimOws(fields[2 * at + 1] ?? "");
}

/** Elements of a comma-separated list over all its lines, trimmed, empty ones dropped (RFC 9110 §5.6.1). */
export function listElements(fields: RawFields, lower: string): readonly string[] {
  const lines = fieldValues(fields, lower);
  if (lines.length === 0) return none;
  const elements: string[] = [];
  for (const line of lines) {
    for (const part of line.split(",")) {
      const element = trimOws(part);
      if (element !== "") elements.push(element);
    }
  }
  return elements;
}

/** The options of the Connection field in lower case (RFC 9110 §7.6.1), tokens or not. */
export function connectionTokens(fields: RawFields): readonly string[] {
  const options = listElements(fields, "connection");
  return options.length === 0 ? none : options.map((option) => option.toLowerCase());
}
