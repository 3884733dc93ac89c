import { Utf8Pieces } from "./utf8.ts";

/** Bytes of a body that are enough to judge its prolog; a prolog longer than that is refused. */
export const xmlPrologBytesMax = 64 * 1024;

/** Why an XML body is not sent on. */
export type XmlRefusal = "xml-doctype" | "xml-encoding";

/** One sentence for the answer; never text of the client's. */
export function xmlRefusalText(refusal: XmlRefusal): string {
  switch (refusal) {
    case "xml-doctype":
      return "The XML body declares a document type, or is written so that it could hide one (XML-RPC has no use for either).";
    case "xml-encoding":
      return "The XML body is not UTF-8, or says that it is written in another encoding.";
  }
}

const encodingsAllowed = /^(?:utf-?8|us-ascii|ascii)$/i;
const less = 0x3c;

/**
 * Judges an XML body that comes in pieces. Two things are refused. A document type declaration, and with it entities (XML 1.0 §2.8,
 * §4.2): it can only stand in the prolog, before the root element, so the first `xmlPrologBytesMax` bytes are read as a parser reads
 * them; `<!DOCTYPE` inside CDATA of a call's values is data and passes. And every encoding but UTF-8 (and ASCII, which is the same):
 * UTF-16 or UTF-32 by mark or NUL bytes, another `encoding=`, another charset in the Content-Type, bytes that are no UTF-8. What
 * the gateway reads in one encoding and Odoo in another has two readings.
 */
export class XmlCheck {
  readonly #utf8 = new Utf8Pieces();
  readonly #window: Buffer[] = [];
  #windowBytes = 0;
  #refusal: XmlRefusal | null = null;

  /** `contentType`: the whole field value, with its parameters; empty when absent. */
  constructor(contentType: string) {
    const charset = /;[ \t]*charset[ \t]*=[ \t]*"?([^";, \t]*)/i.exec(contentType)?.[1];
    if (charset !== undefined && !encodingsAllowed.test(charset)) this.#refusal = "xml-encoding";
  }

  /** False: what follows cannot change the refusal. */
  push(piece: Uint8Array): boolean {
    if (this.#refusal !== null) return false;
    if (this.#windowBytes < xmlPrologBytesMax) {
      const part = Buffer.from(piece.subarray(0, xmlPrologBytesMax - this.#windowBytes));
      this.#window.push(part);
      this.#windowBytes += part.length;
    }
    if (this.#utf8.whole(piece) === null || piece.includes(0)) this.#refusal = "xml-encoding";
    return this.#refusal === null;
  }

  /** Null: one reading, and no document type. An empty body is Odoo's to answer. */
  end(): XmlRefusal | null {
    if (this.#refusal === null && !this.#utf8.isComplete) this.#refusal = "xml-encoding";
    return this.#refusal ?? prologRefusal(Buffer.concat(this.#window));
  }
}

function prologRefusal(body: Buffer): XmlRefusal | null {
  if (body.length === 0) return null;
  let at = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0;
  if (body.toString("latin1", at, at + 5).toLowerCase() === "<?xml") {
    const end = body.indexOf("?>", at, "latin1");
    if (end < 0) return "xml-doctype";
    if (!declarationIsPlain(body.toString("latin1", at, end))) return "xml-encoding";
  }
  for (;;) {
    while (isSpace(body[at])) at += 1;
    if (at >= body.length) return "xml-doctype";
    if (body[at] !== less) return "xml-doctype";
    let end: number;
    if (body[at + 1] === 0x3f) end = after(body, "?>", at + 2);
    else if (body.toString("latin1", at, at + 4) === "<!--") end = after(body, "-->", at + 4);
    else return body[at + 1] === 0x21 || at + 1 >= body.length ? "xml-doctype" : null;
    if (end < 0) return "xml-doctype";
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
