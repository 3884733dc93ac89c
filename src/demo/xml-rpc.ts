/** XML-RPC as tolerantly as Python's expat reads it, which is what makes guessing by body text a bad detector. */
export interface XmlRpcCall {
  readonly method: string;
  readonly params: readonly unknown[];
}

/** Bounds against entity bombs and deep nesting (the stand-in gives up with a fault there). */
const TEXT_CHARS_MAX = 4_000_000;
const DEPTH_MAX = 64;
const ENTITIES_MAX = 100;

/** Decodes a call; null when it is no call. */
export function readXmlRpc(body: Buffer): XmlRpcCall | null {
  const text = expandEntities(decodeXml(body).replace(/<!--[\s\S]*?-->/g, ""));
  const method = /<(?:[\w-]+:)?methodName[^>]*>([\s\S]*?)<\/(?:[\w-]+:)?methodName\s*>/.exec(text)?.[1];
  if (method === undefined) return null;
  const start = text.search(/<(?:[\w-]+:)?params[\s>]/);
  const params: unknown[] = [];
  if (start >= 0) {
    const reader = { tokens: tokenize(text.slice(start)), at: 0 };
    for (let token = reader.tokens[reader.at]; token !== undefined; token = reader.tokens[reader.at]) {
      reader.at += 1;
      if (token.open === "value") params.push(readValue(reader, 0));
      else if (token.close === "params") break;
    }
  }
  return { method: characters(method).trim(), params };
}

