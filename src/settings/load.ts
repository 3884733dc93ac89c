import { resolve } from "node:path";
import { emptyIpSet, type IpSet, parseIpSet } from "../base/ip-set.ts";
import type { Problem } from "../base/problem.ts";
import { err, ok, type Result } from "../base/result.ts";
import { readAcme } from "./acme.ts";
import { readAlerts } from "./alerts.ts";
import { apiNetworksOf, readApi } from "./api.ts";
import { complain, type Read, shown } from "./complaint.ts";
import { readCors } from "./cors.ts";
import { checkSettings } from "./cross-checks.ts";
import { readDatabaseName, readHostDatabases } from "./host-section.ts";
import { readAddressOrOff, readListenAddress, readOrigin, readServedName, readSource } from "./hosts.ts";
import { proxyNetworks } from "./known-proxies.ts";
import { maintenancePageFrom } from "./maintenance-page.ts";
import { readMembers } from "./members.ts";
import type { ReadFile } from "./read-file.ts";
import { SettingReader } from "./reader.ts";
import type { ListenAddress, Preset, ServedName, Settings, TlsMode } from "./settings.ts";
import { gatherSettings } from "./sources.ts";
import type { SettingName } from "./table.ts";
import {
  readAccount,
  readBytes,
  readChoice,
  readCount,
  readCredential,
  readDurationMs,
  readLine,
  readMethod,
  readNetworks,
  readPathPattern,
  readSeconds,
  readYesNo,
} from "./values.ts";

/** What settings are made from; all of it arguments, so that a test needs no process and no disk. */
export interface SettingSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute; relative paths start here. */
  readonly cwd: string;
  readonly readFile: ReadFile;
  /** Processor cores of this machine; left out: not known. */
  readonly cores?: number;
}

export interface LoadedSettings {
  readonly settings: Settings;
  /** What works and is probably not meant, to be told at start. */
  readonly warnings: readonly Problem[];
}

/** Smallest BODY_MAX: below it Odoo's own forms break. */
const bodyBytesLeast = 1_048_576;
/** Smallest CACHE_BYTES: below it the web client's own bundles do not fit. */
const cacheBytesLeast = 16_777_216;
const connectionsMost = 1_000_000;
const workersMost = 64;
const localNames = ["localhost", "127.0.0.1", "[::1]"];

/**
 * Reads the settings: the environment first, then gateway.yaml, then the defaults of the table. Answers the settings
 * with what is probably not meant, or every problem there is, each with its place.
 */
export function loadSettings(sources: SettingSources): Result<LoadedSettings, readonly Problem[]> {
  const reader = new SettingReader(gatherSettings(sources.env, sources.cwd, sources.readFile));
  const settings = readSettings(reader, sources);
  checkSettings(settings, reader, sources.cores ?? null);
  return reader.problems.length > 0 ? err(reader.problems) : ok({ settings, warnings: reader.warnings });
}

/** POLICIES_DIR alone, whatever is wrong with other settings; undefined when it is wrong itself, null when it is not set. */
export function loadPoliciesDir({ env, cwd, readFile }: SettingSources): string | null | undefined {
  const reader = new SettingReader(gatherSettings(env, cwd, readFile));
  const directory = reader.maybe("POLICIES_DIR", pathFrom(cwd));
  return reader.good("POLICIES_DIR") ? directory : undefined;
}

/**
 * TLS_CERT_FILE and TLS_KEY_FILE alone, whatever is wrong with other settings; null when they or TLS_MODE are wrong, or with another
 * TLS_MODE.
 */
export function loadOwnFiles({
  env,
  cwd,
  readFile,
}: SettingSources): { readonly certFile: string; readonly keyFile: string } | null {
  const reader = new SettingReader(gatherSettings(env, cwd, readFile));
  const { tlsMode, tlsCertFile, tlsKeyFile } = readOwnFiles(reader, pathFrom(cwd));
  if (tlsMode !== "files" || !reader.good("TLS_MODE")) return null;
  return tlsCertFile === null || tlsKeyFile === null ? null : { certFile: tlsCertFile, keyFile: tlsKeyFile };
}

