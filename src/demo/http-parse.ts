/**
 * How Odoo's two servers read a message head. Every oddity here is on purpose: an attack that a gateway
 * lets through must have the effect on the stand-in that it has on a real Odoo (CPython `http.server` with
 * Werkzeug 2.2.2 on the prefork port, gevent 22.10 `pywsgi` on the bus port).
 */
export type Dialect = "prefork" | "gevent";

/** What the HTTP parser itself answers. `bare`: without status line and fields, as Python does for HTTP/0.9. */
export interface ParserError {
  readonly kind: "parser-error";
  readonly status: number;
  readonly reason: string;
  readonly bare: boolean;
}

export interface RequestLine {
  readonly kind: "request-line";
  readonly method: string;
  readonly target: string;
  /** `HTTP/0.9` when the client named none. */
  readonly version: string;
}

export type HeaderPair = readonly [name: string, value: string];

/** Python's `str.split()` also splits at these control characters and at U+0085 and U+00A0. */
const PYTHON_SPACE = /[\t\n\v\f\r\x1c-\x1f \x85\xa0]+/;
/** `email.feedparser.headerRE`: anything else ends the header block. */
const EMAIL_HEADER = /^(?:From |[\x21-\x39\x3b-\x7e]*:|[\t ])/;
const LINE_END = /\r\n|\r|\n/;

function parserError(status: number, reason: string, bare = false): ParserError {
  return { kind: "parser-error", status, reason, bare };
}

/** Bounds of the two parsers: longest request line and header line in bytes, most header lines. */
export const PARSER_BOUNDS = {
  prefork: { requestLineBytesMax: 65_536, headerLineBytesMax: 65_536, headerLinesMax: 99 },
  gevent: { requestLineBytesMax: 8_190, headerLineBytesMax: 65_536, headerLinesMax: 99 },
} as const;

export const lineTooLong = parserError(431, "Line too long");
export const tooManyHeaders = parserError(431, "Too many headers");
export const requestLineTooLong = parserError(414, "Request-URI Too Long");
export const gevent400 = parserError(400, "Bad Request");

/** Reads a request line (latin-1 text without its line end). Null: an empty line, the connection is just closed. */
export function readRequestLine(line: string, dialect: Dialect): RequestLine | ParserError | null {
  const words = line.split(PYTHON_SPACE).filter((word) => word !== "");
  const [method, target] = words;
  if (method === undefined) return null;
  if (dialect === "gevent") return geventRequestLine(words);
  let version = "HTTP/0.9";
  if (words.length >= 3) {
    version = words.at(-1) ?? "";
    const numbers = /^HTTP\/(\d+)\.(\d+)$/.exec(version);
    if (numbers === null) return parserError(400, `Bad request version ('${version}')`, true);
    if (Number(numbers[1]) >= 2) return parserError(505, `Invalid HTTP version (${version.slice(5)})`, true);
  }
  if (target === undefined || words.length > 3) {
    return parserError(400, `Bad request syntax ('${line}')`, version === "HTTP/0.9");
  }
  if (words.length === 2 && method !== "GET") {
    return parserError(400, `Bad HTTP/0.9 request type ('${method}')`, true);
  }
  // http.server folds leading slashes since gh-87389.
  const folded = target.startsWith("//") ? `/${target.replace(/^\/+/, "")}` : target;
  return { kind: "request-line", method, target: folded, version };
}

function geventRequestLine(words: readonly string[]): RequestLine | ParserError {
  const [method, target, version] = words;
  if (method === undefined || target === undefined || words.length > 3) return gevent400;
  if (version === undefined) {
    return method === "GET" ? { kind: "request-line", method, target, version: "HTTP/0.9" } : gevent400;
  }
  if (!/^HTTP\/1\.[01]$/.test(version)) return gevent400;
  return { kind: "request-line", method, target, version };
}

/**
 * Python's e-mail parser over the raw header block (latin-1, with line ends): a bare CR starts a new line,
 * a line without colon or with a space before the colon ends the block, folded lines are joined.
 */
export function readEmailHeaders(block: string): HeaderPair[] {
  const lines = block.split(LINE_END);
  const end = lines.findIndex((line) => !EMAIL_HEADER.test(line));
  const pairs: [string, string][] = [];
  let current: [string, string] | null = null;
  for (const line of lines.slice(0, end < 0 ? lines.length : end)) {
    if (line.startsWith(" ") || line.startsWith("\t")) {
      // Werkzeug takes the CRLF out of a folded value; what is left is the value and the folded text.
      if (current !== null) current[1] += line;
      continue;
    }
    current = null;
    const colon = line.indexOf(":");
    if (line.startsWith("From ") || colon === 0) continue;
    current = [line.slice(0, colon), line.slice(colon + 1).replace(/^[\t ]+/, "")];
    pairs.push(current);
  }
  return pairs;
}

/** Field values as the WSGI application sees them, by WSGI name: `HTTP_HOST`, `CONTENT_LENGTH`. */
export type WsgiFields = ReadonlyMap<string, string>;

/** Folds header lines into WSGI variables as the dialect does: repeated names are joined. */
export function toWsgiFields(pairs: readonly HeaderPair[], dialect: Dialect): Map<string, string> {
  return dialect === "gevent" ? geventFields(pairs) : preforkFields(pairs);
}

function preforkFields(pairs: readonly HeaderPair[]): Map<string, string> {
  const fields = new Map<string, string>();
  const spelling = new Map<string, string>();
  for (const [name, value] of pairs) {
    const upper = name.toUpperCase().replaceAll("-", "_");
    const plain = upper === "CONTENT_TYPE" || upper === "CONTENT_LENGTH";
    const key = plain ? upper : `HTTP_${upper}`;
    const before = fields.get(key);
    // Measured: two Content-Length are joined, `Content_Length` after the real one replaces it.
    const replaces = plain && spelling.get(key) !== name.toLowerCase();
    fields.set(key, before === undefined || replaces ? value : `${before},${value}`);
    spelling.set(key, name.toLowerCase());
  }
  return fields;
}

function geventFields(pairs: readonly HeaderPair[]): Map<string, string> {
  const fields = new Map<string, string>();
  for (const [name, value] of pairs) {
    if (name.includes("_")) continue;
    const upper = name.toUpperCase().replaceAll("-", "_");
    const plain = upper === "CONTENT_TYPE" || upper === "CONTENT_LENGTH";
    const key = plain ? upper : `HTTP_${upper}`;
    const before = fields.get(key);
    if (before === undefined) fields.set(key, value.trim());
    else if (!plain) fields.set(key, `${before}${upper.includes("COOKIE") ? "; " : ","}${value.trim()}`);
  }
  return fields;
}

/** How the body is framed in the dialect's reading. `bad`: the server answers 400. */
export type Framing =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "chunked" }
  | { readonly kind: "bad" };

/** Decides the framing. Prefork ignores what it cannot read; gevent refuses a bad Content-Length. */
export function readFraming(fields: WsgiFields, dialect: Dialect): Framing {
  if ((fields.get("HTTP_TRANSFER_ENCODING") ?? "").trim().toLowerCase() === "chunked")
    return { kind: "chunked" };
  const text = fields.get("CONTENT_LENGTH")?.trim();
  if (text === undefined || text === "") return { kind: "none" };
  if (!/^\+?\d{1,15}$/.test(text)) return dialect === "gevent" ? { kind: "bad" } : { kind: "none" };
  return { kind: "length", bytes: Number(text) };
}
