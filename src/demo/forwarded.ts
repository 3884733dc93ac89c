import type { WsgiFields } from "./http-parse.ts";

/** Who Odoo thinks asked, and under which URL, with `proxy_mode = True`. */
export interface Effective {
  readonly client: string;
  readonly host: string;
  readonly scheme: string;
}

function lastOf(value: string | undefined): string | null {
  const values = (value ?? "").split(",").map((part) => part.trim());
  return values.filter((part) => part !== "").at(-1) ?? null;
}

/**
 * Odoo's `proxy_mode`: nothing is trusted without a non-empty `X-Forwarded-Host`; with it the last value of
 * each of X-Forwarded-For, -Proto and -Host (Werkzeug ProxyFix with one hop) is taken literally.
 */
export function readEffective(fields: WsgiFields, peer: string): Effective {
  const plainHost = fields.get("HTTP_HOST") ?? "";
  const host = lastOf(fields.get("HTTP_X_FORWARDED_HOST"));
  if (host === null) return { client: peer, host: plainHost, scheme: "http" };
  return {
    client: lastOf(fields.get("HTTP_X_FORWARDED_FOR")) ?? peer,
    host,
    scheme: lastOf(fields.get("HTTP_X_FORWARDED_PROTO")) ?? "http",
  };
}
