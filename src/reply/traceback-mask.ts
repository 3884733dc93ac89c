import type { RawFields } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";

/** An error answer up to this size is rewritten; a larger one is replaced by a general error. Rewriting holds up everybody else for some milliseconds. */
export const maskedBytesMax = 256 * 1024;
/**
 * An error answer nested up to this is rewritten; a deeper one goes as one piece or not at all. Odoo echoes a call's `id`, whatever it is, and
 * `JSON.stringify` takes time by the square of the depth, and throws beyond some thousands.
 */
export const maskedDepthMax = 64;
/** A result that is not told as one within its first bytes is held back like an error. */
const beginningBytesMax = 4 * 1024;

const generalSentence = "Odoo could not carry out this call.";
const traceback = /Traceback \(most recent call last\)|\bFile "[^"\n]{1,500}", line \d/;

/** `{"jsonrpc": "2.0", "id": 7, "result": …`, or as much of it as is there. */
const resultFirst =
  /^\s*\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(?:null|-?[0-9.]{1,32}|"(?:[^"\\]|\\.){0,512}")\s*,\s*"result"\s*:/;
const callAnswer = /^\s*\{\s*"jsonrpc"\s*:/;
const xmlParams = /^(?:<\?xml[^>]*>)?\s*<methodResponse>\s*<params>/;
/** The first element of any XML, behind declarations and comments. */
const xmlRoot = /^(?:\xef\xbb\xbf)?\s*(?:<[?!][^>]*>\s*)*<([A-Za-z_][\w.:-]*)[\s/>]/;

/**
 * What pages write for a quotation mark. Odoo's exports and reports fail with a page of status 500 that holds the exception as JSON, escaped; reports of
 * add-ons say 200 with it. The web client reads it there.
 */
const quotes = ["&#34;", "&quot;", '"'] as const;
const escapedQuotes = /&#34;|&quot;/g;
const exceptionPage = new RegExp(
  `^\\s*\\{\\s*(${quotes.join("|")})code\\1\\s*:\\s*\\d{1,4}\\s*,\\s*\\1message\\1\\s*:\\s*\\1Odoo`,
);
/** `"debug": "…"`. Each character has one way to match: the time is linear. */
const debugValues = quotes.map(
  (q) => new RegExp(`(${q}debug${q}\\s*:\\s*${q})(?:\\\\(?:${q}|(?!${q})[^])|(?!${q})[^\\\\])*(?=${q})`, "g"),
);

type Kind = "json-rpc" | "json-error" | "xml-rpc" | "page" | "error-page" | "error-text";

/**
 * Takes tracebacks out of Odoo's error answers: they name files, versions, queries and arguments, and Odoo sends them to everybody, log-in or
 * not (odoo-wire a, e). Results pass as they come. Errors are held, at most `maskedBytesMax` bytes of them; their name, message
 * and arguments stay, so that the web client and programs show what they always show.
 */
export class TracebackMask {
  readonly #kind: Kind;
  readonly #exchangeId: string;
  #held: Buffer[] = [];
  #bytes = 0;

  constructor(kind: Kind, exchangeId: string) {
    this.#kind = kind;
    this.#exchangeId = exchangeId;
  }

  /** What may go on now: everything held so far; null: it is still held, and more has to come. */
  push(chunk: Buffer): readonly Buffer[] | null {
    const before = this.#bytes;
    this.#bytes += chunk.length;
    if (this.#bytes > maskedBytesMax && !this.#isLongPage()) {
      this.#held = [];
      return null;
    }
    this.#held.push(chunk);
    if (this.#bytes > maskedBytesMax) return this.#held;
    return before < beginningBytesMax && this.#passes() ? this.#held : null;
  }

  /** The whole answer when all of it was held: without tracebacks. */
  end(): Buffer {
    if (this.#bytes > maskedBytesMax) return this.#general();
    const whole = Buffer.concat(this.#held);
    switch (this.#kind) {
      case "xml-rpc":
        return this.#maskXml(whole);
      case "json-rpc":
      case "json-error":
        return this.#maskJson(whole);
      case "page":
      case "error-page":
      case "error-text":
        return this.#maskPage(whole);
    }
  }

  /** A long page of a website that could not be found is no error of Odoo's: tracebacks stand in front. */
  #isLongPage(): boolean {
    return (
      this.#kind === "error-page" &&
      this.#held.length > 0 &&
      !hasTraceback(Buffer.concat(this.#held).toString("latin1"))
    );
  }

  #passes(): boolean {
    const beginning = Buffer.concat(this.#held).toString("latin1", 0, beginningBytesMax);
    switch (this.#kind) {
      case "xml-rpc": {
        const root = xmlRoot.exec(beginning)?.[1];
        // A site map or a feed is no answer to a call, and may be larger than any error.
        return xmlParams.test(beginning) || (root !== undefined && root !== "methodResponse");
      }
      case "json-rpc":
        // Twelve bytes tell a call's answer from any other JSON, such as a manifest or translations.
        return (
          resultFirst.test(beginning) || (beginning.trimStart().length >= 64 && !callAnswer.test(beginning))
        );
      case "page": {
        const page = beginning.trimStart();
        const isOther = page.length >= 128 && !exceptionPage.test(page);
        return isOther || (page !== "" && !page.startsWith("{"));
      }
      case "json-error":
      case "error-page":
      case "error-text":
        return false;
    }
  }

  #maskJson(whole: Buffer): Buffer {
    if (isDeeper(whole, maskedDepthMax)) {
      const text = whole.toString("latin1");
      return traceback.test(text) || text.includes('"debug"') ? this.#general() : whole;
    }
    let value: unknown;
    try {
      value = JSON.parse(whole.toString("utf8"));
    } catch {
      return traceback.test(whole.toString("latin1")) ? this.#general() : whole;
    }
    if (!isRecord(value)) return whole;
    const { error } = value;
    const data = isRecord(error) ? error["data"] : undefined;
    const clean = isRecord(data) ? this.#clean(data) : false;
    const own = this.#kind === "json-error" ? this.#clean(value) : false;
    return clean || own ? Buffer.from(JSON.stringify(value)) : whole;
  }

  /** Odoo's serialized exception: `debug` is the traceback, the rest is what people read. */
  #clean(exception: Record<string, unknown>): boolean {
    let changed = false;
    if (typeof exception["debug"] === "string" && exception["debug"] !== "") {
      exception["debug"] = "";
      changed = true;
    }
    const { message } = exception;
    if (typeof message === "string" && traceback.test(message)) {
      exception["message"] = this.#sentence();
      changed = true;
    }
    const list: unknown = exception["arguments"];
    if (Array.isArray(list) && traceback.test(JSON.stringify(list).replaceAll('\\"', '"'))) {
      exception["arguments"] = [this.#sentence()];
      changed = true;
    }
    return changed;
  }

  /** A fault of Python's xmlrpc.client: the code stays, a text with a traceback does not. */
  #maskXml(whole: Buffer): Buffer {
    const text = whole.toString("utf8");
    const plain = text.replaceAll("&quot;", '"');
    if (!traceback.test(plain)) return whole;
    const masked = text.replace(
      /(<name>faultString<\/name>\s*<value>\s*<string>)[^<]*(<\/string>)/,
      (_all, before: string, after: string) => `${before}${this.#sentence()}${after}`,
    );
    return traceback.test(masked.replaceAll("&quot;", '"')) ? this.#general() : Buffer.from(masked);
  }

  /** The exception in a page loses its traceback; a page that shows one otherwise is replaced. */
  #maskPage(whole: Buffer): Buffer {
    const text = whole.toString("utf8");
    if (!hasTraceback(text)) return whole;
    const masked = debugValues.reduce((page, value) => page.replace(value, "$1"), text);
    return hasTraceback(masked) ? this.#general() : Buffer.from(masked);
  }

  #sentence(): string {
    return `${generalSentence.slice(0, -1)} (exchange ${this.#exchangeId}).`;
  }

  #general(): Buffer {
    const message = this.#sentence();
    const data = { name: "odoo.exceptions.UserError", message, arguments: [message], debug: "", context: {} };
    switch (this.#kind) {
      case "xml-rpc":
        return Buffer.from(
          `<?xml version='1.0'?>\n<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>1</int></value></member><member><name>faultString</name><value><string>${message}</string></value></member></struct></value></fault></methodResponse>\n`,
        );
      case "json-rpc":
        return Buffer.from(
          JSON.stringify({
            jsonrpc: "2.0",
            id: null,
            error: { code: 200, message: "Odoo Server Error", data },
          }),
        );
      case "json-error":
        return Buffer.from(JSON.stringify(data));
      case "page":
      case "error-page":
        return Buffer.from(
          `<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Error</title><p>${message}</p></html>\n`,
        );
      case "error-text":
        return Buffer.from(`${message}\n`);
    }
  }
}

