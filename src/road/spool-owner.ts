import { ipKey64 } from "../base/ip.ts";
import type { RequestFacts } from "../message/facts.ts";
import type { RunningExchange } from "../running.ts";

/** Whose part of the spool an exchange takes: its session's, or else its address's; null where nobody is limited. */
export function spoolOwner(x: RunningExchange, facts: RequestFacts): string | null {
  return x.isSpared(facts) ? null : (x.sessionKey ?? ipKey64(facts.client));
}
