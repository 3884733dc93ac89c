import { type Ip, parseIp } from "../base/ip.ts";
import type { IpSet } from "../base/ip-set.ts";
import { hopsMax } from "./bounds.ts";
import type { RawFields } from "./facts.ts";
import { lowerNames } from "./field-names.ts";
import { fieldValues, trimOws } from "./fields.ts";

/** Who sent the message, and what an untrusted peer claimed. */
export interface ClientAddress {
  /** The peer, or what trusted proxies vouch for. */
  readonly client: Ip;
  /** First forwarding field of a peer that is no trusted proxy; from a fixed set of names; null when none. */
  readonly untrustedForwarding: string | null;
}

const forwardingNames: ReadonlySet<string> = new Set([
  "forwarded",
  "x-real-ip",
  "true-client-ip",
  "cf-connecting-ip",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-forwarded-port",
]);
const withPort = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?$/;

/**
 * The client's address: the peer's, unless the peer is a trusted proxy; then X-Forwarded-For is read from
 * the right (all its lines as one list) past every trusted proxy to the first address that is none. An
 * empty or unreadable entry ends the walk at the address that wrote it: whoever stands left of it can
 * write what he likes. When all are trusted, the leftmost is the client. `a.b.c.d:port`, `[v6]` and
 * `[v6]:port` are read, as some balancers write them. Only X-Forwarded-For is read, no other field.
 */
export function clientAddress(peer: Ip, fields: RawFields, trustedProxies: IpSet): ClientAddress {
  if (!trustedProxies.contains(peer)) {
    return { client: peer, untrustedForwarding: firstForwardingField(fields) };
  }
  const lines = fieldValues(fields, "x-forwarded-for");
  if (lines.length === 0) return { client: peer, untrustedForwarding: null };
  const entries = lines.join(",").split(",");
  let client = peer;
  const last = Math.max(0, entries.length - hopsMax);
  for (let i = entries.length - 1; i >= last; i--) {
    const entry = readEntry(trimOws(entries[i] ?? ""));
    if (entry === null) break;
    client = entry;
    if (!trustedProxies.contains(entry)) break;
  }
  return { client, untrustedForwarding: null };
}

function readEntry(entry: string): Ip | null {
  const bare = parseIp(entry);
  if (bare !== null) return bare;
  const match = withPort.exec(entry);
  const six = match?.[1];
  if (six !== undefined) return parseIp(six);
  const four = match?.[2];
  return four === undefined ? null : parseIp(four);
}

/** The name of the first field that claims another sender; unusual X-Forwarded-… come as `x-forwarded-*`. */
function firstForwardingField(fields: RawFields): string | null {
  for (const name of lowerNames(fields)) {
    if (forwardingNames.has(name)) return name;
    if (name.startsWith("x-forwarded-")) return "x-forwarded-*";
  }
  return null;
}
