import { unreachable } from "./base/result.ts";
import type { Downstream, ReplyFraming } from "./exchange.ts";
import type { Coding } from "./message/accept-encoding.ts";
import { encodeWhole } from "./reply/encode.ts";
import { EncodedStream } from "./reply/encoded-stream.ts";
import { AnswerBuffer, type AnswerFlow } from "./upstream/answer-buffer.ts";
import type { AnswerHead } from "./upstream/answer-reader.ts";
import type { Spool } from "./upstream/spool.ts";

/** An answer of at most this many bytes whose head and body came together leaves in one write. */
const wholeBytesMax = 64 * 1024;
/** In a coding, of at most this many: compressing more would keep others waiting for a millisecond. */
const wholeEncodedBytesMax = 16 * 1024;

/** What carries an answer: the client's side, Odoo's side to pause, and a place for what a slow client has not taken yet. */
export interface RelayEnds extends AnswerFlow {
  readonly down: Downstream;
  readonly spool: Pick<Spool, "create">;
  /** The answer cannot be completed: it must not look complete. */
  cut(): void;
  /** So many bytes of the body are on their way to the client. */
  sent(bytes: number): void;
  /** A compressor begins to work, until what it answers is called. */
  encoding(): () => void;
}

/**
 * Odoo's answer on its way to the client. A small one waits for its body, which as a rule came in the same packet; a failure before
 * that can still be told with a page. Everything else starts at once and goes through the answer buffer, in a coding
 * through a compressor before it.
 */
export class Relay {
  readonly #ends: RelayEnds;
  readonly #status: number;
  readonly #fields: readonly string[];
  readonly #framing: ReplyFraming;
  readonly #coding: Coding | null;
  readonly #isOnDisk: boolean;
  #buffer: AnswerBuffer | null = null;
  #encoded: EncodedStream | null = null;
  #answered = false;

  /** `fields`: cleaned and with the security fields; with a coding also those of `encodedFields`. */
  constructor(ends: RelayEnds, head: AnswerHead, fields: readonly string[], coding: Coding | null) {
    this.#ends = ends;
    this.#status = head.status;
    this.#fields = fields;
    this.#framing = replyFraming(head);
    this.#coding = coding;
    this.#isOnDisk = head.isOnDisk === true;
    const bytesMax = coding === null ? wholeBytesMax : wholeEncodedBytesMax;
    const waits = this.#framing.kind === "length" && this.#framing.bytes <= bytesMax;
    if (!waits) this.#start();
  }

  /** Something went out: a failure from here on is a cut, not a page. */
  get hasStarted(): boolean {
    return this.#buffer !== null || this.#answered;
  }

  data(chunk: Buffer): void {
    if (this.#buffer === null && this.#framing.kind === "length" && chunk.length === this.#framing.bytes) {
      this.#answer(this.#coding === null ? chunk : encodeWhole(this.#coding, chunk));
      return;
    }
    if (this.#answered) return;
    const buffer = this.#start();
    if (this.#encoded !== null) this.#encoded.push(chunk);
    else buffer.push(chunk);
  }

  finish(): void {
    if (this.#answered) return;
    if (this.#buffer === null) this.#answer(null);
    else if (this.#encoded !== null) this.#encoded.finish();
    else this.#buffer.finish();
  }

  close(): void {
    this.#encoded?.close();
    this.#buffer?.close();
  }

  #answer(body: Buffer | null): void {
    this.#answered = true;
    this.#ends.sent(body?.length ?? 0);
    this.#ends.down.answer(this.#status, this.#fields, body, false);
  }

  #start(): AnswerBuffer {
    if (this.#buffer !== null) return this.#buffer;
    const ends = this.#ends;
    const { down, spool } = ends;
    const target = {
      // Not when Odoo gave it: what is set aside for a slow client may never be sent.
      write: (chunk: Buffer) => {
        ends.sent(chunk.length);
        return down.write(chunk);
      },
      end: () => down.end(),
      fail: () => ends.cut(),
    };
    const coding = this.#framing.kind === "none" ? null : this.#coding;
    const flow = coding === null ? ends : this.#encode(coding);
    // What lies on the disk is not copied to it; but a compressor, of which there are few, does not wait for its reader.
    const buffer = new AnswerBuffer(target, flow, this.#isOnDisk && coding === null ? null : spool);
    this.#buffer = buffer;
    down.onDrain(() => buffer.drained());
    down.start(this.#status, this.#fields, coding !== null ? { kind: "stream" } : this.#framing);
    return buffer;
  }

  /** Puts a compressor between Odoo and the answer buffer. */
  #encode(coding: Coding): AnswerFlow {
    const ends = this.#ends;
    const target = {
      push: (chunk: Buffer) => {
        this.#buffer?.push(chunk);
      },
      finish: () => this.#buffer?.finish(),
      fail: () => ends.cut(),
    };
    const encoded = new EncodedStream(coding, target, ends, ends.encoding());
    this.#encoded = encoded;
    return encoded;
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
