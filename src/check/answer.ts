import { checkBounds } from "./bounds.ts";

/** One HTTP/1 answer, as much of it as was read. */
export interface Answer {
  readonly status: number;
  readonly version: "1.0" | "1.1";
  /** Name and value alternating, as received. */
  readonly fields: readonly string[];
  /** Without chunk framing; content codings are as sent. */
  readonly body: Buffer;
  /** The end of the body was seen; false: cut at a bound, or by the site. */
  readonly whole: boolean;
}

export type ReaderState = "more" | "done" | "garbage";

/**
 * Reads one answer from bytes as they come. Tolerant where browsers are (a bare LF, any reason), strict in its bounds:
 * whatever comes, it holds no more than head and body bounds and says `done` or `garbage` in the end.
 */
export class AnswerReader {
  readonly #bodyBytesMax: number;
  readonly #noBody: boolean;
  #head = Buffer.alloc(0);
  #headSeen = 0;
  #interims = 0;
  #status = 0;
  #version: "1.0" | "1.1" = "1.1";
  #fields: string[] | null = null;
  #body: Buffer[] = [];
  #bodyBytes = 0;
  #left = 0;
  #framing: "none" | "length" | "chunked" | "close" = "none";
  #chunkLine = "";
  #chunkState: "size" | "data" | "crlf" | "trailer" = "size";
  #whole = false;
  #garbage = "";

  /** `noBody`: the answer to HEAD. */
  constructor(bodyBytesMax: number, noBody: boolean) {
    this.#bodyBytesMax = bodyBytesMax;
    this.#noBody = noBody;
  }

  /** Why it was `garbage`. */
  get fault(): string {
    return this.#garbage;
  }

