import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import t from "tap";
import { parseIp } from "../../src/base/ip.ts";
import { packageRoot } from "../../src/base/package-root.ts";
import { type Problem, problemLine } from "../../src/base/problem.ts";
import { err, ok } from "../../src/base/result.ts";
import { readListenAddress, readServedName, readUpstream } from "../../src/settings/hosts.ts";
import { loadSettings } from "../../src/settings/load.ts";
import { optionsMarkdown, optionsText } from "../../src/settings/options.ts";
import { type ReadFile, readTextFile } from "../../src/settings/read-file.ts";
import type { Settings } from "../../src/settings/settings.ts";
import { settingNames, settingTable } from "../../src/settings/table.ts";

type Env = Readonly<Record<string, string>>;
type Files = Readonly<Record<string, string>>;

/** Files that are only in memory, all of them in /srv. */
function memory(files: Files): ReadFile {
  return (path) => {
    const name = path.replace("/srv/", "");
    const text = Object.hasOwn(files, name) ? files[name] : undefined;
    return text === undefined ? err({ missing: true, detail: "there is no such file" }) : ok(text);
  };
}

function load(env: Env, files: Files = {}) {
  return loadSettings({ env, cwd: "/srv", readFile: memory(files) });
}

function settingsOf(env: Env, files: Files = {}): Settings {
  const loaded = load(env, files);
  if (!loaded.ok) {
    throw new Error(loaded.error.map(problemLine).join("\n"));
  }
  return loaded.value.settings;
}

function problemsOf(env: Env, files: Files = {}): readonly string[] {
  const loaded = load(env, files);
  return loaded.ok ? [] : loaded.error.map((problem: Problem) => problemLine(problem));
}

function warningsOf(env: Env): readonly string[] {
  const loaded = load(env);
  return loaded.ok
    ? loaded.value.warnings.map(problemLine)
    : loaded.error.map((problem) => `PROBLEM ${problemLine(problem)}`);
}

const yaml = (text: string): Files => ({ "gateway.yaml": text });
const acme: Env = { TLS_MODE: "acme", DOMAIN: "erp.example.com" };
const staging: Env = { PRESET: "staging", STAGING_USER: "team", STAGING_PASSWORD: "correct horse" };

t.test("Odoo's time limit is written as in odoo.conf, or as a duration", (t) => {
  const limit = (text: string) => settingsOf({ ODOO_LIMIT_TIME_REAL: text }).odooTimeLimitMs;
  t.same([limit("1200"), limit("20m")], [1_200_000, 1_200_000]);
  t.match(problemsOf({ ODOO_LIMIT_TIME_REAL: "0" }), [/ODOO_LIMIT_TIME_REAL "0" must be from 1s to 23h/]);
  t.match(problemsOf({ ODOO_LIMIT_TIME_REAL: "long" }), [
    /ODOO_LIMIT_TIME_REAL "long" .*write it as odoo\.conf does/,
  ]);
  t.match(problemsOf({ ODOO_LIMIT_TIME_REAL: "2d" }), [/must be from 1s to 23h/]);
  t.end();
});

t.test("a CDN can be named by a word, and asked for only where it is named", (t) => {
  const { trustedProxies } = settingsOf({ TRUSTED_PROXIES: "Cloudflare, 192.0.2.1" });
  const holds = ["173.245.48.9", "2606:4700::1", "192.0.2.1", "192.0.2.2"].map((text) => {
    const ip = parseIp(text);
    return ip !== null && trustedProxies.contains(ip);
  });
  t.same(holds, [true, true, true, false]);
  t.match(problemsOf({ TRUSTED_PROXIES: "cloudfare" }), [/TRUSTED_PROXIES "cloudfare"/]);
  t.match(problemsOf({ TRUSTED_NETWORKS: "cloudflare" }), [/TRUSTED_NETWORKS "cloudflare"/]);
  t.match(problemsOf({ REQUIRE_TRUSTED_PROXY: "yes" }), [
    /REQUIRE_TRUSTED_PROXY needs TRUSTED_PROXIES: nobody could connect/,
  ]);
  t.end();
});

t.test("without any setting the gateway serves this machine", async (t) => {
  const { trustedProxies, trustedNetworks, adminNetworks, posNetworks, odooNetworks, ...plain } = settingsOf(
    {},
  );
  t.strictSame(plain, {
    domains: ["localhost", "127.0.0.1", "[::1]"].map((host) => ({ host, port: null })),
    redirectDomains: [],
    odoo: null,
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
    odooFilestore: null,
    odooKeepAlive: false,
    httpsListen: { host: "", port: 8443 },
    httpListen: { host: "", port: 8080 },
    adminListen: { host: "127.0.0.1", port: 9180 },
    reportListen: null,
    tlsMode: "local",
    tlsCertFile: null,
    tlsKeyFile: null,
    acme: null,
    certsDir: "/srv/certs",
    stateDir: "/srv/state",
    policiesDir: null,
    preset: "standard",
    requireTrustedProxy: false,
    logAddresses: "full",
    alerts: { hooks: [], afterMs: 60_000 },
    apiNetworks: null,
    adminAccounts: [],
    api: null,
    cors: [],
    database: null,
    hostDatabases: new Map(),
    bodyBytesMax: 134_217_728,
    spoolBytesMax: 8_589_934_592,
    cache: { on: true, bytesMax: 268_435_456, staticFreshMs: 60_000 },
    compression: true,
    earlyHints: true,
    logLevel: "info",
    logFormat: "json",
    methods:
      "GET HEAD POST PUT PATCH DELETE OPTIONS PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK REPORT SEARCH".split(
        " ",
      ),
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
    stagingLogin: null,
    stagingNeutralized: false,
    stagingExempt: ["/payment/**"],
    maintenancePage: null,
    connectionsPerClientMax: 512,
    tunnelsPerClientMax: 256,
    tunnelsPerSessionMax: 64,
    workers: 1,
    drainTimeoutMs: 30_000,
  });
  for (const set of [trustedProxies, trustedNetworks, adminNetworks, posNetworks]) {
    t.ok(set.isEmpty, "nobody is trusted by default, loopback included");
  }
  t.same(odooNetworks.texts, ["127.0.0.0/8", "::1"]);
  t.same(warningsOf({}), []);
});

