import { Utf8Pieces } from "./utf8.ts";

/** Deepest nesting of arrays and objects; Odoo's own calls stay below 40, Python gives up near 1000. */
export const jsonDepthMax = 256;
/** Most members of an object whose names matter. */
export const jsonMembersMax = 64;
/** Longest raw name in such an object, and longest number or word anywhere. */
const nameBytesMax = 512;
/** Longest raw text of a wanted string; a longer one is told as `too-long`. */
const textBytesMax = 2_048;

/** What is wanted of a document: values by name or index, level by level. */
export interface Wanted {
  /** Report the value that stands here under this word. */
  readonly as?: string;
  readonly members?: Readonly<Record<string, Wanted>>;
  readonly items?: readonly (Wanted | null)[];
}

/** A value found: scalars as they are, of the rest only what it is. */
export type Found =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "number"; readonly text: string }
  | { readonly kind: "word"; readonly text: "true" | "false" | "null" }
  | { readonly kind: "object" | "array" | "too-long" };

/** Why there is no reading. */
export type JsonTrouble =
  | "not-utf8"
  | "byte-order-mark"
  | "malformed"
  | "too-deep"
  | "name-repeated"
  | "names-too-many"
  | "trailing-bytes"
  | "unfinished";

type State = "value" | "first-item" | "first-name" | "name" | "colon" | "after" | "string" | "bare" | "done";

interface Frame {
  readonly isObject: boolean;
  /** What is wanted inside; null: nothing, names are not even read. */
  readonly wanted: Wanted | null;
  readonly names: Set<string> | null;
  index: number;
  /** What is wanted of the value that comes next. */
  next: Wanted | null;
}

const quote = 0x22;
const backslash = 0x5c;
const wordOrNumber = /^(?:true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)$/;

/**
 * Reads a JSON document in pieces, once, in time linear in its bytes and memory bounded by the depth: RFC 8259 in UTF-8, without
 * mark. Where names matter a repeated name is trouble (RFC 8259 §4: readers differ in which one counts), `\u` escapes in names and wanted texts
 * are decoded, NaN and Infinity (which Python reads) are trouble everywhere. Texts nobody wants are only
 * passed over: an escape in them that no reader knows is not complained about, since then no reader takes the document.
 */
export class JsonScan {
  readonly #found = new Map<string, Found>();
  readonly #stack: Frame[] = [];
  #state: State = "value";
  #next: Wanted | null;
  #trouble: JsonTrouble | null = null;
  readonly #utf8 = new Utf8Pieces();
  #started = false;
  /** Inside a string: is it a name, its raw bytes when they matter, and a backslash that ended the last piece. */
  #isName = false;
  #raw: string | null = null;
  #rawTooLong = false;
  #escaped = false;
  #bare = "";

  constructor(wanted: Wanted) {
    this.#next = wanted;
  }

