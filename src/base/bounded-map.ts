/**
 * A Map that never grows beyond `max` entries, for tables whose keys strangers choose. Two generations: entries
 * are written to the young one, and when it holds `max / 2` of them it becomes the old one and the old one
 * is dropped whole. An entry that is read or written moves to the young one, so the `max / 2` keys
 * touched last are always held and what nobody asks for goes first. No timers, constant time an operation, except that a
 * drop frees half the table at once. (Evicting the oldest key of one big Map costs some 25 µs each: its iterator
 * walks over every deleted entry.) `undefined` cannot be stored.
 */
export class BoundedMap<K, V> {
  /** The most entries held, as given and rounded down to an even number; at least 2. */
  readonly max: number;
  readonly #half: number;
  #young = new Map<K, V>();
  #old = new Map<K, V>();

  constructor(max: number) {
    if (!Number.isSafeInteger(max) || max < 2) {
      throw new RangeError(`a bounded map holds at least 2 entries, not ${max}`);
    }
    this.#half = Math.floor(max / 2);
    this.max = this.#half * 2;
  }

  /** The value of `key`; keeps the entry young. */
  get(key: K): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) {
      return young;
    }
    const old = this.#old.get(key);
    if (old !== undefined) {
      this.#old.delete(key);
      this.#put(key, old);
    }
    return old;
  }

  /** Is there an entry; does not keep it young. */
  has(key: K): boolean {
    return this.#young.has(key) || this.#old.has(key);
  }

  set(key: K, value: V): void {
    this.#old.delete(key);
    this.#put(key, value);
  }

  /** Answers whether there was an entry. */
  delete(key: K): boolean {
    const wasOld = this.#old.delete(key);
    return this.#young.delete(key) || wasOld;
  }

  clear(): void {
    this.#young = new Map();
    this.#old = new Map();
  }

  /** Entries held now, 0 to `max`. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** All entries, in no useful order; for listings, not for the hot path. */
  *entries(): Generator<readonly [K, V]> {
    yield* this.#old;
    yield* this.#young;
  }

  #put(key: K, value: V): void {
    // Turn over before the entry that does not fit, not after the last that did, so that both halves can be full.
    if (this.#young.size >= this.#half && !this.#young.has(key)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }
}
