import type { EdgeBounds } from "../bounds.ts";
import { frameHeadBytes } from "./frame.ts";

/** HPACK writes a field line in no more than its characters and this; what a block has above that says nothing. */
const fieldExtraBytes = 8;
/** Beside the field lines themselves: frame heads, and what a browser says around a request (RST_STREAM, PRIORITY_UPDATE, WINDOW_UPDATE). */
const requestExtraBytes = 512;
/** A frame's head is 9 bytes: 288 bytes of a body in each frame are enough (Firefox sent 4 KiB for years, others 16). */
const bodyBytesPerHeadByte = 32;
/** A reader owes us WINDOW_UPDATEs: 26 bytes for each half of its window, so that windows from 1 KiB on are far below this. */
const sentBytesPerIdleByte = 16;

/**
 * What one HTTP/2 connection may cost without asking for anything. Three counts: PING and SETTINGS frames (`http2ControlBurst`, then `http2ControlsPerSecond`);
 * streams that the client takes back, or that we have to reset (`http2ResetBurst`, `http2ResetsPerSecond`; CVE-2023-44487, CVE-2025-8671); and bytes that are neither
 * a request's fields nor a body (`http2IdleBytesMax`, then `http2IdleBytesPerSecond` and a part of what went out). Past any of them the connection
 * is to end with ENHANCE_YOUR_CALM (RFC 9113 §10.5).
 */
export class Http2Toll {
  readonly #bounds: EdgeBounds;
  readonly #nowMs: () => number;
  #controls: number;
  #controlsMs: number;
  #resets: number;
  #resetsMs: number;
  /** What came without use and is not forgiven yet. Never below zero: requests of before are no licence. */
  #idleBytes = 0;
  #idleMs: number;
  #sentBytes = 0;
  #isOver = false;

  constructor(bounds: EdgeBounds, nowMs: () => number) {
    this.#bounds = bounds;
    this.#nowMs = nowMs;
    const now = nowMs();
    this.#controls = bounds.http2ControlBurst;
    this.#controlsMs = now;
    this.#resets = bounds.http2ResetBurst;
    this.#resetsMs = now;
    this.#idleMs = now;
  }

  /** A count is used up. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** A request, or trailers, with this head (names and values in turn) in frames of so many bytes. */
  head(raw: readonly string[], frameBytes: number): void {
    // As a rule HPACK is far below: the length of each text need not be looked at.
    let bytes = frameBytes - requestExtraBytes;
    for (let i = 0; bytes > 0 && i < raw.length; i += 1) bytes -= (raw[i] ?? "").length + fieldExtraBytes;
    this.#idleBytes = Math.max(0, this.#idleBytes - requestExtraBytes);
    if (bytes > 0) this.idle(bytes);
  }

  /** A frame of a body: `bytes` of it, in a payload of `flowBytes`. */
  data(bytes: number, flowBytes: number): void {
    const cost = flowBytes - bytes + frameHeadBytes - bytes / bodyBytesPerHeadByte;
    if (cost > 0) this.idle(cost);
  }

  /** A frame that is of no use by itself. */
  idle(bytes: number): void {
    this.#idleBytes += bytes;
    if (this.#idleBytes <= this.#bounds.http2IdleBytesMax) return;
    this.look();
    if (this.#idleBytes > this.#bounds.http2IdleBytesMax) this.#isOver = true;
  }

  /** PING or SETTINGS. */
  control(frameBytes: number): void {
    const { http2ControlBurst, http2ControlsPerSecond } = this.#bounds;
    const nowMs = this.#nowMs();
    const refill = ((nowMs - this.#controlsMs) / 1_000) * http2ControlsPerSecond;
    this.#controls = Math.min(http2ControlBurst, this.#controls + refill) - 1;
    this.#controlsMs = nowMs;
    if (this.#controls < 0) this.#isOver = true;
    this.idle(frameBytes);
  }

  /** A stream ended before its answer, by the client or through its fault. */
  reset(): void {
    const { http2ResetBurst, http2ResetsPerSecond } = this.#bounds;
    const nowMs = this.#nowMs();
    const refill = ((nowMs - this.#resetsMs) / 1_000) * http2ResetsPerSecond;
    this.#resets = Math.min(http2ResetBurst, this.#resets + refill) - 1;
    this.#resetsMs = nowMs;
    if (this.#resets < 0) this.#isOver = true;
  }

  /** Bytes of bodies that went out. */
  sent(bytes: number): void {
    this.#sentBytes += bytes;
  }

  /** Forgives by the clock and by what was sent; called every `http2LookMs`, so that a quiet hour is worth no more than that. */
  look(): void {
    const nowMs = this.#nowMs();
    const seconds = (nowMs - this.#idleMs) / 1_000;
    const forgiven = this.#bounds.http2IdleBytesPerSecond * seconds + this.#sentBytes / sentBytesPerIdleByte;
    this.#idleBytes = Math.max(0, this.#idleBytes - forgiven);
    this.#idleMs = nowMs;
    this.#sentBytes = 0;
  }
}
