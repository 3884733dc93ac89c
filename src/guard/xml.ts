/** Bytes of a body that are enough to judge it; a prolog longer than that is refused. */
export const xmlPrologBytesMax = 64 * 1024;

/** Reason text of the refusal. */
export const doctypeReason =
  "The XML body declares a document type, or is written so that it could hide one (XML-RPC has no use for either).";

const encodingsAllowed = /^(?:utf-?8|us-ascii|ascii|iso-8859-1|latin-?1)$/i;
const less = 0x3c;

/**
 * May this XML body (or its beginning, `xmlPrologBytesMax` are enough) hold a document type declaration, and with
 * it entities (XML 1.0 §2.8, §4.2)? A declaration can only stand in the prolog, before the root element, so the prolog is read
 * as a parser reads it: declaration, comments, processing instructions. True as well when the body could be
 * read in another encoding than ours: UTF-16 or UTF-32 (mark or NUL bytes), another `encoding=`, another charset in
 * the Content-Type; and when there is text where none may be. `<!DOCTYPE` inside CDATA of a call's values is data and passes.
 * `contentType` is the whole field value, with its parameters; empty when absent.
 */
export function hasDoctype(bytes: Uint8Array, contentType: string): boolean {
  const charset = /;[ \t]*charset[ \t]*=[ \t]*"?([^";, \t]*)/i.exec(contentType)?.[1];
  if (charset !== undefined && !encodingsAllowed.test(charset)) return true;
  const window = bytes.subarray(0, xmlPrologBytesMax);
  if (window.length === 0) return false;
  if (window.includes(0)) return true;
  const first = window[0] ?? 0;
  const second = window[1] ?? 0;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) return true;
  return prologHidesDoctype(Buffer.from(window.buffer, window.byteOffset, window.length));
}

function prologHidesDoctype(body: Buffer): boolean {
  let at = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0;
  if (body.toString("latin1", at, at + 5).toLowerCase() === "<?xml") {
    const end = body.indexOf("?>", at, "latin1");
    if (end < 0 || !declarationIsPlain(body.toString("latin1", at, end))) return true;
  }
  for (;;) {
    while (isSpace(body[at])) at += 1;
    if (at >= body.length) return true;
    if (body[at] !== less) return true;
    let end: number;
    if (body[at + 1] === 0x3f) end = after(body, "?>", at + 2);
    else if (body.toString("latin1", at, at + 4) === "<!--") end = after(body, "-->", at + 4);
    else return body[at + 1] === 0x21 || at + 1 >= body.length;
    if (end < 0) return true;
    at = end;
  }
}

function declarationIsPlain(declaration: string): boolean {
  for (const [, value] of declaration.matchAll(/encoding[ \t\r\n]*=[ \t\r\n]*["']?([^"' \t\r\n]*)/gi)) {
    if (!encodingsAllowed.test(value ?? "")) return false;
  }
  return true;
}

function after(body: Buffer, text: string, from: number): number {
  const at = body.indexOf(text, from, "latin1");
  return at < 0 ? -1 : at + text.length;
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0d || byte === 0x0a;
}
