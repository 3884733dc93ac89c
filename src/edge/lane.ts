import type { IncomingMessage, ServerResponse } from "node:http";

/** What a lane asks of the exchange whose turn it is. */
export interface Turn {
  readonly isRunning: boolean;
  /** Its answer says, or will say, that the connection closes. */
  readonly isClosing: boolean;
  closeBehind(): void;
}

interface Waiting {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

/** Whole requests that may wait behind a running one; the connection closes behind the last of them. */
export const pipelinedMax = 100;

/**
 * The requests of one HTTP/1.1 connection, one at a time. Node's parser hands over pipelined requests while the answer to
 * the first is still being thought about; without this, what stands behind a refused message would be run before
 * its connection is closed (RFC 9112 §9.3.2, §9.6), and one connection could keep a hundred Odoo workers busy.
 */
export class Lane {
  readonly #start: (req: IncomingMessage, res: ServerResponse, isLast: boolean) => Turn;
  readonly #waiting: Waiting[] = [];
  #turn: Turn | null = null;
  #closed = false;
  /** The parser gave up on this connection; what it says after that is no news. */
  isBroken = false;

  /** `start` hands a request to the gateway; with `isLast` its answer closes the connection. */
  constructor(start: (req: IncomingMessage, res: ServerResponse, isLast: boolean) => Turn) {
    this.#start = start;
  }

  /** The next request of the connection: starts, waits for its turn, or is dropped because nothing more is taken. */
  add(req: IncomingMessage, res: ServerResponse): void {
    if (this.#turn?.isClosing === true) this.#closed = true;
    if (this.#closed) return void req.resume();
    if (this.#turn?.isRunning !== true && this.#waiting.length === 0) {
      this.#turn = this.#start(req, res, false);
      return;
    }
    this.#waiting.push({ req, res });
    if (this.#waiting.length >= pipelinedMax) this.#closed = true;
  }

  /** May the connection be handed over for an upgrade: only when nothing is under way on it. */
  mayLeave(): boolean {
    if (this.#closed || this.#turn?.isClosing === true) return false;
    if (this.#turn?.isRunning !== true && this.#waiting.length === 0) {
      this.#closed = true;
      return true;
    }
    this.closeBehindLast();
    return false;
  }

  /** The exchange whose turn it was is over. */
  next(): void {
    if (this.#turn?.isClosing === true) this.#waiting.length = 0;
    const first = this.#waiting.shift();
    if (first === undefined || first.req.socket.destroyed) return;
    this.#turn = this.#start(first.req, first.res, this.#closed && this.#waiting.length === 0);
  }

  /**
   * The bytes behind what was taken are broken: takes no more, and closes behind the last whole request. False when none is
   * waiting; then the running one is the caller's business.
   */
  breakOff(): boolean {
    const last = this.#waiting.at(-1);
    if (last === undefined) return false;
    if (!last.req.complete) this.#waiting.pop();
    this.closeBehindLast();
    return true;
  }

  closeBehindLast(): void {
    this.#closed = true;
    if (this.#waiting.length === 0) this.#turn?.closeBehind();
  }
}