t.test("each setting is read", async (t) => {
  const table: readonly (readonly [Env, Partial<Settings>])[] = [
    [{ DOMAIN: "ERP.example.com" }, { domains: [served("erp.example.com", null)] }],
    [
      { DOMAIN: "erp.example.com, shop.example.com:9443 192.0.2.1,[2001:DB8::1]:8443" },
      {
        domains: [
          served("erp.example.com", null),
          served("shop.example.com", 9443),
          served("192.0.2.1", null),
          served("[2001:db8::1]", 8443),
        ],
      },
    ],
    [
      { DOMAIN: "a.example", REDIRECT_DOMAINS: "b.example" },
      { redirectDomains: [served("b.example", null)] },
    ],
    [{ ODOO_URL: "http://odoo:8069" }, { odoo: { host: "odoo", port: 8069 } }],
    [{ ODOO_URL: "HTTP://My_Odoo-1:8069/" }, { odoo: { host: "my_odoo-1", port: 8069 } }],
    [{ ODOO_URL: "http://[2001:db8::2]:8069" }, { odoo: { host: "2001:db8::2", port: 8069 } }],
    [
      { ODOO_URL: "http://a:8069, http://b:8069 http://c:8070", ODOO_BACKUP_URL: "http://d:8069" },
      {
        odoo: { host: "a", port: 8069 },
        odooMore: [
          { host: "b", port: 8069 },
          { host: "c", port: 8070 },
        ],
        odooBackup: [{ host: "d", port: 8069 }],
        odooBus: null,
      },
    ],
    [
      { ODOO_BUS_URL: "http://a:8072,http://b:8072" },
      { odooBus: { host: "a", port: 8072 }, odooBusMore: [{ host: "b", port: 8072 }] },
    ],
    [
      { ODOO_WORKERS: "6", QUEUE_MAX: "64", QUEUE_TIMEOUT: "10s", HOLD_TIMEOUT: "0s", HOLD_MAX: "9" },
      { odooWorkers: 6, queueMax: 64, queueTimeoutMs: 10_000, holdTimeoutMs: 0, holdMax: 9 },
    ],
    [
      { ODOO_STICKY: "session", ODOO_RESOLVE: "2s" },
      { odooSticky: "session", odooResolveMs: 2_000 },
    ],
    [
      { ODOO_URL: "http://odoo", ODOO_BUS_URL: "http://bus:8072" },
      { odoo: { host: "odoo", port: 80 }, odooBus: { host: "bus", port: 8072 } },
    ],
    [{ HTTPS_LISTEN: "[::1]:443" }, { httpsListen: { host: "::1", port: 443 } }],
    [
      { HTTPS_LISTEN: "127.0.0.1:0", HTTP_LISTEN: "127.0.0.1:0" },
      { httpsListen: { host: "127.0.0.1", port: 0 } },
    ],
    [
      { HTTP_LISTEN: "off", ADMIN_LISTEN: "OFF" },
      { httpListen: null, adminListen: null },
    ],
    [
      { TLS_CERT_FILE: "tls/a.pem", TLS_KEY_FILE: "/etc/tls/a.key" },
      { tlsMode: "files", tlsCertFile: "/srv/tls/a.pem", tlsKeyFile: "/etc/tls/a.key" },
    ],
    [
      { ...acme, ACME_EMAIL: "it@example.com" },
      {
        tlsMode: "acme",
        acme: {
          email: "it@example.com",
          names: [],
          directory: "https://acme-v02.api.letsencrypt.org/directory",
          fallbackDirectory: null,
          caFile: null,
          profile: null,
          eab: null,
          fallbackEab: null,
          dnsHook: null,
        },
      },
    ],
    [
      {
        ...acme,
        ACME_NAMES: "example.com *.Example.com",
        ACME_DIRECTORY: "https://ca.internal:14000/dir",
        ACME_FALLBACK_DIRECTORY: "staging",
        ACME_CA_FILE: "ca.pem",
        ACME_PROFILE: "shortlived",
        ACME_EAB_KID: "kid-1",
        ACME_EAB_HMAC_KEY: "c2VjcmV0LXNlY3JldC1zZWNyZXQ=",
        ACME_DNS_HOOK: "bin/hook",
      },
      {
        acme: {
          email: null,
          names: ["example.com", "*.example.com"],
          directory: "https://ca.internal:14000/dir",
          fallbackDirectory: "https://acme-staging-v02.api.letsencrypt.org/directory",
          caFile: "/srv/ca.pem",
          profile: "shortlived",
          eab: { kid: "kid-1", hmacKey: "c2VjcmV0LXNlY3JldC1zZWNyZXQ" },
          fallbackEab: null,
          dnsHook: "/srv/bin/hook",
        },
      },
    ],
    [
      { POLICIES_DIR: "mine", CERTS_DIR: "/c", STATE_DIR: "./s", ODOO_FILESTORE: "odoo/filestore" },
      { policiesDir: "/srv/mine", certsDir: "/c", stateDir: "/srv/s", odooFilestore: "/srv/odoo/filestore" },
    ],
    [{ PRESET: "nginx-guide" }, { preset: "nginx-guide", apiNetworks: null }],
    [
      { CACHE: "off", CACHE_BYTES: "16MiB", CACHE_STATIC_FRESH: "0", COMPRESSION: "no" },
      { cache: { on: false, bytesMax: 16_777_216, staticFreshMs: 0 }, compression: false },
    ],
    [
      { BODY_MAX: "1MiB", SPOOL_MAX: "1GB" },
      { bodyBytesMax: 1_048_576, spoolBytesMax: 1_000_000_000 },
    ],
    [
      { LOG_LEVEL: "WARN", LOG_FORMAT: "text" },
      { logLevel: "warn", logFormat: "text" },
    ],
    [{ METHODS: "get, post HEAD GET" }, { methods: ["GET", "POST", "HEAD"] }],
    [
      { DATABASE_MANAGER: "redirect", DATABASE_SELECTOR: "allow" },
      { databaseManager: "redirect", databaseSelector: "allow" },
    ],
    [
      { HSTS_MAX_AGE: "63072000", HSTS_PRELOAD: "yes" },
      { hstsMaxAgeSeconds: 63_072_000, hstsPreload: true },
    ],
    [
      { HSTS_MAX_AGE: "0", HSTS_SUBDOMAINS: "off" },
      { hstsMaxAgeSeconds: 0, hstsSubdomains: false },
    ],
    [{ HSTS_MAX_AGE: "180d" }, { hstsMaxAgeSeconds: 15_552_000 }],
    [
      { CSP_SCRIPT_SRC: "https://CDN.example.com/ https://*.Example.net:8443" },
      { cspScriptSources: ["https://cdn.example.com", "https://*.example.net:8443"] },
    ],
    [{}, { cspReports: true, adminAccounts: [] }],
    [
      { ADMIN_ACCOUNTS: "admin, Chef@example.com uid:2", ADMIN_NETWORKS: "10.0.0.0/8" },
      { adminAccounts: ["admin", "Chef@example.com", "uid:2"] },
    ],
    [{ CSP_REPORTS: "off" }, { cspReports: false }],
    [
      { WEBSOCKET_ORIGINS: "https://Shop.example.com:443/,https://x.example:8443" },
      { websocketOrigins: ["https://shop.example.com", "https://x.example:8443"] },
    ],
    [staging, { preset: "staging", stagingLogin: { user: "team", password: "correct horse" } }],
    [
      { ...staging, STAGING_EXEMPT: "/payment/** /shop/hook*/x" },
      { stagingExempt: ["/payment/**", "/shop/hook*/x"] },
    ],
    [{ ...staging, STAGING_EXEMPT: "none" }, { stagingExempt: [] }],
    [
      { CONNECTIONS_PER_CLIENT: "64", TUNNELS_PER_CLIENT: "1", TUNNELS_PER_SESSION: "2" },
      { connectionsPerClientMax: 64, tunnelsPerClientMax: 1, tunnelsPerSessionMax: 2 },
    ],
    [{ DRAIN_TIMEOUT: "500ms" }, { drainTimeoutMs: 500 }],
    [{ WORKERS: "4" }, { workers: 4 }],
    [
      { DOMAIN: "", ODOO_URL: "  ", PRESET: "", TLS_CERT_FILE: "" },
      { odoo: null, preset: "standard", tlsMode: "local" },
    ],
  ];
  for (const [env, expected] of table) {
    t.match(settingsOf(env), expected, JSON.stringify(env));
  }
});

