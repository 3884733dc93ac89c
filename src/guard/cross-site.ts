import type { RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import { type Door, doorOf } from "./login-door.ts";

type AskedFacts = Pick<RequestFacts, "method" | "paths" | "query" | "fields" | "contentType">;

/** Doors that Odoo opens without a token of its own page. Those that take JSON or a key alone are none of them: another site's page cannot send these without asking (CORS). */
const openDoors: ReadonlySet<Door> = new Set([
  "upload",
  "oauth",
  "lookup",
  "master",
  "xml-common",
  "xml-object",
  "xml-db",
]);
/** Types of bodies that a page may send to another site without asking first (Fetch, no-cors). */
const simpleTypes: ReadonlySet<string> = new Set([
  "",
  "text/plain",
  "application/x-www-form-urlencoded",
  "multipart/form-data",
]);

/**
 * An attempt at a password or an account that another site's page makes a visitor's browser send (Fetch Metadata,
 * `Sec-Fetch-Site`): counted, it would have everybody behind his address banned. A link that is followed, as the ones mailed for
 * signing up and the way back from a provider, is none. Who writes the field himself refuses himself.
 */
export function isForeignAttempt(facts: AskedFacts): boolean {
  const door = doorOf(facts);
  if (door === null || !openDoors.has(door)) return false;
  const site = firstField(facts.fields, "sec-fetch-site");
  if (site !== "cross-site" && site !== "same-site") return false;
  if (door.startsWith("xml-")) return simpleTypes.has(facts.contentType);
  const isLink = facts.method === "GET" && firstField(facts.fields, "sec-fetch-dest") === "document";
  return !isLink;
}

/** A browser asked for it because some page said so (a picture in a mail will do): it tells nothing of who sits before it. */
export function isAskedByPage(facts: Pick<RequestFacts, "fields">): boolean {
  const site = firstField(facts.fields, "sec-fetch-site");
  return site !== null && site !== "none";
}
