import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Content } from "./content.ts";

/** Files that wait to be compressed again; a further one keeps its first form. */
export const squeezeQueueMax = 512;
/** A file larger than this keeps its first form: it would take minutes. */
export const squeezeBytesMax = 16 * 1024 * 1024;
/** Begun so long after the last new file: who loads a page for the first time needs the processor more. */
export const squeezeAfterMs = 4_000;
/** How long the process stays when there is nothing to do. */
export const squeezeIdleMs = 5_000;

const program = fileURLToPath(new URL("./squeeze-child.js", import.meta.url));

/**
 * Compresses files in memory once more and better (brotli 11 takes a second and more for a megabyte), one after another in one process of
 * lowest priority, and puts the result in the place of the first form. The process exists only while there is work;
 * when it cannot be started, files keep their first form.
 */
export class Squeeze {
  readonly #fault: (detail: string) => void;
  readonly #done = new WeakSet<Content>();
  readonly #queue: Content[] = [];
  #child: ChildProcess | null = null;
  #current: Content | null = null;
  #idle: NodeJS.Timeout | null = null;
  #quiet: NodeJS.Timeout | null = null;
  #addedMs = 0;
  #closed = false;

  constructor(fault: (detail: string) => void) {
    this.#fault = fault;
  }

  /** Files that wait, the one at work included. */
  get waiting(): number {
    return this.#queue.length + (this.#current === null ? 0 : 1);
  }

  /** Takes a whole file; each once. What waits is in memory anyway: a file that the store gives up waits no longer. */
  add(content: Content): void {
    if (this.#closed || this.#done.has(content) || !content.isCompressible) return;
    // It did not fit.
    if (content.onGrown === null) return;
    if (content.bytes > squeezeBytesMax || this.#queue.length >= squeezeQueueMax) return;
    this.#done.add(content);
    this.#queue.push(content);
    content.onGivenUp = () => this.#forget(content);
    this.#addedMs = performance.now();
    this.#next();
  }

  /** What waits is given up; the process ends at once. */
  close(): void {
    this.#closed = true;
    this.#queue.length = 0;
    this.#current = null;
    if (this.#quiet !== null) clearTimeout(this.#quiet);
    this.#dismiss();
  }

  #next(): void {
    if (this.#current !== null || this.#closed || this.#quiet !== null) return;
    const waitMs = this.#addedMs + squeezeAfterMs - performance.now();
    if (waitMs > 0 && this.#queue.length > 0) {
      this.#quiet = setTimeout(() => {
        this.#quiet = null;
        this.#next();
      }, waitMs);
      this.#quiet.unref();
      return;
    }
    while (this.#current === null) {
      const content = this.#queue.shift();
      if (content === undefined) return this.#rest();
      const body = content.identity.buffer;
      if (body === null) continue;
      if (this.#idle !== null) clearTimeout(this.#idle);
      this.#idle = null;
      this.#current = content;
      this.#process().send(body);
    }
  }

  #forget(content: Content): void {
    const at = this.#queue.indexOf(content);
    if (at >= 0) this.#queue.splice(at, 1);
  }

  #rest(): void {
    if (this.#child === null || this.#idle !== null) return;
    this.#idle = setTimeout(() => this.#dismiss(), squeezeIdleMs);
    this.#idle.unref();
  }

  #dismiss(): void {
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = null;
    const child = this.#child;
    this.#child = null;
    child?.removeAllListeners();
    child?.on("error", () => {});
    child?.kill("SIGKILL");
  }

  #process(): ChildProcess {
    if (this.#child !== null) return this.#child;
    const child = fork(program, [], {
      serialization: "advanced",
      execArgv: [],
      env: {},
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    this.#child = child;
    // A gateway that is done does not wait for better compression.
    child.unref();
    child.channel?.unref();
    child.on("message", (squeezed) => {
      if (squeezed instanceof Uint8Array) {
        const better = Buffer.from(squeezed.buffer, squeezed.byteOffset, squeezed.byteLength);
        this.#current?.replace("br", better);
      }
      this.#current = null;
      this.#next();
    });
    child.on("error", (error) => this.#broken(child, error.message));
    child.on("exit", (code, signal) => this.#broken(child, `ended with ${code ?? signal}`));
    return child;
  }

  /** The file at work keeps its first form, and so do those that wait: what broke it would break again. */
  #broken(child: ChildProcess, detail: string): void {
    if (this.#child !== child) return;
    this.#dismiss();
    this.#queue.length = 0;
    this.#current = null;
    this.#fault(`files keep their first compressed form: ${detail}`);
  }
}
