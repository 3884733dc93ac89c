import type { RequestFacts } from "../message/facts.ts";

/** Odoo 19 names errors under /json/2 by werkzeug's classes (`werkzeug.exceptions`). */
const werkzeugNames: ReadonlyMap<number, string> = new Map([
  [400, "BadRequest"],
  [401, "Unauthorized"],
  [403, "Forbidden"],
  [404, "NotFound"],
  [405, "MethodNotAllowed"],
  [408, "RequestTimeout"],
  [413, "RequestEntityTooLarge"],
  [414, "RequestURITooLarge"],
  [415, "UnsupportedMediaType"],
  [429, "TooManyRequests"],
  [500, "InternalServerError"],
  [501, "NotImplemented"],
  [502, "BadGateway"],
  [503, "ServiceUnavailable"],
  [504, "GatewayTimeout"],
]);

/** Does the caller read JSON-2's errors (Odoo 19, /json/2 and /json/1)? */
export function wantsJson2(facts: Pick<RequestFacts, "paths">): boolean {
  return facts.paths.some((path) => path.startsWith("/json/"));
}

/** The body of an error as Odoo's Json2Dispatcher serializes it; `application/json`. */
export function json2Error(status: number, message: string, exchangeId: string): Buffer {
  const text = `${message} (exchange ${exchangeId})`;
  const name = `werkzeug.exceptions.${werkzeugNames.get(status) ?? "HTTPException"}`;
  return Buffer.from(JSON.stringify({ name, message: text, arguments: [text], context: {}, debug: "" }));
}