  /** False: no further bytes are needed, there is trouble. */
  push(piece: Uint8Array): boolean {
    if (this.#trouble !== null) return false;
    const whole = this.#utf8.whole(piece);
    if (whole === null) return this.#fail("not-utf8");
    if (!this.#started && whole.length > 0) {
      this.#started = true;
      if (whole[0] === 0xef && whole[1] === 0xbb && whole[2] === 0xbf) return this.#fail("byte-order-mark");
    }
    return this.#scan(whole);
  }

  /** What was found, when the document is whole and has one reading. */
  end():
    | { readonly ok: true; readonly found: ReadonlyMap<string, Found> }
    | { readonly ok: false; readonly trouble: JsonTrouble } {
    if (this.#trouble === null && !this.#utf8.isComplete) this.#fail("not-utf8");
    if (this.#trouble === null && this.#state === "bare") this.#endBare();
    if (this.#trouble === null && this.#state !== "done") this.#fail("unfinished");
    if (this.#trouble !== null) return { ok: false, trouble: this.#trouble };
    return { ok: true, found: this.#found };
  }

  #fail(trouble: JsonTrouble): false {
    this.#trouble ??= trouble;
    return false;
  }

  #scan(bytes: Buffer): boolean {
    // Searched natively and remembered, so that a body of one long text and one of many short ones are both linear.
    let quoteAt = -1;
    let slashAt = -1;
    let at = 0;
    while (at < bytes.length) {
      if (this.#state === "string") {
        if (this.#escaped) {
          this.#keep(bytes, at, at + 1);
          this.#escaped = false;
          at += 1;
          continue;
        }
        if (quoteAt < at) quoteAt = orEnd(bytes.indexOf(quote, at), bytes.length);
        if (slashAt < at) slashAt = orEnd(bytes.indexOf(backslash, at), bytes.length);
        const stop = Math.min(quoteAt, slashAt);
        if (slashAt === stop && stop < bytes.length) {
          this.#keep(bytes, at, stop + 1);
          this.#escaped = true;
          at = stop + 1;
          continue;
        }
        this.#keep(bytes, at, stop);
        at = stop + 1;
        if (stop < bytes.length && !this.#endString()) return false;
        continue;
      }
      const byte = bytes[at] ?? 0;
      if (this.#state === "bare") {
        if (!isDelimiter(byte)) {
          this.#bare += String.fromCharCode(byte);
          if (this.#bare.length > nameBytesMax) return this.#fail("malformed");
          at += 1;
          continue;
        }
        if (!this.#endBare()) return false;
      }
      at += 1;
      if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) continue;
      if (!this.#sign(byte)) return false;
    }
    return true;
  }

  /** One byte that is neither space nor inside a text. */
  #sign(byte: number): boolean {
    const frame = this.#stack.at(-1);
    switch (this.#state) {
      case "done":
        return this.#fail("trailing-bytes");
      case "first-item":
        if (byte === 0x5d) return this.#close(false);
        return this.#value(byte);
      case "value":
        return this.#value(byte);
      case "first-name":
        if (byte === 0x7d) return this.#close(true);
        return this.#name(byte);
      case "name":
        return this.#name(byte);
      case "colon":
        if (byte !== 0x3a) return this.#fail("malformed");
        this.#next = frame?.next ?? null;
        this.#state = "value";
        return true;
      case "after":
        if (frame === undefined) return this.#fail("trailing-bytes");
        if (byte === 0x7d || byte === 0x5d) return this.#close(byte === 0x7d);
        if (byte !== 0x2c) return this.#fail("malformed");
        if (frame.isObject) {
          this.#state = "name";
          return true;
        }
        frame.index += 1;
        this.#next = frame.wanted?.items?.[frame.index] ?? null;
        this.#state = "value";
        return true;
      case "string":
      case "bare":
        return this.#fail("malformed");
    }
  }

  #name(byte: number): boolean {
    if (byte !== quote) return this.#fail("malformed");
    this.#isName = true;
    this.#startString(this.#stack.at(-1)?.names != null);
    return true;
  }

  #value(byte: number): boolean {
    if (byte === quote) {
      this.#isName = false;
      this.#startString(this.#next?.as !== undefined);
      return true;
    }
    if (byte === 0x7b || byte === 0x5b) {
      if (this.#stack.length >= jsonDepthMax) return this.#fail("too-deep");
      const isObject = byte === 0x7b;
      const wanted = this.#next;
      this.#note({ kind: isObject ? "object" : "array" });
      const inside = (isObject ? wanted?.members : wanted?.items) === undefined ? null : wanted;
      this.#stack.push({
        isObject,
        wanted: inside,
        names: isObject && inside !== null ? new Set() : null,
        index: 0,
        next: null,
      });
      this.#next = inside?.items?.[0] ?? null;
      this.#state = isObject ? "first-name" : "first-item";
      return true;
    }
    if (isDelimiter(byte)) return this.#fail("malformed");
    this.#bare = String.fromCharCode(byte);
    this.#state = "bare";
    return true;
  }

  #close(isObject: boolean): boolean {
    if (this.#stack.pop()?.isObject !== isObject) return this.#fail("malformed");
    this.#afterValue();
    return true;
  }

  #afterValue(): void {
    this.#state = this.#stack.length === 0 ? "done" : "after";
  }

  #startString(matters: boolean): void {
    this.#raw = matters ? "" : null;
    this.#rawTooLong = false;
    this.#escaped = false;
    this.#state = "string";
  }

  #keep(bytes: Buffer, from: number, to: number): void {
    if (this.#raw === null || this.#rawTooLong) return;
    if (this.#raw.length + to - from > (this.#isName ? nameBytesMax : textBytesMax)) {
      this.#rawTooLong = true;
      return;
    }
    // Latin-1 keeps bytes apart from characters until the text is whole; a character may be cut by a piece's end.
    this.#raw += bytes.toString("latin1", from, to);
  }

  #endString(): boolean {
    const raw = this.#raw;
    if (!this.#isName) {
      if (raw !== null && this.#rawTooLong) this.#note({ kind: "too-long" });
      else if (raw !== null) {
        const text = decodeText(raw);
        if (text === null) return this.#fail("malformed");
        this.#note({ kind: "text", text });
      }
      this.#afterValue();
      return true;
    }
    const frame = this.#stack.at(-1);
    this.#state = "colon";
    if (raw === null || frame === undefined || frame.names === null) return true;
    if (this.#rawTooLong) return this.#fail("names-too-many");
    const name = decodeText(raw);
    if (name === null) return this.#fail("malformed");
    if (frame.names.has(name)) return this.#fail("name-repeated");
    if (frame.names.size >= jsonMembersMax) return this.#fail("names-too-many");
    frame.names.add(name);
    const { wanted } = frame;
    const members = wanted?.members;
    frame.next = members !== undefined && Object.hasOwn(members, name) ? (members[name] ?? null) : null;
    return true;
  }

  #endBare(): boolean {
    const text = this.#bare;
    if (!wordOrNumber.test(text)) return this.#fail("malformed");
    if (text === "true" || text === "false" || text === "null") this.#note({ kind: "word", text });
    else this.#note({ kind: "number", text });
    this.#afterValue();
    return true;
  }

  #note(found: Found): void {
    const as = this.#next?.as;
    if (as !== undefined) this.#found.set(as, found);
  }
}

/** The text between the quotes; null when it has an escape or a control character that JSON does not know. */
function decodeText(raw: string): string | null {
  try {
    const text: unknown = JSON.parse(`"${Buffer.from(raw, "latin1").toString("utf8")}"`);
    return typeof text === "string" ? text : null;
  } catch {
    return null;
  }
}

function orEnd(at: number, end: number): number {
  return at < 0 ? end : at;
}

function isDelimiter(byte: number): boolean {
  switch (byte) {
    case 0x20:
    case 0x09:
    case 0x0a:
    case 0x0d:
    case 0x2c:
    case 0x3a:
    case 0x5b:
    case 0x5d:
    case 0x7b:
    case 0x7d:
    case quote:
      return true;
    default:
      return false;
  }
}
