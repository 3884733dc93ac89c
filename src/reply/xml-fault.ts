import { escapeHtml, type OwnAnswer } from "./pages.ts";

/** Odoo's own code for what the caller did wrong (RPC_FAULT_CODE_CLIENT_ERROR, odoo/addons/base or rpc controllers, 16 to 19). */
const clientFault = 1;

/**
 * A fault that XML-RPC libraries raise as one. The status must be 200: every other is a transport error to them, without
 * the text (xmlrpc.com/spec "Fault example"; Python's xmlrpc.client raises ProtocolError).
 */
export function xmlFaultAnswer(sentence: string, exchangeId: string): OwnAnswer {
  const text = escapeHtml(`${sentence} (exchange ${exchangeId})`);
  return {
    status: 200,
    fields: ["Content-Type", "text/xml; charset=utf-8", "Cache-Control", "no-store"],
    body: Buffer.from(
      `<?xml version="1.0" encoding="UTF-8"?>\n<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>${clientFault}</int></value></member><member><name>faultString</name><value><string>${text}</string></value></member></struct></value></fault></methodResponse>\n`,
    ),
  };
}
