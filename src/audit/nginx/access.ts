/** Who may enter a location of nginx. Pure. */
import { type Ip, parseIp } from "../../base/ip.ts";
import { inherited, lastOf } from "./model.ts";
import { prefixAround } from "./networks.ts";
import type { Directive } from "./parse.ts";

/** Why a stranger's request is refused, and by which line; null: it may enter. */
export interface Refused {
  readonly status: 401 | 403;
  readonly by: Directive;
}

/** allow and deny, a password, or another server that is asked; `address` is the client's. */
export function refusal(
  levels: readonly (readonly Directive[])[],
  method: string,
  address: string,
): Refused | null {
  const ip = parseIp(address);
  const read = method === "HEAD" ? "GET" : method;
  const limited = levels.flat().find(({ name, args }) => name === "limit_except" && !args.includes(read));
  const all = limited?.block == null ? levels : [limited.block, ...levels];
  const rule = accessRules(all).find(({ name, args }) => fits(args[0] ?? "", name, ip)) ?? null;
  const isAny = lastOf(levels, "satisfy")?.args[0] === "any";
  const basic = lastOf(all, "auth_basic");
  const asks = basic !== null && basic.args[0] !== "off" ? basic : lastOf(levels, "auth_request");
  const password = asks !== null && asks.args[0] !== "off" ? asks : null;
  if (isAny && rule?.name === "allow") return null;
  // With `satisfy any` the password is a second way in, and what is asked for is the password.
  if (rule?.name === "deny" && !(isAny && password !== null)) return { status: 403, by: rule };
  return password === null ? null : { status: 401, by: password };
}

/** allow and deny are one list. */
function accessRules(levels: readonly (readonly Directive[])[]): readonly Directive[] {
  for (const level of levels) {
    const found = level.filter(({ name }) => name === "allow" || name === "deny");
    if (found.length > 0) return found;
  }
  return inherited(levels, "deny");
}

function fits(network: string, name: string, ip: Ip | null): boolean {
  if (network === "all") return true;
  if (network === "unix:") return false;
  const length = ip === null ? null : prefixAround(network, ip);
  // A network that cannot be read: an allow is taken as given, so that nothing is called closed that is open.
  return length === null ? name === "allow" : length >= 0;
}
