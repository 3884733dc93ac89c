import type { Socket } from "node:net";

/** Bytes kept behind a handshake that is not answered yet; past it the socket is not read. */
const earlyBytesMax = 64 * 1024;

/**
 * Watches a connection between the head of its handshake and the answer. Node stops reading there, so that a client who
 * left would be noticed only after Odoo's answer; bytes that come early belong to the tunnel.
 */
export class EarlyBytes {
  readonly #socket: Socket;
  readonly #parts: Buffer[];
  #bytes: number;

  constructor(socket: Socket, head: Buffer) {
    this.#socket = socket;
    this.#parts = [head];
    this.#bytes = head.length;
    socket.on("data", this.#take);
    socket.on("end", this.#leave);
    socket.resume();
  }

  /** Ends the watch; everything that came, and the socket paused. */
  end(): Buffer {
    this.#socket.off("data", this.#take);
    this.#socket.off("end", this.#leave);
    this.#socket.pause();
    return Buffer.concat(this.#parts);
  }

  #take = (chunk: Buffer): void => {
    this.#parts.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes > earlyBytesMax) this.#socket.pause();
  };

  // A handshake cannot be half-closed: the answer would open a tunnel nobody writes into.
  #leave = (): void => {
    this.#socket.destroy();
  };
}
