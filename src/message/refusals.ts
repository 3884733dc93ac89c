import { err } from "../base/result.ts";
import type { Refusal } from "./facts.ts";

interface RefusalRow {
  readonly status: number;
  /** One sentence; never echoes the request. */
  readonly detail: string;
  readonly headers?: readonly string[];
}

/**
 * Every refusal of the message room: status, stable code, one sentence. The documentation lists this table,
 * logs and metrics use its keys. The rule behind it: what can be read two ways is refused, not repaired.
 */
export const refusals = {
  "version-unsupported": {
    status: 505,
    detail: "Only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here (RFC 9110 §15.6.6).",
  },
  "method-malformed": { status: 400, detail: "The method is not a token (RFC 9110 §9.1)." },
  "method-not-allowed": { status: 405, detail: "This method is not allowed here (RFC 9110 §15.5.6)." },
  "method-unknown": { status: 501, detail: "This method is not known here (RFC 9110 §15.6.2)." },

  "fields-too-many": { status: 431, detail: "There are too many field lines (RFC 6585 §5)." },
  "field-too-large": { status: 431, detail: "A field line is too long (RFC 6585 §5)." },
  "fields-too-large": { status: 431, detail: "The field lines together are too long (RFC 6585 §5)." },
  "field-name-malformed": { status: 400, detail: "A field name is not a token (RFC 9110 §5.1)." },
  "field-value-malformed": {
    status: 400,
    detail: "A field value holds a control character (RFC 9110 §5.5).",
  },
  "field-underscore-twin": {
    status: 400,
    detail: "A field name with an underscore would be taken for a field that matters (WSGI folds _ and -).",
  },
  "field-repeated": { status: 400, detail: "A field that has one value came twice (RFC 9110 §5.3)." },
  "field-connection-specific": {
    status: 400,
    detail: "HTTP/2 has no connection-specific fields (RFC 9113 §8.2.2).",
  },
  "content-type-ambiguous": {
    status: 400,
    detail: "The Content-Type holds a comma or a space before its parameters (RFC 9110 §8.3.1).",
  },
  "http2-settings": {
    status: 400,
    detail: "An upgrade from HTTP/1.1 to HTTP/2 is not offered (RFC 9113 §3.1).",
  },

  "target-empty": { status: 400, detail: "The request target is empty (RFC 9112 §3.2)." },
  "target-form": {
    status: 400,
    detail: "Only the origin form of a request target, beginning with /, is accepted (RFC 9112 §3.2.1).",
  },
  "target-too-long": { status: 414, detail: "The request target is too long (RFC 9110 §15.5.15)." },
  "target-character": {
    status: 400,
    detail: "The request target holds a character that is not visible ASCII (RFC 3986 §2).",
  },
  "target-fragment": { status: 400, detail: "A request target has no fragment (RFC 9112 §3.2)." },
  "target-backslash": { status: 400, detail: "The path holds a backslash, which some read as a slash." },
  "target-double-slash": {
    status: 400,
    detail: "A target that begins with two slashes can be read as a host (RFC 3986 §4.2).",
  },
  "target-escape-broken": { status: 400, detail: "The path holds a broken percent escape (RFC 3986 §2.1)." },
  "target-escape-nested": { status: 400, detail: "The path is percent-encoded twice (RFC 3986 §2.4)." },
  "target-utf8": { status: 400, detail: "The path's percent escapes are not UTF-8 (RFC 3629 §3)." },
  "target-control": { status: 400, detail: "The path holds an encoded control character." },
  "target-encoded-separator": {
    status: 400,
    detail: "The path holds an encoded slash or backslash, which hides a segment (RFC 3986 §7.3).",
  },
  "target-dot-segment": { status: 400, detail: "The path holds a dot segment (RFC 3986 §3.3)." },
  "target-space": { status: 400, detail: "A path segment begins or ends with an encoded space." },
  "target-drive": {
    status: 400,
    detail: "A path segment looks like a Windows drive, which leaves the static folder (CVE-2019-14322).",
  },
  "target-query-nul": { status: 400, detail: "The query holds an encoded NUL." },

  "host-missing": { status: 400, detail: "The request names no host (RFC 9112 §3.2)." },
  "host-repeated": { status: 400, detail: "The request names more than one host (RFC 9112 §3.2)." },
  "host-malformed": { status: 400, detail: "The host is no name or address with an optional port." },
  "host-differs": {
    status: 400,
    detail: "Host and :authority name different hosts (RFC 9113 §8.3.1).",
  },
  "scheme-differs": {
    status: 400,
    detail: "The :scheme is not that of the connection (RFC 9110 §7.4).",
  },
  "host-unknown": {
    status: 421,
    detail: "This host name or port is not served here (RFC 9110 §15.5.20).",
  },
  "host-unknown-plain": { status: 400, detail: "This host name or port is not served here." },

  "length-and-coding": {
    status: 400,
    detail: "Content-Length and Transfer-Encoding together are how requests are smuggled (RFC 9112 §6.1).",
  },
  "length-repeated": {
    status: 400,
    detail: "Content-Length came twice (RFC 9112 §6.3).",
  },
  "length-malformed": {
    status: 400,
    detail: "Content-Length is not one plain decimal number (RFC 9110 §8.6).",
  },
  "coding-malformed": {
    status: 400,
    detail: "Transfer-Encoding is not exactly one chunked, last (RFC 9112 §6.1).",
  },
  "coding-unknown": {
    status: 501,
    detail: "No transfer coding but chunked is understood (RFC 9112 §6.1).",
  },
  "coding-version": {
    status: 400,
    detail: "Transfer-Encoding belongs to HTTP/1.1 only (RFC 9112 §6.1, RFC 9113 §8.2.2).",
  },
  "expectation-unknown": {
    status: 417,
    detail: "No expectation but 100-continue is understood (RFC 9110 §10.1.1).",
  },
  "connection-malformed": { status: 400, detail: "A connection option is not a token (RFC 9110 §7.6.1)." },
  "connection-nominates": {
    status: 400,
    detail: "A connection option names a field that has to reach Odoo (RFC 9110 §7.6.1).",
  },

  "upgrade-method": { status: 400, detail: "A WebSocket handshake is a GET (RFC 6455 §4.2.1)." },
  "upgrade-version": {
    status: 400,
    detail: "An upgrade is offered on HTTP/1.1 only (RFC 9110 §7.8, RFC 6455 §4.2.1).",
  },
  "upgrade-unknown": {
    status: 400,
    detail: "No upgrade but websocket is offered, by Upgrade and Connection together (RFC 6455 §4.2.1).",
  },
  "upgrade-key": {
    status: 400,
    detail: "Sec-WebSocket-Key is not 16 bytes in base64, once (RFC 6455 §4.2.1).",
  },
  "upgrade-websocket-version": {
    status: 426,
    detail: "Only version 13 of the WebSocket protocol is spoken here (RFC 6455 §4.4).",
    headers: ["Upgrade", "websocket", "Sec-WebSocket-Version", "13"],
  },
  "upgrade-offer": {
    status: 400,
    detail: "A WebSocket subprotocol is not a token (RFC 6455 §4.1).",
  },
  "upgrade-body": { status: 400, detail: "A WebSocket handshake has no body (RFC 6455 §4.1)." },
} satisfies Readonly<Record<string, RefusalRow>>;

export type RefusalCode = keyof typeof refusals;

/** The refusal of that code. `headers` are added to those of the table (405 brings its `Allow`). */
export function refusal(code: RefusalCode, headers: readonly string[] = []): Refusal {
  const row: RefusalRow = refusals[code];
  const all = [...(row.headers ?? []), ...headers];
  const plain = { status: row.status, code, detail: row.detail };
  return all.length === 0 ? plain : { ...plain, headers: all };
}

/** The same as a failed result. */
export function refuse(
  code: RefusalCode,
  headers: readonly string[] = [],
): { readonly ok: false; readonly error: Refusal } {
  return err(refusal(code, headers));
}
