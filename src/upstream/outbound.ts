import { flatLatin1 } from "../base/flat.ts";
import {
  deviceCookie,
  joinCookies,
  maintenanceCookie,
  odooSessionCookie,
  renameCookie,
} from "../message/cookies.ts";
import type { Likeness, RequestFacts } from "../message/facts.ts";
import { lowerName } from "../message/field-names.ts";
import { connectionTokens, hopByHop, isFieldValue, isToken, nameIs } from "../message/fields.ts";

export interface OutboundOptions {
  readonly exchangeId: string;
  /** Bytes of the buffered body; null when the message has none. */
  readonly bodyBytes: number | null;
  /** The bus port keeps connections; the web port answers one request each (odoo-wire 0). */
  readonly keepAlive: boolean;
  /** The client may choose a database by `X-Odoo-Database` (19): true only for networks the operator named. */
  readonly keepDatabaseField: boolean;
  /** DATABASE of this site; null or left out: Odoo chooses. */
  readonly database?: string | null;
  /** The name browsers know Odoo's session cookie by; `session_id` but on staging. */
  readonly sessionCookie: string;
  /** The cookie of our own that never goes to Odoo; null when there is none. */
  readonly ownCookie: string | null;
  /** The Authorization field was meant for us. */
  readonly dropAuthorization: boolean;
  /** We compress: Odoo, or what stands before it, is asked for plain bytes. */
  readonly identityOnly?: boolean;
}

/**
 * The fields of a request for Odoo, names and values alternating, built anew from the facts: nothing that says
 * who, where from or how framed is passed on, in any spelling. Forwarding fields are set, one value each
 * (odoo-wire i). Names with `_` go, because WSGI folds them onto ours.
 */
export function outboundFields(facts: RequestFacts, options: OutboundOptions): string[] {
  const out: string[] = [];
  addSender(facts, options, out);
  addPassing(facts, options, out);
  addClients(facts, options, out);
  return out;
}

/**
 * The same as text, each field in a line of its own. What is the same for all requests with equal fields is put together once
 * for them.
 */
export function outboundLines(facts: RequestFacts, options: OutboundOptions): string {
  const { sender, clients } = lastingLines(facts, options);
  const passing: string[] = [];
  addPassing(facts, options, passing);
  return sender + linesOf(passing) + clients;
}

/** Field lines as they stand in a head (RFC 9112 §5), each with its CRLF. */
export function linesOf(fields: readonly string[]): string {
  let text = "";
  for (let i = 0; i + 1 < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return text;
}

/** What each request has for itself. */
function addPassing(facts: RequestFacts, options: OutboundOptions, out: string[]): void {
  const { exchangeId, keepAlive, bodyBytes } = options;
  const { method } = facts;
  out.push("X-Request-Id", exchangeId, "Connection", keepAlive ? "keep-alive" : "close");
  if (bodyBytes !== null || method === "POST" || method === "PUT" || method === "PATCH")
    out.push("Content-Length", String(bodyBytes ?? 0));
}

function addClients(facts: RequestFacts, options: OutboundOptions, out: string[]): void {
  if (options.identityOnly === true) out.push("Accept-Encoding", "identity");
  copyClientFields(facts, options, out, false);
}

/** Lines that were put together before, with all they depend on beside the fields. */
interface LastingLines {
  readonly authority: string;
  readonly client: string;
  readonly secure: boolean;
  readonly options: OutboundOptions;
  readonly sender: string;
  readonly clients: string;
}

const lasting = new WeakMap<Likeness, LastingLines>();

function lastingLines(facts: RequestFacts, options: OutboundOptions): LastingLines {
  const { likeness, authority, client, secure } = facts;
  const before = likeness == null ? undefined : lasting.get(likeness);
  if (before !== undefined && isFor(before, facts, options)) return before;
  const sender: string[] = [];
  addSender(facts, options, sender);
  const clients: string[] = [];
  addClients(facts, options, clients);
  const texts = { sender: flatLatin1(linesOf(sender)), clients: flatLatin1(linesOf(clients)) };
  const lines = { authority, client: client.text, secure, options, ...texts };
  if (likeness != null) lasting.set(likeness, lines);
  return lines;
}

function isFor(before: LastingLines, facts: RequestFacts, options: OutboundOptions): boolean {
  return (
    before.authority === facts.authority &&
    before.client === facts.client.text &&
    before.secure === facts.secure &&
    before.options.keepDatabaseField === options.keepDatabaseField &&
    before.options.database === options.database &&
    before.options.sessionCookie === options.sessionCookie &&
    before.options.ownCookie === options.ownCookie &&
    before.options.dropAuthorization === options.dropAuthorization &&
    before.options.identityOnly === options.identityOnly
  );
}

/** The fields of a WebSocket opening handshake for Odoo: as above, and of the upgrade exactly what RFC 6455 §4.1 asks for. */
export function outboundHandshakeFields(facts: RequestFacts, options: OutboundOptions): string[] {
  const out: string[] = [];
  addSender(facts, options, out);
  out.push("X-Request-Id", options.exchangeId, "Connection", "Upgrade", "Upgrade", "websocket");
  copyClientFields(facts, options, out, true);
  return out;
}

function addSender(facts: RequestFacts, { database }: OutboundOptions, out: string[]): void {
  // Odoo itself does not know the field; OCA's dbfilter_from_header takes the database by it, as a pattern.
  if (database != null) out.push("X-Odoo-dbfilter", `^${database.replaceAll(".", "\\.")}$`);
  out.push(
    "Host",
    facts.authority,
    "X-Forwarded-For",
    facts.client.text,
    "X-Forwarded-Host",
    facts.authority,
    "X-Forwarded-Proto",
    // Plain only where the operator opened plain HTTP on purpose; everything else was redirected long before.
    facts.secure ? "https" : "http",
    "X-Real-IP",
    facts.client.text,
  );
}

function copyClientFields(
  facts: RequestFacts,
  options: OutboundOptions,
  out: string[],
  handshake: boolean,
): void {
  const { fields } = facts;
  const nominated = connectionTokens(fields);
  const cookies: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? "";
    const value = fields[i + 1] ?? "";
    switch (fate(name)) {
      case "drop":
        continue;
      case "cookie":
        cookies.push(value);
        continue;
      case "database":
        if (!options.keepDatabaseField) continue;
        break;
      case "authorization":
        if (options.dropAuthorization) continue;
        break;
      case "websocket":
        if (!handshake) continue;
        break;
      case "coding":
        if (options.identityOnly === true && !handshake) continue;
        break;
      case "pass":
        break;
    }
    if (nominated.length > 0 && nominated.includes(lowerName(name))) continue;
    // The screen has refused such values already; here it costs little to be sure that one line stays one line.
    if (isFieldValue(value)) out.push(name, value);
  }
  const cookie = odooCookies(cookies, options);
  // One line: Odoo's web port joins two with a comma and loses the session (odoo-wire 0).
  if (cookie !== "") out.push("Cookie", cookie);
}

