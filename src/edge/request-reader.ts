import { BoundedMap } from "../base/bounded-map.ts";
import type { Likeness, Protocol } from "../message/facts.ts";
import { chunkLine, framingRefusal } from "../message/framing.ts";
import { asksUpgrade } from "../message/handshake.ts";
import { Worth } from "../message/known-block.ts";
import type { EdgeBounds } from "./bounds.ts";
import { KnownFields } from "./known-fields.ts";

/** How the end of a request's body is found (RFC 9112 §6.3). `refused`: it has two readings; the screen says which. */
export type RequestFraming =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "chunked" }
  | { readonly kind: "refused" };

export interface RequestHead {
  readonly protocol: Protocol;
  readonly method: string;
  readonly target: string;
  /** Name and value alternating, as sent, in Latin-1. */
  readonly fields: readonly string[];
  /** The same as of the request before, when its fields differ in their Content-Length at most; null: not known to be. */
  readonly likeness: Likeness | null;
  readonly framing: RequestFraming;
  /** The client wants to leave HTTP (Upgrade, CONNECT): what follows the head is not ours to read. */
  readonly leaves: boolean;
  /** The client takes another answer on this connection (RFC 9112 §9.3). */
  readonly persists: boolean;
  readonly expectsContinue: boolean;
}

export interface RequestSink {
  /**
   * A head, with its whole body where that came with it (empty: a body of no bytes; null: none, or it is not here yet). Only with
   * `isOpen` more of the body follows, as `data` and `end`.
   */
  head(head: RequestHead, whole: Buffer | null, isOpen: boolean): void;
  data(chunk: Buffer): void;
  end(): void;
  /** The bytes are no HTTP/1 request, or pass a bound. Nothing more is read. */
  broken(status: number, code: string): void;
}

/** Longest chunk-size line with its extensions. */
export const chunkLineBytesMax = 1024;
/** All trailer lines of one body together. */
export const trailerBytesMax = 8 * 1024;
/** Bytes of empty lines taken before a request line (RFC 9112 §2.2 asks for one line end at least). */
const leadingBytesMax = 4;

type State = "head" | "length" | "chunk-size" | "chunk-data" | "chunk-end" | "trailers" | "between" | "over";

const empty = Buffer.alloc(0);
const noLines: readonly string[] = [];
const noBody: RequestFraming = { kind: "none" };
const chunked: RequestFraming = { kind: "chunked" };
const refused: RequestFraming = { kind: "refused" };
const tokenBytes = tokenTable();
/** As in `chunkLine`: 13 of them stay below 2^53. */
const chunkDigitsMax = 13;
/** By byte, the value of the hexadecimal digit; 255: it is none. */
const hexDigits = hexTable();

/**
 * Reads HTTP/1 requests from bytes as they come, one at a time (RFC 9112). Strict: a line ends in CR LF and nothing else, no folded
 * lines, no space before a colon, no NUL, chunk sizes of plain hexadecimal digits; whatever could be read in two ways is broken.
 * After a whole request it stops, with what came behind it set aside, until `next` is called: a connection has one exchange at a time, so nothing
 * behind a refused message is ever run.
 */
export class RequestReader {
  readonly #sink: RequestSink;
  readonly #headBytesMax: number;
  #state: State = "head";
  /** What was read and not used yet: a view of `#store` when it had to be put together from pieces. */
  #pending: Buffer = empty;
  #store: Buffer | null = null;
  /** Of the head that is waited for: bytes that hold no end of it and no line end alone. */
  #scanned = 0;
  #left = 0;
  #trailerBytes = 0;
  #reading = false;
  readonly #worth = new Worth();
  #known: KnownFields | null = null;

  constructor(sink: RequestSink, bounds: EdgeBounds) {
    this.#sink = sink;
    this.#headBytesMax = bounds.headerBlockBytesMax;
  }

