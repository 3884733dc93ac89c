import type { Ip } from "../base/ip.ts";
import { ok, type Result } from "../base/result.ts";
import { joinCookies, readCookie } from "./cookies.ts";
import type { Likeness, Protocol, RawFields, Refusal, RequestFacts } from "./facts.ts";
import { connectionRefusal, fieldLinesRefusal, fieldSetRefusal } from "./field-lines.ts";
import { fieldValues, firstField, nameIs, trimOws } from "./fields.ts";
import { clientAddress } from "./forwarded.ts";
import { expectRefusal, framingRefusal } from "./framing.ts";
import { asksUpgrade, readHandshake } from "./handshake.ts";
import { authorityOf, requestHost } from "./host.ts";
import { methodRefusal } from "./methods.ts";
import { refuse } from "./refusals.ts";
import type { Site } from "./site.ts";
import { readTarget, type TargetReading } from "./target.ts";

/** A request head as a listener hands it over; nothing in it is believed yet. */
export interface IncomingHead {
  readonly protocol: Protocol;
  readonly method: string;
  readonly target: string;
  readonly fields: RawFields;
  /** What equal fields of this connection have in common; null or left out: nothing is known to be equal. */
  readonly likeness?: Likeness | null;
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
 * `refusals`). Pure but for what is remembered of equal fields; the order is version, method, field lines, target, host, framing, connection, upgrade,
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
  const known = message.likeness == null ? undefined : read.get(message.likeness);
  if (known !== undefined && holdsFor(known, message, site)) {
    const target = readTarget(message.target);
    return target.ok ? ok(factsOf(message, target.value, fields, known)) : target;
  }
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
  const sent: FieldsReading = {
    site,
    protocol,
    peer: message.peer,
    secure: message.secure,
    localPort: message.localPort,
    scheme: message.scheme,
    named: message.authority,
    host: host.value.host,
    authority: authorityOf(host.value, message.secure),
    client: sender.client,
    contentType: mediaType(firstField(fields, "content-type")),
    // An empty session cookie is no session: Odoo starts a new one.
    sessionId: readCookie(cookie, site.sessionCookie) || null,
    upgrade,
    untrustedForwarding: sender.untrustedForwarding,
  };
  // A handshake is read with its method, and two Cookie lines are put together anew: neither is remembered.
  if (message.likeness != null && upgrade === null && cookies.length < 2) read.set(message.likeness, sent);
  return ok(
    factsOf(message, target.value, cookies.length > 1 ? withOneCookie(fields, cookie) : fields, sent),
  );
}

/** What fields come to, on one connection and one site, whatever they are sent with. */
interface FieldsReading
  extends Pick<
    RequestFacts,
    | "protocol"
    | "peer"
    | "secure"
    | "host"
    | "authority"
    | "client"
    | "contentType"
    | "sessionId"
    | "upgrade"
    | "untrustedForwarding"
  > {
  readonly site: Site;
  readonly localPort: number;
  readonly scheme: string | null;
  /** HTTP/2 `:authority`. */
  readonly named: string | null;
}

/** Readings of fields that were found in order, framing included: an edge that finds equal fields has found their Content-Length a number. */
const read = new WeakMap<Likeness, FieldsReading>();

function holdsFor(known: FieldsReading, message: IncomingHead, site: Site): boolean {
  return (
    known.site === site &&
    known.protocol === message.protocol &&
    known.peer === message.peer &&
    known.secure === message.secure &&
    known.localPort === message.localPort &&
    known.scheme === message.scheme &&
    known.named === message.authority
  );
}

function factsOf(
  { protocol, method, target, peer, secure, likeness }: IncomingHead,
  { path, paths, pathsLower, query }: TargetReading,
  fields: RawFields,
  known: FieldsReading,
): RequestFacts {
  return {
    protocol,
    method,
    target,
    path,
    paths,
    pathsLower,
    query,
    host: known.host,
    authority: known.authority,
    peer,
    client: known.client,
    secure,
    contentType: known.contentType,
    sessionId: known.sessionId,
    upgrade: known.upgrade,
    likeness: likeness ?? null,
    fields,
    untrustedForwarding: known.untrustedForwarding,
  };
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