/** Reads a path; relative ones begin at `cwd`. */
function pathFrom(cwd: string): (text: string) => Read<string> {
  return (text) => {
    const line = readLine(text);
    // A folder of that very name would be made, and what was kept in the other one not found.
    if (/^~(?:\/|$)/.test(text))
      return complain(`${shown(text)} begins with "~", which only a shell knows`, "write the whole path");
    return line.ok ? ok(resolve(cwd, line.value)) : line;
  };
}

function readSettings(reader: SettingReader, { cwd, readFile }: SettingSources): Settings {
  const path = pathFrom(cwd);
  const preset = reader.one("PRESET", (text) =>
    readChoice<Preset>(text, ["standard", "strict", "staging", "nginx-guide"]),
  );
  const own = readOwnFiles(reader, path);
  const domains = readDomains(reader);
  const served = [...domains.domains, ...domains.redirectDomains].map(({ host }) => host.toLowerCase());
  const api = readApi(reader.section("api"), served, reader.complainAt);
  return {
    ...domains,
    ...readMembers(reader),
    odooFilestore: reader.maybe("ODOO_FILESTORE", path),
    odooKeepAlive: reader.one("ODOO_KEEPALIVE", readYesNo),
    httpsListen: reader.one("HTTPS_LISTEN", readHttpsListen),
    httpListen: reader.one("HTTP_LISTEN", readAddressOrOff).address,
    adminListen: reader.one("ADMIN_LISTEN", readAddressOrOff).address,
    reportListen: reader.one("REPORT_LISTEN", readAddressOrOff).address,
    odooNetworks: odooNetworks(reader),
    ...own,
    acme: readAcme(reader, own.tlsMode, path, readFile),
    certsDir: reader.one("CERTS_DIR", path),
    stateDir: reader.one("STATE_DIR", path),
    policiesDir: reader.maybe("POLICIES_DIR", path),
    preset,
    trustedProxies: networks(reader, "TRUSTED_PROXIES", proxyNetworks),
    requireTrustedProxy: reader.one("REQUIRE_TRUSTED_PROXY", readYesNo),
    trustedNetworks: networks(reader, "TRUSTED_NETWORKS"),
    adminNetworks: networks(reader, "ADMIN_NETWORKS"),
    adminAccounts: reader.list("ADMIN_ACCOUNTS", readAccount),
    apiNetworks: api === null ? apiNetworks(reader, preset) : apiNetworksOf(api),
    api,
    cors: readCors(reader.section("cors"), reader.complainAt),
    database: reader.maybe("DATABASE", readDatabaseName),
    hostDatabases: readHostDatabases(reader.section("hosts"), served, reader.complainAt),
    posNetworks: networks(reader, "POS_NETWORKS"),
    bodyBytesMax: reader.one("BODY_MAX", (text) => readBytes(text, bodyBytesLeast)),
    spoolBytesMax: reader.one("SPOOL_MAX", (text) => readBytes(text, bodyBytesLeast)),
    cache: {
      on: reader.one("CACHE", readYesNo),
      bytesMax: reader.one("CACHE_BYTES", (text) => readBytes(text, cacheBytesLeast)),
      staticFreshMs: reader.one("CACHE_STATIC_FRESH", (text) => readDurationMs(text, 86_400_000, "24h")),
    },
    compression: reader.one("COMPRESSION", readYesNo),
    earlyHints: reader.one("EARLY_HINTS", readYesNo),
    logLevel: reader.one("LOG_LEVEL", (text) =>
      readChoice(text, ["debug", "info", "warn", "error", "silent"]),
    ),
    logFormat: reader.one("LOG_FORMAT", (text) => readChoice(text, ["json", "text", "combined"])),
    logAddresses: reader.one("LOG_ADDRESSES", (text) => readChoice(text, ["full", "network"])),
    alerts: readAlerts(reader, path, readFile),
    methods: [...new Set(reader.list("METHODS", readMethod))],
    databaseManager: reader.one("DATABASE_MANAGER", (text) => readChoice(text, ["404", "403", "redirect"])),
    databaseSelector: reader.one("DATABASE_SELECTOR", (text) => readChoice(text, ["deny", "allow"])),
    loginBans: reader.one("LOGIN_BANS", (text) => readChoice(text, ["standard", "guide", "official", "off"])),
    banAnswer: reader.one("BAN_ANSWER", (text) => readChoice(text, ["page", "drop"])),
    fakeCrawlers: reader.one("FAKE_CRAWLERS", (text) => readChoice(text, ["off", "slow", "strike"])),
    hstsMaxAgeSeconds: reader.one("HSTS_MAX_AGE", readSeconds),
    hstsRamp: reader.one("HSTS_RAMP", readYesNo),
    hstsSubdomains: reader.one("HSTS_SUBDOMAINS", readYesNo),
    hstsPreload: reader.one("HSTS_PRELOAD", readYesNo),
    websocketOrigins: reader.list("WEBSOCKET_ORIGINS", readOrigin),
    cspScriptSources: reader.list("CSP_SCRIPT_SRC", readSource),
    cspReports: reader.one("CSP_REPORTS", readYesNo),
    upgradeInsecure: reader.one("UPGRADE_INSECURE", readYesNo),
    stagingLogin: readStagingLogin(reader, preset, path, readFile),
    stagingNeutralized: reader.one("STAGING_NEUTRALIZED", readYesNo),
    stagingExempt: reader.list("STAGING_EXEMPT", readPathPattern),
    maintenancePage: reader.maybe("MAINTENANCE_PAGE", (text) => maintenancePageFrom(text, path, readFile)),
    connectionsPerClientMax: reader.one("CONNECTIONS_PER_CLIENT", (text) => readCount(text, connectionsMost)),
    tunnelsPerClientMax: reader.one("TUNNELS_PER_CLIENT", (text) => readCount(text, connectionsMost)),
    tunnelsPerSessionMax: reader.one("TUNNELS_PER_SESSION", (text) => readCount(text, connectionsMost)),
    workers: reader.one("WORKERS", (text) => readCount(text, workersMost)),
    drainTimeoutMs: reader.one("DRAIN_TIMEOUT", (text) => readDurationMs(text, 3_600_000, "1h")),
  };
}

