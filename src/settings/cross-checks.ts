import { isLoopback, parseIp } from "../base/ip.ts";
import { type IpSet, parseIpSet } from "../base/ip-set.ts";
import { formatBytes } from "../base/units.ts";
import { checkOrderedNames } from "./acme.ts";
import type { SettingReader } from "./reader.ts";
import type { ListenAddress, Settings, UpstreamAddress } from "./settings.ts";
import type { SettingName } from "./table.ts";

/** One of our own listeners with the setting that names it. */
type NamedListener = readonly [name: SettingName, address: ListenAddress];

/** What only shows when settings are looked at together. Says nothing about settings that are already bad. */
export function checkSettings(settings: Settings, reader: SettingReader, cores: number | null): void {
  checkListeners(settings, reader);
  checkReports(settings, reader);
  checkUpstreams(settings, reader);
  checkMembers(settings, reader);
  checkCores(settings, reader, cores);
  checkCacheShare(settings, reader);
  checkTls(settings, reader);
  checkNetworks(settings, reader);
  checkHsts(settings, reader);
  checkRest(settings, reader);
}

function listenersOf(settings: Settings, reader: SettingReader): NamedListener[] {
  const all: readonly (readonly [SettingName, ListenAddress | null])[] = [
    ["HTTPS_LISTEN", settings.httpsListen],
    ["HTTP_LISTEN", settings.httpListen],
    ["ADMIN_LISTEN", settings.adminListen],
    ["REPORT_LISTEN", settings.reportListen],
  ];
  return all.flatMap(([name, address]) => (address !== null && reader.good(name) ? [[name, address]] : []));
}

function checkListeners(settings: Settings, reader: SettingReader): void {
  const listeners = listenersOf(settings, reader);
  for (const [index, [name, address]] of listeners.entries()) {
    for (const [otherName, other] of listeners.slice(0, index)) {
      if (address.port !== 0 && address.port === other.port && hostsOverlap(address.host, other.host)) {
        const thing = `and ${otherName} both take port ${address.port}`;
        reader.complain(name, { thing, remedy: "give each its own port" });
      }
    }
  }
  const admin = settings.adminListen;
  if (admin !== null && reader.good("ADMIN_LISTEN") && !isLoopbackHost(admin.host)) {
    reader.warn("ADMIN_LISTEN", {
      thing: "is open to other machines, and it asks for no password",
      remedy: "keep it on 127.0.0.1, or close the port to strangers",
    });
  }
}

function checkReports(settings: Settings, reader: SettingReader): void {
  const listen = settings.reportListen;
  if (listen === null) {
    if (reader.has("ODOO_NETWORKS") && reader.good("REPORT_LISTEN")) {
      const remedy = "set REPORT_LISTEN, or take it out";
      reader.warn("ODOO_NETWORKS", { thing: "has no effect without REPORT_LISTEN", remedy });
    }
    return;
  }
  if (!reader.has("ODOO_NETWORKS") && !isLoopbackHost(listen.host) && reader.good("REPORT_LISTEN")) {
    reader.complain("ODOO_NETWORKS", {
      thing: "is required: others than this machine can reach REPORT_LISTEN",
      remedy: "name the network Odoo asks from, for example 172.18.0.0/16",
    });
  }
}

function checkUpstreams(settings: Settings, reader: SettingReader): void {
  const { odoo, odooMore, odooBus, odooBusMore, odooBackup } = settings;
  const upstreams: readonly (readonly [SettingName, UpstreamAddress])[] = [
    ...[...(odoo === null ? [] : [odoo]), ...odooMore].map((one) => ["ODOO_URL", one] as const),
    ...[...(odooBus === null ? [] : [odooBus]), ...odooBusMore].map((one) => ["ODOO_BUS_URL", one] as const),
    ...odooBackup.map((one) => ["ODOO_BACKUP_URL", one] as const),
  ];
  for (const [name, upstream] of upstreams) {
    const own = listenersOf(settings, reader).find(([, listener]) => pointsAt(upstream, listener, settings));
    if (own !== undefined) {
      const remedy = "name the port Odoo itself listens on (8069; the bus 8072)";
      reader.complain(name, { thing: `points at our own ${own[0]}: requests would go in a circle`, remedy });
    }
  }
  const odooText = reader.items("ODOO_URL")[0]?.text ?? "";
  if (settings.odoo?.port === 80 && !/:80\/?$/.test(odooText)) {
    reader.warn("ODOO_URL", {
      thing: "names no port, so port 80 is asked",
      remedy: "Odoo listens on 8069 unless it was told otherwise",
    });
  }
}

