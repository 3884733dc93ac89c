/** One session's requests that have not begun. */
export interface TurnLine {
  readonly waiting: (() => void)[];
}

/**
 * Gives the requests of all HTTP/2 sessions their turns. A read may bring a hundred requests at once, and a few sessions a thousand;
 * begun all together they would hold up everybody else for as long as they take. So `most` of them begin in one turn of the event
 * loop, the others in the next ones: one of each session in turn, in the session's order. In between connections are accepted
 * and read. What waits has no bound of its own: a session has `http2StreamsMax` streams, and sessions are connections.
 */
export class StreamTurns {
  readonly #most: number;
  /** Sessions with requests that wait; whose turn is next stands first. */
  #ring: TurnLine[] = [];
  #begun = 0;
  #isNextSet = false;

  constructor(most: number) {
    this.#most = most;
  }

  line(): TurnLine {
    return { waiting: [] };
  }

  take(line: TurnLine, begin: () => void): void {
    if (this.#ring.length === 0 && this.#begun < this.#most) {
      this.#begun += 1;
      begin();
    } else if (line.waiting.push(begin) === 1) this.#ring.push(line);
    this.#setNext();
  }

  #setNext(): void {
    if (this.#isNextSet) return;
    this.#isNextSet = true;
    setImmediate(() => {
      this.#isNextSet = false;
      const now = this.#next();
      this.#begun = now.length;
      if (now.length > 0) this.#setNext();
      for (const begin of now) begin();
    });
  }

  #next(): readonly (() => void)[] {
    const now: (() => void)[] = [];
    for (let line = this.#ring.shift(); line !== undefined; line = this.#ring.shift()) {
      const begin = line.waiting.shift();
      if (begin !== undefined) now.push(begin);
      if (line.waiting.length > 0) this.#ring.push(line);
      if (now.length >= this.#most) break;
    }
    return now;
  }
}
