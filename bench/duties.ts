import { mergeSecurity, securityHeaders as securityOf } from "../src/reply/security.ts";

/**
 * What every peer does besides forwarding, so that nobody wins by doing less: the gateway's security headers, forwarding
 * headers, a rate per client address that is counted and never reached, and an access line per request that says the same.
 */

/** Security headers every peer adds to an answer: those the gateway adds to one that has none. */
export const securityHeaders: readonly (readonly [string, string])[] = pairs();

function pairs(): (readonly [string, string])[] {
  const settings = {
    preset: "standard",
    domains: [],
    hstsMaxAgeSeconds: 31_536_000,
    hstsSubdomains: true,
    hstsPreload: false,
    cspScriptSources: [],
    cspReports: true,
    upgradeInsecure: false,
  } as const;
  const flat: string[] = [];
  mergeSecurity(securityOf(settings).classFor("localhost", true), [], flat);
  return Array.from(
    { length: flat.length / 2 },
    (_, i) => [flat[i * 2] ?? "", flat[i * 2 + 1] ?? ""] as const,
  );
}

/** A value between double quotes, as nginx, HAProxy and Caddy read it. */
export function quoted(value: string): string {
  return `"${value.replaceAll('"', '\\"')}"`;
}

/** Requests a second no client here reaches; the peers still count. */
export const unreachedRatePerSecond = 1_000_000;
