import { children, scalars } from "./xml-grammar.ts";
import { withoutReferences } from "./xml-references.ts";

/** Deepest nesting of elements; Odoo's own calls stay below 60. */
export const xmlDepthMax = 256;
/** Longest tag with its attributes. */
const tagBytesMax = 1_024;
/** Longest text of a wanted value; a longer one is told as null. */
const textBytesMax = 2_048;
/** The arguments that are told: `db, uid, password, model, method` of `execute_kw`. */
const argumentsWanted = 5;

/** An XML-RPC call as far as the gateway needs it. */
export interface XmlCall {
  readonly method: string;
  /** The first arguments that are scalars; null: another kind, or too long. */
  readonly args: readonly (XmlScalar | null)[];
}

export interface XmlScalar {
  readonly kind: "text" | "number";
  readonly text: string;
}

interface Element {
  readonly name: string;
  /** As written, with its prefix. */
  readonly tag: string;
  /** Names of the children so far; of lists only the last one. */
  inside: string[];
  hasText: boolean;
}

/** Attributes mean nothing to XML-RPC; a `>` in one would, to a reader less careful than Python's. */
const openTag = /^([A-Za-z_][\w.:-]{0,63})((?:\s+[\w:.-]+\s*=\s*(?:"[^"<>]*"|'[^'<>]*'))*)\s*(\/?)$/;
const closeTag = /^\/([A-Za-z_][\w.:-]{0,63})\s*$/;
const less = 0x3c;

/**
 * Reads an XML-RPC call in pieces, once, in memory bounded by the depth: exactly the grammar of xmlrpc.com/spec, so that Python's reader, which
 * collects values from wherever they stand, and this one find the same arguments. Comments, instructions, repeated or misplaced
 * elements have no reading here. Give it bytes that `XmlCheck` let pass.
 */
export class XmlCallScan {
  readonly #stack: Element[] = [{ name: "", tag: "", inside: [], hasText: false }];
  readonly #args: (XmlScalar | null)[] = [];
  #method: string | null = null;
  #carry: Buffer = Buffer.alloc(0);
  #inData = false;
  #started = false;
  #bad = false;
  /** Bytes of the wanted text that is being read, as latin1; null: not wanted, or too long. */
  #text: string | null = null;
  #kind: "text" | "number" = "text";

  /** False: what follows cannot give a reading any more. */
  push(piece: Uint8Array): boolean {
    if (this.#bad) return false;
    const given = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    const bytes = this.#carry.length === 0 ? given : Buffer.concat([this.#carry, given]);
    const end = this.#scan(bytes);
    if (bytes.length - end > tagBytesMax) return this.#fail();
    this.#carry = Buffer.from(bytes.subarray(end));
    return !this.#bad;
  }

  /** The call; null when there is not exactly one reading. */
  end(): XmlCall | null {
    if (this.#bad || this.#carry.length > 0 || this.#inData || this.#stack.length !== 1) return null;
    return this.#method === null ? null : { method: this.#method, args: this.#args };
  }

  #fail(): false {
    this.#bad = true;
    return false;
  }

  /** Answers how far it came: what is left is a tag or an end mark that is cut. */
  #scan(bytes: Buffer): number {
    let at = this.#started ? 0 : this.#start(bytes);
    if (!this.#started) return 0;
    while (at < bytes.length && !this.#bad) {
      if (this.#inData) {
        const close = bytes.indexOf("]]>", at, "latin1");
        const stop = close < 0 ? Math.max(at, bytes.length - 2) : close;
        this.#characters(bytes, at, stop);
        if (close < 0) return stop;
        this.#inData = false;
        at = close + 3;
        continue;
      }
      const sign = bytes.indexOf(less, at);
      const stop = sign < 0 ? bytes.length : sign;
      if (stop > at) this.#characters(bytes, at, stop);
      if (sign < 0) return bytes.length;
      if (bytes[sign + 1] === 0x21) {
        if (bytes.length < sign + 9) return sign;
        if (bytes.toString("latin1", sign, sign + 9) !== "<![CDATA[") this.#fail();
        this.#inData = true;
        at = sign + 9;
        continue;
      }
      const close = bytes.indexOf(">", sign, "latin1");
      if (close < 0) return sign;
      if (close - sign > tagBytesMax) this.#fail();
      else this.#tag(bytes.toString("latin1", sign + 1, close));
      at = close + 1;
    }
    return at;
  }

  /** Goes past the byte order mark and the XML declaration, which stand at the very beginning or nowhere. */
  #start(bytes: Buffer): number {
    if (bytes.length < 8) return 0;
    const mark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
    if (bytes.toString("latin1", mark, mark + 5) !== "<?xml") {
      this.#started = true;
      return mark;
    }
    const end = bytes.indexOf("?>", mark, "latin1");
    if (end < 0) return 0;
    this.#started = true;
    return end + 2;
  }

  #tag(text: string): void {
    const close = closeTag.exec(text)?.[1];
    if (close !== undefined) return this.#close(close);
    const open = openTag.exec(text);
    const tag = open?.[1];
    if (open === null || tag === undefined) return void this.#fail();
    this.#open(tag);
    if (open[3] === "/" && !this.#bad) this.#close(tag);
  }

  #open(tag: string): void {
    // Python's reader looks at what stands behind the last colon.
    const name = tag.slice(tag.lastIndexOf(":") + 1);
    const parent = this.#stack.at(-1);
    const most = children.get(parent?.name ?? "")?.get(name);
    if (parent === undefined || most === undefined || this.#stack.length > xmlDepthMax)
      return void this.#fail();
    const { inside } = parent;
    if (most === 1 && inside.includes(name)) return void this.#fail();
    if (parent.name === "value" && (inside.length > 0 || parent.hasText)) return void this.#fail();
    // What the order is: the method's name first, a member's name before its value.
    if ((name === "params" || (parent.name === "member" && name === "value")) && inside.length !== 1)
      return void this.#fail();
    if (most === 1 || inside.length === 0) inside.push(name);
    this.#stack.push({ name, tag, inside: [], hasText: false });
    this.#want(name);
  }

  /** Is the text of the element that just opened asked for. */
  #want(name: string): void {
    const depth = this.#stack.length;
    if (name === "methodName") {
      this.#text = "";
      return;
    }
    if (this.#stack[3]?.name !== "param" || this.#args.length >= argumentsWanted) return;
    if (depth === 5 && name === "value") {
      this.#text = "";
      this.#kind = "text";
    } else if (depth === 6) {
      const isNumber = /^i(?:nt|[1248])$/.test(name);
      this.#text = isNumber || name === "string" ? "" : null;
      this.#kind = isNumber ? "number" : "text";
    } else if (depth > 6) this.#text = null;
  }

  #close(tag: string): void {
    const element = this.#stack.pop();
    if (element === undefined || this.#stack.length === 0 || element.tag !== tag) return void this.#fail();
    const { name, inside } = element;
    const missing = { methodCall: "methodName", param: "value", array: "data", member: "value" }[name];
    if (missing !== undefined && !inside.includes(missing)) return void this.#fail();
    if (name === "methodName") {
      this.#method = this.#taken();
      if (this.#method === null) this.#fail();
    } else if (name === "param" && this.#args.length < argumentsWanted) {
      const text = this.#taken();
      this.#args.push(text === null ? null : { kind: this.#kind, text });
    }
  }

  /** The wanted text as characters; null when it is too long or refers to what nobody declared. */
  #taken(): string | null {
    const raw = this.#text;
    this.#text = null;
    return raw === null ? null : withoutReferences(Buffer.from(raw, "latin1").toString("utf8"));
  }

  #characters(bytes: Buffer, from: number, to: number): void {
    const element = this.#stack.at(-1);
    if (element === undefined) return;
    const { name } = element;
    const isText = name === "methodName" || name === "name" || scalars.has(name);
    if (!isText) {
      if (isBlank(bytes, from, to)) {
        // Blank text is a value of its own only where nothing else follows.
        if (name === "value" && element.inside.length === 0) this.#keep(bytes, from, to);
        return;
      }
      if (name !== "value" || element.inside.length > 0) return void this.#fail();
    }
    element.hasText = true;
    this.#keep(bytes, from, to);
  }

  #keep(bytes: Buffer, from: number, to: number): void {
    if (this.#text === null) return;
    if (this.#text.length + to - from > textBytesMax) this.#text = null;
    // A literal & inside CDATA is a character, not the beginning of a reference.
    else if (this.#inData) this.#text += bytes.toString("latin1", from, to).replaceAll("&", "&amp;");
    else this.#text += bytes.toString("latin1", from, to);
  }
}

function isBlank(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) {
    const byte = bytes[at];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return false;
  }
  return true;
}