  /** Bytes that wait for the next request, or for the end of a line. */
  get waitingBytes(): number {
    return this.#pending.length;
  }

  /** Inside a head, with bytes of it read. */
  get isInsideHead(): boolean {
    return this.#state === "head" && this.#pending.length > 0;
  }

  /** Inside a body that is not whole yet. */
  get isInsideBody(): boolean {
    return this.#state !== "head" && this.#state !== "between" && this.#state !== "over";
  }

  push(chunk: Buffer): void {
    if (this.#state === "over") return;
    if (this.#pending.length === 0) {
      this.#pending = chunk;
      this.#store = null;
    } else this.#append(chunk);
    this.#read();
  }

  /** A head that comes byte by byte is put together in a store that doubles: joining anew each time would cost its square. */
  #append(chunk: Buffer): void {
    const pending = this.#pending;
    const bytes = pending.length + chunk.length;
    let store = this.#store;
    let from = store === null ? 0 : pending.byteOffset - store.byteOffset;
    if (store === null || from + bytes > store.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(1024, 2 * bytes));
      pending.copy(larger, 0);
      store = larger;
      from = 0;
    }
    chunk.copy(store, from + pending.length);
    this.#store = store;
    this.#pending = store.subarray(from, from + bytes);
  }

  /** The client is quiet: what its last fields were is not kept. */
  forget(): void {
    this.#known = null;
  }

  /** The exchange before is over: reads on, from what was set aside. */
  next(): void {
    if (this.#state !== "between") return;
    this.#state = "head";
    this.#read();
  }

  /** Nothing more is read; answers what was set aside. */
  stop(): Buffer {
    this.#state = "over";
    this.#known = null;
    const rest = this.#pending;
    this.#pending = empty;
    return rest;
  }

  #read(): void {
    // A sink that calls `next` from inside `head` or `end` is served by the loop that is running.
    if (this.#reading) return;
    this.#reading = true;
    while (this.#pending.length > 0 && this.#step()) {
      // on to the next state
    }
    this.#reading = false;
  }

  /** One state's work on what is pending; false when it needs more bytes, or the exchange's end. */
  #step(): boolean {
    switch (this.#state) {
      case "head":
        return this.#readHead();
      case "length":
        return this.#readCounted("between");
      case "chunk-data":
        return this.#readCounted("chunk-end");
      case "chunk-size":
        return this.#readChunkSize();
      case "chunk-end":
        return this.#readChunkEnd();
      case "trailers":
        return this.#readTrailer();
      case "between":
      case "over":
        return false;
    }
  }

  #take(bytes: number): void {
    this.#pending = bytes === this.#pending.length ? empty : this.#pending.subarray(bytes);
  }

  #readHead(): boolean {
    const input = this.#pending;
    let start = 0;
    while (start < leadingBytesMax && input[start] === 13 && input[start + 1] === 10) start += 2;
    const first = input[start];
    if (first === undefined || (first === 13 && input.length === start + 1 && start < leadingBytesMax))
      return false;
    // What is no method from its first byte on (a TLS hello, binary) is not waited for.
    if (tokenBytes[first] !== 1) return this.#broken(400, "message-malformed");
    const known = this.#known === null ? null : this.#again(input, start, this.#known);
    if (known !== null) return this.#begin(known);
    const end = input.indexOf("\r\n\r\n", Math.max(start, this.#scanned - 3), "latin1");
    if (end < 0 || end - start > this.#headBytesMax) return this.#waitForHead(input, start);
    const head = this.#headOf(input, start, end);
    if (typeof head === "number") return this.#broken(head, codeOf(head));
    this.#take(end + 4);
    return this.#begin(head);
  }

  /** The head is read, and taken from what is pending. */
  #begin(head: RequestHead): boolean {
    this.#scanned = 0;
    const { framing } = head;
    let whole: Buffer | null = null;
    let isOpen = false;
    if (head.leaves || framing.kind === "none" || framing.kind === "refused") {
      this.#state = "between";
    } else if (framing.kind === "chunked") {
      this.#trailerBytes = 0;
      this.#state = "chunk-size";
      isOpen = true;
    } else if (framing.bytes <= this.#pending.length) {
      whole = this.#pending.subarray(0, framing.bytes);
      this.#take(framing.bytes);
      this.#state = "between";
    } else {
      this.#left = framing.bytes;
      this.#state = "length";
      isOpen = true;
    }
    this.#sink.head(head, whole, isOpen);
    return true;
  }

  /** The same fields as last time behind another request line, or the same; null: they are not, and nothing is taken. */
  #again(input: Buffer, start: number, fields: KnownFields): RequestHead | null {
    const lineEnd = input.indexOf(13, start);
    if (lineEnd < 0) return null;
    const bytes = fields.match(input, lineEnd);
    if (bytes < 0 || fields.end - 4 - start > this.#headBytesMax) return null;
    const line = readRequestLine(input.toString("latin1", start, lineEnd));
    const head = typeof line === "number" ? null : fields.headOf(line, bytes);
    if (head === null) return null;
    this.#worth.matched();
    this.#take(fields.end);
    return head;
  }

  /** The head between `start` and its empty line; a number is the status that refuses it. */
  #headOf(input: Buffer, start: number, end: number): RequestHead | number {
    const lineEnd = input.indexOf("\r\n", start, "latin1");
    const line = readRequestLine(input.toString("latin1", start, lineEnd));
    if (typeof line === "number") return line;
    const likeness = this.#worth.missed() ? {} : null;
    const head = readHead(line, input.toString("latin1", Math.min(lineEnd + 2, end), end), likeness);
    if (typeof head === "number") return head;
    if (likeness !== null) this.#known = KnownFields.of(head, input.subarray(lineEnd, end + 4));
    return head;
  }

  /** No end of the head yet: too long is said at once, and so is a line end that will never match. */
  #waitForHead(input: Buffer, start: number): boolean {
    if (input.length - start > this.#headBytesMax) {
      // Without a line end yet, it was the request line that had no end (RFC 9112 §3: 414).
      const hasLine = input.indexOf(10, start) >= 0;
      return hasLine ? this.#broken(431, "fields-too-large") : this.#broken(414, "target-too-long");
    }
    if (hasLoneLineEnd(input, Math.max(start, this.#scanned - 1)))
      return this.#broken(400, "message-malformed");
    // The first line is judged as soon as it is there: a client of another protocol is not kept waiting.
    const lineEnd = input.indexOf("\r\n", start, "latin1");
    if (lineEnd >= 0 && lineEnd + 2 > this.#scanned) {
      const line = readRequestLine(input.toString("latin1", start, lineEnd));
      if (typeof line === "number") return this.#broken(line, codeOf(line));
    }
    this.#scanned = input.length;
    return false;
  }

  #readCounted(next: "between" | "chunk-end"): boolean {
    const input = this.#pending;
    const take = Math.min(input.length, this.#left);
    this.#left -= take;
    this.#take(take);
    const isEnd = this.#left === 0;
    if (isEnd) this.#state = next;
    this.#sink.data(take === input.length ? input : input.subarray(0, take));
    if (isEnd && next === "between") this.#sink.end();
    return isEnd;
  }

  #readChunkSize(): boolean {
    const input = this.#pending;
    // Most have no extensions. A client may send ten thousand chunks of a byte in one read, each of which costs what its line costs.
    const digits = plainSizeDigits(input);
    if (digits > 0) return this.#beginChunk(sizeOf(input, digits), digits + 2);
    const end = input.indexOf(10);
    if (end < 0 || end > chunkLineBytesMax) {
      if (input.length > chunkLineBytesMax) return this.#broken(400, "message-malformed");
      return false;
    }
    const line = input.toString("latin1", 0, end + 1);
    // RFC 9112 §7.1: chunk-size [ chunk-ext ] CRLF; 13 hexadecimal digits stay below 2^53.
    const match = chunkLine.exec(line);
    if (match === null) return this.#broken(400, "message-malformed");
    return this.#beginChunk(Number.parseInt(match[1] ?? "", 16), end + 1);
  }

  #beginChunk(size: number, lineBytes: number): true {
    this.#left = size;
    this.#state = size === 0 ? "trailers" : "chunk-data";
    this.#take(lineBytes);
    return true;
  }

  #readChunkEnd(): boolean {
    const input = this.#pending;
    if (input[0] !== 13 || (input.length > 1 && input[1] !== 10))
      return this.#broken(400, "message-malformed");
    if (input.length < 2) return false;
    this.#take(2);
    this.#state = "chunk-size";
    return true;
  }

  /** Trailer fields are checked and dropped: nothing upstream may be steered by them (RFC 9110 §6.5.1). */
  #readTrailer(): boolean {
    const input = this.#pending;
    const end = input.indexOf(10);
    const bytes = end < 0 ? input.length : end + 1;
    if (this.#trailerBytes + bytes > trailerBytesMax) return this.#broken(431, "fields-too-large");
    if (end < 0) return false;
    this.#trailerBytes += bytes;
    const line = input.toString("latin1", 0, end + 1);
    if (line !== "\r\n" && !isTrailer(line)) return this.#broken(400, "message-malformed");
    this.#take(end + 1);
    if (line.length > 2) return true;
    this.#state = "between";
    this.#sink.end();
    return true;
  }

  #broken(status: number, code: string): false {
    this.#state = "over";
    this.#pending = empty;
    this.#sink.broken(status, code);
    return false;
  }
}

