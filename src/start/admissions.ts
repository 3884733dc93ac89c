import { type Ip, ipKey64 } from "../base/ip.ts";
import type { Admission } from "../edge/listeners.ts";
import type { Jail } from "../guard/jail.ts";
import type { Plan } from "../plan.ts";

/** Who may open a connection, as the plan of that moment says. */
export interface Admissions {
  /** HTTPS and plain HTTP. */
  readonly site: () => Admission;
  readonly report: () => Admission;
}

/** `isLetIn`: the supervisor let in whoever comes, counted it and compared it with the bans. */
export function admissions(plan: () => Plan, jail: Jail, isLetIn: boolean): Admissions {
  const own = (): Admission => {
    const now = plan();
    return {
      connectionsPerClientMax: now.settings.connectionsPerClientMax,
      isBanned: (ip) =>
        now.settings.banAnswer === "drop" && jail.banOf(ipKey64(ip)) !== null && !isSpared(now, ip),
      isShutTo: (ip) =>
        now.settings.requireTrustedProxy && !isSpared(now, ip) && !now.settings.adminNetworks.contains(ip),
      isExempt: (ip) => isSpared(now, ip),
    };
  };
  /** Everything Odoo asks for comes from one address. */
  const report = (): Admission => {
    const { settings } = plan();
    return {
      connectionsPerClientMax: settings.connectionsPerClientMax,
      isBanned: () => false,
      isShutTo: () => false,
      isExempt: (ip) => settings.odooNetworks.contains(ip),
    };
  };
  return { site: isLetIn ? () => letIn : own, report };
}

/** Of connections that another process has let in already. */
const letIn: Admission = {
  connectionsPerClientMax: Number.MAX_SAFE_INTEGER,
  isBanned: () => false,
  isShutTo: () => false,
  isExempt: () => true,
};

/** A proxy's connection carries everybody; trusted networks are never banned. */
function isSpared({ settings }: Plan, ip: Ip): boolean {
  return settings.trustedNetworks.contains(ip) || settings.trustedProxies.contains(ip);
}
