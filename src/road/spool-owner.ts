import { ipKey64 } from "../base/ip.ts";
import type { RequestFacts } from "../message/facts.ts";
import type { RunningExchange } from "../running.ts";

/**
 * Whose part of the spool an exchange takes: its session's, or else its address's; null where nobody is limited. Administrators restore databases,
 * which are larger than any part.
 */
export function spoolOwner(x: RunningExchange, facts: RequestFacts): string | null {
  const isFree = x.isSpared(facts) || x.plan.settings.adminNetworks.contains(facts.client);
  return isFree ? null : (x.sessionKey ?? ipKey64(facts.client));
}