/** Would a connection to `upstream` end at our own `listener`. */
function pointsAt(upstream: UpstreamAddress, listener: ListenAddress, settings: Settings): boolean {
  if (upstream.port !== listener.port) {
    return false;
  }
  if (isEveryHost(listener.host)) {
    const served = settings.domains.some(({ host }) => host.replace(/^\[|\]$/g, "") === upstream.host);
    return isLoopbackHost(upstream.host) || isEveryHost(upstream.host) || served;
  }
  return hostsOverlap(upstream.host, listener.host);
}

/** What has nothing to work on is probably a mistake. */
function checkMembers(settings: Settings, reader: SettingReader): void {
  if (settings.odooBackup.length > 0 && settings.odoo === null && reader.good("ODOO_URL")) {
    reader.complain("ODOO_BACKUP_URL", {
      thing: "needs ODOO_URL",
      remedy: "name the members it is the backup of",
    });
  }
  const { workers, odooWorkers } = settings;
  // Each process has its part of Odoo's workers (cluster/share), and each may print: with one each, all of them could be printing.
  if (
    workers > 1 &&
    odooWorkers !== null &&
    odooWorkers <= workers &&
    reader.good("ODOO_WORKERS", "WORKERS")
  ) {
    reader.complain("ODOO_WORKERS", {
      thing: `is ${odooWorkers}, and WORKERS=${workers} processes divide Odoo's workers among themselves`,
      remedy: `set WORKERS=${Math.max(1, odooWorkers - 1)}, or ODOO_WORKERS above ${workers} if Odoo has as many`,
    });
  }
}

/** Two take over from each other on any machine (SIGUSR2). */
function checkCores({ workers }: Settings, reader: SettingReader, cores: number | null): void {
  if (cores === null || workers <= Math.max(2, cores) || !reader.good("WORKERS")) return;
  reader.warn("WORKERS", {
    thing: `is ${workers}, and this machine has ${cores === 1 ? "one processor core" : `${cores} processor cores`}`,
    remedy: "more processes than cores take memory and serve nobody sooner",
  });
}

/** A process keeps no file above half its part (cache/cache), and the web client has one of 6 MB. */
const cacheBytesEachMin = 16 * 1024 * 1024;

function checkCacheShare({ cache, workers }: Settings, reader: SettingReader): void {
  if (!cache.on || !reader.good("CACHE", "CACHE_BYTES", "WORKERS")) return;
  const each = cache.bytesMax / workers;
  if (each >= cacheBytesEachMin) return;
  reader.warn("CACHE_BYTES", {
    thing: `is shared by WORKERS=${workers} processes: each keeps no file above ${formatBytes(Math.floor(each / 2))}, and Odoo has larger ones`,
    remedy: `set at least ${formatBytes(cacheBytesEachMin * workers)}`,
  });
}

function checkTls(settings: Settings, reader: SettingReader): void {
  if (!reader.good("TLS_MODE", "TLS_CERT_FILE", "TLS_KEY_FILE")) {
    return;
  }
  if (settings.tlsMode === "files") {
    for (const name of ["TLS_CERT_FILE", "TLS_KEY_FILE"] as const) {
      if (!reader.has(name)) {
        const other = name === "TLS_CERT_FILE" ? "TLS_KEY_FILE" : "TLS_CERT_FILE";
        const because = reader.has(other) ? `, as ${other} is set` : " with TLS_MODE=files";
        reader.complain(name, { thing: `is missing${because}`, remedy: "name a PEM file" });
      }
    }
  } else if (reader.has("TLS_CERT_FILE") || reader.has("TLS_KEY_FILE")) {
    const name = reader.has("TLS_CERT_FILE") ? "TLS_CERT_FILE" : "TLS_KEY_FILE";
    const remedy = "set TLS_MODE=files, or take it out";
    reader.warn(name, { thing: `has no effect with TLS_MODE=${settings.tlsMode}`, remedy });
  }
  if (settings.tlsMode === "acme" && !reader.has("DOMAIN") && reader.good("DOMAIN")) {
    reader.complain("TLS_MODE", {
      thing: "acme needs DOMAIN: no authority signs for localhost",
      remedy: "set DOMAIN to the names you serve, or use TLS_MODE=local",
    });
  }
  checkOrderedNames(settings, reader);
}

