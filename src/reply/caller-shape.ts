import type { RequestFacts } from "../message/facts.ts";
import { wantsJsonRpc } from "../message/json-caller.ts";
import type { OwnAnswer } from "./pages.ts";
import { xmlFaultAnswer } from "./xml-fault.ts";

/** Odoo 19 names errors under /json/2 by werkzeug's classes; for the statuses that turn away whoever calls whatever. */
const werkzeugNames = { 403: "Forbidden", 503: "ServiceUnavailable" } as const;

/**
 * A refusal as a fault for XML-RPC callers, or as JSON-2's error; null for callers of other kinds, who are served by `errorAnswer`. Status
 * and `more` fields are the same for all of them.
 */
export function programAnswer(
  status: keyof typeof werkzeugNames,
  facts: RequestFacts,
  message: string,
  exchangeId: string,
  more: readonly string[],
): OwnAnswer | null {
  if (wantsJsonRpc(facts)) return null;
  if (facts.method === "POST" && facts.paths.some((path) => path.startsWith("/xmlrpc/"))) {
    const fault = xmlFaultAnswer(message, exchangeId, status);
    return { ...fault, fields: [...fault.fields, ...more] };
  }
  if (!facts.paths.some((path) => path.startsWith("/json/"))) return null;
  const text = `${message} (exchange ${exchangeId})`;
  const name = `werkzeug.exceptions.${werkzeugNames[status]}`;
  return {
    status,
    fields: ["Content-Type", "application/json; charset=utf-8", "Cache-Control", "no-store", ...more],
    body: Buffer.from(JSON.stringify({ name, message: text, arguments: [text], context: {}, debug: "" })),
  };
}
