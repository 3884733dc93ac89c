import type { RawFields, RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import { hasParameter, parameterValues } from "../policy/query.ts";
import { formFields } from "./form-fields.ts";
import { JsonScan, type Wanted } from "./json-scan.ts";
import { ownPath } from "./login-outcome.ts";
import type { AskedBody } from "./login-watch.ts";
import type { RpcEnvelope } from "./rpc-envelope.ts";

/**
 * Does the query name another database than the site's one? Odoo takes `?db=` on its pages and keeps it in the session (odoo-wire e); every
 * reading of the query counts. The database manager names databases too and has rules of its own.
 */
export function queryNamesOther(facts: Pick<RequestFacts, "query" | "paths">, database: string): boolean {
  if (!hasParameter(facts.query, ["db"])) return false;
  if (facts.paths.some((path) => /^(?:\/[^/]+)?\/web\/database(?:\/|$)/.test(path))) return false;
  return parameterValues(facts.query, "db").some((value) => value !== database);
}

/** Does a form that is wholly in memory name another database, in a field `db`. */
export function formNamesOther(
  facts: Pick<RequestFacts, "contentType" | "fields">,
  body: Pick<AskedBody, "memory" | "whole">,
  database: string,
): boolean {
  const fields = formFields(facts, body);
  return fields?.some(([name, value]) => name === "db" && value !== database) === true;
}

/** Does an RPC call log in to, or call, another database. Calls without one (`version`) name none. */
export function callNamesOther(call: RpcEnvelope, database: string): boolean {
  if (call.service === "object") return call.database !== database;
  const logsIn = call.service === "common" && (call.method === "login" || call.method === "authenticate");
  return logsIn && call.database !== database;
}

const authenticateDatabase: Wanted = { members: { params: { members: { db: { as: "db" } } } } };

/** Reads `params.db` of a /web/session/authenticate body in pieces. */
export class AuthenticateScan {
  readonly #scan = new JsonScan(authenticateDatabase);

  push(piece: Uint8Array): boolean {
    return this.#scan.push(piece);
  }

  /** Another database, or a body whose database has not exactly one reading. No `db` at all is none. */
  namesOther(database: string): boolean {
    const scanned = this.#scan.end();
    if (!scanned.ok) return true;
    const found = scanned.found.get("db");
    if (found === undefined || (found.kind === "word" && found.text !== "true")) return false;
    return found.kind !== "text" || found.text !== database;
  }
}

/** Is the list of databases asked for: the Android app does so before it shows its log-in. */
export function isDatabaseList(facts: Pick<RequestFacts, "method" | "paths">): boolean {
  return facts.method === "POST" && facts.paths.some((path) => path === "/web/database/list");
}

/** Is it the page that lists the databases. */
export function isDatabaseSelector(facts: Pick<RequestFacts, "paths">): boolean {
  return facts.paths.some((path) => /^(?:\/[^/]+)?\/web\/database\/selector$/.test(path));
}

const selectorPath = /^(?:\/[^/?#]+)?\/web\/database\/selector\/?(?:[?#]|$)/;

/**
 * Does Odoo send the visitor to the list of databases: it serves several, and the request chose none (`ensure_db` of the web module, 16
 * to 19: 303).
 */
export function sendsToSelector(status: number, fields: RawFields, host: string): boolean {
  if (status < 301 || status > 308) return false;
  const path = ownPath(firstField(fields, "location"), host);
  return path !== null && selectorPath.test(path);
}

/**
 * Where that visitor belongs instead: to the page asked for, with the site's database in the query, which Odoo keeps in the
 * session; from what is no page, to the log-in. Null: the database was named and Odoo does not have it.
 */
export function pinnedTarget(
  facts: Pick<RequestFacts, "method" | "target" | "query">,
  database: string,
): string | null {
  if (hasParameter(facts.query, ["db"])) return null;
  const isPage = facts.method === "GET" || facts.method === "HEAD";
  const target = isPage ? facts.target : "/web/login";
  return `${target}${target.includes("?") ? "&" : "?"}db=${encodeURIComponent(database)}`;
}

/** The answer of `/web/database/list`, with the caller's id when it is a number or a text (JSON-RPC 2.0 §5). */
export function databaseListBody(request: Uint8Array, database: string): Buffer {
  const scan = new JsonScan({ members: { id: { as: "id" } } });
  scan.push(request);
  const scanned = scan.end();
  const id = scanned.ok ? scanned.found.get("id") : undefined;
  const echoed = id?.kind === "number" ? id.text : id?.kind === "text" ? JSON.stringify(id.text) : "null";
  return Buffer.from(`{"jsonrpc": "2.0", "id": ${echoed}, "result": [${JSON.stringify(database)}]}`);
}
