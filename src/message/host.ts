import { BoundedMap } from "../base/bounded-map.ts";
import type { HostName } from "../base/brands.ts";
import { flatLatin1 } from "../base/flat.ts";
import { parseIp } from "../base/ip.ts";
import { ok, type Result } from "../base/result.ts";
import { hostCharsMax } from "./bounds.ts";
import type { RawFields, Refusal } from "./facts.ts";
import { fieldValues } from "./fields.ts";
import { refuse } from "./refusals.ts";
import type { Site } from "./site.ts";

/** A host and the port beside it; null when none was written. */
export interface HostAndPort {
  readonly host: HostName;
  readonly port: number | null;
}

const parts = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::([1-9][0-9]{0,4}))?$/i;
const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const loopbackNames: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

/**
 * Reads `name`, `name:port`, an IPv4 address or an `[IPv6]` literal (RFC 3986 §3.2.2, without userinfo and
 * percent escapes). Lower case, one trailing dot removed, IPv6 canonical. Null for anything else: an empty
 * port, a port with a leading zero or above 65535, a label over 63 characters, a zone id.
 */
export function readHost(text: string): HostAndPort | null {
  const known = readBefore.get(text);
  if (known !== undefined) return known;
  if (text.length > hostCharsMax + 8 || readAnew(text) === null) return null;
  // Its own copy: a part of a head's text would keep all of that.
  const own = flatLatin1(text);
  const read = readAnew(own);
  if (read !== null) readBefore.set(own, read);
  return read;
}

/** A site has a few names; strangers' inventions pass through. */
const readBefore = new BoundedMap<string, HostAndPort>(256);

function readAnew(text: string): HostAndPort | null {
  const match = parts.exec(text);
  const name = match?.[1];
  if (name === undefined) return null;
  const port = match?.[2] === undefined ? null : Number(match[2]);
  if (port !== null && port > 65_535) return null;
  const host = name.startsWith("[") ? readLiteral(name) : readName(name);
  return host === null ? null : { host: host as HostName, port };
}

function readLiteral(bracketed: string): string | null {
  const ip = parseIp(bracketed.slice(1, -1));
  // ::ffff:a.b.c.d parses as IPv4, and there is no IPv4 in brackets.
  return ip?.family === 6 ? `[${ip.text}]` : null;
}

function readName(name: string): string | null {
  const lower = name.toLowerCase();
  const bare = lower.endsWith(".") ? lower.slice(0, -1) : lower;
  if (bare.length > hostCharsMax) return null;
  return bare.split(".").every((part) => label.test(part)) ? bare : null;
}

/** The part of a request head that names the host. */
export interface HostHead {
  readonly protocol: string;
  readonly fields: RawFields;
  readonly authority: string | null;
  readonly scheme: string | null;
  readonly secure: boolean;
  readonly localPort: number;
}

/**
 * The one host a request names, checked against those served: exactly one Host (RFC 9112 §3.2), on HTTP/2 the
 * `:authority` with a Host, if any, equal to it (RFC 9113 §8.3.1). A name or port that is not ours is refused
 * with 421 on TLS and 400 on plain HTTP. The name in the TLS handshake is not compared: HTTP/2 shares
 * connections between names of one certificate.
 */
export function requestHost(head: HostHead, site: Site): Result<HostAndPort, Refusal> {
  const lines = fieldValues(head.fields, "host");
  if (lines.length > 1) return refuse("host-repeated");
  const line = lines[0];
  let text = line;
  if (head.protocol === "HTTP/2") {
    if (head.scheme !== (head.secure ? "https" : "http")) return refuse("scheme-differs");
    if (head.authority === null || head.authority === "") return refuse("host-missing");
    if (line !== undefined && line.toLowerCase() !== head.authority.toLowerCase())
      return refuse("host-differs");
    text = head.authority;
  }
  if (text === undefined || text === "") return refuse("host-missing");
  const asked = readHost(text);
  if (asked === null) return refuse("host-malformed");
  if (site.takesEveryName !== true && !isServed(asked, head, site))
    return refuse(head.secure ? "host-unknown" : "host-unknown-plain");
  return ok(asked);
}

function isServed(asked: HostAndPort, head: HostHead, site: Site): boolean {
  const served = site.servedNames.get(asked.host);
  if (served === undefined) return false;
  if (asked.port === null || asked.port === 443 || (asked.port === 80 && !head.secure)) return true;
  if (asked.port === (served.port ?? site.publicPort) || asked.port === head.localPort) return true;
  // Port forwarding to a laptop or container changes the port a browser sees.
  return loopbackNames.has(asked.host);
}

/** `host` or `host:port`, without the scheme's own port (443, or 80 on plain HTTP). */
export function authorityOf(asked: HostAndPort, secure: boolean): string {
  const own = secure ? 443 : 80;
  return asked.port === null || asked.port === own ? asked.host : `${asked.host}:${asked.port}`;
}
