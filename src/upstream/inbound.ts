import { hardenSetCookie, odooSessionCookie, renameSetCookie } from "../message/cookies.ts";
import type { RawFields, RequestFacts } from "../message/facts.ts";
import { fieldName } from "../message/field-names.ts";
import { connectionTokens, hopByHop, isFieldValue } from "../message/fields.ts";

export interface InboundOptions {
  /** `host` or `host:port` of a name we serve, for https URLs; null for a name that is not ours. */
  readonly authorityOf: (host: string) => string | null;
  /** The name browsers know Odoo's session cookie by; `session_id` but on staging. */
  readonly sessionCookie: string;
  /** The session is also used over the plain HTTP that the operator opened for this client: no Secure. */
  readonly cookieOverPlain?: boolean;
  /** Redirects to our own names become paths: the client asked by another name and over plain HTTP, and stays there. */
  readonly staysHere?: boolean;
  /** Where Odoo's redirect leads, when that is not where it says. */
  readonly location?: string | null;
  /** A Content-Length to tell although no body follows (HEAD); null: the edge writes what frames the body. */
  readonly headLength: number | null;
}

/**
 * The fields of Odoo's answer for the client, in Odoo's order: what concerns the connection, and what tells which software
 * answered, is out; the session cookie is hardened; a Location that leads to our own host over plain HTTP
 * or another port is set right. A field that is no field (bad name, control character) is dropped.
 */
export function inboundFields(
  upstream: RawFields,
  facts: Pick<RequestFacts, "secure" | "host" | "authority">,
  options: InboundOptions,
): string[] {
  const out: string[] = [];
  const nominated = connectionTokens(upstream);
  for (let i = 0; i + 1 < upstream.length; i += 2) {
    const name = upstream[i] ?? "";
    let value = upstream[i + 1] ?? "";
    const { lower, isToken } = fieldName(name);
    if (isDropped(lower) || !isToken || !isFieldValue(value)) continue;
    if (nominated.length > 0 && nominated.includes(lower) && !keptThoughNominated.has(lower)) continue;
    if (lower === "set-cookie")
      value = ownCookie(value, facts.secure && options.cookieOverPlain !== true, options.sessionCookie);
    else if (lower === "location" && options.location != null) value = options.location;
    else if (lower === "location" && facts.secure) value = ownLocation(value, facts, options);
    out.push(name, value);
  }
  if (options.headLength !== null) out.push("Content-Length", String(options.headLength));
  return out;
}

/** The fields of Odoo's 101, with exactly the upgrade RFC 6455 §4.2.2 describes; other cleaning as above. */
export function inboundHandshakeFields(
  upstream: RawFields,
  facts: Pick<RequestFacts, "secure" | "host" | "authority">,
  options: InboundOptions,
): string[] {
  return [
    "Upgrade",
    "websocket",
    "Connection",
    "Upgrade",
    ...inboundFields(upstream, facts, { ...options, headLength: null }),
  ];
}

/** What protects the client cannot be nominated away. */
const keptThoughNominated: ReadonlySet<string> = new Set([
  "set-cookie",
  "location",
  "content-type",
  "content-security-policy",
  "x-frame-options",
  "cache-control",
]);

const dropped: ReadonlySet<string> = new Set([
  // The reader knows where the body ends; the edge says so in its own words.
  "content-length",
  // Banners: which software, which version (odoo-wire e).
  "server",
  "x-powered-by",
  "x-generator",
  "via",
  "x-runtime",
  // Another way to this site than through the gateway.
  "alt-svc",
  // A path on the server's disk (odoo-wire a, --x-sendfile).
  "x-sendfile",
]);

function isDropped(lower: string): boolean {
  return (
    dropped.has(lower) || hopByHop.has(lower) || lower.startsWith("x-accel-") || lower.startsWith("x-aspnet")
  );
}

function ownCookie(line: string, secure: boolean, name: string): string {
  // Over the plain HTTP the operator opened for a LAN, a Secure cookie would not be sent.
  const hardened = hardenSetCookie(line, odooSessionCookie, secure);
  return name === odooSessionCookie ? hardened : renameSetCookie(hardened, odooSessionCookie, name);
}

/** Odoo builds absolute URLs to itself in one case (slashes merged by redirect), and add-ons do as they like. */
function ownLocation(
  location: string,
  facts: Pick<RequestFacts, "host" | "authority">,
  options: InboundOptions,
): string {
  const absolute = /^https?:\/\/(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::[0-9]*)?((?:[/?#].*)?)$/is.exec(location);
  if (absolute === null) return location;
  const host = (absolute[1] ?? "").toLowerCase();
  const authority = host === facts.host ? facts.authority : options.authorityOf(host);
  if (authority === null) return location;
  const rest = absolute[2] ?? "";
  if (options.staysHere !== true) return `https://${authority}${rest}`;
  // A rest with two slashes in front would name a host.
  return rest.startsWith("/") ? rest.replace(/^\/+/, "/") : `/${rest}`;
}
