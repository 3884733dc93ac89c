import type { Readable } from "node:stream";
import type { BodySource, BodyTaker } from "../upstream/body-source.ts";

/** A request's body that is a stream of Node's. `came` is told of each piece. */
export class StreamBody implements BodySource {
  whole: Buffer | null = null;
  readonly #stream: Readable;
  readonly #came: (bytes: number) => void;

  constructor(stream: Readable, came: (bytes: number) => void = () => {}) {
    this.#stream = stream;
    this.#came = came;
  }

  /**
   * Takes it as `whole` if so many bytes are there, which are all there will be. Nothing waits for their end then, and no `take`
   * follows. The stream does not end by this: one that is closed before its last write came back costs an error object each time.
   */
  takeWhole(bytes: number): boolean {
    const stream = this.#stream;
    if (stream.readableLength !== bytes) return false;
    const whole: unknown = stream.read(bytes);
    if (!Buffer.isBuffer(whole)) return false;
    this.whole = whole;
    this.#came(bytes);
    return true;
  }

  take(taker: BodyTaker): void {
    const stream = this.#stream;
    let isOver = false;
    const over = (then: () => void) => {
      if (isOver) return;
      isOver = true;
      then();
    };
    stream.on("data", (chunk: Buffer) => {
      this.#came(chunk.length);
      taker.data(chunk);
    });
    stream.on("end", () => over(() => taker.end()));
    // The listener stays: a late error of a source that nobody reads must not end the process.
    stream.on("error", () => over(() => taker.gone()));
    stream.on("close", () => over(() => taker.gone()));
    if (stream.destroyed && !stream.readableEnded) over(() => taker.gone());
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }
}
