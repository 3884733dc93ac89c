import type { Socket } from "node:net";
import { closeGoingAway, closePolicy, FrameBoundary } from "./frames.ts";

/** A tunnel without a byte in either direction for this long is closed; Odoo pings after at most 60 s (odoo-wire f). */
export const tunnelIdleTimeoutMs = 120_000;
/**
 * What a client may send at once, and a second; past it the tunnel ends with close 1008. Odoo itself takes ten frames at once and five a second
 * of at most 1 MiB (odoo-wire f), and a web client sends one a minute: this is for those whom Odoo would have to tell so.
 */
export const tunnelFramesBurst = 256;
export const tunnelFramesPerSecond = 32;
export const tunnelBytesBurst = 16 * 1024 * 1024;
export const tunnelBytesPerSecond = 1024 * 1024;
/** After one side ended, the other has this long to say its last. */
const halfClosedTimeoutMs = 5_000;

/** Which side ended a tunnel first; `gateway`: an idle time-out, or we stop; `flood`: the client sent too much. */
export type TunnelEnd = "downstream" | "upstream" | "gateway" | "flood";

const nothing = () => {};

/** What a tunnel tells when it is over, once. */
export type TunnelClosed = (tunnel: Tunnel, bytesUp: number, bytesDown: number, endedBy: TunnelEnd) => void;

/**
 * Two pipes with back-pressure after a checked handshake. Nothing is parsed but the frame boundaries: towards the client they let a
 * stopping gateway say 1001 instead of cutting a message, from the client they are counted.
 */
export class Tunnel {
  readonly #downstream: Socket;
  readonly #upstream: Socket;
  readonly #onClosed: TunnelClosed;
  readonly #boundary = new FrameBoundary();
  readonly #upward = new FrameBoundary();
  #framesLeft = tunnelFramesBurst;
  #bytesLeft = tunnelBytesBurst;
  #refilledMs = performance.now();
  #bytesUp = 0;
  #bytesDown = 0;
  #leaving = false;
  #goodbye = closeGoingAway;
  /** What the client says goes nowhere any more. */
  #muted = false;
  #closed = false;
  #endedBy: TunnelEnd | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(downstream: Socket, upstream: Socket, onClosed: TunnelClosed) {
    this.#downstream = downstream;
    this.#upstream = upstream;
    this.#onClosed = onClosed;
  }

  /** `downstreamHead`: bytes that came with the client's handshake, `upstreamHead`: with Odoo's 101; both already read. */
  start(downstreamHead: Buffer, upstreamHead: Buffer): void {
    const downstream = this.#downstream;
    const upstream = this.#upstream;
    upstream.setTimeout(tunnelIdleTimeoutMs);
    downstream.setTimeout(0);
    upstream.setKeepAlive(true, 30_000);
    downstream.setKeepAlive(true, 30_000);
    this.#listen(downstream, upstream);
    if (downstreamHead.length > 0) this.#up(downstreamHead);
    if (upstreamHead.length > 0) this.#down(upstreamHead);
    downstream.resume();
    upstream.resume();
  }

  /**
   * All listeners in one scope, and no more than are needed: they are kept for as long as the tunnel stands. A third one of a kind costs Node 20 places, so
   * errors are left to the close behind each; the edge hears those of the client's socket.
   */
  #listen(downstream: Socket, upstream: Socket): void {
    downstream.on("close", () => this.#closeBy("downstream"));
    downstream.on("data", (chunk: Buffer) => this.#up(chunk));
    downstream.on("drain", () => upstream.resume());
    downstream.on("end", () => this.#halfClose("downstream", upstream));
    upstream.on("error", nothing);
    upstream.on("close", () => this.#closeBy("upstream"));
    upstream.on("timeout", () => this.#close());
    upstream.on("data", (chunk: Buffer) => this.#down(chunk));
    upstream.on("drain", () => downstream.resume());
    upstream.on("end", () => this.#halfClose("upstream", downstream));
  }

  /** The gateway stops: the client gets close 1001 at the next frame boundary, and 1 s to answer it. */
  leave(): void {
    if (this.#closed || this.#leaving) return;
    this.#leaving = true;
    this.#closeIn(halfClosedTimeoutMs);
    this.#sayGoodbye();
  }

  /** The client is banned, or floods: close 1008 at the next frame boundary, and not a byte more of it reaches Odoo. */
  expel(): void {
    this.#goodbye = closePolicy;
    this.#muted = true;
    this.leave();
  }

  /** Ends both sides at once. */
  destroy(): void {
    this.#close();
  }

  #up(chunk: Buffer): void {
    if (this.#muted) return;
    this.#bytesUp += chunk.length;
    if (this.#floods(chunk)) {
      this.#endedBy ??= "flood";
      return this.expel();
    }
    if (!this.#upstream.write(chunk)) this.#downstream.pause();
  }

  /** Takes a piece off what the client may send: is it too much? */
  #floods(chunk: Buffer): boolean {
    const before = this.#upward.frames;
    this.#upward.feed(chunk);
    const nowMs = performance.now();
    const seconds = (nowMs - this.#refilledMs) / 1_000;
    this.#refilledMs = nowMs;
    const frames = this.#upward.frames - before;
    this.#framesLeft =
      Math.min(tunnelFramesBurst, this.#framesLeft + seconds * tunnelFramesPerSecond) - frames;
    this.#bytesLeft =
      Math.min(tunnelBytesBurst, this.#bytesLeft + seconds * tunnelBytesPerSecond) - chunk.length;
    return this.#framesLeft < 0 || this.#bytesLeft < 0;
  }

  #down(chunk: Buffer): void {
    if (this.#leaving && this.#boundary.atBoundary) return;
    this.#boundary.feed(chunk);
    this.#bytesDown += chunk.length;
    if (!this.#downstream.write(chunk)) this.#upstream.pause();
    if (this.#leaving) this.#sayGoodbye();
  }

  #sayGoodbye(): void {
    if (!this.#boundary.atBoundary || this.#closed) return;
    this.#downstream.write(this.#goodbye);
    this.#closeIn(1_000);
  }

  #halfClose(side: TunnelEnd, other: Socket): void {
    if (!this.#leaving) this.#endedBy ??= side;
    // Leaving, the client has answered our close frame: there is nothing more to wait for.
    if (this.#leaving) return this.#close();
    other.end();
    this.#closeIn(halfClosedTimeoutMs);
  }

  #closeIn(ms: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#close(), ms);
    this.#timer.unref();
  }

  #closeBy(side: TunnelEnd): void {
    if (!this.#leaving) this.#endedBy ??= side;
    this.#close();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#downstream.destroy();
    this.#upstream.destroy();
    this.#onClosed(this, this.#bytesUp, this.#bytesDown, this.#endedBy ?? "gateway");
  }
}
