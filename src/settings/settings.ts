import type { HostName } from "../base/brands.ts";
import type { IpSet } from "../base/ip-set.ts";
import type { Template } from "../base/template.ts";

export type Preset = "standard" | "strict" | "staging" | "nginx-guide";
export type TlsMode = "local" | "files" | "acme";
export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";
export type LogFormat = "json" | "text" | "combined";

/** `host:port`; host "" means every address, IPv4 and IPv6. IPv6 literals stand here without brackets. */
export interface ListenAddress {
  readonly host: string;
  /** 0 lets the system choose (tests). */
  readonly port: number;
}

/** A name we serve and the port browsers use for it; null: the HTTPS listener's own port. */
export interface ServedName {
  readonly host: HostName;
  readonly port: number | null;
}

/** An upstream address, parsed from `http://host:port`. */
export interface UpstreamAddress {
  readonly host: string;
  readonly port: number;
}

/** External account binding (RFC 8555 §7.3.4); `hmacKey` is base64url and secret. */
export interface AccountBinding {
  readonly kid: string;
  readonly hmacKey: string;
}

/** Certificates from an authority, ordered and renewed by us (RFC 8555). */
export interface AcmeSettings {
  readonly email: string | null;
  /** Names of the certificate, wildcards included; empty: every served and redirected name. */
  readonly names: readonly string[];
  /** https URL. */
  readonly directory: string;
  readonly fallbackDirectory: string | null;
  /** Absolute; PEM of the authorities that the directory's own certificate is trusted by. */
  readonly caFile: string | null;
  readonly profile: string | null;
  /** For `directory`. */
  readonly eab: AccountBinding | null;
  readonly fallbackEab: AccountBinding | null;
  /** Absolute; program that adds and removes TXT records. */
  readonly dnsHook: string | null;
}

/** How a message to a person is written (docs/operations, alerts). */
export const alertFormats = ["json", "slack", "discord", "teams", "ntfy"] as const;
export type AlertFormat = (typeof alertFormats)[number];

/** One place where messages go. */
export interface AlertHook {
  /** Secret: whoever knows it can write there. */
  readonly url: string;
  /** What of it may be shown: `https://hooks.slack.com/***`. */
  readonly shown: string;
  readonly format: AlertFormat;
}

export interface AlertSettings {
  /** Empty: nobody is told. */
  readonly hooks: readonly AlertHook[];
  /** How long Odoo has to be away. */
  readonly afterMs: number;
}

/** What an entry of `api:` can name: services of RPC, and the routes that are no service. */
export const apiServices = ["common", "object", "json-1", "json-2", "doc"] as const;
export type ApiService = (typeof apiServices)[number];

/** One entry of `api:`: what programs from these networks may call. Null lists allow everything. */
export interface ApiEntry {
  /** `gateway.yaml:3:5`. */
  readonly place: string;
  readonly networks: IpSet;
  /** Small letters. */
  readonly hosts: ReadonlySet<string> | null;
  readonly services: ReadonlySet<ApiService> | null;
  /** Names, or beginnings of names followed by `*`. */
  readonly models: readonly string[] | null;
  readonly methods: readonly string[] | null;
  /** Of each client address, in place of the rule's limits; null: the rule's. */
  readonly rate: { readonly perSecond: number; readonly burst: number } | null;
}

/** One entry of `cors:`: scripts of these sites may call these paths and read the answers. */
export interface CorsEntry {
  /** Path patterns. */
  readonly paths: readonly string[];
  /** `https://host` or `https://host:port`. */
  readonly origins: readonly string[];
  /** With the session of whoever is logged in. */
  readonly credentials: boolean;
}