function checkNetworks(settings: Settings, reader: SettingReader): void {
  const everyone = (set: IpSet) => set.texts.find((text) => text.endsWith("/0"));
  const proxies = everyone(settings.trustedProxies);
  if (proxies !== undefined) {
    reader.complain("TRUSTED_PROXIES", {
      thing: `"${proxies}" is everybody: each client could choose the address it is seen with`,
      remedy: "name the proxy's own address or network",
    });
  }
  if (settings.requireTrustedProxy && settings.trustedProxies.isEmpty && reader.good("TRUSTED_PROXIES")) {
    const thing = "needs TRUSTED_PROXIES: nobody could connect";
    reader.complain("REQUIRE_TRUSTED_PROXY", { thing, remedy: "name the proxies, or take it out" });
  }
  const warnings: readonly (readonly [SettingName, IpSet, string])[] = [
    ["TRUSTED_NETWORKS", settings.trustedNetworks, "nobody is ever limited or banned"],
    ["ADMIN_NETWORKS", settings.adminNetworks, "everybody reaches the database manager"],
    ["POS_NETWORKS", settings.posNetworks, "everybody may use /pos/web without TLS"],
    ["ODOO_NETWORKS", settings.odooNetworks, "whoever reaches REPORT_LISTEN reads without limits and TLS"],
  ];
  for (const [name, set, harm] of warnings) {
    const text = everyone(set);
    if (text !== undefined) {
      reader.warn(name, { thing: `"${text}" is everybody: ${harm}`, remedy: "name your own networks" });
    }
  }
  const { trustedProxies } = settings;
  for (const [name, set, harm] of [
    ["ADMIN_NETWORKS", settings.adminNetworks, "it reaches the database manager"],
    ["TRUSTED_NETWORKS", settings.trustedNetworks, "nothing of it is limited or banned"],
  ] as const) {
    const proxy = trustedProxies.texts.find((text) => overlaps(text, set));
    if (proxy === undefined || everyone(set) !== undefined) continue;
    // Of a network of proxies nobody knows here which address is one.
    const [holds, it] = proxy.includes("/")
      ? [`shares addresses with "${proxy}"`, "a proxy there"]
      : [`holds the proxy itself, "${proxy}"`, "it"];
    reader.warn(name, {
      thing: `${holds} of TRUSTED_PROXIES: should ${it} forward a request without X-Forwarded-For, ${harm}`,
      remedy: "see that the proxy always sets that field, or name networks without its address",
    });
  }
  if (settings.adminAccounts.length > 0 && settings.adminNetworks.isEmpty && reader.good("ADMIN_NETWORKS")) {
    reader.complain("ADMIN_ACCOUNTS", {
      thing: "names accounts for ADMIN_NETWORKS, which is empty: nobody could log in to them",
      remedy: "set ADMIN_NETWORKS to where their people are",
    });
  }
  if (settings.api !== null && reader.has("API_NETWORKS")) {
    const thing = "and the section api: of gateway.yaml both say who may call";
    reader.complain("API_NETWORKS", {
      thing,
      remedy: "take API_NETWORKS out: the entries name their networks",
    });
  }
  if (!settings.posNetworks.isEmpty && settings.httpListen === null) {
    const remedy = "open HTTP_LISTEN, or take POS_NETWORKS out";
    reader.complain("POS_NETWORKS", {
      thing: "needs the plain HTTP listener, and HTTP_LISTEN is off",
      remedy,
    });
  }
}

