/** What a queue knows of those who wait in it. */
export interface Queued {
  /** Whose request it is: a session, or else an address. */
  readonly who: string;
  /** When it came. */
  readonly sinceMs: number;
}

/**
 * Those who wait in one lane. Turns go from client to client, first come, first served for each of them, so that who has one request
 * does not wait for all of somebody who has hundreds.
 */
export class LaneQueue<W extends Queued> {
  /** In order of arrival. */
  #all = new Set<W>();
  /** By client; whose turn is next stands first. */
  #lines = new Map<string, W[]>();
  /** When the last one in `#all` came. */
  #newestMs = Number.NEGATIVE_INFINITY;

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

  /** One that came before others here (it comes back) stands before them, and its client before those whose next one came later. */
  push(one: W): void {
    if (this.#all.size > 0 && one.sinceMs < this.#newestMs) return this.#insert(one);
    this.#newestMs = one.sinceMs;
    this.#all.add(one);
    const line = this.#lines.get(one.who);
    if (line === undefined) this.#lines.set(one.who, [one]);
    else line.push(one);
  }

  #insert(one: W): void {
    this.#all = new Set(inserted([...this.#all], one, (other) => other.sinceMs > one.sinceMs));
    const line = this.#lines.get(one.who);
    if (line !== undefined) {
      this.#lines.set(
        one.who,
        inserted(line, one, (other) => other.sinceMs > one.sinceMs),
      );
      return;
    }
    const own: [string, W[]] = [one.who, [one]];
    this.#lines = new Map(
      inserted([...this.#lines], own, ([, [next]]) => next !== undefined && next.sinceMs > one.sinceMs),
    );
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

/** The list with one more, before the first that comes after it. */
function inserted<T, U extends T>(all: readonly T[], one: U, isAfter: (other: T) => boolean): T[] {
  const at = all.findIndex(isAfter);
  return at < 0 ? [...all, one] : [...all.slice(0, at), one, ...all.slice(at)];
}
