import { isIP } from "node:net";

/** Is this address (or the name `localhost`) only reachable from this machine: 127.0.0.0/8, ::1. */
export function isLoopback(host: string): boolean {
  const family = isIP(host);
  if (family === 4) return host.startsWith("127.");
  if (family === 6) return host === "::1" || host.toLowerCase().startsWith("::ffff:127.");
  return host.toLowerCase() === "localhost";
}

/**
 * May a request with this `Host` be answered: loopback, the listener's own configured host, the very address it came
 * to, or a name without a dot, which nobody can register (a container's name). A web page that points its own name at 127.0.0.1 (DNS rebinding) sends its name and is refused.
 * `field` is the value of `Host`, with or without port; the port does not matter.
 */
export function isOwnHost(field: string, listenHost: string, localAddress: string): boolean {
  const host = hostOf(field);
  if (host === null) return false;
  return (
    isLoopback(host) ||
    isLocalName(host) ||
    (listenHost !== "" && host === listenHost.toLowerCase()) ||
    host === plainAddress(localAddress)
  );
}

/** One label with a letter in it: no name of the public DNS, and no number that could be read as an address. */
function isLocalName(host: string): boolean {
  return /^[a-z][a-z0-9-]{0,62}$/.test(host);
}

/** Host part in lower case, IPv6 without brackets; null when the field is neither `host`, `host:port` nor `[v6]:port`. */
function hostOf(field: string): string | null {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+))(?::\d{1,5})?$/.exec(field);
  const host = parts?.[1] ?? parts?.[2];
  return host === undefined ? null : host.toLowerCase();
}

/** A dual-stack listener sees IPv4 addresses as `::ffff:a.b.c.d`. */
function plainAddress(address: string): string {
  const lower = address.toLowerCase();
  return lower.startsWith("::ffff:") && lower.includes(".") ? lower.slice(7) : lower;
}