const requestLine = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP\/([0-9])\.([0-9])$/;
const fieldLine = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*$/;
const trailerLine = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n$/;
/** Fields that would frame the message after it was framed (RFC 9110 §6.5.1); all other trailers are dropped. */
const neverTrailers: ReadonlySet<string> = new Set(["content-length", "transfer-encoding"]);

function codeOf(status: number): string {
  return status === 505 ? "version-unsupported" : "message-malformed";
}

export interface RequestLine {
  readonly method: string;
  readonly target: string;
  readonly protocol: Protocol;
}

/** Lines of requests without a query, which programs and browsers send again and again. */
const knownLines = new BoundedMap<string, RequestLine>(1_024);
const knownLineCharsMax = 256;

/** RFC 9112 §3; a number is the status that refuses it. */
function readRequestLine(line: string): RequestLine | number {
  const known = knownLines.get(line);
  if (known !== undefined) return known;
  const read = readLineAnew(line);
  // A query may hold a secret: it is not kept.
  if (typeof read !== "number" && line.length <= knownLineCharsMax && !line.includes("?"))
    knownLines.set(line, read);
  return read;
}

function readLineAnew(line: string): RequestLine | number {
  const match = requestLine.exec(line);
  if (match === null) return 400;
  const [, method = "", target = "", major = "", minor = ""] = match;
  if (major !== "1" || minor > "1") return 505;
  return { method, target, protocol: minor === "1" ? "HTTP/1.1" : "HTTP/1.0" };
}

