/** Messages of PostgreSQL's protocol 3.0 (documentation, 55.7). Pure. */

export interface Frame {
  /** One letter. */
  readonly type: string;
  readonly body: Buffer;
}

/** Largest message that is read; a catalogue query of ours answers a few kilobytes. */
export const frameBytesMax = 1_048_576;

/** Cuts a stream into messages. */
export class FrameReader {
  #held: Buffer = Buffer.alloc(0);

  /** The whole messages so far; null when one is longer than the bound or shorter than its own head. */
  push(chunk: Buffer): readonly Frame[] | null {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const frames: Frame[] = [];
    let at = 0;
    while (this.#held.length - at >= 5) {
      const length = this.#held.readUInt32BE(at + 1);
      if (length < 4 || length > frameBytesMax) return null;
      if (this.#held.length - at < length + 1) break;
      frames.push({
        type: String.fromCharCode(this.#held[at] ?? 0),
        body: this.#held.subarray(at + 5, at + 1 + length),
      });
      at += length + 1;
    }
    this.#held = this.#held.subarray(at);
    return frames;
  }
}

/** A message with its letter. */
export function frame(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, "latin1");
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

/** A text that ends with a NUL. */
export function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`, "utf8");
}

/** The first message: protocol 3.0 and the parameters. */
export function startupMessage(parameters: Readonly<Record<string, string>>): Buffer {
  const pairs = Object.entries(parameters).flatMap(([name, value]) => [cString(name), cString(value)]);
  const body = Buffer.concat([int32(196_608), ...pairs, Buffer.alloc(1)]);
  return Buffer.concat([int32(body.length + 4), body]);
}

/** Asks for TLS; the server answers one byte, `S` or `N`. */
export const sslRequest: Buffer = Buffer.concat([int32(8), int32(80_877_103)]);

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** The columns of a row; null for NULL, and the whole answer is null for a row that does not hold together. */
export function columnsOf(body: Buffer): readonly (string | null)[] | null {
  if (body.length < 2) return null;
  const columns: (string | null)[] = [];
  let at = 2;
  for (let left = body.readUInt16BE(0); left > 0; left -= 1) {
    if (body.length - at < 4) return null;
    const length = body.readInt32BE(at);
    at += 4;
    if (length < 0) columns.push(null);
    else {
      if (body.length - at < length) return null;
      columns.push(body.toString("utf8", at, at + length));
      at += length;
    }
  }
  return columns;
}

/** The sentence of an error: severity, code and message. */
export function errorText(body: Buffer): string {
  const fields = new Map(
    body
      .toString("utf8")
      .split("\0")
      .filter((part) => part !== "")
      .map((part) => [part.slice(0, 1), part.slice(1)]),
  );
  return `${fields.get("M") ?? "an error without a message"} (${fields.get("C") ?? "no code"})`;
}
