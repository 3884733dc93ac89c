import { Worker } from "node:worker_threads";
import type { Content } from "./content.ts";

/** Files that wait to be compressed again; a further one keeps its first form. */
export const squeezeQueueMax = 512;
/** A file larger than this keeps its first form: it would take minutes. */
export const squeezeBytesMax = 16 * 1024 * 1024;
/** How long the thread stays when there is nothing to do. */
const idleMs = 5_000;

/**
 * Compresses files in memory once more and better (brotli 11 takes a second and more for a megabyte), one after another in one thread of
 * lowest priority, and puts the result in the place of the first form. The thread exists only while there is work.
 */
export class Squeeze {
  readonly #fault: (detail: string) => void;
  readonly #done = new WeakSet<Content>();
  readonly #queue: Content[] = [];
  #worker: Worker | null = null;
  #current: Content | null = null;
  #idle: NodeJS.Timeout | null = null;
  #whenEmpty: (() => void)[] = [];
  #closed = false;

  constructor(fault: (detail: string) => void) {
    this.#fault = fault;
  }

  /** Files that wait, the one at work included. */
  get waiting(): number {
    return this.#queue.length + (this.#current === null ? 0 : 1);
  }

  /** Takes a whole file; each once. */
  add(content: Content): void {
    if (this.#closed || this.#done.has(content) || !content.isCompressible) return;
    if (content.bytes > squeezeBytesMax || this.#queue.length >= squeezeQueueMax) return;
    this.#done.add(content);
    this.#queue.push(content);
    this.#next();
  }

  /** Resolves when nothing waits. */
  settled(): Promise<void> {
    if (this.waiting === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }

  /** What waits is given up. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#queue.length = 0;
    this.#current = null;
    this.#empty();
    if (this.#idle !== null) clearTimeout(this.#idle);
    await this.#worker?.terminate();
    this.#worker = null;
  }

  #next(): void {
    if (this.#current !== null || this.#closed) return;
    const content = this.#queue.shift();
    if (content === undefined) return this.#rest();
    // Nobody holds the file any more: its work is not done.
    const body = content.onGrown === null ? null : content.identity.buffer;
    if (body === null) return this.#next();
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = null;
    this.#current = content;
    this.#thread().postMessage({ body });
  }

  #rest(): void {
    this.#empty();
    const worker = this.#worker;
    if (worker === null || this.#idle !== null) return;
    this.#idle = setTimeout(() => {
      this.#idle = null;
      this.#worker = null;
      void worker.terminate();
    }, idleMs);
    this.#idle.unref();
  }

  #empty(): void {
    for (const then of this.#whenEmpty.splice(0)) then();
  }

  #thread(): Worker {
    if (this.#worker !== null) return this.#worker;
    const worker = new Worker(new URL("./squeeze-worker.js", import.meta.url), { env: {}, execArgv: [] });
    // A program that is done does not wait for better compression.
    worker.unref();
    worker.on("message", ({ squeezed }: { readonly squeezed: Uint8Array }) => {
      this.#current?.replace("br", Buffer.from(squeezed.buffer, squeezed.byteOffset, squeezed.byteLength));
      this.#current = null;
      this.#next();
    });
    worker.on("error", (error) => {
      this.#fault(error instanceof Error ? error.message : String(error));
      if (this.#worker === worker) this.#worker = null;
      this.#current = null;
      this.#next();
    });
    this.#worker = worker;
    return worker;
  }
}
