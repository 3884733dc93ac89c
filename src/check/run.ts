import type { Clock } from "../base/clock.ts";
import { type Ip, parseIp } from "../base/ip.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type Finding, findingOf, type Report } from "../report/finding.ts";
import { Asker } from "./ask.ts";
import { checkBounds } from "./bounds.ts";
import { Budget } from "./budget.ts";
import { outsideChecks } from "./catalogue.ts";
import { skipped } from "./check.ts";
import { openConnection, type Way } from "./connect.ts";
import { resolveHost } from "./resolve.ts";
import { authorityOf, type Target } from "./target.ts";
import { SiteView } from "./view.ts";

/** Addresses of a name that are tried, one after the other, and how long each may take. */
const addressesTried = 4;
const addressTimeoutMs = 3_000;

/** Ports that nothing but a gateway should reach. */
export const usualDirectPorts: readonly number[] = [8069, 8072, 5432];

export interface CheckOptions {
  readonly target: Target;
  /** Connect here instead of where DNS says; a missing port is the URL's. */
  readonly address: { readonly address: string; readonly port: number | null } | null;
  /** Source address; null: the system's choice. */
  readonly from: string | null;
  /** PEM of authorities to trust beside the usual ones. */
  readonly authorities: string | null;
  /** Where plain HTTP is served; null: port 80 when the site is on 443, else unknown. */
  readonly httpPort: number | null;
  /** Null: the usual ones, and not over loopback. */
  readonly directPorts: readonly number[] | null;
  readonly loginCanary: boolean;
  readonly ids: ReadonlySet<string>;
  readonly version: string;
  readonly clock: Clock;
  readonly bounds?: Partial<CostBounds>;
  /** How names become addresses; left out: this machine's resolver. */
  readonly resolve?: typeof resolveHost;
}

export interface CostBounds {
  readonly requestsMax: number;
  readonly wholeTimeoutMs: number;
  readonly requestTimeoutMs: number;
}

/** Looks at a site from outside and tells what was seen; or, in one sentence, why nothing could be looked at. */
export async function checkSite(options: CheckOptions): Promise<Result<Report, string>> {
  const { target, clock } = options;
  const bounds: CostBounds = { ...checkBounds, ...options.bounds };
  const startedMs = clock.nowMs();
  const startedAt = new Date(clock.wallMs()).toISOString();
  const budget = new Budget(clock, bounds);
  const addresses = await addressesOf(options, Math.min(bounds.requestTimeoutMs, bounds.wholeTimeoutMs));
  if (!addresses.ok) return addresses;
  const ip = await firstThatAnswers(addresses.value, options, budget);
  if (ip === undefined) return err(`the name ${target.host} has no address`);
  const otherIps = addresses.value.filter((one) => one !== ip);
  const view = viewOf(options, ip, otherIps, budget);
  const findings: Finding[] = [];
  let isLate = false;
  try {
    for (const check of outsideChecks) {
      if (!options.ids.has(check.id)) continue;
      if (clock.nowMs() - startedMs >= bounds.wholeTimeoutMs) isLate = true;
      const look = isLate
        ? skipped("Not looked at: the time of one look is used up.")
        : await check.look(view);
      findings.push(findingOf(check, look));
    }
  } finally {
    view.close();
  }
  const ranOut = isLate ? "time" : budget.ranOut;
  return ok({
    ...(ranOut === null ? {} : { unfinished: unfinishedWords[ranOut] }),
    command: "check",
    version: options.version,
    subject: target.url,
    startedAt,
    lastedMs: Math.round(clock.nowMs() - startedMs),
    facts: [
      ["address", `${ip.text}, port ${view.way.port}`],
      ["requests", `${budget.used} of at most ${bounds.requestsMax}`],
      ...(ranOut === null ? [] : [["not all was looked at", unfinishedWords[ranOut]] as const]),
      ...(options.ids.size < outsideChecks.length
        ? [["selection", `${options.ids.size} of ${outsideChecks.length} checks`] as const]
        : []),
    ],
    findings,
  });
}

const unfinishedWords = {
  time: "the time of one look is used up; --timeout gives it more",
  requests: "the requests of one look are used up; --only and --skip choose what they are for",
};

function viewOf(options: CheckOptions, ip: Ip, otherIps: readonly Ip[], budget: Budget): SiteView {
  const { target, from } = options;
  const tls = target.secure
    ? { host: target.host, authorities: options.authorities, protocols: ["http/1.1"] }
    : null;
  const way: Way = { address: ip.text, port: portOf(options), from, tls };
  const plainPort = target.secure ? (options.httpPort ?? (target.port === 443 ? 80 : null)) : null;
  const asker = new Asker({
    budget,
    way,
    plainWay: plainPort === null ? null : { ...way, port: plainPort, tls: null },
    authority: target.authority,
    plainAuthority: authorityOf(target.host, plainPort ?? 80, false),
    userAgent: `odoo-gateway-check/${options.version}`,
  });
  return new SiteView({
    target,
    ip,
    otherIps,
    isLookedUp: givenAddress(options) === null,
    way,
    asker,
    budget,
    wallMs: () => options.clock.wallMs(),
    directPorts: { ports: options.directPorts ?? usualDirectPorts, even: options.directPorts !== null },
    plainPort,
    loginCanary: options.loginCanary,
  });
}

/** The addresses of the site: given, written in the URL, or what DNS says. The first is the one that is connected to. */
async function addressesOf(options: CheckOptions, timeoutMs: number): Promise<Result<readonly Ip[], string>> {
  const given = givenAddress(options);
  const all =
    given === null
      ? await (options.resolve ?? resolveHost)(options.target.host, timeoutMs)
      : ok<readonly Ip[]>([given]);
  const from = options.from === null ? null : parseIp(options.from);
  if (!all.ok || from === null) return all;
  const reached = all.value.filter((ip) => ip.family === from.family);
  return reached.length > 0
    ? ok(reached)
    : err(`from ${from.text} there is no way to ${all.value.map((ip) => ip.text).join(", ")}: IPv4 and IPv6`);
}

/** Browsers go on to the next address of a name when one does not answer; so does the look. The first when none does. */
async function firstThatAnswers(
  all: readonly Ip[],
  options: CheckOptions,
  budget: Budget,
): Promise<Ip | undefined> {
  if (all.length < 2) return all[0];
  for (const ip of all.slice(0, addressesTried)) {
    const timeMs = budget.take();
    if (typeof timeMs !== "number") break;
    const way = { address: ip.text, port: portOf(options), from: options.from, tls: null };
    const opened = await openConnection(way, Math.min(timeMs, addressTimeoutMs));
    if (!opened.ok) continue;
    opened.value.destroy();
    return ip;
  }
  return all[0];
}

function portOf({ address, target }: CheckOptions): number {
  return address?.port ?? target.port;
}

function givenAddress({ target, address }: CheckOptions): Ip | null {
  return parseIp(address?.address ?? target.host);
}
