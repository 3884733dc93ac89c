import { fieldLineBytesMax, fieldLinesMax, fieldsBytesMax } from "./bounds.ts";
import type { Protocol, RawFields } from "./facts.ts";
import {
  connectionTokens,
  fieldValues,
  firstField,
  hasUnderscore,
  isFieldName,
  isFieldValue,
  isToken,
  trimOws,
} from "./fields.ts";
import type { RefusalCode } from "./refusals.ts";

/** Fields that decide something, here or in Odoo: no underscore twin and no connection option may touch them. */
const names: ReadonlySet<string> = new Set([
  "host",
  "content-length",
  "content-type",
  "content-encoding",
  "transfer-encoding",
  "cookie",
  "authorization",
  "origin",
  "expect",
  "forwarded",
  "x-real-ip",
  "x-request-id",
  "x-requested-with",
  "true-client-ip",
  "cf-connecting-ip",
]);
const prefixes: readonly string[] = [
  "x-forwarded-",
  "x-odoo-",
  "x-openerp-",
  "x-original-",
  "x-rewrite-",
  "sec-websocket-",
];
/** Beyond those, what a twin must not imitate: the fields that steer the connection itself. */
const steering: ReadonlySet<string> = new Set(["connection", "upgrade", "http2-settings"]);
/** One value each; two are two readings (RFC 9110 §5.3). */
const singletons: readonly string[] = [
  "content-type",
  "authorization",
  "origin",
  "sec-websocket-key",
  "sec-websocket-version",
  "x-odoo-database",
];
/** RFC 9113 §8.2.2; `te` may say `trailers`. */
const connectionSpecific: readonly string[] = ["connection", "keep-alive", "proxy-connection", "upgrade"];

const plainMediaType = /^[!-+\--~]*$/;

function matters(lowerName: string): boolean {
  return names.has(lowerName) || prefixes.some((prefix) => lowerName.startsWith(prefix));
}

/**
 * Every field line by itself: the bounds (RFC 6585 §5), name and value syntax (RFC 9110 §5.1, §5.5), and
 * no name that becomes a field that matters when `_` is read as `-`, as Odoo's WSGI server does
 * (measured on 8069: `Content_Length` overrides Content-Length). Other names with `_` are dropped outbound.
 */
export function fieldLinesRefusal(fields: RawFields): RefusalCode | null {
  if (fields.length > 2 * fieldLinesMax) return "fields-too-many";
  let bytes = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? "";
    const value = fields[i + 1];
    if (value === undefined) return "field-value-malformed";
    const lineBytes = name.length + value.length;
    if (lineBytes > fieldLineBytesMax) return "field-too-large";
    bytes += lineBytes + 4;
    if (bytes > fieldsBytesMax) return "fields-too-large";
    if (!isFieldName(name)) return "field-name-malformed";
    if (!isFieldValue(value)) return "field-value-malformed";
    if (hasUnderscore(name) && isTwin(name)) return "field-underscore-twin";
  }
  return null;
}

function isTwin(name: string): boolean {
  const folded = name.toLowerCase().replaceAll("_", "-");
  return matters(folded) || steering.has(folded);
}

/** Fields with one value that came twice, a Content-Type with two readings, fields that HTTP/2 has not. */
export function fieldSetRefusal(protocol: Protocol, fields: RawFields): RefusalCode | null {
  for (const name of singletons) {
    if (fieldValues(fields, name).length > 1) return "field-repeated";
  }
  // Werkzeug 2.2 ends the media type at a comma or at what Python calls a space (U+0085 too), we at `;`.
  const contentType = firstField(fields, "content-type");
  if (contentType !== null && !plainMediaType.test(trimOws(contentType.split(";", 1)[0] ?? "")))
    return "content-type-ambiguous";
  if (firstField(fields, "http2-settings") !== null) return "http2-settings";
  if (protocol === "HTTP/2") {
    if (connectionSpecific.some((name) => firstField(fields, name) !== null))
      return "field-connection-specific";
    const te = fieldValues(fields, "te");
    if (te.some((value) => value.toLowerCase() !== "trailers")) return "field-connection-specific";
  }
  return null;
}

/**
 * Connection options are tokens and name no field that has to reach Odoo: a proxy that obeyed
 * `Connection: X-Forwarded-For` would strip what the next hop trusts (RFC 9110 §7.6.1).
 */
export function connectionRefusal(fields: RawFields): RefusalCode | null {
  for (const option of connectionTokens(fields)) {
    if (!isToken(option)) return "connection-malformed";
    if (matters(option.replaceAll("_", "-"))) return "connection-nominates";
  }
  return null;
}