function served(host: string, port: number | null) {
  const name = readServedName(host);
  if (!name.ok) {
    throw new Error(host);
  }
  return { host: name.value.host, port };
}

t.test("networks", async (t) => {
  const ip = (text: string) => parseIp(text) ?? t.fail(text);
  const settings = settingsOf({
    TRUSTED_PROXIES: "10.0.0.0/8, ::1",
    ADMIN_NETWORKS: "192.0.2.7",
    API_NETWORKS: "none",
    POS_NETWORKS: "192.168.0.0/16",
  });
  const address = ip("10.2.3.4");
  t.ok(typeof address === "object" && settings.trustedProxies.contains(address));
  t.same(settings.adminNetworks.texts, ["192.0.2.7"]);
  t.ok(settings.apiNetworks?.isEmpty, "none is nobody");
  t.equal(settingsOf({ API_NETWORKS: "any", PRESET: "strict" }).apiNetworks, null);
  t.ok(settingsOf({ PRESET: "strict" }).apiNetworks?.isEmpty, "strict closes the API");
  t.same(settingsOf({ PRESET: "strict", API_NETWORKS: "10.0.0.0/8" }).apiNetworks?.texts, ["10.0.0.0/8"]);
});

t.test("each mistake is named with its place and its remedy", async (t) => {
  const long = "a".repeat(64);
  const table: readonly (readonly [Env, string])[] = [
    [
      { DOMAIN: "https://erp.example.com/" },
      'environment DOMAIN "https://erp.example.com/" is a URL, not a name; write "erp.example.com"',
    ],
    [
      { DOMAIN: "bücher.example" },
      'DOMAIN "bücher.example" is not ASCII; browsers send xn--bcher-kva.example: write that',
    ],
    [{ DOMAIN: "*.example.com" }, 'DOMAIN "*.example.com" is a wildcard'],
    [{ DOMAIN: "a.example,A.example:8443" }, 'DOMAIN "A.example:8443" is already in DOMAIN'],
    [
      { DOMAIN: "a.example", REDIRECT_DOMAINS: "a.example" },
      'REDIRECT_DOMAINS "a.example" is already in DOMAIN',
    ],
    [{ REDIRECT_DOMAINS: "a.example" }, "REDIRECT_DOMAINS needs DOMAIN"],
    [{ DOMAIN: "," }, "DOMAIN names nothing"],
    [{ DOMAIN: "a.example:0" }, 'DOMAIN "a.example:0" has a port that is none'],
    [{ DOMAIN: "a.example:65536" }, "has a port that is none"],
    [{ DOMAIN: "a.example:080" }, "has a port that is none"],
    [{ DOMAIN: "a.example:" }, "has a port that is none"],
    [{ DOMAIN: "a.example/web" }, "has a path"],
    [{ DOMAIN: "a.example." }, 'ends with a dot; write "a.example"'],
    [{ DOMAIN: "::1" }, 'DOMAIN "::1" is an IPv6 address without brackets; write [::1]'],
    [{ DOMAIN: "[::ffff:192.0.2.1]" }, "is an IPv4 address written as IPv6; write 192.0.2.1"],
    [{ DOMAIN: "[::g]" }, "is no IPv6 address"],
    [{ DOMAIN: "[192.0.2.1]" }, "is no IPv6 address"],
    [{ DOMAIN: "192.0.2.256" }, "is no IPv4 address"],
    [{ DOMAIN: "0x7f.1" }, "is no IPv4 address"],
    [{ DOMAIN: "1.2.3" }, "is no IPv4 address"],
    [{ DOMAIN: `${long}.example` }, "has a part longer than 63 characters"],
    [{ DOMAIN: `${"a.".repeat(126)}ab` }, "is longer than 253 characters"],
    [{ DOMAIN: "a_b.example" }, "is no host name"],
    [{ DOMAIN: "-a.example" }, "is no host name"],
    [{ DOMAIN: "a..example" }, "is no host name"],
    [{ DOMAIN: "a\0.example" }, 'DOMAIN "a\\u0000.example" is no host name'],
    [{ ODOO_URL: "https://odoo:8069" }, "Odoo itself speaks plain HTTP"],
    [{ ODOO_URL: "odoo:8069" }, 'ODOO_URL "odoo:8069" must begin with http://; write "http://odoo:8069"'],
    [{ ODOO_URL: "ftp://odoo" }, "must begin with http://"],
    [{ ODOO_URL: "http://odoo:8069/web" }, "must end after the port"],
    [{ ODOO_URL: "http://odoo:8069?db=x" }, "must end after the port"],
    [{ ODOO_URL: "http://odoo\\x:8069" }, "must end after the port"],
    [{ ODOO_URL: "http://:8069" }, "is no http://host:port"],
    [{ ODOO_URL: "http://odoo:99999" }, "is no http://host:port"],
    [
      { ODOO_URL: "http://a:8069,http://a:8069/" },
      'ODOO_URL names "http://a:8069/" twice; name each member once',
    ],
    [{ ODOO_URL: "http://a", ODOO_BACKUP_URL: "http://a" }, 'ODOO_BACKUP_URL names "http://a" twice'],
    [{ ODOO_BACKUP_URL: "http://a" }, "ODOO_BACKUP_URL needs ODOO_URL"],
    [
      { ODOO_URL: Array.from({ length: 33 }, (_, i) => `http://m${i}:8069`).join(" ") },
      "ODOO_URL names more than 32 members",
    ],
    [{ ODOO_URL: "http://b:8069,http://127.0.0.1:8443" }, "ODOO_URL points at our own HTTPS_LISTEN"],
    [{ ODOO_WORKERS: "0" }, "must be a whole number from 1 to 1000"],
    [{ ODOO_RESOLVE: "10ms" }, "must be at least 1s"],
    [{ QUEUE_TIMEOUT: "0s" }, "must be at least 1s"],
    [{ HOLD_TIMEOUT: "1d" }, "must be at most 10m"],
    [{ ODOO_STICKY: "cookie" }, "must be one of off, session"],
    [{ ODOO_URL: "http://10.0.0.010:8069" }, "is no http://host:port"],
    [{ ODOO_URL: "http://::1:8069" }, "is no http://host:port"],
    [
      { ODOO_URL: "http://localhost:8443" },
      "ODOO_URL points at our own HTTPS_LISTEN: requests would go in a circle",
    ],
    [{ ODOO_URL: "http://127.0.0.9:8080" }, "points at our own HTTP_LISTEN"],
    [{ ODOO_URL: "http://[::1]:8443" }, "points at our own HTTPS_LISTEN"],
    [{ ODOO_URL: "http://0.0.0.0:8443" }, "points at our own HTTPS_LISTEN"],
    [{ ODOO_BUS_URL: "http://localhost:9180" }, "ODOO_BUS_URL points at our own ADMIN_LISTEN"],
    [{ ODOO_URL: "http://10.0.0.5:80", HTTP_LISTEN: "10.0.0.5:80" }, "points at our own HTTP_LISTEN"],
    [{ DOMAIN: "erp.example.com", ODOO_URL: "http://erp.example.com:8080" }, "points at our own HTTP_LISTEN"],
    [{ HTTPS_LISTEN: "8443" }, 'HTTPS_LISTEN "8443" is no address; write ":8443" for every address'],
    [{ HTTPS_LISTEN: "*:443" }, 'write ":443" for every address'],
    [{ HTTPS_LISTEN: "::1:443" }, "write host:port, [v6]:port or :port"],
    [{ HTTPS_LISTEN: "off" }, "HTTPS_LISTEN cannot be off"],
    [{ HTTPS_LISTEN: "localhost:70000" }, "is no address"],
    [{ HTTPS_LISTEN: "a b:80" }, "has no host name or IP address"],
    [{ HTTP_LISTEN: ":8443" }, "HTTP_LISTEN and HTTPS_LISTEN both take port 8443"],
    [{ HTTP_LISTEN: "127.0.0.1:8443" }, "HTTP_LISTEN and HTTPS_LISTEN both take port 8443"],
    [{ HTTPS_LISTEN: "localhost:9180" }, "ADMIN_LISTEN and HTTPS_LISTEN both take port 9180"],
    [
      { REPORT_LISTEN: ":8070" },
      "ODOO_NETWORKS is required: others than this machine can reach REPORT_LISTEN",
    ],
    [{ REPORT_LISTEN: "127.0.0.1:8080" }, "REPORT_LISTEN and HTTP_LISTEN both take port 8080"],
    [{ ODOO_URL: "http://localhost:8070", REPORT_LISTEN: "localhost:8070" }, "our own REPORT_LISTEN"],
    [{ REPORT_LISTEN: ":8070", ODOO_NETWORKS: "inside" }, 'ODOO_NETWORKS "inside"'],
    [{ MAINTENANCE_PAGE: "no-such.html" }, 'MAINTENANCE_PAGE "no-such.html" cannot be read'],
    [{ TLS_MODE: "acme" }, "TLS_MODE acme needs DOMAIN: no authority signs for localhost"],
    [{ ...acme, ACME_EMAIL: "it" }, "ACME_EMAIL is no mail address"],
    [{ ...acme, ACME_DIRECTORY: "http://ca.internal/dir" }, "is no directory; write https://"],
    [{ ...acme, ACME_DIRECTORY: "https://user:word@ca.internal/dir" }, '"https://***@ca.internal/dir" is no'],
    [{ ...acme, ACME_FALLBACK_DIRECTORY: "production" }, "is the same as ACME_DIRECTORY"],
    [{ ...acme, ACME_EAB_KID: "kid-1" }, "ACME_EAB_KID needs ACME_EAB_HMAC_KEY too"],
    [
      { ...acme, ACME_EAB_HMAC_KEY: "c2VjcmV0LXNlY3JldC1zZWNyZXQ" },
      "ACME_EAB_HMAC_KEY needs ACME_EAB_KID too",
    ],
    [
      { ...acme, ACME_EAB_KID: "kid-1", ACME_EAB_HMAC_KEY: "not base64!" },
      "ACME_EAB_HMAC_KEY is no base64url key",
    ],
    [
      { ...acme, ACME_EAB_HMAC_KEY_FILE: "none" },
      'ACME_EAB_HMAC_KEY_FILE "none" cannot be read: there is no such file',
    ],
    [
      { ...acme, ACME_FALLBACK_EAB_KID: "kid-2" },
      "ACME_FALLBACK_EAB_KID needs ACME_FALLBACK_EAB_HMAC_KEY too",
    ],
    [{ ...acme, ACME_PROFILE: "short lived" }, '"short lived" is no profile name'],
    [{ ...acme, ACME_NAMES: "*.example.com" }, "has a wildcard, which authorities prove by DNS only"],
    [
      { ...acme, ACME_NAMES: "erp.example.com:8443" },
      "has a port; a certificate is for a name on every port",
    ],
    [{ TLS_MODE: "files" }, "TLS_CERT_FILE is missing with TLS_MODE=files"],
    [{ TLS_MODE: "files" }, "TLS_KEY_FILE is missing with TLS_MODE=files"],
    [{ TLS_CERT_FILE: "a.pem" }, "TLS_KEY_FILE is missing, as TLS_CERT_FILE is set"],
    [{ TLS_KEY_FILE: "a.key" }, "TLS_CERT_FILE is missing, as TLS_KEY_FILE is set"],
    [{ PRESET: "strickt" }, "must be one of standard, strict, staging, nginx-guide; did you mean strict?"],
    [{ LOG_LEVEL: "trace" }, "must be one of debug, info, warn, error, silent"],
    [{ DATABASE_MANAGER: "500" }, "must be one of 404, 403, redirect"],
    [{ TRUSTED_PROXIES: "10.1.2.3/8" }, "the network is 10.0.0.0/8"],
    [{ TRUSTED_PROXIES: "0.0.0.0/0" }, "is everybody: each client could choose the address it is seen with"],
    [{ TRUSTED_PROXIES: "10.0.0.0/8 ::/0" }, '"::/0" is everybody'],
    [{ ADMIN_NETWORKS: "any" }, 'ADMIN_NETWORKS "any" is no network; name the networks'],
    [{ API_NETWORKS: "any 10.0.0.0/8" }, '"any" is no network'],
    [{ ADMIN_NETWORKS: "10.0.0.0/8,none" }, '"none" is no IP address'],
    [{ ADMIN_ACCOUNTS: "admin" }, "ADMIN_ACCOUNTS names accounts for ADMIN_NETWORKS, which is empty"],
    [{ ADMIN_ACCOUNTS: "uid:two", ADMIN_NETWORKS: "10.0.0.0/8" }, '"uid:two" is no account'],
    [{ POS_NETWORKS: "10.0.0.0/8", HTTP_LISTEN: "off" }, "POS_NETWORKS needs the plain HTTP listener"],
    [{ BODY_MAX: "1023KiB" }, "must be at least 1MiB"],
    [{ BODY_MAX: "128M" }, "is no size; write 64MiB"],
    [{ CACHE_BYTES: "8MiB" }, "must be at least 16MiB"],
    [{ CACHE_STATIC_FRESH: "2d" }, "must be at most 24h"],
    [{ COMPRESSION: "gzip" }, "must be true or false"],
    [{ SPOOL_MAX: "64MiB" }, "must not be below BODY_MAX (128MiB)"],
    [{ SPOOL_MAX: "255MiB", WORKERS: "2" }, "must not be below BODY_MAX (128MiB) times WORKERS, 256MiB"],
    [{ ODOO_WORKERS: "1", WORKERS: "2" }, "is 1, and WORKERS=2 processes divide Odoo's workers"],
    [{ ODOO_WORKERS: "2", WORKERS: "2" }, "is 2, and WORKERS=2 processes divide Odoo's workers"],
    [{ METHODS: "GET TRACE" }, '"TRACE" is never let through'],
    [{ METHODS: "GET connect" }, '"connect" is never let through'],
    [{ METHODS: "GET PSOT" }, '"PSOT" is no HTTP method; did you mean POST?'],
    [{ METHODS: "POST" }, "must include GET"],
    [{ HSTS_MAX_AGE: "1500ms" }, "is no number of seconds"],
    [{ HSTS_MAX_AGE: "11y" }, "must be at most 10y"],
    [
      { HSTS_PRELOAD: "true", HSTS_MAX_AGE: "30d", HSTS_SUBDOMAINS: "false" },
      "HSTS_PRELOAD needs HSTS_MAX_AGE of at least 1y and HSTS_SUBDOMAINS=true",
    ],
    [{ HSTS_PRELOAD: "maybe" }, "must be true or false"],
    [{ CSP_SCRIPT_SRC: "http://x.example" }, "is no origin"],
    [{ CSP_SCRIPT_SRC: "unsafe-inline" }, "is no origin"],
    [{ CSP_SCRIPT_SRC: "https://x.example;frame-ancestors" }, "is no"],
    [{ CSP_SCRIPT_SRC: "https://*" }, "is"],
    [{ CSP_SCRIPT_SRC: "https://*.*.example" }, "is a wildcard"],
    [{ CSP_SCRIPT_SRC: "https://a.*.example" }, "is a wildcard"],
    [{ WEBSOCKET_ORIGINS: "http://x.example" }, "is no origin"],
    [{ WEBSOCKET_ORIGINS: "https://x.example/web" }, "is no origin"],
    [{ WEBSOCKET_ORIGINS: "https://*.example" }, "is a wildcard"],
    [{ PRESET: "staging" }, "STAGING_USER is required with preset staging"],
    [{ PRESET: "staging", STAGING_USER: "a" }, "STAGING_PASSWORD or STAGING_PASSWORD_FILE is required"],
    [{ ...staging, STAGING_USER: "a:b" }, "STAGING_USER must not have a colon"],
    [{ ...staging, STAGING_PASSWORD: "short" }, "STAGING_PASSWORD must have at least 8 characters"],
    [
      { ...staging, STAGING_PASSWORD_FILE: "pw" },
      'STAGING_PASSWORD_FILE "pw" cannot be read: there is no such file',
    ],
    [{ HSTS_RAMP: "yes", HSTS_PRELOAD: "yes" }, "HSTS_RAMP and HSTS_PRELOAD exclude each other"],
    [{ ...staging, PRESET: "standard" }, "STAGING_PASSWORD has no effect with preset standard"],
    [{ STAGING_USER: "team" }, "STAGING_USER has no effect with preset standard"],
    [{ ...staging, STAGING_EXEMPT: "payment" }, 'must begin with "/"'],
    [{ ...staging, STAGING_EXEMPT: "/a/**/b" }, "is no path pattern"],
    [{ ...staging, STAGING_EXEMPT: "/a//b" }, "is no path pattern"],
    [{ ...staging, STAGING_EXEMPT: "/a?x" }, "is no path pattern"],
    [{ ...staging, STAGING_EXEMPT: "/a/../b" }, "is no path pattern"],
    [{ CONNECTIONS_PER_CLIENT: "0" }, "must be a whole number from 1 to 1000000"],
    [{ TUNNELS_PER_CLIENT: "1e3" }, "must be a whole number"],
    [{ DRAIN_TIMEOUT: "30" }, "is no duration"],
    [{ DRAIN_TIMEOUT: "2h" }, "must be at most 1h"],
    [{ STATE_DIR: '"/state"' }, 'STATE_DIR "\\"/state\\"" has quotes around its value; take them out'],
    [{ DOMAIN: "'a.example'" }, "DOMAIN \"'a.example'\" has quotes around its value; take them out"],
    [{ API_NETWORKS: "," }, "API_NETWORKS names nothing; name an entry, or leave it out"],
    [{ ODOO_URL: "none" }, "ODOO_URL names nothing; name where Odoo answers, or leave it out"],
    [
      { ODOO_URL: "300.1.1.1:8069" },
      'ODOO_URL "300.1.1.1:8069" must begin with http://; write http://host:port',
    ],
    [{ HTTPS_LISTEN: "99999" }, 'HTTPS_LISTEN "99999" is no address; write host:port, [v6]:port or :port'],
    [
      { GATEWAY_FILE: "other.yaml" },
      'environment GATEWAY_FILE "other.yaml" cannot be read: there is no such file',
    ],
  ];
  for (const [env, expected] of table) {
    const problems = problemsOf(env);
    t.ok(
      problems.some((problem) => problem.includes(expected)),
      `${JSON.stringify(env).slice(0, 90)} → ${expected}`,
      { found: problems, wanted: expected },
    );
    t.ok(
      problems.every((problem) => /^(environment|default) /.test(problem) && !problem.includes("\n")),
      "one line with its place",
    );
    t.notOk(
      problems.some((problem) => problem.startsWith("default")),
      "nothing is said of defaults",
    );
  }
});

