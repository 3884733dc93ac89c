import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import type { Framing } from "./http-parse.ts";
import type { Delays } from "./timers.ts";

/** Why no more bytes came: the peer ended or vanished, or it was silent longer than allowed. */
export type ReadStop = "end" | "timeout";

/** Pulls bytes from a socket as a blocking server would: each wait is one receive with its own time-out. */
export interface SocketReader {
  /** The next line without its LF (a CR before it stays); "long" past `bytesMax`. */
  line(bytesMax: number): Promise<Buffer | ReadStop | "long">;
  /** Between 1 and `bytesMax` bytes. */
  some(bytesMax: number): Promise<Buffer | ReadStop>;
  /** Takes what was received and not yet read, for a WebSocket. */
  takeRest(): Buffer;
}

/** @param timeoutMs longest silence of one wait; null waits for ever (the gevent server does). */
export function createSocketReader(socket: Socket, timeoutMs: number | null, delays: Delays): SocketReader {
  let held: Buffer = Buffer.alloc(0);

  function receive(): Promise<"data" | ReadStop> {
    return new Promise((resolve) => {
      const take = (): boolean => {
        const chunk: unknown = socket.read();
        if (!Buffer.isBuffer(chunk)) return false;
        held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
        return true;
      };
      if (take()) return resolve("data");
      if (socket.readableEnded || socket.destroyed) return resolve("end");
      let cancel = (): void => undefined;
      const finish = (outcome: "data" | ReadStop): void => {
        socket.off("readable", onReadable);
        socket.off("end", onEnd);
        socket.off("close", onEnd);
        cancel();
        resolve(outcome);
      };
      const onReadable = (): void => {
        if (take()) finish("data");
      };
      const onEnd = (): void => finish("end");
      socket.on("readable", onReadable);
      socket.on("end", onEnd);
      socket.on("close", onEnd);
      if (timeoutMs !== null) cancel = delays.alarm(() => finish("timeout"), timeoutMs);
    });
  }

  return {
    async line(bytesMax) {
      let searched = 0;
      for (;;) {
        const at = held.indexOf(10, searched);
        if (at > bytesMax || (at < 0 && held.length > bytesMax)) return "long";
        if (at >= 0) {
          const line = held.subarray(0, at);
          held = held.subarray(at + 1);
          return line;
        }
        searched = held.length;
        const outcome = await receive();
        if (outcome !== "data") return outcome;
      }
    },
    async some(bytesMax) {
      if (held.length === 0) {
        const outcome = await receive();
        if (outcome !== "data") return outcome;
      }
      const part = held.subarray(0, bytesMax);
      held = held.subarray(part.length);
      return part;
    },
    takeRest() {
      const rest = held;
      held = Buffer.alloc(0);
      return rest;
    },
  };
}

/** A request body: all of it counted and hashed, its beginning kept. */
export interface SeenBody {
  readonly byteLength: number;
  /** Hexadecimal; of no bytes when there was no body. */
  readonly sha256: string;
  /** At most `BODY_KEPT_BYTES_MAX`; a larger body's tail is only counted and hashed. */
  readonly bytes: Buffer;
}

export const BODY_KEPT_BYTES_MAX = 16 * 1024 * 1024;
const EMPTY_SHA256 = createHash("sha256").digest("hex");
const noBody: SeenBody = { byteLength: 0, sha256: EMPTY_SHA256, bytes: Buffer.alloc(0) };

/** Reads a body to its end. "broken": it paused too long, ended early or its chunks make no sense (400). */
export async function readBody(reader: SocketReader, framing: Framing): Promise<SeenBody | "broken"> {
  if (framing.kind === "bad") return "broken";
  if (framing.kind === "none" || (framing.kind === "length" && framing.bytes === 0)) return noBody;
  const hash = createHash("sha256");
  const kept: Buffer[] = [];
  let keptBytes = 0;
  let byteLength = 0;
  const take = async (bytes: number): Promise<boolean> => {
    let left = bytes;
    while (left > 0) {
      const part = await reader.some(left);
      if (typeof part === "string") return false;
      left -= part.length;
      byteLength += part.length;
      hash.update(part);
      const room = BODY_KEPT_BYTES_MAX - keptBytes;
      if (room > 0) {
        kept.push(part.subarray(0, room));
        keptBytes += Math.min(room, part.length);
      }
    }
    return true;
  };
  const whole = framing.kind === "length" ? await take(framing.bytes) : await takeChunks(reader, take);
  if (!whole) return "broken";
  return { byteLength, sha256: hash.digest("hex"), bytes: Buffer.concat(kept) };
}

/** Werkzeug's `DechunkedInput`: sizes as Python's `int(line, 16)` reads them, no extensions, no trailers. */
async function takeChunks(reader: SocketReader, take: (bytes: number) => Promise<boolean>): Promise<boolean> {
  for (;;) {
    const line = await reader.line(1_024);
    if (typeof line === "string") return false;
    const size = /^\+?(?:0[xX])?_?([0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)$/.exec(line.toString("latin1").trim());
    if (size === null) return false;
    const bytes = Number.parseInt((size[1] ?? "").replaceAll("_", ""), 16);
    if (!Number.isSafeInteger(bytes) || !(await take(bytes))) return false;
    const end = await reader.line(1_024);
    if (typeof end === "string" || end.toString("latin1").trim() !== "") return false;
    if (bytes === 0) return true;
  }
}
