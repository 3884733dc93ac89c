import { escapeHtml, type OwnAnswer } from "./pages.ts";

/** Odoo's own code for what the caller did wrong (RPC_FAULT_CODE_CLIENT_ERROR, odoo/addons/base or rpc controllers, 16 to 19). */
const clientFault = 1;

/**
 * A refusal with an XML-RPC fault as its body (xmlrpc.com/spec "Fault example"). The status stays the refusal's, so that every tool sees
 * it refused; libraries that look for faults in a 200 only (Python's xmlrpc.client) report the status instead.
 */
export function xmlFaultAnswer(status: number, sentence: string, exchangeId: string): OwnAnswer {
  const text = escapeHtml(`${sentence} (exchange ${exchangeId})`);
  return {
    status,
    fields: ["Content-Type", "text/xml; charset=utf-8", "Cache-Control", "no-store"],
    body: Buffer.from(
      `<?xml version="1.0" encoding="UTF-8"?>\n<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>${clientFault}</int></value></member><member><name>faultString</name><value><string>${text}</string></value></member></struct></value></fault></methodResponse>\n`,
    ),
  };
}
