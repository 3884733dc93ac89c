import { once } from "../base/once.ts";

/** Pieces of others that go before a waiting file's own, whatever was said of it; then it is as urgent as any. Urgency is the client's word: nobody holds up the others for ever by it. */
export const passedPiecesMax = 64;

/**
 * Who may compress now: the more urgent file first, then the one that was begun first, and no more at a time than leave the gateway a
 * processor. Two that share one are both late, and the page waits for its script.
 */
export class Turns {
  readonly #atOnce: number;
  readonly #waiting: Turn[] = [];
  #begun = 0;
  #working = 0;

  /** `atOnce`: pieces at work at the same time, at least 1. */
  constructor(atOnce: number) {
    this.#atOnce = Math.max(1, atOnce);
  }

  /** A place in the order for one file. `urgency` as in RFC 9218: 0 is first. */
  enter(urgency: number): Order {
    this.#begun += 1;
    return { urgency, since: this.#begun, passed: 0 };
  }

  /** Calls `go` when it is this file's turn, with what ends the turn; each file has one piece here at a time. */
  take(order: Order, go: (over: () => void) => void): void {
    this.#waiting.push({ order, go });
    this.#next();
  }

  #next(): void {
    while (this.#working < this.#atOnce) {
      const turn = this.#first();
      if (turn === null) return;
      this.#working += 1;
      turn.go(
        once<void>(() => {
          this.#working -= 1;
          this.#next();
        }),
      );
    }
  }

  /** At most one piece waits of each coding of each file that is in memory or on its way there. */
  #first(): Turn | null {
    let first: Turn | null = null;
    for (const turn of this.#waiting) if (first === null || goesBefore(turn.order, first.order)) first = turn;
    if (first !== null) this.#waiting.splice(this.#waiting.indexOf(first), 1);
    for (const { order } of this.#waiting) if (++order.passed === passedPiecesMax) order.urgency = 0;
    return first;
  }
}

function goesBefore(one: Order, other: Order): boolean {
  return one.urgency === other.urgency ? one.since < other.since : one.urgency < other.urgency;
}

/** One file's place in the order. */
export interface Order {
  urgency: number;
  readonly since: number;
  /** Pieces of others that went before one of its own. */
  passed: number;
}

interface Turn {
  readonly order: Order;
  readonly go: (over: () => void) => void;
}