t.test("a bad value does not cause complaints about other settings", async (t) => {
  for (const env of [
    { HTTPS_LISTEN: "x" },
    { HTTP_LISTEN: "x", ODOO_URL: "http://localhost:8080" },
    { BODY_MAX: "x", SPOOL_MAX: "2MiB" },
    { HSTS_MAX_AGE: "x", HSTS_PRELOAD: "true" },
    { TLS_MODE: "x", TLS_CERT_FILE: "a" },
    { PRESET: "x", STAGING_USER: "team" },
  ]) {
    t.equal(problemsOf(env).length, 1, JSON.stringify(env), { found: problemsOf(env) });
  }
});

t.test("a misspelt variable is named; other programs' variables are not ours", async (t) => {
  const wrong: Env = {
    ODOO_ULR: "x",
    DOMAINS: "x",
    DOMIAN: "x",
    LISTEN_HTTP: "x",
    TLS_CERTFILE: "x",
    odoo_url: "x",
    API_NETWORK: "x",
    HTTPS_LISTENS: "x",
    STAGING_PASWORD: "hunter2hunter2",
    TRUSTED_PROXY: "x",
  };
  const meant = [
    "ODOO_URL",
    "DOMAIN",
    "DOMAIN",
    "HTTP_LISTEN",
    "TLS_CERT_FILE",
    "ODOO_URL",
    "API_NETWORKS",
    "HTTPS_LISTEN",
    "STAGING_PASSWORD",
    "TRUSTED_PROXIES",
  ];
  t.same(
    problemsOf(wrong),
    Object.keys(wrong).map(
      (name, index) => `environment ${name} is no setting; did you mean ${meant[index]}?`,
    ),
  );
  const foreign = `HTTPS_PROXY HTTP_PROXY https_proxy ODOO_RC ODOO_USER ODOO_DB ODOO_PORT ODOO_HOST SSL_CERT_FILE SSL_CERT_DIR
    PATH HOME HOSTNAME HOST PORT USER SHELL LANG TERM PWD PRE TZ NODE_ENV NODE_OPTIONS STATE_DIRECTORY LOGS_DIRECTORY
    CONFIGURATION_DIRECTORY CREDENTIALS_DIRECTORY CACHE_DIRECTORY RUNTIME_DIRECTORY PGDATABASE ODOO_UID MAINTENANCE_MODE LISTEN_FDS LISTEN_PID ODOO_SERVICE_HOST ODOO_PORT_8069_TCP KUBERNETES_PORT DOMAIN_NAME
    USERDOMAIN METHO LOGNAME LOG_FILE LOG_DIR DATABASE_URL DB_HOST PGHOST npm_config_registry npm_lifecycle_event TLS_CA_FILE`;
  const env = Object.fromEntries(foreign.split(/\s+/).map((name) => [name, "value"]));
  t.same(problemsOf(env), []);
  t.same(problemsOf({ DOMAINS: "" }), [], "an empty variable says nothing");
});

