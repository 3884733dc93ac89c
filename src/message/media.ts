/** Types of text that compress well, beside `text/*`, `+json` and `+xml`. Fonts in WOFF, pictures and archives are compressed already. */
const compressible: ReadonlySet<string> = new Set([
  "application/javascript",
  "application/json",
  "application/json-rpc",
  "application/manifest+json",
  "application/x-javascript",
  "application/xml",
  "application/vnd.ms-fontobject",
  "font/otf",
  "font/ttf",
]);

/** Fields that vouch for the very bytes of a body (RFC 9530, RFC 1864): another coding, or a part, would make them wrong. */
export const digestFields: ReadonlySet<string> = new Set([
  "content-digest",
  "content-md5",
  "digest",
  "repr-digest",
]);

/** Is it worth compressing an answer with this Content-Type (null: none). An event stream must not wait for more text. */
export function isCompressible(contentType: string | null): boolean {
  if (contentType === null) return false;
  const end = contentType.indexOf(";");
  const type = (end === -1 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
  if (type === "text/event-stream") return false;
  return (
    type.startsWith("text/") || compressible.has(type) || type.endsWith("+json") || type.endsWith("+xml")
  );
}