function checkHsts(settings: Settings, reader: SettingReader): void {
  if (settings.hstsRamp && settings.preset === "nginx-guide" && reader.good("PRESET")) {
    const thing = "has no effect with preset nginx-guide, which says a year at once";
    reader.warn("HSTS_RAMP", { thing, remedy: "take it out, or choose another preset" });
  }
  if (settings.hstsRamp && settings.hstsPreload) {
    const thing = "and HSTS_PRELOAD exclude each other: the list wants a year from the start";
    reader.complain("HSTS_RAMP", {
      thing,
      remedy: "when a year is reached, take HSTS_RAMP out and set HSTS_PRELOAD",
    });
  }
  if (!settings.hstsPreload || !reader.good("HSTS_MAX_AGE", "HSTS_SUBDOMAINS")) {
    return;
  }
  // The list's own conditions: https://hstspreload.org/#requirements.
  const missing = [
    ...(settings.hstsMaxAgeSeconds < 31_536_000 ? ["HSTS_MAX_AGE of at least 1y"] : []),
    ...(settings.hstsSubdomains ? [] : ["HSTS_SUBDOMAINS=true"]),
  ];
  if (missing.length > 0) {
    reader.complain("HSTS_PRELOAD", {
      thing: `needs ${missing.join(" and ")}`,
      remedy: "browsers do not list it otherwise",
    });
  }
}

function checkRest(settings: Settings, reader: SettingReader): void {
  if (settings.fakeCrawlers === "strike" && settings.loginBans === "off" && reader.good("LOGIN_BANS")) {
    reader.warn("FAKE_CRAWLERS", {
      thing: "strike bans nobody with LOGIN_BANS=off; it is as good as slow",
      remedy: "say slow, or take LOGIN_BANS=off out",
    });
  }
  if (!reader.has("DOMAIN") && reader.has("REDIRECT_DOMAINS")) {
    const remedy = "set DOMAIN to the name they lead to";
    reader.complain("REDIRECT_DOMAINS", { thing: "needs DOMAIN", remedy });
  }
  checkSpool(settings, reader);
  if (reader.good("METHODS") && !settings.methods.includes("GET")) {
    reader.complain("METHODS", { thing: "must include GET", remedy: "add it" });
  }
  if (/^(?:none|off|all|null|true|false)$/i.test(settings.database ?? "")) {
    reader.warn("DATABASE", {
      thing: `"${settings.database}" is taken for the name of a database: every other one is refused`,
      remedy: "leave it out if Odoo is to choose",
    });
  }
  const isPinned = settings.database !== null || settings.hostDatabases.size > 0;
  if (isPinned && settings.databaseSelector === "allow") {
    const thing = "allow has no effect on hosts whose database is named";
    reader.warn("DATABASE_SELECTOR", { thing, remedy: "take it out, or DATABASE" });
  }
  for (const name of ["STAGING_EXEMPT", "STAGING_NEUTRALIZED"] as const) {
    if (!reader.has(name) || settings.preset === "staging" || !reader.good("PRESET")) continue;
    reader.warn(name, {
      thing: `has no effect with preset ${settings.preset}`,
      remedy: "take it out",
    });
  }
}

/** Each of several processes has its part of the disk (cluster/share). */
function checkSpool({ spoolBytesMax, bodyBytesMax, workers }: Settings, reader: SettingReader): void {
  if (!reader.good("SPOOL_MAX", "BODY_MAX", "WORKERS") || spoolBytesMax / workers >= bodyBytesMax) return;
  const times = workers === 1 ? "" : ` times WORKERS, ${formatBytes(bodyBytesMax * workers)}`;
  reader.complain("SPOOL_MAX", {
    thing: `must not be below BODY_MAX (${formatBytes(bodyBytesMax)})${times}`,
    remedy: workers === 1 ? "one body must fit" : "one body must fit in each process's part",
  });
}

/** Do a network and a set share an address: of two networks that do, one holds the other's first. */
function overlaps(network: string, set: IpSet): boolean {
  const holds = (wide: IpSet, text: string) => {
    const first = parseIp(text.replace(/\/.*$/, ""));
    return first !== null && wide.contains(first);
  };
  const own = parseIpSet([network]);
  return holds(set, network) || (own.ok && set.texts.some((text) => holds(own.value, text)));
}

function isEveryHost(host: string): boolean {
  return host === "" || host === "0.0.0.0" || host === "::";
}

function isLoopbackHost(host: string): boolean {
  const ip = parseIp(host);
  return ip === null ? host === "localhost" || host.endsWith(".localhost") : isLoopback(ip);
}

/** Can two hosts be one address of this machine. Loopback of IPv4 and IPv6 counts as one: `localhost` is both. */
function hostsOverlap(a: string, b: string): boolean {
  if (a === b || isEveryHost(a) || isEveryHost(b)) {
    return true;
  }
  return isLoopbackHost(a) && isLoopbackHost(b) && (a === "localhost" || b === "localhost");
}
