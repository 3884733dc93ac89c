import type { HostName } from "./base/brands.ts";
import type { Clock } from "./base/clock.ts";
import { type Ip, ipNetworkText } from "./base/ip.ts";
import { emptyIpSet, type IpSet, ipSetUnion, parseIpSet } from "./base/ip-set.ts";
import { remembered } from "./base/remembered.ts";
import { foldedAccount } from "./guard/account-name.ts";
import { type ApiList, apiList } from "./guard/api-list.ts";
import { type JailRules, jailRules } from "./guard/jail-rules.ts";
import { createStagingGate, type StagingGate, type StagingTries, stagingCookie } from "./guard/staging.ts";
import { odooSessionCookie } from "./message/cookies.ts";
import type { RequestFacts } from "./message/facts.ts";
import { cspReportPath } from "./message/own-paths.ts";
import type { ServedHost, Site } from "./message/site.ts";
import type { Policy } from "./policy/compile.ts";
import { type Cors, compileCors } from "./reply/cors.ts";
import { createRedirects } from "./reply/redirects.ts";
import { asksForReports, type SecurityHeaders, securityHeaders } from "./reply/security.ts";
import type { Settings } from "./settings/settings.ts";

/**
 * Everything compiled, one revision. An exchange takes the plan at its arrival and keeps it; a reload builds the next one and
 * swaps a single reference. State (limits, sessions, connections, spool) lives outside and survives.
 */
export interface Plan {
  readonly revision: number;
  readonly settings: Settings;
  readonly policy: Policy;
  readonly site: Site;
  /** The site as the report listener sees it: asked by any name, forwarding fields of nobody believed. */
  readonly reportSite: Site;
  readonly security: SecurityHeaders;
  /** The same for rules with `frame_ancestors: any`. */
  readonly framedSecurity: SecurityHeaders;
  /** Those fields name the address of reports. */
  readonly takesCspReports: boolean;
  /** Redirect domains to the canonical name, plain HTTP to https; null: the exchange may stay. */
  readonly redirects: ReturnType<typeof createRedirects>;
  readonly staging: StagingGate | null;
  /** What turns failures into bans; null: nothing does. */
  readonly jailRules: JailRules | null;
  /** Who may call what; null: API_NETWORKS alone says so. */
  readonly api: ApiList | null;
  /** Which other sites' scripts may read answers; null: Odoo alone says so. */
  readonly cors: Cors | null;
  /** The one database this host shows; null: Odoo chooses. */
  databaseOf(host: string): string | null;
  /** Are tracebacks taken out of Odoo's answers for this client. */
  masksTracebacks(ip: Ip): boolean;
  /** Accounts whose passwords are not to be tried from there, as `Named.folded`; null: all are. */
  keptAccounts(ip: Ip): ReadonlySet<string> | null;
  /** Our own cookie, never sent to Odoo; null but on staging. */
  readonly ownCookie: string | null;
  /** Lower case. */
  readonly websocketOrigins: ReadonlySet<string>;
  /** `host` or `host:port` for https URLs of a name we serve; null for others. */
  readonly authorityOf: (host: string) => string | null;
  /** Plain HTTP that is not redirected: the certificate challenge, and the point of sale of LAN networks. */
  mayStayPlain(facts: RequestFacts): boolean;
  /** LAN networks that open the point of sale over plain HTTP: their session cookie travels without Secure. */
  isPointOfSale(ip: Ip): boolean;
  /** How an access line names this address (LOG_ADDRESSES). */
  addressShown(ip: Ip): string;
  /** Never limited. */
  isTrusted(ip: Ip): boolean;
  /** May choose a database by header. */
  mayChooseDatabase(ip: Ip): boolean;
}

export interface PlanParts {
  readonly revision: number;
  readonly settings: Settings;
  readonly policy: Policy;
  /** The HTTPS listener's real port. */
  readonly httpsPort: number;
  /** Longest HSTS that is said now (HSTS_RAMP); left out: what the settings say. */
  readonly hstsSecondsMax?: number;
  /** At least 16 random bytes of this process. */
  readonly secret: Uint8Array;
  readonly clock: Clock;
  /** Who counts wrong staging passwords; left out: the plan's own gate. */
  readonly stagingTries?: StagingTries;
}

/** The session cookie's name on staging: production's cookie of the same browser must not be sent there. */
export const stagingSessionCookie = "staging_session_id";

