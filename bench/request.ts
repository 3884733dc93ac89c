/** The one request every load sends: a web client's `call_kw`, as Odoo's own script writes it. */

export const requestPath = "/web/dataset/call_kw/res.partner/search_read";
export const requestHost = "localhost";

/** As long as Odoo 19's session ids: 84 characters. */
const sessionId = "b".repeat(84);

export const requestBodyBytes = 200;
export const answerBodyBytes = 1024;

/** A JSON-RPC call of exactly `requestBodyBytes` bytes, ASCII only. */
export function requestBody(): string {
  return padded(
    requestBodyBytes,
    (fill) =>
      `{"id":1,"jsonrpc":"2.0","method":"call","params":{"model":"res.partner","method":"search_read","args":[],"kwargs":{"fields":["name"],"limit":80,"context":{"tag":"${fill}"}}}}`,
  );
}

/** A JSON-RPC answer of exactly `answerBodyBytes` bytes, ASCII only. */
export function answerBody(): string {
  return padded(
    answerBodyBytes,
    (fill) => `{"jsonrpc":"2.0","id":1,"result":{"length":1,"records":[{"id":7,"name":"${fill}"}]}}`,
  );
}

export const requestHeaders: readonly (readonly [string, string])[] = [
  ["Content-Type", "application/json"],
  ["Cookie", `frontend_lang=en_US; session_id=${sessionId}`],
  ["Accept", "*/*"],
  ["User-Agent", "Mozilla/5.0 (X11; Linux x86_64) bench"],
];

function padded(bytes: number, write: (fill: string) => string): string {
  return write("x".repeat(bytes - write("").length));
}
