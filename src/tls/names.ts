import { isIP, SocketAddress } from "node:net";

/**
 * One spelling for a name in a certificate, a setting or a TLS hello: lower case, no trailing dot, IPv6 without
 * brackets and in its shortest form. Host names must be ASCII already (punycode).
 */
export function certificateName(name: string): string {
  const lower = name.toLowerCase();
  const bare = lower.startsWith("[") && lower.endsWith("]") ? lower.slice(1, -1) : lower;
  if (isIP(bare) === 6 && !bare.includes("%"))
    return new SocketAddress({ address: bare, family: "ipv6" }).address;
  return bare.endsWith(".") ? bare.slice(0, -1) : bare;
}

/**
 * Names in a certificate's subject alternative name, as Node prints it (`DNS:a, IP Address:1.2.3.4`), in our spelling.
 * Entries that Node had to quote are no names anybody serves and are left out (CVE-2021-44532: never split them).
 */
export function alternativeNames(text: string | undefined): string[] {
  const names: string[] = [];
  for (const entry of (text ?? "").matchAll(/([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/g)) {
    const [, kind, value] = entry;
    if (value === undefined || value.startsWith('"')) continue;
    if (kind === "DNS" || kind === "IP Address") names.push(certificateName(value));
  }
  return names;
}

/** Does a certificate with these names cover this one: exactly, or by a wildcard for its first label (RFC 9525 §6.3). */
export function coversName(certificateNames: readonly string[], name: string): boolean {
  const wanted = certificateName(name);
  if (certificateNames.includes(wanted)) return true;
  const wildcard = wildcardOf(wanted);
  return wildcard !== null && certificateNames.includes(wildcard);
}

/** `*.example.com` for `shop.example.com`; null where no wildcard applies (addresses, single labels). */
export function wildcardOf(name: string): string | null {
  const dot = name.indexOf(".");
  if (dot <= 0 || isIP(name) !== 0) return null;
  return `*${name.slice(dot)}`;
}
