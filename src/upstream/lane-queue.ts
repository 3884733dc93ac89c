/** What a queue knows of those who wait in it. */
export interface Queued {
  /** Whose request it is: a session, or else an address. */
  readonly who: string;
}

/**
 * Those who wait in one lane. Turns go from client to client, first come, first served for each of them, so that who has one request
 * does not wait for all of somebody who has hundreds.
 */
export class LaneQueue<W extends Queued> {
  /** In order of arrival. */
  readonly #all = new Set<W>();
  /** By client; whose turn is next stands first. */
  readonly #lines = new Map<string, W[]>();

  get size(): number {
    return this.#all.size;
  }

  /** Who has waited longest. */
  get oldest(): W | null {
    for (const one of this.#all) return one;
    return null;
  }

  /** Whose turn is next. */
  get next(): W | null {
    for (const [first] of this.#lines.values()) return first ?? null;
    return null;
  }

  /** Who came last of the client that has most here. */
  get mostsLast(): W | null {
    let most: readonly W[] = [];
    for (const line of this.#lines.values()) if (line.length >= most.length) most = line;
    return most.at(-1) ?? null;
  }

  /** Requests of one client that wait here. */
  countOf(who: string): number {
    return this.#lines.get(who)?.length ?? 0;
  }

  push(one: W): void {
    this.#all.add(one);
    const line = this.#lines.get(one.who);
    if (line === undefined) this.#lines.set(one.who, [one]);
    else line.push(one);
  }

  /** It waits no longer. With `isServed` the others have their turn before the next of this client. */
  remove(one: W, isServed = false): void {
    this.#all.delete(one);
    const line = this.#lines.get(one.who) ?? [];
    const left = line.filter((other) => other !== one);
    if (isServed || left.length === 0) this.#lines.delete(one.who);
    if (left.length > 0) this.#lines.set(one.who, left);
  }
}
