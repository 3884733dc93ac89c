import type { Socket } from "node:net";
import { closeGoingAway, closePolicy, FrameBoundary } from "./frames.ts";

/** A tunnel without a byte in either direction for this long is closed; Odoo pings after at most 60 s (odoo-wire f). */
export const tunnelIdleTimeoutMs = 120_000;
/** After one side ended, the other has this long to say its last. */
const halfClosedTimeoutMs = 5_000;

export interface TunnelEnds {
  readonly downstream: Socket;
  readonly upstream: Socket;
  /** Bytes that came with the client's handshake, already read. */
  readonly downstreamHead: Buffer;
  /** Bytes that came with Odoo's 101, already read. */
  readonly upstreamHead: Buffer;
  readonly idleTimeoutMs?: number;
}

/** Which side ended a tunnel first; `gateway`: an idle time-out, or we stop. */
export type TunnelEnd = "downstream" | "upstream" | "gateway";

/**
 * Two pipes with back-pressure after a checked handshake. Nothing is parsed but the frame boundaries towards the
 * client, which is what lets a stopping gateway say 1001 instead of cutting a message.
 */
export class Tunnel {
  readonly #ends: TunnelEnds;
  readonly #onClosed: (bytesUp: number, bytesDown: number, endedBy: TunnelEnd) => void;
  readonly #boundary = new FrameBoundary();
  #bytesUp = 0;
  #bytesDown = 0;
  #leaving = false;
  #goodbye = closeGoingAway;
  /** What the client says goes nowhere any more. */
  #muted = false;
  #closed = false;
  #endedBy: TunnelEnd | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(ends: TunnelEnds, onClosed: (bytesUp: number, bytesDown: number, endedBy: TunnelEnd) => void) {
    this.#ends = ends;
    this.#onClosed = onClosed;
  }

  start(): void {
    const { downstream, upstream, downstreamHead, upstreamHead } = this.#ends;
    upstream.setTimeout(this.#ends.idleTimeoutMs ?? tunnelIdleTimeoutMs, () => this.#close());
    downstream.setTimeout(0);
    upstream.setKeepAlive(true, 30_000);
    downstream.setKeepAlive(true, 30_000);
    for (const [socket, side] of [
      [downstream, "downstream"],
      [upstream, "upstream"],
    ] as const) {
      socket.on("error", () => this.#closeBy(side));
      socket.on("close", () => this.#closeBy(side));
    }
    downstream.on("data", (chunk: Buffer) => this.#up(chunk));
    upstream.on("data", (chunk: Buffer) => this.#down(chunk));
    downstream.on("drain", () => upstream.resume());
    upstream.on("drain", () => downstream.resume());
    downstream.on("end", () => this.#halfClose("downstream", upstream));
    upstream.on("end", () => this.#halfClose("upstream", downstream));
    if (downstreamHead.length > 0) this.#up(downstreamHead);
    if (upstreamHead.length > 0) this.#down(upstreamHead);
    downstream.resume();
    upstream.resume();
  }

  /** The gateway stops: the client gets close 1001 at the next frame boundary, and 1 s to answer it. */
  leave(): void {
    if (this.#closed || this.#leaving) return;
    this.#leaving = true;
    this.#closeIn(halfClosedTimeoutMs);
    this.#sayGoodbye();
  }

  /** The client is banned: close 1008 at the next frame boundary, and not a byte more of it reaches Odoo. */
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
    if (!this.#ends.upstream.write(chunk)) this.#ends.downstream.pause();
  }

  #down(chunk: Buffer): void {
    if (this.#leaving && this.#boundary.atBoundary) return;
    this.#boundary.feed(chunk);
    this.#bytesDown += chunk.length;
    if (!this.#ends.downstream.write(chunk)) this.#ends.upstream.pause();
    if (this.#leaving) this.#sayGoodbye();
  }

  #sayGoodbye(): void {
    if (!this.#boundary.atBoundary || this.#closed) return;
    this.#ends.downstream.write(this.#goodbye);
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
    this.#ends.downstream.destroy();
    this.#ends.upstream.destroy();
    this.#onClosed(this.#bytesUp, this.#bytesDown, this.#endedBy ?? "gateway");
  }
}
