import { lookup } from "node:dns/promises";
import type { Clock } from "../base/clock.ts";
import { type Ip, parseIp } from "../base/ip.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type Finding, findingOf, type Report } from "../report/finding.ts";
import { Asker } from "./ask.ts";
import { checkBounds } from "./bounds.ts";
import { Budget } from "./budget.ts";
import { outsideChecks } from "./catalogue.ts";
import { skipped } from "./check.ts";
import type { Way } from "./connect.ts";
import { authorityOf, type Target } from "./target.ts";
import { SiteView } from "./view.ts";

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
  const ip = await addressOf(options, bounds.requestTimeoutMs);
  if (!ip.ok) return ip;
  const budget = new Budget(clock, bounds);
  const view = viewOf(options, ip.value, budget);
  const findings: Finding[] = [];
  try {
    for (const check of outsideChecks) {
      if (!options.ids.has(check.id)) continue;
      const late = clock.nowMs() - startedMs >= bounds.wholeTimeoutMs;
      const look = late ? skipped("Not looked at: the time of one look is used up.") : await check.look(view);
      findings.push(findingOf(check, look));
    }
  } finally {
    view.close();
  }
  return ok({
    command: "check",
    version: options.version,
    subject: target.url,
    startedAt,
    lastedMs: Math.round(clock.nowMs() - startedMs),
    facts: [
      ["address", `${ip.value.text}, port ${view.way.port}`],
      ["requests", `${budget.used} of at most ${bounds.requestsMax}`],
      ...(options.ids.size < outsideChecks.length
        ? [["selection", `${options.ids.size} of ${outsideChecks.length} checks`] as const]
        : []),
    ],
    findings,
  });
}

function viewOf(options: CheckOptions, ip: Ip, budget: Budget): SiteView {
  const { target, from } = options;
  const tls = target.secure
    ? { host: target.host, authorities: options.authorities, protocols: ["http/1.1"] }
    : null;
  const way: Way = { address: ip.text, port: options.address?.port ?? target.port, from, tls };
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
    way,
    asker,
    budget,
    wallMs: () => options.clock.wallMs(),
    directPorts: { ports: options.directPorts ?? usualDirectPorts, even: options.directPorts !== null },
    plainPort,
    loginCanary: options.loginCanary,
  });
}

/** The address that is connected to: given, written in the URL, or the first of DNS. */
async function addressOf(options: CheckOptions, timeoutMs: number): Promise<Result<Ip, string>> {
  const { host } = options.target;
  const given = parseIp(options.address?.address ?? host);
  if (given !== null) return ok(given);
  let timer: NodeJS.Timeout | undefined;
  try {
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), timeoutMs);
    });
    const found = await Promise.race([lookup(host), late]);
    const ip = found === null ? null : parseIp(found.address);
    return ip === null ? err(`the name ${host} was not resolved in time`) : ok(ip);
  } catch (error) {
    return err(
      `the name ${host} cannot be resolved: ${error instanceof Error ? error.message : String(error)}`,
    );
  } finally {
    clearTimeout(timer);
  }
}
