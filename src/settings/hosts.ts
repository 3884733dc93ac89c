import { domainToASCII } from "node:url";
import type { HostName } from "../base/brands.ts";
import { parseIp } from "../base/ip.ts";
import { ok } from "../base/result.ts";
import { complain, type Read, shown } from "./complaint.ts";
import type { ListenAddress, ServedName, UpstreamAddress } from "./settings.ts";

/** Longest host name and label, in characters: RFC 1035 §2.3.4. */
export const hostCharsMax = 253;
export const labelCharsMax = 63;

/**
 * Reads one name we serve: `name`, `name:port`, an IPv4 address or `[IPv6]`. Lower case, RFC 1123 labels.
 * What a browser could spell otherwise is refused with the spelling it uses: a name beyond ASCII with its
 * punycode, a trailing dot, an IPv6 address that is IPv4-mapped or without brackets.
 */
export function readServedName(text: string): Read<ServedName> {
  const quoted = shown(text);
  const url = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#]*@)?([^/?#@]*)/i.exec(text);
  if (url !== null) {
    return complain(`${quoted} is a URL, not a name`, `write ${shown(url[1] ?? "")}`);
  }
  if (text.includes("/")) {
    return complain(`${quoted} has a path; a name stands alone`, "");
  }
  const parts = splitPort(text);
  if (parts === null) {
    return complain(`${quoted} has a port that is none (1 to 65535)`, "");
  }
  const host = readHost(parts.host);
  return host.ok ? ok({ host: host.value, port: parts.port }) : host;
}

/** Reads the host alone, as browsers send it. */
function readHost(text: string): Read<HostName> {
  const quoted = shown(text);
  if (text.startsWith("[")) {
    const ip = text.endsWith("]") ? parseIp(text.slice(1, -1)) : null;
    if (ip === null || !text.includes(":")) {
      return complain(`${quoted} is no IPv6 address`);
    }
    if (ip.family === 4) {
      return complain(`${quoted} is an IPv4 address written as IPv6`, `write ${ip.text}`);
    }
    return ok(brand(`[${ip.text}]`));
  }
  if (text.includes(":")) {
    return parseIp(text) === null
      ? complain(`${quoted} is no host name`)
      : complain(`${quoted} is an IPv6 address without brackets`, `write [${text}]`);
  }
  if (text.includes("*")) {
    return complain(`${quoted} is a wildcard; every served name is named`, "list the names");
  }
  if (/[^\u0000-\u007f]/.test(text)) {
    const ascii = domainToASCII(text);
    return complain(
      `${quoted} is not ASCII`,
      ascii === "" ? "write it in punycode" : `browsers send ${ascii}: write that`,
    );
  }
  const name = text.toLowerCase();
  if (name.endsWith(".")) {
    return complain(`${quoted} ends with a dot`, `write ${shown(name.replace(/\.+$/, ""))}`);
  }
  if (name.length > hostCharsMax) {
    return complain(`${quoted} is longer than ${hostCharsMax} characters`);
  }
  const labels = name.split(".");
  const long = labels.find((label) => label.length > labelCharsMax);
  if (long !== undefined) {
    return complain(`${quoted} has a part longer than ${labelCharsMax} characters`);
  }
  if (!labels.every((label) => /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(label))) {
    return complain(`${quoted} is no host name: letters, digits and hyphens between dots`);
  }
  // A browser takes a name whose last part is a number for an IPv4 address (URL standard, "ends in a number").
  if (/^(?:[0-9]+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? "") && parseIp(name) === null) {
    return complain(`${quoted} is no IPv4 address, and a host name does not end in a number`);
  }
  return ok(brand(name));
}

/** Reads where to listen: `host:port`, `[v6]:port`, `:port`. Port 0 lets the system choose. */
export function readListenAddress(text: string): Read<ListenAddress> {
  const quoted = shown(text);
  if (portNumber(text, 0) !== null) {
    return complain(`${quoted} is no address`, `write ":${text}" for every address`);
  }
  const match = /^(\[[^\]]*\]|[^:[\]]*):([0-9]{1,5})$/.exec(text);
  const port = match === null ? null : portNumber(match[2] ?? "", 0);
  if (match === null || port === null) {
    return complain(`${quoted} is no address`, "write host:port, [v6]:port or :port");
  }
  const written = match[1] ?? "";
  if (written === "") {
    return ok({ host: "", port });
  }
  if (written === "*") {
    return complain(`${quoted} is no address`, `write ":${port}" for every address`);
  }
  const host = bareHost(written);
  return host === null
    ? complain(`${quoted} has no host name or IP address before its port`)
    : ok({ host, port });
}