t.test("gateway.yaml gives what the environment does not", async (t) => {
  const file = `
# comment
domain: [erp.example.com, "[2001:db8::1]:8443"]
odoo_url: http://odoo:8069
http_listen: off
admin_networks:
  - 192.0.2.0/24
  - 2001:db8::/32
api_networks: []
trusted_proxies: 10.0.0.0/8, 127.0.0.1
body_max: 1048576
hsts_subdomains: false
database_manager: 403
tunnels_per_client: 5
log_level:
`;
  const settings = settingsOf({ ODOO_URL: "http://elsewhere:8069" }, yaml(file));
  t.match(settings, {
    domains: [{ host: "erp.example.com" }, { host: "[2001:db8::1]", port: 8443 }],
    odoo: { host: "elsewhere" },
    httpListen: null,
    bodyBytesMax: 1_048_576,
    hstsSubdomains: false,
    databaseManager: "403",
    tunnelsPerClientMax: 5,
    logLevel: "info",
  });
  t.same(settings.adminNetworks.texts, ["192.0.2.0/24", "2001:db8::/32"]);
  t.same(settings.trustedProxies.texts, ["10.0.0.0/8", "127.0.0.1"]);
  t.ok(settings.apiNetworks?.isEmpty, "an empty list is nobody, not everybody");
  t.equal(settingsOf({ GATEWAY_FILE: "conf/x.yaml" }, { "conf/x.yaml": "preset: strict" }).preset, "strict");
  t.equal(settingsOf({}, yaml("# nothing\n")).preset, "standard");
});

