import { once } from "../base/once.ts";

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
    return { urgency, since: this.#begun };
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

  /** At most the files that are being fetched wait. */
  #first(): Turn | null {
    let first: Turn | null = null;
    for (const turn of this.#waiting) if (first === null || goesBefore(turn.order, first.order)) first = turn;
    if (first !== null) this.#waiting.splice(this.#waiting.indexOf(first), 1);
    return first;
  }
}

function goesBefore(one: Order, other: Order): boolean {
  return one.urgency === other.urgency ? one.since < other.since : one.urgency < other.urgency;
}

/** One file's place in the order. */
export interface Order {
  readonly urgency: number;
  readonly since: number;
}

interface Turn {
  readonly order: Order;
  readonly go: (over: () => void) => void;
}
