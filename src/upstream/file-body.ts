import { newPiece } from "../base/pieces.ts";
import type { FailureKind } from "../observe/events.ts";
import type { AnswerHead } from "./answer-reader.ts";
import type { Filestore, StoreFile } from "./filestore.ts";
import { filledFields, type NamedFile, namedPart } from "./named-file.ts";

/** Of a file, read and handed on at once: a slow reader holds so much. */
export const filePieceBytes = 64 * 1024;

/** What is to be sent. */
export interface NamedAnswer {
  /** Odoo's, with an empty body. */
  readonly head: AnswerHead;
  readonly file: NamedFile;
  /** Whose it is: a session, or else an address. */
  readonly owner: string;
  /** The request was HEAD. */
  readonly isHeadOnly: boolean;
  /** Longest wait for the disk, for each piece. */
  readonly timeoutMs: number;
}

/** As `UpstreamListener`; nothing is told after `close`. */
export interface FileBodyListener {
  head(head: AnswerHead): void;
  data(chunk: Buffer): void;
  end(): void;
  failure(kind: FailureKind, detail: string): void;
}

/**
 * An answer of Odoo's with the file that it names as its body, as if Odoo had sent it. The head is told with the first piece, so that a file that cannot be read can still be answered with
 * a page; what is not as long as it was when it was opened does not come to its end. Read piece by piece, as fast as it is taken; a small file is closed before it is told.
 */
export class FileBody {
  readonly #store: Pick<Filestore, "open">;
  readonly #answer: NamedAnswer;
  readonly #listener: FileBodyListener;
  readonly #timer: NodeJS.Timeout;
  #file: StoreFile | null = null;
  #position = 0;
  #endPosition = 0;
  #begun = false;
  #paused = false;
  #pumping = false;
  #waitsForDisk = false;
  #over = false;

  constructor(store: Pick<Filestore, "open">, answer: NamedAnswer, listener: FileBodyListener) {
    this.#store = store;
    this.#answer = answer;
    this.#listener = listener;
    this.#timer = setTimeout(() => this.#silent(), answer.timeoutMs);
  }

  start(): void {
    void this.#open();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    if (this.#begun && !this.#pumping && !this.#over) void this.#pump();
  }

  /** Nothing more is told, and the file is closed. */
  close(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#file?.close();
    this.#file = null;
  }

  async #open(): Promise<void> {
    const { head, file, owner, isHeadOnly } = this.#answer;
    this.#waitsForDisk = true;
    const opened = await this.#store.open(file, owner);
    this.#waitsForDisk = false;
    if (this.#over) {
      if (opened.ok) opened.value.close();
      return;
    }
    if (!opened.ok) return this.#fail(opened.error.kind, opened.error.detail);
    this.#file = opened.value;
    const part = namedPart(head.status, head.fields, opened.value.bytes);
    if (typeof part === "string")
      return this.#fail("answer-malformed", `${file.path} of ODOO_FILESTORE: ${part}`);
    this.#position = part.first;
    this.#endPosition = part.last + 1;
    const bytes = this.#endPosition - this.#position;
    if (isHeadOnly || bytes === 0) {
      this.#begin(bytes);
      return this.#finish();
    }
    await this.#pump(bytes);
  }

  /** `bytes`: of the whole, while nothing was told. */
  async #pump(bytes = 0): Promise<void> {
    this.#pumping = true;
    while (!this.#over && (!this.#begun || !this.#paused)) {
      const piece = await this.#next();
      if (piece === null || this.#over) return;
      const isLast = this.#position === this.#endPosition;
      if (isLast) this.#file?.close();
      if (!this.#begun) this.#begin(bytes);
      if (!this.#over) this.#listener.data(piece);
      if (isLast) return this.#finish();
    }
    this.#pumping = false;
  }

  /** The next piece; null: there is none, which was told. The last one is asked for with a byte more than there should be. */
  async #next(): Promise<Buffer | null> {
    const file = this.#file;
    if (file === null) return null;
    const wanted = Math.min(filePieceBytes, this.#endPosition - this.#position);
    const isEnd = this.#position + wanted === file.bytes;
    const piece = newPiece(isEnd ? wanted + 1 : wanted);
    this.#waitsForDisk = true;
    this.#timer.refresh();
    const read = await file.read(piece, this.#position);
    this.#waitsForDisk = false;
    if (this.#over) return null;
    if (!read.ok) this.#fail(read.error.kind, read.error.detail);
    else if (read.value === 0 || read.value > wanted) {
      const how = read.value === 0 ? "shorter" : "longer";
      this.#fail(
        "file-unreadable",
        `${this.#answer.file.path} of ODOO_FILESTORE became ${how} while it was sent`,
      );
    } else {
      this.#position += read.value;
      return piece.subarray(0, read.value);
    }
    return null;
  }

  #begin(bytes: number): void {
    this.#begun = true;
    const { head, isHeadOnly } = this.#answer;
    this.#listener.head({
      status: head.status,
      fields: filledFields(head.fields, bytes),
      framing: isHeadOnly ? { kind: "none" } : { kind: "length", bytes },
      reusable: false,
      likeness: null,
      isOnDisk: true,
    });
  }

  #finish(): void {
    if (this.#over) return;
    this.close();
    this.#listener.end();
  }

  #fail(kind: FailureKind, detail: string): void {
    if (this.#over) return;
    this.close();
    this.#listener.failure(kind, detail);
  }

  /** A client that takes its time is no trouble; a disk is. */
  #silent(): void {
    if (!this.#waitsForDisk) return;
    const { file, timeoutMs } = this.#answer;
    this.#fail(
      "file-unreadable",
      `${file.path} of ODOO_FILESTORE: the disk gave nothing in ${timeoutMs} ms; look at it or at its mount`,
    );
  }
}