t.test("a mistake in gateway.yaml has its line and column", async (t) => {
  const table: readonly (readonly [string, string])[] = [
    ["domain: a.example\nodoo_ulr: x\n", "gateway.yaml:2:1 odoo_ulr is no setting; did you mean odoo_url?"],
    ["colour: 4\n", "gateway.yaml:1:1 colour is no setting; docs/options.md lists all"],
    ["ODOO_URL: http://odoo\n", "gateway.yaml:1:1 ODOO_URL is no setting; did you mean odoo_url?"],
    ["\n\npreset:   strickt\n", 'gateway.yaml:3:11 preset "strickt" must be one of'],
    [
      "admin_networks:\n  - 10.0.0.0/8\n  - 10.1.1.1/8\n",
      'gateway.yaml:3:5 admin_networks "10.1.1.1/8" has bits set',
    ],
    ["preset: strict\npreset: strict\n", "gateway.yaml:2:1 "],
    ["odoo_keepalive: [true, false]\n", "gateway.yaml:1:17 odoo_keepalive takes one value, not a list"],
    ["odoo_url: [http://a, b]\n", 'gateway.yaml:1:22 odoo_url "b" must begin with http://; write "http://b"'],
    ["odoo_url: {host: a}\n", "gateway.yaml:1:11 odoo_url takes a value, not a map"],
    ["domain: [{a: 1}]\n", "gateway.yaml:1:10 domain has an entry that is no text"],
    ["domain: [a.example, 12]\n", "gateway.yaml:1:21 domain has an entry that is no text; put it in quotes"],
    ["domain: []\n", "domain names nothing"],
    ["http_listen: 8080\n", 'gateway.yaml:1:14 http_listen must be text; write ":8080", in quotes'],
    [
      "state_dir: ~/state\n",
      'state_dir "~/state" begins with "~", which only a shell knows; write the whole',
    ],
    ["domain: true\n", "domain must be text; put it in quotes"],
    ["body_max: 1.5\n", "body_max must be text"],
    ["gateway_file: x\n", "gateway.yaml:1:1 gateway_file can stand in the environment only"],
    ["- a\n", "gateway.yaml:1:1 is no map of settings"],
    ["a: &x 1\npreset: *x\n", 'gateway.yaml:2:9 alias "*x" is not allowed'],
    ["domain: [a\n", "gateway.yaml:"],
    ["preset: strict\n---\nworkers: 2\n", "gateway.yaml:2:1 a second document begins here; take"],
    ["workers: 2\nworkers: 3\n", "gateway.yaml:2:1 key workers is written twice"],
    ["hosts:\n\tx: 1\n", "gateway.yaml:2:1 Tabs are not allowed as indentation; indent with spaces"],
    [
      "domain: @a\n",
      "gateway.yaml:1:9 Plain value cannot start with reserved character @; put the text in q",
    ],
    [
      "acme_names: *.a.example\n",
      'gateway.yaml:1:13 alias "*.a.example" is not allowed; write what it stands',
    ],
    ["domain: [a\npreset: strict\n", "gateway.yaml:2:1 ] is missing before this; close the list or map"],
    [`domain: ${"[".repeat(5_000)}\n`, "is nested too deeply; is a bracket or a brace missing its end?"],
    ["- a\npreset: strict\n", "gateway.yaml:2:1 what begins here belongs to nothing before it; indent it"],
    ["cache:\n# none\ncache: off\n", "gateway.yaml:3:1 key cache is written twice"],
    ["cache:off\npreset: strict\n", 'on a single line; write "key: value", with a space behind the colon'],
    ["workers: .inf\n", 'workers "Infinity" must be a whole number from 1 to 64'],
    ["workers: 99999999999999999999\n", 'workers "100000000000000000000" must be a whole number'],
    ["login_bans: false\n", 'login_bans "false" must be one of standard, guide, official, off'],
    ["http_listen: false\n", 'http_listen "false" is no address'],
    ["odoo_url: []\n", "gateway.yaml:1:1 odoo_url names nothing; name where Odoo answers, or leave it out"],
    ["api_networks: ', ,'\n", "gateway.yaml:1:15 api_networks names nothing; name an entry, or leave it out"],
    [
      "hosts:\n  localhost: { database: a }\n  LOCALHOST: { database: b }\n",
      'gateway.yaml:3:3 "LOCALHOST" is named twice; keep one of them',
    ],
    [
      "domain: a.example:8443\nhosts:\n  a.example:8443: { database: a }\n",
      'gateway.yaml:3:3 "a.example:8443" has a port; write a.example: it is for every port',
    ],
    ["__proto__: {preset: strict}\n", "__proto__ is no setting"],
    ["http_listen: ':8443'\n", "gateway.yaml:1:1 http_listen and HTTPS_LISTEN both take port 8443"],
  ];
  for (const [text, expected] of table) {
    const problems = problemsOf({}, yaml(text));
    t.ok(
      problems.some((problem) => problem.includes(expected)),
      `${JSON.stringify(text)} → ${expected}`,
      { found: problems },
    );
  }
  t.equal(
    problemsOf({}, yaml(`domain: ${"[".repeat(5_000)}\n`)).length,
    1,
    "what follows from it is not told",
  );
  t.equal(problemsOf({}, yaml("preset: 1\npreset: 1\n".repeat(100))).length, 20, "a bounded number is told");
  const many = problemsOf({ PRESET: "x", DOMAINS: "y" }, yaml("odoo_url: z\nbrust: 1\n"));
  t.equal(many.length, 4, "all mistakes of both sources at once", { many });
});

