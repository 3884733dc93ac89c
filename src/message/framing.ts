import type { Protocol, RawFields } from "./facts.ts";
import { fieldValues, isToken, listElements } from "./fields.ts";
import type { RefusalCode } from "./refusals.ts";

// No leading zeros: 010 is eight to some. 16 digits, and the comparison below keeps it under 2^53.
const decimal = /^(?:0|[1-9][0-9]{0,15})$/;

/**
 * The line before a chunk, with its CRLF (RFC 9112 §7.1), without the spaces that are called bad there: a size below 2^53, captured, and
 * extensions whose values are tokens or quoted.
 */
export const chunkLine =
  /^([0-9a-fA-F]{1,13})(?:;[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:=(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e])*"))?)*\r\n$/;

/**
 * How the end of the body is found, with one meaning only (RFC 9112 §6): either one plain Content-Length up
 * to 2^53 − 1, or on HTTP/1.1 exactly `Transfer-Encoding: chunked`, or neither. The code of what is wrong, or null.
 */
export function framingRefusal(protocol: Protocol, fields: RawFields): RefusalCode | null {
  const lengths = fieldValues(fields, "content-length");
  const codings = fieldValues(fields, "transfer-encoding");
  if (lengths.length > 0 && codings.length > 0) return "length-and-coding";
  return lengthRefusal(lengths) ?? codingRefusal(protocol, codings, fields);
}

function lengthRefusal(lengths: readonly string[]): RefusalCode | null {
  const [length] = lengths;
  if (length === undefined) return null;
  if (lengths.length > 1) return "length-repeated";
  if (!decimal.test(length) || Number(length) > Number.MAX_SAFE_INTEGER) return "length-malformed";
  return null;
}

function codingRefusal(
  protocol: Protocol,
  codings: readonly string[],
  fields: RawFields,
): RefusalCode | null {
  const [coding] = codings;
  if (coding === undefined) return null;
  // RFC 9112 §6.1: with HTTP/1.0 the framing is to be taken as faulty; RFC 9113 §8.2.2: not in HTTP/2.
  if (protocol !== "HTTP/1.1") return "coding-version";
  if (codings.length === 1 && coding.toLowerCase() === "chunked") return null;
  const names = listElements(fields, "transfer-encoding").map((name) => name.toLowerCase());
  const first = names.indexOf("chunked");
  if (names.length === 0 || !names.every((name) => isToken(name.split(";", 1)[0] ?? "")))
    return "coding-malformed";
  // Chunked twice, before another coding, or with an empty element beside it.
  if (first !== -1 && (first !== names.length - 1 || names.length === 1)) return "coding-malformed";
  return "coding-unknown";
}

/**
 * Only `100-continue` may be expected (RFC 9110 §10.1.1). HTTP/1.0 has no expectations: there the field is
 * ignored, and the outbound stage drops it.
 */
export function expectRefusal(protocol: Protocol, fields: RawFields): RefusalCode | null {
  if (protocol === "HTTP/1.0") return null;
  const expectations = fieldValues(fields, "expect");
  if (expectations.length === 0) return null;
  const [expectation] = expectations;
  return expectations.length === 1 && expectation?.toLowerCase() === "100-continue"
    ? null
    : "expectation-unknown";
}