function readOwnFiles(
  reader: SettingReader,
  path: (text: string) => Read<string>,
): Pick<Settings, "tlsMode" | "tlsCertFile" | "tlsKeyFile"> {
  const tlsCertFile = reader.maybe("TLS_CERT_FILE", path);
  const isNamed = reader.has("TLS_CERT_FILE") || reader.has("TLS_KEY_FILE");
  const tlsMode = reader.maybe("TLS_MODE", readTlsMode) ?? (isNamed ? "files" : "local");
  return { tlsMode, tlsCertFile, tlsKeyFile: reader.maybe("TLS_KEY_FILE", path) };
}

function readDomains(reader: SettingReader): Pick<Settings, "domains" | "redirectDomains"> {
  const seen = new Map<string, SettingName>();
  const names = (setting: SettingName): ServedName[] =>
    reader.list(setting, (text) => {
      const name = readServedName(text);
      const before = name.ok ? seen.get(name.value.host) : undefined;
      if (name.ok && before === undefined) {
        seen.set(name.value.host, setting);
      }
      return before === undefined
        ? name
        : complain(`${shown(text)} is already in ${before}`, "name it once, with one port");
    });
  const domains = names("DOMAIN");
  const redirectDomains = names("REDIRECT_DOMAINS");
  if (!reader.has("DOMAIN")) {
    return { domains: localNames.flatMap((text) => knownName(text)), redirectDomains };
  }
  if (domains.length === 0 && reader.good("DOMAIN")) {
    reader.complain("DOMAIN", { thing: "names nothing", remedy: "name at least one, or leave it out" });
  }
  return { domains, redirectDomains };
}

function knownName(text: string): ServedName[] {
  const name = readServedName(text);
  return name.ok ? [name.value] : [];
}

function readHttpsListen(text: string): Read<ListenAddress> {
  return text.toLowerCase() === "off"
    ? complain("cannot be off: HTTPS is what the gateway is for")
    : readListenAddress(text);
}