t.test("no problem ever prints the staging password", async (t) => {
  const secret = "hunter2-hunter2";
  const envs: readonly Env[] = [
    { STAGING_PASSWORD: secret },
    { ...staging, STAGING_PASSWORD: `${secret}\n${secret}` },
    { ...staging, STAGING_PASSWORD: secret.repeat(40) },
    { PRESET: "staging", STAGING_PASSWORD: secret },
    { ...staging, STAGING_PASSWORD: secret, STAGING_PASSWORD_FILE: "pw" },
    { STAGING_PASWORD: secret },
    { ODOO_URL: `http://admin:${secret}@odoo:8069` },
    { ODOO_URL: `https://admin:${secret}@odoo:8069` },
    { ODOO_URL: `admin:${secret}@odoo:8069` },
    { DOMAIN: `https://admin:${secret}@odoo` },
    { WEBSOCKET_ORIGINS: `https://admin:${secret}@odoo` },
    { PRESET: "staging", STAGING_USER: "a", STAGING_PASSWORD_FILE: "bad" },
  ];
  for (const env of envs) {
    const problems = problemsOf(env, { pw: secret, bad: `${secret}\n${secret}` });
    t.ok(problems.length > 0, "is refused");
    t.notMatch(problems.join("\n"), /hunter2/, JSON.stringify(Object.keys(env)));
  }
  const texts = [
    `*${secret}`,
    `!${secret}`,
    `&${secret}`,
    `"${secret}`,
    `@${secret}`,
    `%${secret}`,
    `[${secret}`,
    `{${secret}`,
    `\n  *${secret}`,
    `|x${secret}`,
    `>\n${secret}`,
    `[${secret}]`,
    "12345678",
    "0123456",
  ];
  for (const text of texts) {
    const problems = problemsOf(
      {},
      yaml(`preset: staging\nstaging_user: a\nstaging_password: ${text}\nlog_level: info\n`),
    );
    t.ok(problems.length > 0, `${text} is refused`);
    t.notMatch(problems.join("\n"), /hunter2|12345678|123456/, text);
  }
});

t.test("the staging password may come from a file", async (t) => {
  const env = { PRESET: "staging", STAGING_USER: "team", STAGING_PASSWORD_FILE: "secret" };
  t.equal(settingsOf(env, { secret: " correct horse \n" }).stagingLogin?.password, " correct horse ");
  t.match(problemsOf(env, { secret: "short\n" }), [/"secret": the password in it must have at least 8/]);
  t.match(problemsOf({ ...env, STAGING_PASSWORD: "correct horse" }, { secret: "correct horse" }), [
    /are both set/,
  ]);
});

t.test("the key of an account binding may come from a file, for each directory its own", async (t) => {
  const key = "c2VjcmV0LXNlY3JldC1zZWNyZXQ";
  const env = {
    ...acme,
    ACME_EAB_KID: "one",
    ACME_EAB_HMAC_KEY_FILE: "secrets/eab",
    ACME_FALLBACK_DIRECTORY: "https://ca.internal/dir",
    ACME_FALLBACK_EAB_KID: "two",
    ACME_FALLBACK_EAB_HMAC_KEY: `${key}Mg`,
  };
  t.match(settingsOf(env, { "secrets/eab": `${key}=\n` }).acme, {
    eab: { kid: "one", hmacKey: key },
    fallbackEab: { kid: "two", hmacKey: `${key}Mg` },
  });
  const files = { "secrets/eab": "hunter2 hunter2", twice: key };
  t.same(problemsOf(env, files).length, 1);
  t.match(problemsOf(env, files)[0], /ACME_EAB_HMAC_KEY_FILE "secrets\/eab" holds no base64url key/);
  t.notMatch(problemsOf(env, files).join(), /hunter2/);
  const both = { ...env, ACME_EAB_HMAC_KEY: key, ACME_EAB_HMAC_KEY_FILE: "twice" };
  t.match(problemsOf(both, files), [/ACME_EAB_HMAC_KEY and ACME_EAB_HMAC_KEY_FILE are both set/]);
  t.notMatch(problemsOf(both, files).join(), key);
  t.match(warningsOf({ ...acme, ACME_FALLBACK_EAB_KID: "two", ACME_FALLBACK_EAB_HMAC_KEY: key }), [
    /ACME_FALLBACK_EAB_KID has no effect without ACME_FALLBACK_DIRECTORY/,
  ]);
});

