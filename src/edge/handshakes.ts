import type { EdgeBounds } from "./bounds.ts";

/**
 * TLS handshakes under way on one listener. While they are fewer than `handshakesMax` nobody is asked; from there on a client that has
 * `handshakesPerClientMax` of them gets no further one, so that connections which begin and never finish a handshake hold
 * up those who made them. Each ends after `handshakeTimeoutMs` at the latest, and all of them count as connections too.
 */
export class Handshakes {
  readonly #bounds: EdgeBounds;
  readonly #byClient = new Map<string, number>();
  #count = 0;

  constructor(bounds: EdgeBounds) {
    this.#bounds = bounds;
  }

  get count(): number {
    return this.#count;
  }

  /** May this client (`ipKey64`) begin another one? */
  hasRoom(client: string): boolean {
    if (this.#count < this.#bounds.handshakesMax) return true;
    return (this.#byClient.get(client) ?? 0) < this.#bounds.handshakesPerClientMax;
  }

  /** Counts one; answers how to say that it is over, which may be said twice. */
  begin(client: string): () => void {
    this.#count += 1;
    this.#byClient.set(client, (this.#byClient.get(client) ?? 0) + 1);
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#count -= 1;
      const left = (this.#byClient.get(client) ?? 1) - 1;
      if (left <= 0) this.#byClient.delete(client);
      else this.#byClient.set(client, left);
    };
  }
}
