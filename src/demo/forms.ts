import type { DemoRequest } from "./context.ts";

/** Form values: the body wins over the query, the first of duplicates wins. */
export function readForm(request: DemoRequest): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  const add = (name: string, value: string): void => {
    if (!values.has(name)) values.set(name, value);
  };
  const type = (request.fields.get("CONTENT_TYPE") ?? "").trim();
  if (/^application\/x-(?:www-form-urlencoded|url-encoded)/i.test(type)) {
    for (const [name, value] of new URLSearchParams(request.body.bytes.toString("utf8"))) add(name, value);
  } else if (/^multipart\/form-data/i.test(type)) {
    for (const part of readMultipart(type, request.body.bytes)) {
      if (part.fileName === null) add(part.name, part.text);
    }
  }
  for (const [name, value] of request.params) add(name, value);
  return values;
}

interface Part {
  readonly name: string;
  readonly fileName: string | null;
  readonly text: string;
}

/** Beyond this many parts the rest is ignored. */
const PARTS_MAX = 1_000;

/** A tolerant multipart reading: unquoted names, LF line ends, a charset of the part (all accepted by Odoo). */
function readMultipart(contentType: string, body: Buffer): Part[] {
  const boundary = /boundary="?([^";]+)"?/i.exec(contentType)?.[1];
  if (boundary === undefined) return [];
  const parts: Part[] = [];
  const pieces = body.toString("latin1").split(`--${boundary}`);
  for (const piece of pieces.slice(1, PARTS_MAX + 1)) {
    if (piece.startsWith("--")) break;
    const split = /\r?\n\r?\n/.exec(piece);
    if (split === null) continue;
    const head = piece.slice(0, split.index);
    const name = /;\s*name="?([^";\r\n]*)"?/i.exec(head)?.[1];
    if (name === undefined) continue;
    const content = Buffer.from(piece.slice(split.index + split[0].length).replace(/\r?\n$/, ""), "latin1");
    const charset = /charset="?([\w-]+)"?/i.exec(head)?.[1]?.toLowerCase() ?? "utf-8";
    const text = charset.startsWith("utf-16") ? content.toString("utf16le") : content.toString("utf8");
    parts.push({ name, fileName: /filename="?([^";\r\n]*)"?/i.exec(head)?.[1] ?? null, text });
  }
  return parts;
}