function readTlsMode(text: string): Read<TlsMode> {
  return readChoice<TlsMode>(text, ["local", "files", "acme"]);
}

/** `meant`: what one item stands for. */
function networks(
  reader: SettingReader,
  name: SettingName,
  meant: (text: string) => readonly string[] = (text) => [text],
): IpSet {
  const items = reader
    .items(name)
    .flatMap(({ text, place }) => meant(text).map((one) => ({ text: one, place })));
  const set = readNetworks(items.map((item) => item.text));
  if (set.ok) {
    return set.value;
  }
  for (const [index, thing] of set.error) {
    const any = /"any"/i.test(thing);
    const remedy = any ? "name the networks (0.0.0.0/0 and ::/0 are all addresses)" : "";
    reader.complain(name, { thing: any ? '"any" is no network' : thing, remedy }, items[index]?.place);
  }
  return emptyIpSet;
}

/** Unless named: this machine. A listener that others reach is refused without names (cross-checks). */
function odooNetworks(reader: SettingReader): IpSet {
  if (reader.has("ODOO_NETWORKS")) return networks(reader, "ODOO_NETWORKS");
  const local = parseIpSet(["127.0.0.0/8", "::1"]);
  return local.ok ? local.value : emptyIpSet;
}

function apiNetworks(reader: SettingReader, preset: Preset): IpSet | null {
  const items = reader.items("API_NETWORKS");
  if (items.length === 0) {
    return preset === "strict" ? emptyIpSet : null;
  }
  return items.length === 1 && items[0]?.text.toLowerCase() === "any"
    ? null
    : networks(reader, "API_NETWORKS");
}

function readStagingLogin(
  reader: SettingReader,
  preset: Preset,
  path: (text: string) => Read<string>,
  readFile: ReadFile,
): Settings["stagingLogin"] {
  const user = reader.maybe("STAGING_USER", (text) => readCredential(text, "user"));
  const typed = reader.maybe("STAGING_PASSWORD", (text) => readCredential(text, "password"));
  const filed = reader.maybe("STAGING_PASSWORD_FILE", (text) => passwordFrom(text, path, readFile));
  const staging = reader.good("PRESET") && preset === "staging";
  for (const name of ["STAGING_USER", "STAGING_PASSWORD", "STAGING_PASSWORD_FILE"] as const) {
    if (reader.has(name) && !staging && reader.good("PRESET")) {
      const remedy = "set PRESET=staging, or take it out: no password is asked with other presets";
      reader.complain(name, { thing: `has no effect with preset ${preset}`, remedy });
    }
  }
  if (!staging) {
    return null;
  }
  if (!reader.has("STAGING_USER")) {
    reader.complain("STAGING_USER", { thing: "is required with preset staging", remedy: "set it" });
  }
  if (reader.has("STAGING_PASSWORD") && reader.has("STAGING_PASSWORD_FILE")) {
    reader.complain("STAGING_PASSWORD", {
      thing: "and STAGING_PASSWORD_FILE are both set",
      remedy: "set one of them",
    });
  } else if (!reader.has("STAGING_PASSWORD") && !reader.has("STAGING_PASSWORD_FILE")) {
    const thing = "or STAGING_PASSWORD_FILE is required with preset staging";
    reader.complain("STAGING_PASSWORD", { thing, remedy: "set one of them" });
  }
  const password = typed ?? filed;
  return user === null || password === null ? null : { user, password };
}

/** The password in a file, without the line break that editors and `echo` leave at its end. */
function passwordFrom(text: string, path: (text: string) => Read<string>, readFile: ReadFile): Read<string> {
  const absolute = path(text);
  if (!absolute.ok) {
    return absolute;
  }
  const read = readFile(absolute.value);
  if (!read.ok) {
    return complain(`${shown(text)} cannot be read: ${read.error.detail}`, "name a readable file");
  }
  const password = readCredential(read.value.replace(/\r?\n$/, ""), "password");
  return password.ok ? password : complain(`${shown(text)}: the password in it ${password.error.thing}`);
}
