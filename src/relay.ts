import { unreachable } from "./base/result.ts";
import type { Downstream, ReplyFraming } from "./exchange.ts";
import { AnswerBuffer, type AnswerFlow } from "./upstream/answer-buffer.ts";
import type { AnswerHead } from "./upstream/answer-reader.ts";
import type { Spool } from "./upstream/spool.ts";

/** An answer of at most this many bytes whose head and body came together leaves in one write. */
const wholeBytesMax = 64 * 1024;

/** What carries an answer: the client's side, Odoo's side to pause, and a place for what a slow client has not taken yet. */
export interface RelayEnds {
  readonly down: Downstream;
  readonly flow: AnswerFlow;
  readonly spool: Spool;
  /** The answer cannot be completed: it must not look complete. */
  readonly cut: () => void;
}

/**
 * Odoo's answer on its way to the client. A small one waits for its body, which as a rule came in the same packet; a failure before
 * that can still be told with a page. Everything else starts at once and goes through the answer buffer.
 */
export class Relay {
  readonly #ends: RelayEnds;
  readonly #status: number;
  readonly #fields: string[];
  readonly #framing: ReplyFraming;
  #buffer: AnswerBuffer | null = null;
  #answered = false;

  /** `fields`: cleaned and with the security fields. */
  constructor(ends: RelayEnds, head: AnswerHead, fields: string[]) {
    this.#ends = ends;
    this.#status = head.status;
    this.#fields = fields;
    this.#framing = replyFraming(head);
    const waits = this.#framing.kind === "length" && this.#framing.bytes <= wholeBytesMax;
    if (!waits) this.#start();
  }

  /** Something went out: a failure from here on is a cut, not a page. */
  get hasStarted(): boolean {
    return this.#buffer !== null || this.#answered;
  }

  data(chunk: Buffer): void {
    if (this.#buffer === null && this.#framing.kind === "length" && chunk.length === this.#framing.bytes) {
      this.#answer(chunk);
      return;
    }
    if (!this.#answered) this.#start().push(chunk);
  }

  finish(): void {
    if (this.#answered) return;
    if (this.#buffer === null) this.#answer(null);
    else this.#buffer.finish();
  }

  close(): void {
    this.#buffer?.close();
  }

  #answer(body: Buffer | null): void {
    this.#answered = true;
    this.#ends.down.answer(this.#status, this.#fields, body, false);
  }

  #start(): AnswerBuffer {
    if (this.#buffer !== null) return this.#buffer;
    const { down, flow, spool, cut } = this.#ends;
    const target = { write: (chunk: Buffer) => down.write(chunk), end: () => down.end(), fail: cut };
    const buffer = new AnswerBuffer(target, flow, spool);
    this.#buffer = buffer;
    down.onDrain(() => buffer.drained());
    down.start(this.#status, this.#fields, this.#framing);
    return buffer;
  }
}

function replyFraming(head: AnswerHead): ReplyFraming {
  switch (head.framing.kind) {
    case "none":
      return { kind: "none" };
    case "length":
      return { kind: "length", bytes: head.framing.bytes };
    case "chunked":
    case "close":
      return { kind: "stream" };
    default:
      return unreachable(head.framing);
  }
}