  /** May the connection carry another request. */
  get keepsConnection(): boolean {
    if (!this.#whole || this.#status === 101) return false;
    if (this.#framing === "close" || this.#version === "1.0") return false;
    return !fieldsOf(this.#fields ?? [], "connection").some((value) => /\bclose\b/i.test(value));
  }

  /** The answer; null before its head was read. */
  answer(): Answer | null {
    if (this.#fields === null) return null;
    return {
      status: this.#status,
      version: this.#version,
      fields: this.#fields,
      body: Buffer.concat(this.#body),
      whole: this.#whole,
    };
  }

  push(chunk: Buffer): ReaderState {
    if (this.#fields !== null) return this.#pushBody(chunk);
    this.#head = Buffer.concat([this.#head, chunk]);
    return this.#readHead();
  }

  /** The site closed. */
  end(): ReaderState {
    if (this.#fields === null) return this.#bad("closed before the head of an answer was whole");
    if (this.#framing === "close") this.#whole = true;
    return "done";
  }

  #readHead(): ReaderState {
    for (;;) {
      const end = headEnd(this.#head);
      if (end === null) {
        if (!looksLikeHttp(this.#head)) return this.#bad("what came is no HTTP");
        return this.#headSeen + this.#head.length > checkBounds.headBytesMax
          ? this.#bad(`the head of the answer does not end within ${checkBounds.headBytesMax} bytes`)
          : "more";
      }
      this.#headSeen += end;
      if (this.#headSeen > checkBounds.headBytesMax)
        return this.#bad(`the head of the answer does not end within ${checkBounds.headBytesMax} bytes`);
      const lines = this.#head.toString("latin1", 0, end).split(/\r?\n/);
      const rest = this.#head.subarray(end);
      const start = /^HTTP\/(1\.[01]) ([1-9][0-9]{2})(?: |$)/.exec(lines[0] ?? "");
      if (start === null) return this.#bad("what came is no HTTP/1 answer");
      const status = Number(start[2]);
      if (status < 200 && status !== 101) {
        this.#interims += 1;
        if (this.#interims > checkBounds.interimMax) return this.#bad("interim answers without end");
        this.#head = Buffer.from(rest);
        continue;
      }
      this.#status = status;
      this.#version = start[1] === "1.0" ? "1.0" : "1.1";
      const fields: string[] = [];
      for (const line of lines.slice(1)) {
        const colon = line.indexOf(":");
        if (colon > 0) fields.push(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
      }
      if (fields.length > checkBounds.fieldsMax * 2)
        return this.#bad(`the answer has more than ${checkBounds.fieldsMax} fields`);
      this.#fields = fields;
      this.#frame(fields);
      this.#head = Buffer.alloc(0);
      if (this.#framing === "none") {
        this.#whole = true;
        return "done";
      }
      return rest.length > 0 ? this.#pushBody(rest) : "more";
    }
  }

  #frame(fields: readonly string[]): void {
    const length = fieldsOf(fields, "content-length")[0];
    if (this.#noBody || this.#status === 204 || this.#status === 304 || this.#status === 101) return;
    if (fieldsOf(fields, "transfer-encoding").some((value) => /chunked\s*$/i.test(value)))
      this.#framing = "chunked";
    else if (length !== undefined && /^[0-9]{1,15}$/.test(length)) {
      this.#left = Number(length);
      this.#framing = this.#left === 0 ? "none" : "length";
    } else this.#framing = "close";
  }

  #pushBody(chunk: Buffer): ReaderState {
    switch (this.#framing) {
      case "none":
        return "done";
      case "close":
        return this.#keep(chunk);
      case "length": {
        const part = chunk.subarray(0, this.#left);
        this.#left -= part.length;
        const state = this.#keep(part);
        if (state === "more" && this.#left === 0) {
          this.#whole = true;
          return "done";
        }
        return state;
      }
      case "chunked":
        return this.#pushChunked(chunk);
    }
  }

  #pushChunked(chunk: Buffer): ReaderState {
    let at = 0;
    while (at < chunk.length) {
      if (this.#chunkState === "data") {
        const part = chunk.subarray(at, at + this.#left);
        at += part.length;
        this.#left -= part.length;
        if (this.#keep(part) === "done") return "done";
        if (this.#left === 0) this.#chunkState = "crlf";
        continue;
      }
      const unit = chunk[at] ?? 0;
      at += 1;
      if (unit !== 0x0a) {
        this.#chunkLine += String.fromCharCode(unit);
        if (this.#chunkLine.length > 4_096) return this.#bad("a chunk's size does not end");
        continue;
      }
      const line = this.#chunkLine.trim();
      this.#chunkLine = "";
      if (this.#chunkState === "crlf") this.#chunkState = "size";
      else if (this.#chunkState === "trailer") {
        if (line !== "") continue;
        this.#whole = true;
        return "done";
      } else {
        const size = /^([0-9a-f]{1,12})\s*(?:;|$)/i.exec(line)?.[1];
        if (size === undefined) return this.#bad("a chunk's size is no number");
        this.#left = Number.parseInt(size, 16);
        this.#chunkState = this.#left === 0 ? "trailer" : "data";
      }
    }
    return "more";
  }

  /** Keeps what fits; full is the end: what follows is not wanted. */
  #keep(part: Buffer): ReaderState {
    const room = this.#bodyBytesMax - this.#bodyBytes;
    const kept = part.subarray(0, room);
    if (kept.length > 0) this.#body.push(Buffer.from(kept));
    this.#bodyBytes += kept.length;
    return part.length > room ? "done" : "more";
  }

  #bad(why: string): "garbage" {
    this.#garbage = why;
    return "garbage";
  }
}

function headEnd(head: Buffer): number | null {
  const crlf = head.indexOf("\r\n\r\n");
  const lf = head.indexOf("\n\n");
  if (crlf === -1) return lf === -1 ? null : lf + 2;
  return lf === -1 || crlf < lf ? crlf + 4 : lf + 2;
}

function looksLikeHttp(head: Buffer): boolean {
  const start = "HTTP/1.";
  return head.toString("latin1", 0, start.length) === start.slice(0, head.length);
}

/** Every value of a field, in order. */
export function fieldsOf(fields: readonly string[], name: string): string[] {
  const found: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2)
    if (fields[i]?.toLowerCase() === name) found.push(fields[i + 1] ?? "");
  return found;
}