/** The mask for this answer of Odoo; null where nothing of this kind can be in it. */
export function tracebackMask(status: number, fields: RawFields, exchangeId: string): TracebackMask | null {
  const type = (firstField(fields, "content-type") ?? "").toLowerCase().split(";", 1)[0]?.trim();
  switch (type) {
    case "application/json":
    case "application/json-rpc":
      return new TracebackMask(status >= 400 ? "json-error" : "json-rpc", exchangeId);
    case "text/xml":
    case "application/xml":
      return new TracebackMask("xml-rpc", exchangeId);
    case "text/html":
      return new TracebackMask(status >= 400 ? "error-page" : "page", exchangeId);
    case "text/plain":
      return status >= 400 ? new TracebackMask("error-text", exchangeId) : null;
    default:
      return null;
  }
}

function hasTraceback(page: string): boolean {
  return traceback.test(page.replace(escapedQuotes, '"'));
}

/** Are arrays and objects of this JSON text nested deeper. One pass; brackets in texts are no nesting. */
function isDeeper(json: Buffer, depthMax: number): boolean {
  let depth = 0;
  for (let at = 0; at < json.length; at += 1) {
    switch (json[at]) {
      case 0x22: {
        const end = endOfText(json, at + 1);
        if (end < 0) return false;
        at = end;
        break;
      }
      case 0x5b:
      case 0x7b:
        depth += 1;
        if (depth > depthMax) return true;
        break;
      case 0x5d:
      case 0x7d:
        depth -= 1;
        break;
    }
  }
  return false;
}

/** The quote that ends the text; -1: none. */
function endOfText(json: Buffer, from: number): number {
  for (let at = from; at < json.length; at += 1) {
    if (json[at] === 0x5c) at += 1;
    else if (json[at] === 0x22) return at;
  }
  return -1;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
