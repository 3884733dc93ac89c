import { parseIp } from "../base/ip.ts";
import { complain, type Read, shown } from "./complaint.ts";
import { bindingNames, readBinding } from "./eab.ts";
import { readServedName } from "./hosts.ts";
import type { ReadFile } from "./read-file.ts";
import type { SettingReader } from "./reader.ts";
import type { AcmeSettings, Settings, TlsMode } from "./settings.ts";
import type { SettingName } from "./table.ts";

const letsEncrypt = {
  production: "https://acme-v02.api.letsencrypt.org/directory",
  staging: "https://acme-staging-v02.api.letsencrypt.org/directory",
} as const;

const acmeNames = [
  "ACME_EMAIL",
  "ACME_NAMES",
  "ACME_DIRECTORY",
  "ACME_FALLBACK_DIRECTORY",
  "ACME_CA_FILE",
  "ACME_PROFILE",
  ...bindingNames.first,
  ...bindingNames.fallback,
  "ACME_DNS_HOOK",
] as const satisfies readonly SettingName[];

/** Reads the settings of automatic certificates; null with another TLS_MODE. */
export function readAcme(
  reader: SettingReader,
  tlsMode: TlsMode,
  path: (text: string) => Read<string>,
  readFile: ReadFile,
): AcmeSettings | null {
  const email = reader.maybe("ACME_EMAIL", readEmail);
  const names = reader.list("ACME_NAMES", readCertificateName);
  const directory = reader.one("ACME_DIRECTORY", readDirectory);
  const fallbackDirectory = reader.maybe("ACME_FALLBACK_DIRECTORY", readDirectory);
  const caFile = reader.maybe("ACME_CA_FILE", path);
  const profile = reader.maybe("ACME_PROFILE", readWord);
  const eab = readBinding(reader, bindingNames.first, path, readFile);
  const fallbackEab = readBinding(reader, bindingNames.fallback, path, readFile);
  const dnsHook = reader.maybe("ACME_DNS_HOOK", path);
  if (tlsMode !== "acme") {
    const stray = acmeNames.find((name) => reader.has(name));
    if (stray !== undefined && reader.good("TLS_MODE")) {
      const remedy = "set TLS_MODE=acme, or take it out";
      reader.warn(stray, { thing: `has no effect with TLS_MODE=${tlsMode}`, remedy });
    }
    return null;
  }
  if (fallbackEab !== null && !reader.has("ACME_FALLBACK_DIRECTORY")) {
    reader.warn("ACME_FALLBACK_EAB_KID", {
      thing: "has no effect without ACME_FALLBACK_DIRECTORY",
      remedy: "name the second authority, or take it out",
    });
  }
  if (fallbackDirectory !== null && fallbackDirectory === directory) {
    reader.complain("ACME_FALLBACK_DIRECTORY", {
      thing: "is the same as ACME_DIRECTORY",
      remedy: "name another authority, or take it out",
    });
  }
  if (dnsHook === null && names.some((name) => name.startsWith("*."))) {
    reader.complain("ACME_NAMES", {
      thing: "has a wildcard, which authorities prove by DNS only",
      remedy: "set ACME_DNS_HOOK, or name each host",
    });
  }
  return { email, names, directory, fallbackDirectory, caFile, profile, eab, fallbackEab, dnsHook };
}

/** Names that are served and not ordered are shown the local certificate; those no authority signs for are meant to be. */
export function checkOrderedNames({ acme, domains, redirectDomains }: Settings, reader: SettingReader): void {
  const ordered = acme?.names ?? [];
  if (ordered.length === 0 || !reader.good("ACME_NAMES", "DOMAIN", "REDIRECT_DOMAINS")) return;
  const missing = [...domains, ...redirectDomains]
    .map(({ host }) => host)
    .filter((host) => parseIp(host.replace(/^\[|\]$/g, "")) === null && !/(^|\.)localhost$/.test(host))
    .filter((host) => !ordered.includes(host) && !ordered.includes(`*${host.slice(host.indexOf("."))}`));
  if (missing.length === 0) return;
  reader.warn("ACME_NAMES", {
    thing: `leaves out ${missing.join(", ")}: the local certificate is shown for it, which browsers refuse`,
    remedy:
      "add it (a wildcard stands for one label, and not for the name behind it), or take ACME_NAMES out",
  });
}

function readEmail(text: string): Read<string> {
  return /^[^\s@,;<>"]+@[^\s@,;<>"]+$/.test(text) && text.length <= 254
    ? { ok: true, value: text }
    : complain("is no mail address", "write name@example.com");
}

/** RFC 8555 §6.1: HTTPS only. */
function readDirectory(text: string): Read<string> {
  const word = text.toLowerCase();
  if (word === "production" || word === "staging") return { ok: true, value: letsEncrypt[word] };
  const url = /^https:\/\/[^\s/?#@]+(?:\/[^\s?#]*)?$/i.test(text) ? URL.parse(text) : null;
  return url === null
    ? complain(`${shown(text)} is no directory`, "write https://…, or production or staging (Let's Encrypt)")
    : { ok: true, value: url.href };
}

/** A host name, or `*.` and a host name; no address and no port. */
function readCertificateName(text: string): Read<string> {
  const wildcard = text.startsWith("*.");
  const name = readServedName(wildcard ? text.slice(2) : text);
  if (!name.ok) return name;
  const { host, port } = name.value;
  if (port !== null)
    return complain(`${shown(text)} has a port`, "a certificate is for a name on every port");
  return { ok: true, value: wildcard ? `*.${host}` : host };
}

function readWord(text: string): Read<string> {
  return /^[A-Za-z0-9._-]{1,64}$/.test(text)
    ? { ok: true, value: text }
    : complain(`${shown(text)} is no profile name`, "write one the authority lists, such as shortlived");
}