/** A head from its request line and the lines behind it; a number is the status that refuses it. */
function readHead(
  { method, target, protocol }: RequestLine,
  block: string,
  likeness: Likeness | null,
): RequestHead | number {
  const lines = block === "" ? noLines : block.split("\r\n");
  const fields: string[] = [];
  let framed = false;
  let connection = "";
  let upgrades = false;
  let expects = false;
  for (const line of lines) {
    // RFC 9112 §5.1, §5.2: a token, no space before the colon, no folded lines, no control character but HTAB.
    if (!fieldLine.test(line)) return 400;
    const colon = line.indexOf(":");
    let from = colon + 1;
    let to = line.length;
    while (from < to && isBlank(line.charCodeAt(from))) from += 1;
    while (to > from && isBlank(line.charCodeAt(to - 1))) to -= 1;
    const name = line.slice(0, colon);
    const value = line.slice(from, to);
    fields.push(name, value);
    switch (colon) {
      case 6:
        if (name.toLowerCase() === "expect") expects = true;
        break;
      case 7:
        if (name.toLowerCase() === "upgrade") upgrades = true;
        break;
      case 10:
        if (name.toLowerCase() === "connection") connection += `,${value.toLowerCase()}`;
        break;
      case 14:
        if (name.toLowerCase() === "content-length") framed = true;
        break;
      case 17:
        if (name.toLowerCase() === "transfer-encoding") framed = true;
        break;
    }
  }
  return {
    protocol,
    method,
    target,
    fields,
    likeness,
    framing: framed ? framingOf(protocol, fields) : noBody,
    leaves: method === "CONNECT" || ((upgrades || connection !== "") && asksUpgrade(fields)),
    persists: persists(protocol, connection),
    expectsContinue: expects && protocol === "HTTP/1.1" && expectsContinue(fields),
  };
}

