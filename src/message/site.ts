import type { HostName } from "../base/brands.ts";
import type { IpSet } from "../base/ip-set.ts";

/** A name we serve and the port browsers use for it; null: `publicPort`. */
export interface ServedHost {
  readonly host: HostName;
  readonly port: number | null;
}

/** What the screen has to know of the place it guards; made once for a plan. */
export interface Site {
  /** Upper-case, closed list. */
  readonly methods: ReadonlySet<string>;
  /** By name as in `ServedHost.host`: lower case, no trailing dot, IPv6 in brackets and canonical. */
  readonly servedNames: ReadonlyMap<string, ServedHost>;
  /** A host that is not served is no reason to refuse (report listener); left out: it is. */
  readonly takesEveryName?: true;
  /** The port of the HTTPS listener as clients see it. */
  readonly publicPort: number;
  readonly trustedProxies: IpSet;
  /** The name the browser knows Odoo's session cookie by; `session_id` but on staging. */
  readonly sessionCookie: string;
}