/** An address, or `off`. Wrapped, since null says "not given" to the reader. */
export function readAddressOrOff(text: string): Read<{ readonly address: ListenAddress | null }> {
  if (text.toLowerCase() === "off") {
    return ok({ address: null });
  }
  const address = readListenAddress(text);
  return address.ok ? ok({ address: address.value }) : address;
}

/** Reads where Odoo answers: `http://host[:port]`, nothing behind it. IPv6 comes out without brackets. */
export function readUpstream(text: string): Read<UpstreamAddress> {
  const quoted = shown(text);
  const match = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text);
  if (match === null) {
    const meant = `http://${text}`;
    return complain(
      `${quoted} must begin with http://`,
      readUpstream(meant).ok ? `write ${shown(meant)}` : "write http://host:port",
    );
  }
  const scheme = (match[1] ?? "").toLowerCase();
  if (scheme === "https") {
    return complain(
      `${quoted}: Odoo itself speaks plain HTTP, and TLS ends at the gateway`,
      "write http://host:port and keep the way to Odoo private (loopback, container network, VPN)",
    );
  }
  if (scheme !== "http") {
    return complain(`${quoted} must begin with http://`);
  }
  const authority = (match[2] ?? "").replace(/\/$/, "");
  if (authority.includes("@")) {
    return complain(`${quoted} must not carry a user or password`, "Odoo asks its users itself");
  }
  if (/[/?#\\]/.test(authority)) {
    return complain(`${quoted} must end after the port: paths are forwarded as they are`);
  }
  const parts = splitPort(authority);
  const host = parts === null ? null : bareHost(parts.host);
  if (parts === null || host === null) {
    return complain(`${quoted} is no http://host:port`);
  }
  return ok({ host, port: parts.port ?? 80 });
}

/** Reads an origin that may open websockets: `https://host[:port]`; lower case, without the default port. */
export function readOrigin(text: string): Read<string> {
  const quoted = shown(text);
  const match = /^https:\/\/([^/?#\\@]+)$/i.exec(text.replace(/\/$/, ""));
  if (match === null) {
    return complain(`${quoted} is no origin`, "write https://host or https://host:port");
  }
  const name = readServedName(match[1] ?? "");
  if (!name.ok) {
    return name;
  }
  const { host, port } = name.value;
  return ok(`https://${host}${port === null || port === 443 ? "" : `:${port}`}`);
}

/** Reads a source of scripts (CSP 3 §2.3.1, host-source): an origin as above, where `*.` may stand for all names below one. */
export function readSource(text: string): Read<string> {
  const wild = /^https:\/\/\*\./i.test(text);
  const origin = readOrigin(wild ? text.replace("*.", "") : text);
  if (!origin.ok || !wild) return origin;
  return ok(origin.value.replace("https://", "https://*."));
}

/** Host and port apart; port null when there is none, the whole null when what stands there is no port. */
function splitPort(text: string): { host: string; port: number | null } | null {
  const match = /^(\[[^\]]*\]|[^:]*):([^:\]]*)$/.exec(text);
  if (match === null) {
    return { host: text, port: null };
  }
  const port = portNumber(match[2] ?? "", 1);
  return port === null ? null : { host: match[1] ?? "", port };
}

function portNumber(text: string, least: number): number | null {
  const port = /^(?:0|[1-9][0-9]{0,4})$/.test(text) ? Number(text) : -1;
  return port >= least && port <= 65_535 ? port : null;
}

/**
 * A host to listen on or to connect to, IPv6 without its brackets. Names may have underscores: those of
 * containers often do, and no browser ever sees them.
 */
function bareHost(text: string): string | null {
  if (text.startsWith("[")) {
    const ip = text.endsWith("]") && text.includes(":") ? parseIp(text.slice(1, -1)) : null;
    return ip === null ? null : ip.text;
  }
  if (/^[0-9.]+$/.test(text)) {
    return parseIp(text)?.text ?? null;
  }
  const name = text.toLowerCase();
  const labels = name.replace(/\.$/, "").split(".");
  const good = labels.every(
    (label) => label.length <= labelCharsMax && /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?$/.test(label),
  );
  return good && name.length <= hostCharsMax ? name : null;
}

function brand(checked: string): HostName {
  return checked as HostName;
}
