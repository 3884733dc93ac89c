import { setTimeout as wait } from "node:timers/promises";
import type { Talk } from "./acme-client.ts";

const pollFirstMs = 200;
const pollMostMs = 5_000;

/** Asks an authority again, ever more slowly or as it says, until done; null when the time is over. */
export async function until<T>(
  timeMs: number,
  talk: Talk,
  first: T,
  look: (last: T) => Promise<{ readonly done: T } | { readonly again: T }>,
): Promise<T | null> {
  const endMs = performance.now() + timeMs;
  let last = first;
  for (let pauseMs = pollFirstMs; ; pauseMs = Math.min(pauseMs * 2, pollMostMs)) {
    const seen = await look(last);
    if ("done" in seen) return seen.done;
    last = seen.again;
    const asked = talk.retryAfterMs === null ? pauseMs : Math.max(pauseMs, talk.retryAfterMs);
    if (performance.now() + asked > endMs) return null;
    await wait(asked, undefined, { signal: talk.signal, ref: false });
  }
}
