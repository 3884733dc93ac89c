import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../base/clock.ts";
import { edgeBounds } from "../edge/bounds.ts";
import type { Gateway } from "../gateway.ts";
import type { Listeners } from "./open-listeners.ts";

/** How often it is looked whether the last connection is gone, and what it gets beyond the idle bound. */
const retireLookMs = 50;
const retireSlackMs = 2_000;

/** Serves what is open with `Connection: close`; resolves when nothing is left open or the idle bound is over. */
export async function retire(gateway: Gateway, { all }: Listeners, clock: Clock): Promise<void> {
  gateway.retire();
  for (const { listener } of all) listener.retire();
  // A kept connection ends behind its next answer, or when nothing was asked on it for its idle time.
  const endMs = clock.nowMs() + edgeBounds.keepAliveTimeoutMs + retireSlackMs;
  while (all.some(({ listener }) => listener.connections > 0) && clock.nowMs() < endMs)
    await sleep(retireLookMs);
}
