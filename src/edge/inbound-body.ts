import { Gathered } from "../base/gathered.ts";
import type { BodySource, BodyTaker } from "../upstream/body-source.ts";

/** What of a connection a body needs. */
export interface Pausable {
  pause(): unknown;
  resume(): unknown;
}

/** A request's body as the connection reads it. What nobody takes is dropped. */
export class InboundBody implements BodySource {
  readonly #whole: Buffer | null;
  readonly #socket: Pausable;
  #taker: BodyTaker | null = null;
  /** Came before somebody took it: at most what one read of the socket held. */
  #early: Gathered | null = null;
  #isUnread = true;
  #state: "open" | "whole" | "gone";

  constructor(socket: Pausable, whole: Buffer | null) {
    this.#socket = socket;
    this.#whole = whole;
    this.#state = whole === null ? "open" : "whole";
  }

  get whole(): Buffer | null {
    this.#isUnread = false;
    return this.#whole;
  }

  /** Nobody asked for it. */
  get isUnread(): boolean {
    return this.#isUnread;
  }

  /** The client may still send. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  take(taker: BodyTaker): void {
    this.#taker = taker;
    const early = this.#early;
    this.#early = null;
    if (early !== null) taker.data(early.take());
    if (this.#state === "whole") taker.end();
    else if (this.#state === "gone") taker.gone();
    this.#socket.resume();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  data(chunk: Buffer): void {
    if (this.#taker !== null) return this.#taker.data(chunk);
    // Nobody has asked yet (a limit is being waited for): the client waits as well.
    this.#early ??= new Gathered();
    this.#early.push(chunk);
    this.#socket.pause();
  }

  end(): void {
    if (this.#state !== "open") return;
    this.#state = "whole";
    this.#taker?.end();
  }

  gone(): void {
    if (this.#state !== "open") return;
    this.#state = "gone";
    this.#taker?.gone();
  }

  /** Nobody will take the rest: it is read and dropped. */
  drop(): void {
    this.#early = null;
    this.#taker = dropping;
    this.#socket.resume();
  }
}

const dropping: BodyTaker = { data() {}, end() {}, gone() {} };