/** Builds a plan from checked parts. Everything that can be decided before the first exchange is decided here. */
export function buildPlan(parts: PlanParts): Plan {
  const { settings, policy, httpsPort } = parts;
  const names: readonly ServedHost[] = [...settings.domains, ...settings.redirectDomains];
  const servedNames = new Map<string, ServedHost>(names.map((name) => [name.host, name]));
  const staging = settings.preset === "staging";
  const publicPort = httpsPort;
  const authorityOf = (host: string): string | null => {
    const name = servedNames.get(host as HostName);
    if (name === undefined) return null;
    const port = name.port ?? publicPort;
    return port === 443 ? name.host : `${name.host}:${port}`;
  };
  const free = ipSetUnion([settings.trustedNetworks]);
  const known = ipSetUnion([
    settings.adminNetworks,
    settings.trustedNetworks,
    namedNetworks(settings.apiNetworks),
  ]);
  const adminAccounts = new Set(settings.adminAccounts.map(foldedAccount));
  const { hstsSecondsMax = Number.POSITIVE_INFINITY } = parts;
  const hstsMaxAgeSeconds = settings.hstsRamp
    ? Math.min(settings.hstsMaxAgeSeconds, hstsSecondsMax)
    : settings.hstsMaxAgeSeconds;
  const said = { ...settings, hstsMaxAgeSeconds };
  const site: Site = {
    methods: new Set(settings.methods),
    servedNames,
    publicPort,
    trustedProxies: settings.trustedProxies,
    sessionCookie: staging ? stagingSessionCookie : odooSessionCookie,
  };
  return {
    revision: parts.revision,
    settings,
    policy,
    site,
    // Odoo hands its own session to the PDF maker, under Odoo's own name for it.
    reportSite: {
      ...site,
      takesEveryName: true,
      trustedProxies: emptyIpSet,
      sessionCookie: odooSessionCookie,
    },
    security: securityHeaders(said),
    framedSecurity: securityHeaders(said, "any"),
    takesCspReports: asksForReports(settings),
    redirects: createRedirects({
      domains: settings.domains,
      redirectDomains: settings.redirectDomains,
      publicPort,
    }),
    staging: stagingGate(parts),
    jailRules: jailRules(settings.loginBans),
    api: settings.api === null ? null : apiList(settings.api),
    cors: compileCors(settings.cors),
    databaseOf: (host) => settings.hostDatabases.get(host) ?? settings.database,
    masksTracebacks: (ip) => settings.preset === "strict" && !known.contains(ip),
    keptAccounts: (ip) =>
      adminAccounts.size === 0 || settings.adminNetworks.contains(ip) ? null : adminAccounts,
    ownCookie: staging ? stagingCookie : null,
    websocketOrigins: new Set(settings.websocketOrigins.map((origin) => origin.toLowerCase())),
    authorityOf,
    mayStayPlain: (facts) =>
      facts.path.startsWith("/.well-known/acme-challenge/") ||
      (settings.posNetworks.contains(facts.client) && isPointOfSalePath(facts.path)),
    // Each exchange asks several times, and a connection has one address.
    isPointOfSale: remembered((ip) => settings.posNetworks.contains(ip)),
    addressShown: settings.logAddresses === "full" ? (ip) => ip.text : remembered(ipNetworkText),
    isTrusted: remembered((ip) => free.contains(ip)),
    // A header from anywhere does not choose a database.
    mayChooseDatabase: remembered((ip) => known.contains(ip)),
  };
}

/** What a point of sale page asks for besides itself. The log-in is not in it: passwords travel over https only. */
const pointOfSalePath =
  /^\/(?:pos(?:\/|$)|pos[-_][a-z_-]+\/|point_of_sale\/|web\/(?:assets|static|dataset|image|webclient|bundle|binary|content)\/|[a-z0-9_]+\/static\/|websocket(?:\/|$)|longpolling\/|bus\/)/;

function isPointOfSalePath(path: string): boolean {
  return pointOfSalePath.test(path) || path === cspReportPath;
}

/** What of API_NETWORKS names somebody: `any` does not, and `0.0.0.0/0` says the same in other words. */
function namedNetworks(networks: IpSet | null): IpSet {
  const named = parseIpSet((networks?.texts ?? []).filter((text) => !text.endsWith("/0")));
  return named.ok ? named.value : emptyIpSet;
}

function stagingGate({ settings, policy, secret, clock, stagingTries }: PlanParts): StagingGate | null {
  if (settings.stagingLogin === null) return null;
  const { user, password } = settings.stagingLogin;
  return createStagingGate({
    user,
    password,
    exempt: policy.isStagingExempt,
    secret,
    clock,
    ...(stagingTries === undefined ? {} : { tries: stagingTries }),
  });
}
