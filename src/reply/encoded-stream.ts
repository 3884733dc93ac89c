import type { Transform } from "node:stream";
import type { Coding } from "../message/accept-encoding.ts";
import { passingEncoder } from "./encode.ts";

/** Bytes that wait to be compressed before Odoo is paused. */
export const encoderBacklogBytesMax = 512 * 1024;

/** Where compressed bytes go. */
export interface EncodedTarget {
  push(chunk: Buffer): void;
  finish(): void;
  /** The compressor failed: what went out must not look whole. */
  fail(): void;
}

/** What can be told to wait. */
interface Flow {
  pause(): void;
  resume(): void;
}

/**
 * Compresses an answer as it comes, off the event loop. What has come goes out as soon as nothing more waits: the first bytes of a page
 * are not held back for the last ones. A reader who is slow holds the compressor, and the compressor Odoo, each within a bound.
 */
export class EncodedStream {
  readonly #flow: Flow;
  readonly #encoder: Transform;
  readonly #flush: () => void;
  readonly #onOver: () => void;
  #backlogBytes = 0;
  #paused = false;
  #finished = false;
  #over = false;

  /** `onOver`: called once, when the compressor is free again. */
  constructor(coding: Coding, target: EncodedTarget, flow: Flow, onOver: () => void) {
    const { encoder, flush } = passingEncoder(coding);
    this.#flow = flow;
    this.#encoder = encoder;
    this.#flush = flush;
    this.#onOver = onOver;
    encoder.on("data", (chunk: Buffer) => {
      if (!this.#over) target.push(chunk);
    });
    encoder.on("end", () => {
      if (this.#over) return;
      this.close();
      target.finish();
    });
    encoder.on("error", () => {
      if (this.#over) return;
      this.close();
      target.fail();
    });
  }

  push(chunk: Buffer): void {
    if (this.#over || this.#finished) return;
    this.#backlogBytes += chunk.length;
    if (this.#backlogBytes > encoderBacklogBytesMax && !this.#paused) {
      this.#paused = true;
      this.#flow.pause();
    }
    this.#encoder.write(chunk, () => this.#taken(chunk.length));
  }

  finish(): void {
    if (this.#over || this.#finished) return;
    this.#finished = true;
    this.#encoder.end();
  }

  /** For the answer buffer: its room is used up, or free again. */
  pause(): void {
    this.#encoder.pause();
  }

  resume(): void {
    if (!this.#over) this.#encoder.resume();
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#encoder.destroy();
    this.#onOver();
  }

  #taken(bytes: number): void {
    if (this.#over) return;
    this.#backlogBytes -= bytes;
    if (this.#paused && this.#backlogBytes <= encoderBacklogBytesMax / 2) {
      this.#paused = false;
      this.#flow.resume();
    }
    if (this.#backlogBytes === 0 && !this.#finished) this.#flush();
  }
}
