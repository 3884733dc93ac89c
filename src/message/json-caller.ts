import type { RequestFacts } from "./facts.ts";
import { listElements } from "./fields.ts";

/**
 * Does the caller expect a JSON-RPC answer: the web client's routes and /jsonrpc, POSTs of `application/json`
 * or `application/json-rpc` (Odoo's JsonRPCDispatcher takes both). Not the REST-like routes under /json/1 and /json/2 (Odoo 19), whose callers
 * expect plain JSON with a status.
 */
export function wantsJsonRpc(facts: Pick<RequestFacts, "method" | "contentType" | "paths">): boolean {
  if (facts.method !== "POST") return false;
  if (facts.contentType !== "application/json" && facts.contentType !== "application/json-rpc") return false;
  return !facts.paths.some((path) => path.startsWith("/json/"));
}

/** Is the caller a browser that shows a page: `text/html` or XHTML among what it accepts, and no RPC call. */
export function wantsHtml(facts: Pick<RequestFacts, "method" | "contentType" | "paths" | "fields">): boolean {
  if (wantsJsonRpc(facts)) return false;
  return listElements(facts.fields, "accept").some((range) => {
    const [type, ...parameters] = range
      .toLowerCase()
      .split(";")
      .map((part) => part.trim());
    if (type !== "text/html" && type !== "application/xhtml+xml") return false;
    return !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter));
  });
}