/** The screen's own reading: the reader of the body and the one who refuses must not differ. */
function framingOf(protocol: Protocol, fields: readonly string[]): RequestFraming {
  if (framingRefusal(protocol, fields) !== null) return refused;
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] ?? "").toLowerCase();
    if (name === "transfer-encoding") return chunked;
    if (name === "content-length") {
      return { kind: "length", bytes: Number(fields[i + 1]) };
    }
  }
  return noBody;
}

function persists(protocol: Protocol, connection: string): boolean {
  if (connection === "") return protocol === "HTTP/1.1";
  const options = connection.split(",").map((option) => option.trim());
  if (options.includes("close")) return false;
  return protocol === "HTTP/1.1" || options.includes("keep-alive");
}

function expectsContinue(fields: readonly string[]): boolean {
  for (let i = 0; i < fields.length; i += 2) {
    if ((fields[i] ?? "").toLowerCase() === "expect")
      return (fields[i + 1] ?? "").toLowerCase() === "100-continue";
  }
  return false;
}

/** A line feed without its carriage return, or a carriage return that is followed by something else. */
function hasLoneLineEnd(input: Buffer, start: number): boolean {
  for (let at = input.indexOf(10, start); at >= 0; at = input.indexOf(10, at + 1)) {
    if (at === 0 || input[at - 1] !== 13) return true;
  }
  for (let at = input.indexOf(13, start); at >= 0 && at + 1 < input.length; at = input.indexOf(13, at + 1)) {
    if (input[at + 1] !== 10) return true;
  }
  return false;
}

/** How many hexadecimal digits the line has that begins there, when it has nothing else and is whole; 0: something else. */
function plainSizeDigits(input: Buffer): number {
  let at = 0;
  while (at < chunkDigitsMax && hexDigits[input[at] ?? 0] !== 255) at += 1;
  return input[at] === 13 && input[at + 1] === 10 ? at : 0;
}

function sizeOf(input: Buffer, digits: number): number {
  let size = 0;
  for (let at = 0; at < digits; at += 1) size = size * 16 + (hexDigits[input[at] ?? 0] ?? 0);
  return size;
}

function isTrailer(line: string): boolean {
  return trailerLine.test(line) && !neverTrailers.has(line.slice(0, line.indexOf(":")).toLowerCase());
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

function hexTable(): Uint8Array {
  const table = new Uint8Array(256).fill(255);
  for (let value = 0; value < 16; value += 1) {
    const digit = value.toString(16);
    table[digit.charCodeAt(0)] = value;
    table[digit.toUpperCase().charCodeAt(0)] = value;
  }
  return table;
}

function tokenTable(): Uint8Array {
  const table = new Uint8Array(256);
  for (const c of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    table[c.charCodeAt(0)] = 1;
  return table;
}
