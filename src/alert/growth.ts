/** So many samples of a window are kept. */
const samplesMax = 30;

/** How much a total that only grows has grown within a time; the total's first reading is the beginning. */
export class Growth {
  readonly #windowMs: number;
  readonly #samples: { readonly ms: number; readonly total: number }[] = [];

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** Takes a reading; answers the growth since the one that is a window old, or since the first. */
  read(nowMs: number, total: number): number {
    const samples = this.#samples;
    const last = samples.at(-1);
    if (last === undefined || nowMs - last.ms >= this.#windowMs / samplesMax)
      samples.push({ ms: nowMs, total });
    // The last one that is not younger than the window stays: the growth is counted from there.
    while (samples.length > 1 && (samples[1]?.ms ?? nowMs) <= nowMs - this.#windowMs) samples.shift();
    return Math.max(0, total - (samples[0]?.total ?? total));
  }
}
