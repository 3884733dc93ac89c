import { nearestName } from "../base/nearest.ts";
import type { Problem } from "../base/problem.ts";
import type { Settings } from "../settings/settings.ts";
import type { Policy } from "./compile.ts";

/**
 * Hosts that rules name and that are not served: such a rule never matches here. No reason not to start, since one folder of policies may
 * serve several sites; a misspelt host would go unnoticed otherwise.
 */
export function unservedHosts(
  { hosts }: Policy,
  { domains, redirectDomains }: Pick<Settings, "domains" | "redirectDomains">,
): readonly Problem[] {
  const served = domains.map(({ host }) => host);
  const moved = redirectDomains.map(({ host }) => host);
  return [...hosts].flatMap(([host, place]) => {
    if (served.some((name) => name === host)) return [];
    const named = `host ${JSON.stringify(host)}`;
    if (moved.some((name) => name === host)) {
      const thing = `${named} is one of REDIRECT_DOMAINS, which no rule is asked for`;
      return [{ place, thing, remedy: "name a host of DOMAIN" }];
    }
    const near = nearestName(host, served);
    const remedy = near === null ? "serve it (DOMAIN), or take it out" : `did you mean ${near}?`;
    return [{ place, thing: `${named} is none of DOMAIN: nobody ever asks for it here`, remedy }];
  });
}
