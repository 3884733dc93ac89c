import { escapeMarkup } from "../base/markup.ts";
import type { OwnAnswer } from "./pages.ts";

/** Odoo's own code for what the caller did wrong (RPC_FAULT_CODE_CLIENT_ERROR, odoo/addons/base or rpc controllers, 16 to 19). */
const clientFault = 1;

/**
 * A refusal as an XML-RPC fault. The status is 200, as xmlrpc.com/spec ("Response format") has it for every fault: libraries look for a fault nowhere else
 * (Python's xmlrpc.client raises ProtocolError for any other status and shows no reason). `status`: another one, where a caller is
 * turned away whatever he calls.
 */
export function xmlFaultAnswer(sentence: string, exchangeId: string, status = 200): OwnAnswer {
  const text = escapeMarkup(`${sentence} (exchange ${exchangeId})`);
  return {
    status,
    fields: ["Content-Type", "text/xml; charset=utf-8", "Cache-Control", "no-store"],
    body: Buffer.from(
      `<?xml version="1.0" encoding="UTF-8"?>\n<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>${clientFault}</int></value></member><member><name>faultString</name><value><string>${text}</string></value></member></struct></value></fault></methodResponse>\n`,
    ),
  };
}
