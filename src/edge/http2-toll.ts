import { constants, type ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import type { EdgeBounds } from "./bounds.ts";

/** Beside the field lines themselves: pseudo-fields, frame heads, HPACK's own bytes. */
const headExtraBytes = 512;
/** HPACK writes a field line in no more than its characters and this. */
const fieldExtraBytes = 8;
/** A frame's head is 9 bytes: 288 bytes of a body in each frame are enough (Firefox sent 4 KiB for years, others 16). */
const bodyBytesPerHeadByte = 32;
/** A reader owes us WINDOW_UPDATEs: 26 bytes for each half of its window, so that windows from 1 KiB on are far below this. */
const sentBytesPerIdleByte = 16;
/** Looks at which a head that is not whole yet may look like noise. */
const graceLooks = 2;

/**
 * What one HTTP/2 session may cost without asking for anything. Node bounds resets and memory, but takes PING, SETTINGS, PRIORITY,
 * WINDOW_UPDATE, padding and frames it does not know without end, and tells of the first two only. So there are two counts: PING
 * and SETTINGS frames (`http2ControlBurst`, then `http2ControlsPerSecond`), and bytes that are neither a request's head nor its body
 * (`http2IdleBytesMax`, then `http2IdleBytesPerSecond` and a part of what went out). Past either the session ends with
 * ENHANCE_YOUR_CALM (RFC 9113 §10.5). Bytes are looked at every `http2LookMs` and with each PING and SETTINGS.
 */
export class Http2Toll {
  readonly #session: ServerHttp2Session;
  readonly #socket: Socket;
  readonly #bounds: EdgeBounds;
  readonly #bodies = new Set<Readable>();
  #controls: number;
  #refilledMs: number;
  #lookedMs: number;
  #readBytes = 0;
  #sentBytes = 0;
  /** Of heads and bodies since the last look. */
  #usefulBytes = 0;
  /** Of bodies: they came, and nobody took them yet. */
  #heldBytes = 0;
  /** Of bodies that nobody will take: they may still come. */
  #leftBytes = 0;
  /** What came without use and is not forgiven yet. Never below zero: requests of before are no licence. */
  #idleBytes = 0;
  #looksOver = 0;
  #wasOverAtControl = false;
  #willLook = false;

  constructor(session: ServerHttp2Session, socket: Socket, bounds: EdgeBounds, nowMs: number) {
    this.#session = session;
    this.#socket = socket;
    this.#bounds = bounds;
    this.#refilledMs = nowMs;
    this.#lookedMs = nowMs;
    this.#controls = bounds.http2ControlBurst;
    const control = () => this.#control();
    session.on("ping", control);
    session.on("remoteSettings", control);
  }

  /** A request has come, with this head (names and values in turn). */
  head(raw: readonly string[]): void {
    this.#usefulBytes += headBytes(raw);
    this.#looksOver = 0;
    this.#wasOverAtControl = false;
  }

  /** A request has a body. */
  openBody(stream: Readable): void {
    this.#bodies.add(stream);
  }

  /** Its stream is closed. Not `isWhole`: it will not be read to its end, and as much of it as the window lets through may still come. */
  closeBody(stream: Readable, isWhole: boolean): void {
    this.#bodies.delete(stream);
    if (!isWhole) this.#leftBytes += this.#bounds.http2StreamWindowBytes;
  }

  /** A piece of a body was taken. */
  body(bytes: number): void {
    this.#usefulBytes += bytes + bytes / bodyBytesPerHeadByte;
  }

  /** Looks at the bytes by the clock, when a head may have come in part: up to its own bound it is waited for. */
  look(nowMs: number): void {
    this.#count(nowMs);
    const { http2IdleBytesMax, http2HeaderListBytesMax } = this.#bounds;
    if (this.#idleBytes <= http2IdleBytesMax) this.#looksOver = 0;
    else if (this.#idleBytes > http2IdleBytesMax + http2HeaderListBytesMax) this.#end();
    else if (this.#looksOver >= graceLooks) this.#end();
    else this.#looksOver += 1;
  }

  #control(): void {
    const nowMs = performance.now();
    const refill = ((nowMs - this.#refilledMs) / 1_000) * this.#bounds.http2ControlsPerSecond;
    this.#refilledMs = nowMs;
    this.#controls = Math.min(this.#bounds.http2ControlBurst, this.#controls + refill) - 1;
    if (this.#controls < 0) return this.#end();
    if (this.#willLook) return;
    this.#willLook = true;
    // Node counts a whole read as bytes before it tells of what stood in it.
    setImmediate(() => this.#lookAtControl());
  }

  /** No PING or SETTINGS stands inside a head (RFC 9113 §6.10): what was more than the bound at two of them is no head in part. */
  #lookAtControl(): void {
    this.#willLook = false;
    this.#count(performance.now());
    const isOver = this.#idleBytes > this.#bounds.http2IdleBytesMax;
    if (isOver && this.#wasOverAtControl) this.#end();
    this.#wasOverAtControl = isOver;
  }

  /** Brings the count of idle bytes up to now. */
  #count(nowMs: number): void {
    const { bytesRead, bytesWritten } = this.#socket;
    let heldBytes = 0;
    for (const body of this.#bodies) heldBytes += body.readableLength;
    const usefulBytes = this.#usefulBytes + heldBytes - this.#heldBytes;
    const cameBytes = bytesRead - this.#readBytes - usefulBytes;
    const leftBytes = Math.min(this.#leftBytes, Math.max(0, cameBytes));
    const seconds = (nowMs - this.#lookedMs) / 1_000;
    const forgivenBytes =
      this.#bounds.http2IdleBytesPerSecond * seconds +
      (bytesWritten - this.#sentBytes) / sentBytesPerIdleByte;
    this.#idleBytes = Math.max(0, this.#idleBytes + cameBytes - leftBytes - forgivenBytes);
    this.#leftBytes -= leftBytes;
    this.#usefulBytes = 0;
    this.#heldBytes = heldBytes;
    this.#readBytes = bytesRead;
    this.#sentBytes = bytesWritten;
    this.#lookedMs = nowMs;
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
