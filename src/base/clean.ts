/**
 * What a terminal, a log viewer or a line-based tool could take for something else: C0 and C1 controls and DEL, line and
 * paragraph separators, marks that turn or hide text, halves of surrogate pairs, and the two
 * units that are no characters, which XML (JUnit) does not allow.
 */
const unsafe =
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
const unsafeAll = new RegExp(unsafe.source, "g");

/** Longest text of a field in a log line, in UTF-16 units; the rest is cut and `…` says so. */
export const fieldLengthMax = 1_024;

/** A value from outside, fit for a log line: unsafe characters written out (`\x1b`, `\u202e`), cut at `lengthMax`. */
export function cleanText(text: string, lengthMax: number = fieldLengthMax): string {
  const short = text.length > lengthMax ? `${text.slice(0, lengthMax)}…` : text;
  return unsafe.test(short) ? short.replace(unsafeAll, written) : short;
}

function written(unit: string): string {
  const hex = unit.charCodeAt(0).toString(16);
  return hex.length <= 2 ? `\\x${hex.padStart(2, "0")}` : `\\u${hex.padStart(4, "0")}`;
}
