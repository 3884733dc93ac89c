import type { Likeness } from "../message/facts.ts";
import { nameIs } from "../message/fields.ts";
import { chunkLine } from "../message/framing.ts";
import type { FailureKind } from "../observe/events.ts";
import { KnownHeads } from "./known-heads.ts";
import { isFileNamed } from "./named-file.ts";

/** How the end of an answer is found (RFC 9112 §6.3). */
export type AnswerFraming =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "chunked" }
  | { readonly kind: "close" };

/** The head of Odoo's final answer, checked. */
export interface AnswerHead {
  readonly status: number;
  /** Name and value alternating, as sent. */
  readonly fields: readonly string[];
  readonly framing: AnswerFraming;
  /** The connection may carry another request after this answer. */
  readonly reusable: boolean;
  /** One for all heads with the same bytes but for the number in Content-Length; null or left out: nothing is known to be equal. */
  readonly likeness?: Likeness | null;
  /** The body is empty, and a field names the file of Odoo's disk that belongs there (`x_sendfile`). */
  readonly namesFile?: boolean;
  /** The body lies on the disk, and waits there as long as it has to. */
  readonly isOnDisk?: boolean;
}

export interface AnswerSink {
  head(head: AnswerHead): void;
  data(chunk: Buffer): void;
  /** The answer is whole. `rest` holds bytes behind it: the first bytes of a tunnel after 101, else nothing good. */
  end(rest: Buffer): void;
  failure(kind: FailureKind, detail: string): void;
}

/** Largest head we accept from Odoo, in bytes; larger is `answer-malformed`. */
export const answerHeadBytesMax = 64 * 1024;
/** Most field lines in one head. */
export const answerFieldsMax = 256;
/** Most interim (1xx) answers before the final one. */
export const interimAnswersMax = 8;
/** Longest chunk-size line with its extensions, and all trailers together. */
const chunkLineBytesMax = 1024;
const trailerBytesMax = 8 * 1024;

const empty = Buffer.alloc(0);

/** RFC 9110 §5.6.2 token characters, by code. */
const tokenCharacter = new Uint8Array(256);
for (const c of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  tokenCharacter[c.charCodeAt(0)] = 1;
}

const knownHeads = new KnownHeads();

const badValue = /[^\t\x20-\x7e\x80-\xff]/;

type State = "head" | "length" | "close" | "chunk-size" | "chunk-data" | "chunk-end" | "trailers" | "done";

/**
 * Reads one HTTP/1 answer from bytes as they come (RFC 9112). Strict: bare LF or CR, folded lines, space before
 * a colon, two lengths, a length beside a transfer coding, and codings other than `chunked` are
 * `answer-malformed`, because an answer with two readings is how one client gets another's page.
 * Interim answers are dropped. After `end` or `failure` nothing more is told.
 */
export class AnswerReader {
  readonly #sink: AnswerSink;
  readonly #headRequest: boolean;
  readonly #wantsTunnel: boolean;
  #state: State = "head";
  #pending: Buffer = empty;
  #left = 0;
  #interim = 0;
  #trailerBytes = 0;
  #sawBytes = false;

  constructor(method: string, wantsTunnel: boolean, sink: AnswerSink) {
    this.#sink = sink;
    this.#headRequest = method === "HEAD";
    this.#wantsTunnel = wantsTunnel;
  }

  get done(): boolean {
    return this.#state === "done";
  }

