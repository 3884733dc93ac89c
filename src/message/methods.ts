import { isToken } from "./fields.ts";
import type { RefusalCode } from "./refusals.ts";

/** Registered methods (IANA HTTP Method Registry): known, so 405 and not 501 when a site does not list them. */
const registered: ReadonlySet<string> = new Set(
  (
    "ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT CONNECT COPY DELETE GET HEAD LABEL LINK LOCK MERGE MKACTIVITY " +
    "MKCALENDAR MKCOL MKREDIRECTREF MKWORKSPACE MOVE OPTIONS ORDERPATCH PATCH POST PRI PROPFIND PROPPATCH PUT " +
    "QUERY REBIND REPORT SEARCH TRACE UNBIND UNCHECKOUT UNLINK UNLOCK UPDATE UPDATEREDIRECTREF VERSION-CONTROL"
  ).split(" "),
);

/**
 * Is the method one of the site's closed list. Methods are case-sensitive (RFC 9110 §9.1), though Odoo runs
 * `post` as POST: in any other case it is an unknown method here.
 */
export function methodRefusal(method: string, allowed: ReadonlySet<string>): RefusalCode | null {
  if (allowed.has(method)) return null;
  if (!isToken(method)) return "method-malformed";
  return registered.has(method) ? "method-not-allowed" : "method-unknown";
}
