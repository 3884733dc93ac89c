/** Upper bounds of the buckets, seconds: from what a gateway adds to what a slow report takes. */
export const secondsBuckets: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120,
];

/** A histogram of durations in fixed memory; one observation is a short loop and three additions. */
export class SecondsHistogram {
  /** One count a bucket and one for what is longer than all; not cumulative. */
  readonly counts = new Float64Array(secondsBuckets.length + 1);
  #sum = 0;

  /** Sum of everything observed, seconds. */
  get sum(): number {
    return this.#sum;
  }

  /** Becomes the sum of others. */
  become(parts: readonly { readonly counts: readonly number[]; readonly sum: number }[]): void {
    this.counts.fill(0);
    this.#sum = 0;
    for (const { counts, sum } of parts) {
      for (let at = 0; at < this.counts.length; at += 1)
        this.counts[at] = (this.counts[at] ?? 0) + (counts[at] ?? 0);
      this.#sum += sum;
    }
  }

  /** Takes a duration in milliseconds; a clock that went backwards counts as 0. */
  observeMs(ms: number): void {
    const seconds = ms > 0 ? ms / 1000 : 0;
    let at = 0;
    while (at < secondsBuckets.length && seconds > (secondsBuckets[at] ?? 0)) at += 1;
    this.counts[at] = (this.counts[at] ?? 0) + 1;
    this.#sum += seconds;
  }
}
