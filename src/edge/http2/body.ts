import type { BodySource, BodyTaker } from "../../upstream/body-source.ts";

const empty = Buffer.alloc(0);

/** A request's body as its stream brings it. What is not taken waits here, as much as the stream's window lets through. */
export class Http2Body implements BodySource {
  whole: Buffer | null = null;
  readonly #taken: (bytes: number) => void;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #taker: BodyTaker | null = null;
  #isPaused = false;
  /** The taker heard how it ended. */
  #isTold = false;
  #state: "open" | "whole" | "gone" = "open";

  /** `taken`: so many bytes wait no more; the client may send as many. */
  constructor(taken: (bytes: number) => void) {
    this.#taken = taken;
  }

  /** The client may still send. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** All that came so far is all there will be: it is handed over at once, and no `take` follows. */
  becomeWhole(): void {
    this.whole =
      this.#held.length === 1 ? (this.#held[0] ?? empty) : Buffer.concat(this.#held, this.#heldBytes);
    this.#drop();
  }

  data(chunk: Buffer): void {
    if (chunk.length === 0) return;
    if (this.#taker !== null && !this.#isPaused) {
      this.#taker.data(chunk);
      this.#taken(chunk.length);
      return;
    }
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
  }

  end(): void {
    if (this.#state !== "open") return;
    this.#state = "whole";
    this.#tellEnd();
  }

  /** The rest will not come, and what waits is of no use. */
  gone(): void {
    if (this.#isTold) return;
    this.#state = "gone";
    this.#drop();
    this.#isTold = this.#taker !== null;
    this.#taker?.gone();
  }

  take(taker: BodyTaker): void {
    this.#taker = taker;
    if (this.#state === "gone") {
      this.#isTold = true;
      return taker.gone();
    }
    this.#deliver();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#deliver();
  }

  #deliver(): void {
    const taker = this.#taker;
    if (taker === null) return;
    while (!this.#isPaused && this.#held.length > 0) {
      const chunk = this.#held.shift() ?? empty;
      this.#heldBytes -= chunk.length;
      taker.data(chunk);
      this.#taken(chunk.length);
    }
    this.#tellEnd();
  }

  #tellEnd(): void {
    if (this.#state !== "whole" || this.#heldBytes > 0 || this.#isTold || this.#taker === null) return;
    this.#isTold = true;
    this.#taker.end();
  }

  #drop(): void {
    const bytes = this.#heldBytes;
    this.#held = [];
    this.#heldBytes = 0;
    if (bytes > 0) this.#taken(bytes);
  }
}
