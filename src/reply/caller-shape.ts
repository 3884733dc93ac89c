import type { RequestFacts } from "../message/facts.ts";
import { wantsJsonRpc } from "../message/json-caller.ts";
import { json2Error, wantsJson2 } from "./json2-error.ts";
import type { OwnAnswer } from "./pages.ts";
import { xmlFaultAnswer } from "./xml-fault.ts";

/**
 * A refusal as a fault for XML-RPC callers, or as JSON-2's error; null for callers of other kinds, who are served by `errorAnswer`. Status
 * and `more` fields are the same for all of them.
 */
export function programAnswer(
  status: 403 | 503,
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
  if (!wantsJson2(facts)) return null;
  return {
    status,
    fields: ["Content-Type", "application/json; charset=utf-8", "Cache-Control", "no-store", ...more],
    body: json2Error(status, message, exchangeId),
  };
}