/** UTF-8, UTF-16 (mark or pattern) and ISO-8859-1 by declaration. */
function decodeXml(body: Buffer): string {
  const [first, second] = [body[0], body[1]];
  if ((first === 0xff && second === 0xfe) || (first === 0x3c && second === 0))
    return body.toString("utf16le").replace(/^\ufeff/, "");
  if ((first === 0xfe && second === 0xff) || (first === 0 && second === 0x3c)) {
    const even = body.subarray(0, body.length - (body.length % 2));
    return Buffer.from(even)
      .swap16()
      .toString("utf16le")
      .replace(/^\ufeff/, "");
  }
  const head = body.subarray(0, 200).toString("latin1");
  const latin = /encoding=["'](?:iso-8859-1|latin-?1|us-ascii)["']/i.test(head);
  return body.toString(latin ? "latin1" : "utf8").replace(/^\ufeff/, "");
}

/** Internal DTD entities are replaced, with the doctype taken away. */
function expandEntities(text: string): string {
  const doctype = /<!DOCTYPE[^[>]*(?:\[([\s\S]*?)\]\s*)?>/.exec(text);
  if (doctype === null) return text;
  let rest = text.replace(doctype[0], "");
  let count = 0;
  for (const match of (doctype[1] ?? "").matchAll(/<!ENTITY\s+([\w.-]+)\s+(?:"([^"]*)"|'([^']*)')\s*>/g)) {
    count += 1;
    if (count > ENTITIES_MAX || rest.length > TEXT_CHARS_MAX) return "";
    rest = rest.replaceAll(`&${match[1] ?? ""};`, match[2] ?? match[3] ?? "");
  }
  return rest;
}

interface Token {
  readonly open: string | null;
  readonly close: string | null;
  readonly text: string;
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  const pattern = /<!\[CDATA\[([\s\S]*?)\]\]>|<(\/?)(?:[\w-]+:)?([\w.]+)[^>]*?(\/?)>|([^<]+)/g;
  for (const [, cdata, slash, name = "", selfClosing, raw] of text.matchAll(pattern)) {
    if (cdata !== undefined) tokens.push({ open: null, close: null, text: cdata });
    else if (raw !== undefined) tokens.push({ open: null, close: null, text: characters(raw) });
    else if (slash === "/") tokens.push({ open: null, close: name, text: "" });
    else {
      tokens.push({ open: name, close: null, text: "" });
      if (selfClosing === "/") tokens.push({ open: null, close: name, text: "" });
    }
  }
  return tokens;
}

const NAMED: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function characters(text: string): string {
  return text
    .replace(/<!\[CDATA\[([\s\S]*?)\]\]>/g, "$1")
    .replace(
      /&(?:#x([0-9a-fA-F]{1,6})|#(\d{1,7})|(\w+));/g,
      (whole: string, hex?: string, decimal?: string, name?: string) => {
        if (name !== undefined) return NAMED[name] ?? whole;
        const code = hex !== undefined ? Number.parseInt(hex, 16) : Number(decimal);
        return code <= 0x10ffff ? String.fromCodePoint(code) : "";
      },
    );
}

interface TokenReader {
  readonly tokens: readonly Token[];
  at: number;
}

/** Reads up to `</value>`; without a type element the text itself is the string. */
function readValue(reader: TokenReader, depth: number): unknown {
  let text = "";
  let value: unknown;
  let typed = false;
  for (
    let token = reader.tokens[reader.at];
    token !== undefined && depth < DEPTH_MAX;
    token = reader.tokens[reader.at]
  ) {
    reader.at += 1;
    if (token.close === "value") return typed ? value : text;
    if (token.open !== null) {
      typed = true;
      value = readTyped(reader, token.open, depth + 1);
    } else text += token.text;
  }
  return typed ? value : text;
}

function readTyped(reader: TokenReader, type: string, depth: number): unknown {
  let text = "";
  const list: unknown[] = [];
  const struct: Record<string, unknown> = {};
  let name = "";
  for (
    let token = reader.tokens[reader.at];
    token !== undefined && depth < DEPTH_MAX;
    token = reader.tokens[reader.at]
  ) {
    reader.at += 1;
    if (token.close === type) break;
    if (token.open === "value") {
      const value = readValue(reader, depth + 1);
      if (type === "struct")
        Object.defineProperty(struct, name, { value, enumerable: true, configurable: true });
      else list.push(value);
    } else if (token.open === "name") name = readText(reader, "name");
    else text += token.text;
  }
  switch (type) {
    case "array":
      return list;
    case "struct":
      return struct;
    case "int":
    case "i4":
    case "i8":
    case "double":
      return Number(text.trim());
    case "boolean":
      return text.trim() === "1";
    case "nil":
      return null;
    default:
      return text;
  }
}

function readText(reader: TokenReader, close: string): string {
  let text = "";
  for (let token = reader.tokens[reader.at]; token !== undefined; token = reader.tokens[reader.at]) {
    reader.at += 1;
    if (token.close === close) break;
    text += token.text;
  }
  return text;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function writeValue(value: unknown): string {
  if (value === null || value === undefined) return "<value><nil/></value>";
  if (typeof value === "boolean") return `<value><boolean>${value ? 1 : 0}</boolean></value>`;
  if (typeof value === "number") return `<value><int>${value}</int></value>`;
  if (typeof value === "string") return `<value><string>${escapeXml(value)}</string></value>`;
  if (Array.isArray(value))
    return `<value><array><data>\n${value.map((item) => `${writeValue(item)}\n`).join("")}</data></array></value>`;
  const members = Object.entries(value).map(
    ([name, item]) => `<member>\n<name>${escapeXml(name)}</name>\n${writeValue(item)}\n</member>\n`,
  );
  return `<value><struct>\n${members.join("")}</struct></value>`;
}

/** `xmlrpc.client.dumps` of a result, byte for byte. */
export function xmlResult(value: unknown): string {
  return `<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n${writeValue(value)}\n</param>\n</params>\n</methodResponse>\n`;
}

/** `xmlrpc.client.dumps` of a fault. */
export function xmlFault(code: number | string, text: string): string {
  return `<?xml version='1.0'?>\n<methodResponse>\n<fault>\n${writeValue({ faultCode: code, faultString: text })}\n</fault>\n</methodResponse>\n`;
}