/** Everything an operator can say, checked and in units. Documented in docs/options.md, one row each. */
export interface Settings {
  /** First is canonical. Without DOMAIN: localhost, 127.0.0.1 and [::1]. */
  readonly domains: readonly ServedName[];
  readonly redirectDomains: readonly ServedName[];
  /** null: not set; `run` then takes 127.0.0.1:8069 or the stand-in. */
  readonly odoo: UpstreamAddress | null;
  /** Further equal members beside `odoo`. */
  readonly odooMore: readonly UpstreamAddress[];
  /** null: the hosts of `odoo`, `odooMore` and `odooBackup`, port 8072. */
  readonly odooBus: UpstreamAddress | null;
  readonly odooBusMore: readonly UpstreamAddress[];
  /** Asked only when no other member is up. */
  readonly odooBackup: readonly UpstreamAddress[];
  readonly odooSticky: "off" | "session";
  /** How often members' names are looked up again. */
  readonly odooResolveMs: number;
  /** Workers of each member; null: not known, nothing is queued. */
  readonly odooWorkers: number | null;
  /** Odoo's `limit_time_real`; null: not known, the rules' own times hold. */
  readonly odooTimeLimitMs: number | null;
  /** Absolute; Odoo's filestore, whose files the gateway sends when Odoo names them; null: it sends none. */
  readonly odooFilestore: string | null;
  readonly queueMax: number;
  readonly queueTimeoutMs: number;
  /** How long a request waits for an Odoo that is away; 0: not at all. */
  readonly holdTimeoutMs: number;
  readonly holdMax: number;
  /** Keep connections to `odoo`; false for Odoo's own port. */
  readonly odooKeepAlive: boolean;
  readonly httpsListen: ListenAddress;
  /** null: no plain listener ("off"). */
  readonly httpListen: ListenAddress | null;
  /** null: no admin listener ("off"). */
  readonly adminListen: ListenAddress | null;
  /** null: no listener for Odoo's own PDF maker ("off"). */
  readonly reportListen: ListenAddress | null;
  /** Who may use it. */
  readonly odooNetworks: IpSet;
  readonly tlsMode: TlsMode;
  readonly tlsCertFile: string | null;
  readonly tlsKeyFile: string | null;
  /** null unless `tlsMode` is "acme". */
  readonly acme: AcmeSettings | null;
  /** Absolute. */
  readonly certsDir: string;
  /** Absolute. */
  readonly stateDir: string;
  /** Absolute; null: the policies shipped with the package. */
  readonly policiesDir: string | null;
  readonly preset: Preset;
  readonly trustedProxies: IpSet;
  /** Nobody but these and the networks named below may connect. */
  readonly requireTrustedProxy: boolean;
  readonly trustedNetworks: IpSet;
  readonly adminNetworks: IpSet;
  /** As the operator wrote them; empty: none is kept to `adminNetworks`. */
  readonly adminAccounts: readonly string[];
  /** null: any (the default of `standard`, `staging`, `nginx-guide`); `strict` defaults to an empty set. */
  readonly apiNetworks: IpSet | null;
  /** The section `api:` of gateway.yaml, first match decides; null: there is none. */
  readonly api: readonly ApiEntry[] | null;
  /** The section `cors:` of gateway.yaml, first match decides; empty: there is none. */
  readonly cors: readonly CorsEntry[];
  /** The one database of the site; null: Odoo chooses. */
  readonly database: string | null;
  /** The same for single hosts. */
  readonly hostDatabases: ReadonlyMap<string, string>;
  /** Plain-HTTP `/pos/web` for these LAN networks; empty: off. */
  readonly posNetworks: IpSet;
  readonly bodyBytesMax: number;
  readonly spoolBytesMax: number;
  /** Keep Odoo's public files in memory; how much of it; and how long one without a hash in its address is not asked for again. */
  readonly cache: { readonly on: boolean; readonly bytesMax: number; readonly staticFreshMs: number };
  /** Compress text for clients that take it. */
  readonly compression: boolean;
  /** Tell browsers of a page's bundles while Odoo makes it. */
  readonly earlyHints: boolean;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** Addresses in access lines: whole, or their networks. */
  readonly logAddresses: "full" | "network";
  /** Who is told when something needs a person. */
  readonly alerts: AlertSettings;
  /** Upper-case, closed list. */
  readonly methods: readonly string[];
  /** What the denied database manager answers: 404, 403, or a redirect to the log-in page. */
  readonly databaseManager: "404" | "403" | "redirect";
  /** `allow` lets strangers see /web/database/selector. */
  readonly databaseSelector: "deny" | "allow";
  /** What failed log-ins lead to; `guide` and `official` are the literal values of the nginx guides and of Odoo's documentation. */
  readonly loginBans: "standard" | "guide" | "official" | "off";
  /** What a banned client gets: a 403 that says until when, or a closed connection. */
  readonly banAnswer: "page" | "drop";
  readonly fakeCrawlers: "off" | "slow" | "strike";
  readonly hstsMaxAgeSeconds: number;
  /** Begins with minutes and grows to that. */
  readonly hstsRamp: boolean;
  readonly hstsSubdomains: boolean;
  readonly hstsPreload: boolean;
  /** Extra origins (`https://shop.example.com`) that may open a websocket. */
  readonly websocketOrigins: readonly string[];
  /** Sources of scripts that the content security policy allows besides those of Odoo's own modules: `https://*.example.com`. */
  readonly cspScriptSources: readonly string[];
  /** Ask browsers to report what the content security policy blocks or would block, and count it. */
  readonly cspReports: boolean;
  /** Browsers load over https what pages name with http://. */
  readonly upgradeInsecure: boolean;
  /** Staging preset: user and password of the basic auth; null when the preset is not staging. */
  readonly stagingLogin: { readonly user: string; readonly password: string } | null;
  /** A copy is closed until its database is neutralised. */
  readonly stagingNeutralized: boolean;
  /** Path patterns that ask for no staging password (webhooks). */
  readonly stagingExempt: readonly string[];
  /** The operator's page for maintenance; null: ours. */
  readonly maintenancePage: Template | null;
  readonly connectionsPerClientMax: number;
  readonly tunnelsPerClientMax: number;
  readonly tunnelsPerSessionMax: number;
  /** Processes that serve; 1: this one, and no other. */
  readonly workers: number;
  /** How long running exchanges may take to finish on SIGTERM. */
  readonly drainTimeoutMs: number;
}
