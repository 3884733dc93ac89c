/** Time is an argument. `nowMs` never jumps (limits, deadlines); `wallMs` is the calendar (records, bans). */
export interface Clock {
  /** Monotonic milliseconds from an arbitrary origin. */
  nowMs(): number;
  /** Milliseconds since 1970-01-01 UTC. */
  wallMs(): number;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
};

/** A clock for tests: time moves only when told to. */
export interface ManualClock extends Clock {
  advance(ms: number): void;
}

export function manualClock(startWallMs = 1_800_000_000_000): ManualClock {
  let elapsedMs = 0;
  return {
    nowMs: () => elapsedMs,
    wallMs: () => startWallMs + elapsedMs,
    advance(ms) {
      elapsedMs += ms;
    },
  };
}
