import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { HostName } from "../../src/base/brands.ts";
import { emptyIpSet, type IpSet, parseIpSet } from "../../src/base/ip-set.ts";
import { problemLine } from "../../src/base/problem.ts";
import type { Policy } from "../../src/policy/compile.ts";
import { loadPolicy } from "../../src/policy/load.ts";
import type { Preset, Settings } from "../../src/settings/settings.ts";

/** The root of the checkout, from a compiled test. */
export const root = fileURLToPath(new URL("../../../", import.meta.url));

export const shippedDirectory = `${root}policies`;

export function networks(...texts: readonly string[]): IpSet {
  const set = parseIpSet(texts);
  if (!set.ok) {
    throw new Error(set.error.join("; "));
  }
  return set.value;
}

/** Settings of a small company: erp.example.com, an admin network, an office, programs on 198.51.100.0/24. */
export function settingsFor(preset: Preset, change: Partial<Settings> = {}): Settings {
  const served = (host: string) => ({ host: host as HostName, port: null });
  return {
    domains: [served("erp.example.com"), served("shop.example.com")],
    redirectDomains: [served("www.example.com")],
    odoo: { host: "127.0.0.1", port: 8069 },
    odooKeepAlive: false,
    odooMore: [],
    odooBus: null,
    odooBusMore: [],
    odooBackup: [],
    odooSticky: "off",
    odooResolveMs: 10_000,
    odooWorkers: null,
    odooTimeLimitMs: null,
    queueMax: 512,
    queueTimeoutMs: 30_000,
    holdTimeoutMs: 5_000,
    holdMax: 512,
    httpsListen: { host: "", port: 0 },
    httpListen: null,
    adminListen: null,
    tlsMode: "local",
    tlsCertFile: null,
    tlsKeyFile: null,
    acme: null,
    certsDir: "/nonexistent/certs",
    stateDir: "/nonexistent/state",
    policiesDir: null,
    odooFilestore: null,
    preset,
    trustedProxies: emptyIpSet,
    requireTrustedProxy: false,
    logAddresses: "full",
    alerts: { hooks: [], afterMs: 60_000 },
    trustedNetworks: emptyIpSet,
    adminNetworks: emptyIpSet,
    adminAccounts: [],
    apiNetworks: preset === "strict" ? emptyIpSet : null,
    cors: [],
    api: null,
    database: null,
    hostDatabases: new Map(),
    posNetworks: emptyIpSet,
    bodyBytesMax: 128 * 2 ** 20,
    spoolBytesMax: 8 * 2 ** 30,
    cache: { on: true, bytesMax: 256 * 2 ** 20, staticFreshMs: 60_000 },
    compression: true,
    earlyHints: true,
    logLevel: "info",
    logFormat: "json",
    methods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
    databaseManager: "404",
    databaseSelector: "deny",
    loginBans: "standard",
    banAnswer: "page",
    fakeCrawlers: "off",
    hstsMaxAgeSeconds: 31_536_000,
    hstsRamp: false,
    hstsSubdomains: true,
    hstsPreload: false,
    websocketOrigins: [],
    cspScriptSources: [],
    cspReports: true,
    upgradeInsecure: false,
    stagingLogin: preset === "staging" ? { user: "staging", password: "a long password" } : null,
    stagingNeutralized: false,
    stagingExempt: preset === "staging" ? ["/payment/**"] : [],
    reportListen: null,
    odooNetworks: emptyIpSet,
    maintenancePage: null,
    connectionsPerClientMax: 512,
    tunnelsPerClientMax: 256,
    tunnelsPerSessionMax: 64,
    workers: 1,
    drainTimeoutMs: 30_000,
    ...change,
  };
}

/** The shipped policy for these settings; problems fail the test that asked. */
export function shippedPolicy(settings: Settings): Policy {
  const loaded = loadPolicy({
    directory: shippedDirectory,
    readDirectory: (path) => readdirSync(path),
    readFile: (path) => readFileSync(path, "utf8"),
    settings,
  });
  if (!loaded.ok) {
    throw new Error(loaded.error.map(problemLine).join("\n"));
  }
  return loaded.value;
}

/** Loads policy files from memory. */
export function loadTexts(files: Readonly<Record<string, string>>, settings: Settings) {
  return loadPolicy({
    directory: "/etc/gateway/policies",
    readDirectory: () => Object.keys(files),
    readFile: (path) => files[path.slice("/etc/gateway/policies/".length)] ?? "",
    settings,
  });
}
