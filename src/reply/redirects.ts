import { escapeMarkup } from "../base/markup.ts";
import type { RequestFacts } from "../message/facts.ts";
import type { ServedName } from "../settings/settings.ts";
import type { OwnAnswer } from "./pages.ts";

export interface Redirect {
  /** 301 for GET and HEAD; 308 else, since 301 would let a POST become a GET (RFC 9110 §15.4.2, §15.4.9). */
  readonly status: 301 | 308;
  readonly location: string;
}

export interface RedirectNames {
  /** First is canonical. */
  readonly domains: readonly ServedName[];
  readonly redirectDomains: readonly ServedName[];
  /** The HTTPS listener's port as browsers see it, for names without a port of their own. */
  readonly publicPort: number;
}

/**
 * Where an exchange has to go before anything else: a redirect domain to the canonical name, plain HTTP to
 * https of the name that was asked. Path and query are kept byte for byte. Null: it may stay.
 */
export function createRedirects(
  names: RedirectNames,
): (facts: Pick<RequestFacts, "method" | "host" | "secure" | "target">) => Redirect | null {
  const origins = new Map<string, string>();
  for (const name of names.domains) origins.set(name.host, originOf(name, names.publicPort));
  const [canonical] = names.domains;
  const canonicalOrigin = canonical === undefined ? null : originOf(canonical, names.publicPort);
  const moved = new Set<string>(names.redirectDomains.map(({ host }) => host));
  return ({ method, host, secure, target }) => {
    const served = origins.get(host);
    if (secure && (served !== undefined || !moved.has(host))) return null;
    const origin = served ?? canonicalOrigin;
    if (origin === null) return null;
    return { status: method === "GET" || method === "HEAD" ? 301 : 308, location: origin + target };
  };
}

function originOf(name: ServedName, publicPort: number): string {
  const port = name.port ?? publicPort;
  return port === 443 ? `https://${name.host}` : `https://${name.host}:${port}`;
}

/**
 * A redirect as an answer; `location` is a whole URL or a path on the same host. For the redirect of a rule and for
 * `Redirect`. The security fields are added by the caller.
 */
export function redirectAnswer(status: number, location: string): OwnAnswer {
  const body = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Moved</title><p>Moved to <a href="${escapeMarkup(location)}">another address</a>.</p></html>\n`;
  return {
    status,
    fields: ["Location", location, "Content-Type", "text/html; charset=utf-8", "Cache-Control", "no-store"],
    body: Buffer.from(body),
  };
}