t.test("what works and is probably not meant is a warning", async (t) => {
  const table: readonly (readonly [Env, string | null])[] = [
    [{ ADMIN_LISTEN: ":9180" }, "environment ADMIN_LISTEN is open to other machines"],
    [{ ADMIN_LISTEN: "0.0.0.0:9180" }, "ADMIN_LISTEN is open"],
    [{ ADMIN_LISTEN: "[::1]:9180" }, null],
    [{ ADMIN_LISTEN: "localhost:9180" }, null],
    [{ ODOO_URL: "http://odoo" }, "ODOO_URL names no port, so port 80 is asked"],
    [{ ODOO_URL: "http://odoo:80" }, null],
    // They hold for what is learnt, too.
    [{ QUEUE_MAX: "9", QUEUE_TIMEOUT: "9s" }, null],
    [{ ODOO_WORKERS: "3", WORKERS: "2", SPOOL_MAX: "256MiB" }, null],
    [{ ODOO_WORKERS: "1" }, null],
    [{ REPORT_LISTEN: "127.0.0.1:8070" }, null],
    [{ REPORT_LISTEN: ":8070", ODOO_NETWORKS: "172.18.0.0/16" }, null],
    [{ REPORT_LISTEN: ":8070", ODOO_NETWORKS: "0.0.0.0/0" }, "whoever reaches REPORT_LISTEN"],
    [{ ODOO_NETWORKS: "172.18.0.0/16" }, "ODOO_NETWORKS has no effect without REPORT_LISTEN"],
    [{ TRUSTED_NETWORKS: "0.0.0.0/0" }, "nobody is ever limited or banned"],
    [{ ADMIN_NETWORKS: "::/0" }, "everybody reaches the database manager"],
    [
      { TRUSTED_PROXIES: "172.18.0.2", ADMIN_NETWORKS: "172.16.0.0/12" },
      'ADMIN_NETWORKS holds the proxy itself, "172.18.0.2" of TRUSTED_PROXIES: should it forward a request without X-Forwarded-For, it reaches the database manager; see that the proxy always sets that field',
    ],
    [
      { TRUSTED_PROXIES: "192.0.2.1, 10.0.0.0/8", TRUSTED_NETWORKS: "10.1.0.0/16" },
      'TRUSTED_NETWORKS shares addresses with "10.0.0.0/8" of TRUSTED_PROXIES: should a proxy there forward',
    ],
    [{ TRUSTED_PROXIES: "10.0.0.1", ADMIN_NETWORKS: "10.0.0.2, 2001:db8::/32" }, null],
    [{ TLS_MODE: "local", TLS_CERT_FILE: "a.pem" }, "TLS_CERT_FILE has no effect with TLS_MODE=local"],
    [{ ...acme, TLS_KEY_FILE: "a.key" }, "TLS_KEY_FILE has no effect with TLS_MODE=acme"],
    [
      { ...acme, DOMAIN: "example.com", ACME_NAMES: "*.example.com", ACME_DNS_HOOK: "/hook" },
      "ACME_NAMES leaves out example.com: the local certificate is shown for it",
    ],
    [{ ...acme, DOMAIN: "example.com localhost 10.0.0.1", ACME_NAMES: "example.com" }, null],
    [
      { ...acme, DOMAIN: "a.example.com b.example.com", ACME_NAMES: "*.example.com", ACME_DNS_HOOK: "/hook" },
      null,
    ],
    [{ ACME_EMAIL: "it@example.com" }, "ACME_EMAIL has no effect with TLS_MODE=local"],
    [{ ODOO_URL: "http://odoo:8069", ODOO_BACKUP_URL: "none" }, null],
    [{ DATABASE: "none" }, 'DATABASE "none" is taken for the name of a database: every other one is refused'],
    [{ HSTS_RAMP: "yes", PRESET: "nginx-guide" }, "HSTS_RAMP has no effect with preset nginx-guide"],
    [{ FAKE_CRAWLERS: "strike", LOGIN_BANS: "off" }, "FAKE_CRAWLERS strike bans nobody with LOGIN_BANS=off"],
    [{ STAGING_EXEMPT: "/x" }, "STAGING_EXEMPT has no effect with preset standard"],
  ];
  for (const [env, expected] of table) {
    const warnings = warningsOf(env);
    t.equal(warnings.length, expected === null ? 0 : 1, JSON.stringify(env), { warnings });
    t.ok(expected === null || warnings[0]?.includes(expected), expected ?? "nothing to warn of", {
      warnings,
    });
  }
});

t.test("more processes than processor cores are warned of", async (t) => {
  const warned = (workers: string, cores: number) => {
    const env = { WORKERS: workers, SPOOL_MAX: "64GiB" };
    const loaded = loadSettings({ env, cwd: "/srv", readFile: memory({}), cores });
    return loaded.ok ? loaded.value.warnings.map(problemLine) : ["PROBLEM"];
  };
  t.match(warned("5", 4), [/^environment WORKERS is 5, and this machine has 4 processor cores; more/]);
  t.same(warned("4", 4), []);
  t.same(warned("2", 1), [], "two take over from each other, on any machine");
});

t.test("a cache of which each process has too little for Odoo's largest file is warned of", async (t) => {
  const warned = (more: Record<string, string>) => {
    const env = { WORKERS: "2", CACHE_BYTES: "16MiB", ...more };
    const loaded = loadSettings({ env, cwd: "/srv", readFile: memory({}), cores: 4 });
    return loaded.ok ? loaded.value.warnings.map(problemLine) : ["PROBLEM"];
  };
  t.match(warned({}), [
    /^environment CACHE_BYTES is shared by WORKERS=2 processes: each keeps no file above 4MiB,.*; set at least 32MiB$/,
  ]);
  t.same(warned({ CACHE_BYTES: "32MiB" }), []);
  t.same(warned({ WORKERS: "1" }), []);
  t.same(warned({ CACHE: "no" }), [], "there is nothing to share");
});

t.test("names and addresses survive the way through text; no text makes the reader throw", async () => {
  const label = fc.stringMatching(/^[a-z]([a-z0-9-]{0,20}[a-z0-9])?$/);
  const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join("."));
  const port = fc.integer({ min: 1, max: 65_535 });
  fc.assert(
    fc.property(name, port, (host, number) => {
      const servedName = readServedName(`${host.toUpperCase()}:${number}`);
      const upstream = readUpstream(`http://${host}:${number}`);
      const listen = readListenAddress(`${host}:${number}`);
      return [servedName, upstream, listen].every(
        (read) => read.ok && read.value.host === host && read.value.port === number,
      );
    }),
  );
  // What we take for a host name is what a browser's URL parser makes of it.
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."aZ09-._:[]xf*%@/é "), maxLength: 14 }), (text) => {
      const read = readServedName(text);
      return !read.ok || new URL(`https://${text}/`).hostname === read.value.host;
    }),
    { numRuns: 3000 },
  );
  const anyEnv = fc.dictionary(fc.constantFrom(...settingNames), fc.string({ maxLength: 20 }));
  fc.assert(
    fc.property(anyEnv, (env) => typeof load(env).ok === "boolean"),
    { numRuns: 300 },
  );
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), (text) => typeof load({}, yaml(text)).ok === "boolean"),
    { numRuns: 300 },
  );
});

t.test("the documentation says what the program does", async (t) => {
  const file = join(packageRoot().directory, "docs", "options.md");
  if (process.env["UPDATE_DOCS"] === "1") {
    writeFileSync(file, optionsMarkdown());
  }
  t.equal(readFileSync(file, "utf8"), optionsMarkdown(), "docs/options.md; UPDATE_DOCS=1 writes it anew");
  t.equal(new Set(settingNames).size, settingTable.length, "no name twice");
  for (const name of settingNames) {
    t.match(optionsText(), `${name} `);
  }
  const example = /```yaml\n([\s\S]*?)```/.exec(optionsMarkdown())?.[1] ?? "";
  t.same(problemsOf({}, yaml(example)), [], "the example in it is good");
});

t.test("files are read bounded, and never a pipe or a device", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "settings-"));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const write = (name: string, content: string | Uint8Array) => {
    writeFileSync(join(directory, name), content);
    return readTextFile(join(directory, name));
  };
  t.same(write("good", "é\n"), ok("é\n"));
  t.match(write("binary", Uint8Array.of(0xff, 0xfe)), {
    ok: false,
    error: { missing: false, detail: "it is not UTF-8 text" },
  });
  t.match(write("large", "x".repeat(1_048_577)), {
    ok: false,
    error: { missing: false, detail: /larger than/ },
  });
  t.match(readTextFile(join(directory, "none")), { ok: false, error: { missing: true } });
  t.match(readTextFile(directory), { ok: false, error: { missing: false, detail: "it is no regular file" } });
  t.match(readTextFile("/dev/zero"), { ok: false, error: { detail: "it is no regular file" } });
});
