import type { Ip } from "../base/ip.ts";
import { ok, type Result } from "../base/result.ts";
import { joinCookies, readCookie } from "./cookies.ts";
import type { Protocol, RawFields, Refusal, RequestFacts } from "./facts.ts";
import { connectionRefusal, fieldLinesRefusal, fieldSetRefusal } from "./field-lines.ts";
import { fieldValues, firstField, nameIs, trimOws } from "./fields.ts";
import { clientAddress } from "./forwarded.ts";
import { expectRefusal, framingRefusal } from "./framing.ts";
import { asksUpgrade, readHandshake } from "./handshake.ts";
import { authorityOf, requestHost } from "./host.ts";
import { methodRefusal } from "./methods.ts";
import { refuse } from "./refusals.ts";
import type { Site } from "./site.ts";
import { readTarget } from "./target.ts";

/** A request head as a listener hands it over; nothing in it is believed yet. */
export interface IncomingHead {
  readonly protocol: Protocol;
  readonly method: string;
  readonly target: string;
  readonly fields: RawFields;
  /** HTTP/2 `:authority`; null on HTTP/1. */
  readonly authority: string | null;
  /** HTTP/2 `:scheme`; null on HTTP/1. */
  readonly scheme: string | null;
  readonly peer: Ip;
  readonly secure: boolean;
  /** The port the connection was accepted on. */
  readonly localPort: number;
}

/**
 * The unconditional checks: a message with exactly one meaning becomes facts, any other is refused (codes in
 * `refusals`). Pure; the order is version, method, field lines, target, host, framing, connection, upgrade,
 * so that the cheapest check comes first and nothing is read out of a malformed field.
 */
export function screen(message: IncomingHead, site: Site): Result<RequestFacts, Refusal> {
  const { protocol, method, fields } = message;
  if (!isSpoken(protocol)) return refuse("version-unsupported");
  const methodCode = methodRefusal(method, site.methods);
  if (methodCode === "method-not-allowed")
    // RFC 9110 §15.5.6: a 405 has to say what is allowed.
    return refuse(methodCode, ["Allow", [...site.methods].join(", ")]);
  if (methodCode !== null) return refuse(methodCode);
  const lineCode = fieldLinesRefusal(fields);
  if (lineCode !== null) return refuse(lineCode);
  const target = readTarget(message.target);
  if (!target.ok) return target;
  const host = requestHost(message, site);
  if (!host.ok) return host;
  const fieldCode =
    framingRefusal(protocol, fields) ??
    expectRefusal(protocol, fields) ??
    fieldSetRefusal(protocol, fields) ??
    connectionRefusal(fields);
  if (fieldCode !== null) return refuse(fieldCode);
  let upgrade: "websocket" | null = null;
  if (asksUpgrade(fields)) {
    // Odoo answers 400 to upgrade fields on any other route: they are a handshake or nothing.
    const handshake = readHandshake(message);
    if (!handshake.ok) return handshake;
    upgrade = "websocket";
  }
  const cookies = fieldValues(fields, "cookie");
  const cookie = cookies.length > 1 ? joinCookies(cookies) : (cookies[0] ?? "");
  const sender = clientAddress(message.peer, fields, site.trustedProxies);
  const { path, paths, pathsLower, query } = target.value;
  return ok({
    protocol,
    method,
    target: message.target,
    path,
    paths,
    pathsLower,
    query,
    host: host.value.host,
    authority: authorityOf(host.value, message.secure),
    peer: message.peer,
    client: sender.client,
    secure: message.secure,
    contentType: mediaType(firstField(fields, "content-type")),
    // An empty session cookie is no session: Odoo starts a new one.
    sessionId: readCookie(cookie, site.sessionCookie) || null,
    upgrade,
    fields: cookies.length > 1 ? withOneCookie(fields, cookie) : fields,
    untrustedForwarding: sender.untrustedForwarding,
  });
}

/** The type says so already; a listener that hands over "HTTP/0.9" or "HTTP/3" is not believed. */
function isSpoken(protocol: string): boolean {
  return protocol === "HTTP/1.1" || protocol === "HTTP/2" || protocol === "HTTP/1.0";
}

function mediaType(contentType: string | null): string {
  if (contentType === null) return "";
  const end = contentType.indexOf(";");
  return trimOws(end === -1 ? contentType : contentType.slice(0, end)).toLowerCase();
}

/** The same lines with one Cookie line where the first stood. */
function withOneCookie(fields: RawFields, cookie: string): RawFields {
  const out: string[] = [];
  let placed = false;
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? "";
    if (!nameIs(name, "cookie")) out.push(name, fields[i + 1] ?? "");
    else if (!placed) {
      out.push(name, cookie);
      placed = true;
    }
  }
  return out;
}
