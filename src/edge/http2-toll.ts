import { constants, type ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { EdgeBounds } from "./bounds.ts";

/** Beside the field lines themselves: pseudo-fields, frame heads, HPACK's own bytes. */
const headExtraBytes = 512;
/** HPACK writes a field line in no more than its characters and this. */
const fieldExtraBytes = 8;

/**
 * What one HTTP/2 session may cost without asking for anything. Node bounds resets and memory, but takes PING, SETTINGS, PRIORITY,
 * WINDOW_UPDATE, padding and frames it does not know without end. Two counts: PING and SETTINGS frames
 * (`http2ControlBurst`, then `http2ControlsPerSecond`), and bytes that are neither a request's head nor its body
 * (`http2IdleBytesMax`, then `http2IdleBytesPerSecond` and half of what went out, since a reader owes us WINDOW_UPDATEs).
 * Past either the session ends with ENHANCE_YOUR_CALM (RFC 9113 §10.5).
 */
export class Http2Toll {
  readonly #session: ServerHttp2Session;
  readonly #socket: Socket;
  readonly #bounds: EdgeBounds;
  readonly #startMs: number;
  #controls: number;
  #refilledMs: number;
  /** Bytes of heads and bodies. */
  #usefulBytes = 0;

  constructor(session: ServerHttp2Session, socket: Socket, bounds: EdgeBounds, nowMs: number) {
    this.#session = session;
    this.#socket = socket;
    this.#bounds = bounds;
    this.#startMs = nowMs;
    this.#refilledMs = nowMs;
    this.#controls = bounds.http2ControlBurst;
    const control = () => this.#control();
    session.on("ping", control);
    session.on("remoteSettings", control);
    session.on("stream", (_stream, _headers, _flags, rawHeaders) => {
      this.#usefulBytes += headBytes(rawHeaders as unknown as string[]);
    });
  }

  /** A piece of a body came. */
  body(bytes: number): void {
    this.#usefulBytes += bytes;
  }

  /** A body will not be read to its end: as much of it as the window lets through may still come. */
  leaveBody(): void {
    this.#usefulBytes += this.#bounds.http2StreamWindowBytes;
  }

  /** Looks at the bytes; called every `connectionsCheckMs`. */
  check(nowMs: number): void {
    const idleBytes = this.#socket.bytesRead - this.#usefulBytes;
    const seconds = (nowMs - this.#startMs) / 1_000;
    const owed = this.#bounds.http2IdleBytesPerSecond * seconds + this.#socket.bytesWritten / 2;
    if (idleBytes > this.#bounds.http2IdleBytesMax + owed) this.#end();
  }

  #control(): void {
    const nowMs = performance.now();
    const refill = ((nowMs - this.#refilledMs) / 1_000) * this.#bounds.http2ControlsPerSecond;
    this.#refilledMs = nowMs;
    this.#controls = Math.min(this.#bounds.http2ControlBurst, this.#controls + refill) - 1;
    if (this.#controls < 0) this.#end();
    else this.check(nowMs);
  }

  #end(): void {
    if (this.#session.destroyed) return;
    this.#session.destroy(new Error("control frames without end"), constants.NGHTTP2_ENHANCE_YOUR_CALM);
    this.#socket.destroySoon();
  }
}

function headBytes(raw: readonly string[]): number {
  let bytes = headExtraBytes;
  for (const text of raw) bytes += text.length + fieldExtraBytes;
  return bytes;
}
