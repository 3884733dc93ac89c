import type { FailureKind } from "../observe/events.ts";
import type { AnswerHead } from "../upstream/answer-reader.ts";

/** What Odoo says; as `UpstreamListener`. */
export interface FileListener {
  head(head: AnswerHead): void;
  data(chunk: Buffer): void;
  end(isLonger?: boolean): void;
  failure(kind: FailureKind, detail: string): void;
}

/** A request to Odoo under way. */
export interface FileCall {
  /** One of so many workers is counted as busy with it. */
  readonly hasWorker: boolean;
  abort(): void;
  pause(): void;
  resume(): void;
}

/**
 * An answer that is not kept, but may be given to one of those who waited: to somebody without a cookie it is the very answer his own
 * request would have got. What comes before he takes it is held back, at most what one look at the socket brings.
 */
export class PassedAnswer implements FileListener {
  readonly #call: FileCall;
  #events: ((to: FileListener) => void)[] = [];
  #taker: FileListener | null = null;
  #taken = false;

  constructor(call: FileCall, head: AnswerHead) {
    this.#call = call;
    this.head(head);
  }

  /** The first who asks gets it, and looks after it from then on; null: it is somebody else's, or nobody came in time. */
  take(): { readonly call: FileCall; listen(listener: FileListener): void } | null {
    if (this.#taken) return null;
    this.#taken = true;
    return {
      call: this.#call,
      listen: (listener) => {
        this.#taker = listener;
        for (const event of this.#events.splice(0)) event(listener);
      },
    };
  }

  /** Nobody may take it any more; gives the request up when nobody has. */
  expire(): void {
    if (this.#taken) return;
    this.#taken = true;
    this.#events = [];
    this.#call.abort();
  }

  head(head: AnswerHead): void {
    this.#tell((to) => to.head(head));
  }

  data(chunk: Buffer): void {
    this.#tell((to) => to.data(chunk));
  }

  end(): void {
    this.#tell((to) => to.end());
  }

  failure(kind: FailureKind, detail: string): void {
    this.#tell((to) => to.failure(kind, detail));
  }

  #tell(event: (to: FileListener) => void): void {
    if (this.#taker === null) this.#events.push(event);
    else event(this.#taker);
  }
}