function odooCookies(lines: readonly string[], options: OutboundOptions): string {
  if (lines.length === 0) return "";
  let line = joinCookies(lines);
  if (options.sessionCookie !== odooSessionCookie)
    line = renameCookie(line, options.sessionCookie, odooSessionCookie);
  for (const own of [options.ownCookie, deviceCookie, maintenanceCookie]) {
    if (own === null || !line.includes(own)) continue;
    const kept = line
      .split(";")
      .filter((pair) => pair.trim() !== own && !pair.trimStart().startsWith(`${own}=`));
    line = kept.join(";").trim();
  }
  return isFieldValue(line) ? line : "";
}

type Fate = "pass" | "drop" | "cookie" | "database" | "authorization" | "websocket" | "coding";

/** Browsers send the same few names again and again; their fate is looked up by exact spelling. */
const fates = new Map<string, Fate>();
/** Spellings remembered; past it the table is emptied, so a client that invents names costs a look-up each and no memory. */
const fatesMax = 1_024;

function fate(name: string): Fate {
  const before = fates.get(name);
  if (before !== undefined) return before;
  // Its own copy: a part of a head's text would keep all of that.
  const own = flatLatin1(name);
  const found = findFate(own);
  if (fates.size >= fatesMax) fates.clear();
  fates.set(own, found);
  return found;
}

function findFate(name: string): Fate {
  if (!isToken(name) || name.includes("_")) return "drop";
  const lower = name.toLowerCase();
  if (lower === "cookie") return "cookie";
  if (lower === "x-odoo-database") return "database";
  if (lower === "authorization") return "authorization";
  if (lower === "accept-encoding") return "coding";
  if (lower.startsWith("sec-websocket-")) return "websocket";
  if (hopByHop.has(lower) || dropped.has(lower)) return "drop";
  return droppedPrefixes.some((prefix) => lower.startsWith(prefix)) ? "drop" : "pass";
}

/** Names that claim an address, a host, a path or a method, by beginning. */
const droppedPrefixes: readonly string[] = [
  "x-forwarded",
  "x-forwarder",
  "x-odoo-",
  "x-openerp-",
  "x-original-",
  "x-rewrite-",
  "x-accel-",
  "x-sendfile",
  "proxy",
  "cf-connecting-",
  "x-envoy-",
];

const dropped: ReadonlySet<string> = new Set([
  // Ours to set.
  "host",
  "content-length",
  "x-real-ip",
  "x-request-id",
  // Between the client and us.
  "expect",
  "http2-settings",
  // Who the client is, in other words.
  "forwarded",
  "true-client-ip",
  "client-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "x-remote-ip",
  "x-remote-addr",
  "remote-addr",
  "x-originating-ip",
  "x-proxyuser-ip",
  "x-azure-clientip",
  "x-azure-socketip",
  "x-appengine-user-ip",
  "fastly-client-ip",
  "fly-client-ip",
  "wl-proxy-client-ip",
  // Another host, scheme, path or method than the request has.
  "x-host",
  "x-http-host-override",
  "x-server-name",
  "x-url-scheme",
  "x-scheme",
  "x-url",
  "front-end-https",
  "script-name",
  "path-info",
  "x-script-name",
  "x-http-method",
  "x-http-method-override",
  "x-method-override",
]);

/** Is this a field name that `outboundFields` never passes on from a client. */
export function isDroppedOutbound(name: string): boolean {
  return fate(name) === "drop" || nameIs(name, "x-odoo-database");
}