  push(chunk: Buffer): void {
    this.#sawBytes = true;
    let input: Buffer = chunk;
    if (this.#pending.length > 0) {
      input = Buffer.concat([this.#pending, chunk]);
      this.#pending = empty;
    }
    for (;;) {
      const rest = this.#step(input);
      if (rest === null || rest.length === 0) return;
      input = rest;
    }
  }

  /** The upstream closed its side: the end of a close-delimited answer, a cut for every other. */
  eof(): void {
    switch (this.#state) {
      case "done":
        return;
      case "close":
        this.#end(empty);
        return;
      case "head":
        if (this.#sawBytes) return this.#fail("answer-malformed", "closed inside the answer's head");
        return this.#fail("closed-without-answer", "closed without a byte");
      case "length":
      case "chunk-size":
      case "chunk-data":
      case "chunk-end":
      case "trailers":
        return this.#fail("answer-cut", "closed before the end of the answer");
    }
  }

  /** One state's work; returns what is left of the input, or null when more bytes are needed. */
  #step(input: Buffer): Buffer | null {
    switch (this.#state) {
      case "head":
        return this.#readHead(input);
      case "close":
        if (input.length > 0) this.#sink.data(input);
        return null;
      case "length":
        return this.#readCounted(input, "done");
      case "chunk-data":
        return this.#readCounted(input, "chunk-end");
      case "chunk-size":
        return this.#readChunkSize(input);
      case "chunk-end":
        return this.#readChunkEnd(input);
      case "trailers":
        return this.#readTrailers(input);
      case "done":
        return null;
    }
  }

  #readHead(input: Buffer): Buffer | null {
    const mayBeKnown = !this.#headRequest && !this.#wantsTunnel;
    const known = mayBeKnown ? knownHeads.match(input) : null;
    if (known !== null) return this.#final(known, input.subarray(knownHeads.end));
    const end = input.indexOf("\r\n\r\n", 0, "latin1");
    if (end < 0 || end > answerHeadBytesMax) {
      if (input.length > answerHeadBytesMax) return this.#malformed("the head is larger than 64 KiB");
      // A lone LF would never meet CRLF CRLF: say so now instead of waiting for the time-out.
      if (/(?:^|[^\r])\n/.test(input.toString("latin1")))
        return this.#malformed("a line of the head ends in a bare LF");
      this.#pending = input;
      return null;
    }
    const rest = input.subarray(end + 4);
    const lines = input.toString("latin1", 0, end).split("\r\n");
    const start = lines[0] ?? "";
    // RFC 9112 §4: HTTP-version SP status-code SP [ reason-phrase ]
    const match = /^HTTP\/1\.([01]) ([1-5][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?$/.exec(start);
    if (match === null) return this.#malformed("the status line is not HTTP/1.0 or HTTP/1.1");
    const minor = match[1] === "1" ? 1 : 0;
    const status = Number(match[2]);
    if (lines.length - 1 > answerFieldsMax) return this.#malformed("the head has more than 256 field lines");
    const fields: string[] = [];
    for (let i = 1; i < lines.length; i += 1) {
      if (!readFieldLine(lines[i] ?? "", fields))
        return this.#malformed("a field line of the head is malformed");
    }
    if (status < 200) return this.#readInterim(status, minor, fields, rest);
    const framing = this.#framing(status, minor, fields);
    if (typeof framing === "string") return this.#malformed(framing);
    const reusable = minor === 1 && framing.kind !== "close" && !listHas(fields, "connection", "close");
    const plain = { status, fields, framing, reusable, likeness: null };
    const head = isFileNamed(status, fields) ? { ...plain, namesFile: true } : plain;
    return this.#final(mayBeKnown ? knownHeads.learn(head, input.subarray(0, end + 4)) : head, rest);
  }

  #final(head: AnswerHead, rest: Buffer): Buffer | null {
    const { framing } = head;
    this.#sink.head(head);
    switch (framing.kind) {
      case "none":
        return this.#end(rest);
      case "length":
        this.#left = framing.bytes;
        if (framing.bytes === 0) return this.#end(rest);
        this.#state = "length";
        return rest;
      case "chunked":
        this.#state = "chunk-size";
        return rest;
      case "close":
        this.#state = "close";
        return rest;
    }
  }

  #readInterim(status: number, minor: number, fields: readonly string[], rest: Buffer): Buffer | null {
    if (status === 101) {
      if (!this.#wantsTunnel) return this.#malformed("101 without a request to switch protocols");
      this.#sink.head({ status, fields, framing: { kind: "none" }, reusable: false, likeness: null });
      return this.#end(rest);
    }
    // RFC 9110 §15.2: HTTP/1.0 knows no interim answers; what follows has two readings.
    if (minor === 0) return this.#malformed("an interim answer in HTTP/1.0");
    this.#interim += 1;
    if (this.#interim > interimAnswersMax) return this.#malformed("more than 8 interim answers");
    return rest;
  }

  /** RFC 9112 §6.3, in its order; a string is what is wrong. */
  #framing(status: number, minor: number, fields: readonly string[]): AnswerFraming | string {
    let length: string | null = null;
    let coding: string | null = null;
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i] ?? "";
      if (nameIs(name, "content-length")) {
        if (length !== null) return "two Content-Length lines";
        length = fields[i + 1] ?? "";
      } else if (nameIs(name, "transfer-encoding")) {
        if (coding !== null) return "two Transfer-Encoding lines";
        coding = fields[i + 1] ?? "";
      }
    }
    if (length !== null && !/^[0-9]{1,15}$/.test(length)) return "Content-Length is not one number";
    if (coding !== null) {
      if (length !== null) return "Content-Length beside Transfer-Encoding";
      if (minor === 0) return "Transfer-Encoding in an HTTP/1.0 answer";
      if (coding.toLowerCase() !== "chunked") return "a transfer coding other than chunked";
    }
    if (this.#headRequest || status === 204 || status === 304) return { kind: "none" };
    if (coding !== null) return { kind: "chunked" };
    if (length !== null) return { kind: "length", bytes: Number(length) };
    return { kind: "close" };
  }

  #readCounted(input: Buffer, next: "done" | "chunk-end"): Buffer | null {
    const take = Math.min(input.length, this.#left);
    this.#left -= take;
    if (take > 0) this.#sink.data(take === input.length ? input : input.subarray(0, take));
    if (this.#left > 0) return null;
    const rest = input.subarray(take);
    if (next === "done") return this.#end(rest);
    this.#state = next;
    return rest;
  }

  #readChunkSize(input: Buffer): Buffer | null {
    const end = input.indexOf(10);
    if (end < 0) {
      if (input.length > chunkLineBytesMax) return this.#malformed("a chunk-size line is longer than 1 KiB");
      this.#pending = input;
      return null;
    }
    const line = input.toString("latin1", 0, end + 1);
    const match = chunkLine.exec(line);
    if (match === null || end > chunkLineBytesMax) return this.#malformed("a chunk-size line is malformed");
    this.#left = Number.parseInt(match[1] ?? "", 16);
    this.#state = this.#left === 0 ? "trailers" : "chunk-data";
    return input.subarray(end + 1);
  }

  #readChunkEnd(input: Buffer): Buffer | null {
    if (input.length < 2) {
      if (input.length === 1 && input[0] !== 13) return this.#malformed("a chunk is longer than its size");
      this.#pending = input;
      return null;
    }
    if (input[0] !== 13 || input[1] !== 10) return this.#malformed("a chunk is longer than its size");
    this.#state = "chunk-size";
    return input.subarray(2);
  }

