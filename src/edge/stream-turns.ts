/** A request that waits for its turn. */
export interface Beginner {
  begin(): void;
}

/** One session's requests that have not begun. */
export interface TurnLine {
  readonly waiting: Beginner[];
}

/**
 * Gives the requests of all HTTP/2 sessions their turns. A read may bring a hundred requests at once, and a few sessions a thousand;
 * begun all together they would hold up everybody else for as long as they take. So `most` of them begin at the end of a turn of the
 * event loop, the others in the next ones: one of each session in turn, in the session's order. In between connections are accepted
 * and read. At the end, not at once: what came with a request (its body, or a reset) is known by then. What waits has no bound of its
 * own: a session has `http2StreamsMax` streams, and sessions are connections.
 */
export class StreamTurns {
  readonly #most: number;
  /** Sessions with requests that wait; whose turn is next stands first. */
  #ring: TurnLine[] = [];
  #isNextSet = false;

  constructor(most: number) {
    this.#most = most;
  }

  line(): TurnLine {
    return { waiting: [] };
  }

  take(line: TurnLine, request: Beginner): void {
    if (line.waiting.push(request) === 1) this.#ring.push(line);
    if (this.#isNextSet) return;
    this.#isNextSet = true;
    setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    const now = this.#next();
    this.#isNextSet = this.#ring.length > 0;
    if (this.#isNextSet) setImmediate(this.#turn);
    for (const request of now) request.begin();
  };

  #next(): readonly Beginner[] {
    const now: Beginner[] = [];
    for (let line = this.#ring.shift(); line !== undefined; line = this.#ring.shift()) {
      const request = line.waiting.shift();
      if (request !== undefined) now.push(request);
      if (line.waiting.length > 0) this.#ring.push(line);
      if (now.length >= this.#most) break;
    }
    return now;
  }
}
