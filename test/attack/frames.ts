import { connect, type TLSSocket } from "node:tls";

/** HTTP/2 frames by hand (RFC 9113 §4, §6), for what no well-behaved client would send. */
export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const;
export const endStream = 1;
export const endHeaders = 4;
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A field block of literals without indexing and without Huffman (RFC 7541 §6.2.2). */
export function block(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

/** An HPACK string, latin-1. */
export function text(value: string): Buffer {
  const bytes = Buffer.from(value, "latin1");
  return Buffer.concat([integer(bytes.length), bytes]);
}

function integer(value: number): Buffer {
  if (value < 127) return Buffer.from([value]);
  const bytes = [127];
  let left = value - 127;
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) + 128);
  bytes.push(left);
  return Buffer.from(bytes);
}

/** The pseudo-fields of an ordinary request. */
export function pseudo(path: string, method = "GET"): (readonly [string, string])[] {
  return [
    [":method", method],
    [":scheme", "https"],
    [":authority", "odoo.test"],
    [":path", path],
  ];
}

/** HEADERS of a whole request without a body. */
export function get(stream: number, path: string): Buffer {
  return frame(frameType.headers, endStream | endHeaders, stream, block(pseudo(path)));
}

/** A connection that has chosen h2 and says nothing but what it is told to; SETTINGS are acknowledged. */
export class RawHttp2 {
  readonly socket: TLSSocket;
  readonly frames: Frame[] = [];
  readonly closed: Promise<void>;
  isClosed = false;
  #held: Buffer = Buffer.alloc(0);
  #pings = 0;
  readonly #waiting = new Set<() => void>();

  /** Connects, sends preface and SETTINGS with the given parameters (RFC 9113 §6.5.2). */
  constructor(port: number, client: string, settings: readonly (readonly [number, number])[] = []) {
    const at = { host: "127.0.0.1", port, localAddress: client };
    this.socket = connect({
      ...at,
      servername: "odoo.test",
      rejectUnauthorized: false,
      ALPNProtocols: ["h2"],
    });
    this.socket.setNoDelay(true);
    this.socket.on("error", () => {});
    this.closed = new Promise((resolve) => {
      this.socket.on("close", () => {
        this.isClosed = true;
        this.#tell();
        resolve();
      });
    });
    this.socket.on("data", (chunk: Buffer) => this.#read(chunk));
    const payload = Buffer.alloc(settings.length * 6);
    for (const [i, [id, value]] of settings.entries()) {
      payload.writeUInt16BE(id, i * 6);
      payload.writeUInt32BE(value, i * 6 + 2);
    }
    this.send(preface, frame(frameType.settings, 0, 0, payload));
  }

  send(...bytes: readonly Buffer[]): void {
    if (!this.isClosed) this.socket.write(Buffer.concat(bytes));
  }

  /** The first frame, past or future, for which `test` is true; null when the connection closes first. */
  async frame(test: (frame: Frame) => boolean): Promise<Frame | null> {
    for (;;) {
      const found = this.frames.find(test);
      if (found !== undefined) return found;
      if (this.isClosed) return null;
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** How stream 1 ended: answered, reset with a code, or with its connection. */
  async outcome(stream = 1): Promise<"answered" | `reset ${number}` | "closed"> {
    const last = await this.frame(
      ({ type, flags, stream: of }: Frame) =>
        type === frameType.goaway ||
        (of === stream &&
          (type === frameType.reset ||
            ((type === frameType.headers || type === frameType.data) && (flags & endStream) !== 0))),
    );
    if (last === null || last.type === frameType.goaway) return "closed";
    return last.type === frameType.reset ? `reset ${last.payload.readUInt32BE(0)}` : "answered";
  }

  /** Resolves when the gateway has read everything sent so far (true), or closes (false). */
  async isTaken(): Promise<boolean> {
    this.#pings += 1;
    const mark = Buffer.concat([uint32(0x5e5e), uint32(this.#pings)]);
    this.send(frame(frameType.ping, 0, 0, mark));
    const got = await this.frame(
      ({ type, payload }) => type === frameType.goaway || (type === frameType.ping && payload.equals(mark)),
    );
    return got?.type === frameType.ping;
  }

  #read(chunk: Buffer): void {
    this.#held = Buffer.concat([this.#held, chunk]);
    while (this.#held.length >= 9) {
      const bytes = this.#held.readUIntBE(0, 3);
      if (this.#held.length < 9 + bytes) break;
      const type = this.#held[3] ?? 0;
      const flags = this.#held[4] ?? 0;
      const stream = this.#held.readUInt32BE(5) & 0x7fffffff;
      const payload = Buffer.from(this.#held.subarray(9, 9 + bytes));
      this.#held = this.#held.subarray(9 + bytes);
      this.frames.push({ type, flags, stream, payload });
      if (type === frameType.settings && (flags & 1) === 0) this.send(frame(frameType.settings, 1, 0));
    }
    this.#tell();
  }

  #tell(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}