  /** Trailer fields are checked and dropped: nothing downstream needs them. */
  #readTrailers(input: Buffer): Buffer | null {
    const end = input.indexOf(10);
    if (end < 0) {
      if (input.length > trailerBytesMax) return this.#malformed("the trailers are larger than 8 KiB");
      this.#pending = input;
      return null;
    }
    this.#trailerBytes += end + 1;
    if (this.#trailerBytes > trailerBytesMax) return this.#malformed("the trailers are larger than 8 KiB");
    const line = input.toString("latin1", 0, end + 1);
    if (!line.endsWith("\r\n")) return this.#malformed("a trailer line ends in a bare LF");
    const rest = input.subarray(end + 1);
    if (line.length === 2) return this.#end(rest);
    if (!readFieldLine(line.slice(0, -2), [])) return this.#malformed("a trailer line is malformed");
    return rest;
  }

  #end(rest: Buffer): null {
    this.#state = "done";
    this.#sink.end(rest);
    return null;
  }

  #malformed(detail: string): null {
    this.#fail("answer-malformed", detail);
    return null;
  }

  #fail(kind: FailureKind, detail: string): void {
    this.#state = "done";
    this.#sink.failure(kind, detail);
  }
}

/** RFC 9112 §5: field-name ":" OWS field-value OWS. Pushes name and trimmed value; false when malformed. */
function readFieldLine(line: string, into: string[]): boolean {
  const colon = line.indexOf(":");
  if (colon <= 0) return false;
  for (let i = 0; i < colon; i += 1) {
    if (tokenCharacter[line.charCodeAt(i)] !== 1) return false;
  }
  let start = colon + 1;
  let end = line.length;
  while (start < end && isBlank(line.charCodeAt(start))) start += 1;
  while (end > start && isBlank(line.charCodeAt(end - 1))) end -= 1;
  const value = line.slice(start, end);
  if (badValue.test(value)) return false;
  into.push(line.slice(0, colon), value);
  return true;
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

/** Does a list-valued field contain this token (case-insensitive). */
export function listHas(fields: readonly string[], lowerName: string, token: string): boolean {
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? "";
    if (!nameIs(name, lowerName)) continue;
    for (const part of (fields[i + 1] ?? "").split(",")) {
      if (part.trim().toLowerCase() === token) return true;
    }
  }
  return false;
}
