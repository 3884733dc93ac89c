/** A request that waits for its turn. */
export interface Beginner {
  begin(): void;
}

/** One session's requests that have not begun. */
export interface TurnLine {
  readonly waiting: Beginner[];
}

/**
 * Gives the requests of all HTTP/2 connections their turns. A read may bring a hundred requests at once, and a few connections a thousand;
 * begun all together they would hold up everybody else for as long as they take. So `most` of them begin in one turn of the
 * event loop, the others in the next ones: one of each connection in turn, in the connection's order. In between connections are accepted
 * and read. Who waits for a body waits for the end of the turn in any case: it may have come by then. What waits has no bound of its
 * own: a connection has `http2StreamsMax` streams.
 */
export class StreamTurns {
  readonly #most: number;
  /** Begun in this turn of the event loop. */
  #begun = 0;
  /** Connections with requests that wait; whose turn is next stands first. */
  #ring: TurnLine[] = [];
  #isNextSet = false;

  constructor(most: number) {
    this.#most = most;
  }

  line(): TurnLine {
    return { waiting: [] };
  }

  /** `isComplete`: nothing more of the request is to come; it begins at once if there is a place. */
  take(line: TurnLine, request: Beginner, isComplete: boolean): void {
    if (!this.#isNextSet) {
      this.#isNextSet = true;
      setImmediate(this.#turn);
    }
    if (isComplete && this.#begun < this.#most && line.waiting.length === 0 && this.#ring.length === 0) {
      this.#begun += 1;
      return request.begin();
    }
    if (line.waiting.push(request) === 1) this.#ring.push(line);
  }

  readonly #turn = (): void => {
    const now = this.#next();
    this.#isNextSet = this.#ring.length > 0;
    if (this.#isNextSet) setImmediate(this.#turn);
    // Without a next turn nobody would count anew.
    this.#begun = this.#isNextSet ? now.length : 0;
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
