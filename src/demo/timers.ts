/** Timers as an argument, so that a test can hold time still. */
export interface Timers {
  set(callback: () => void, delayMs: number): unknown;
  clear(handle: unknown): void;
}

interface Handle {
  readonly timer: NodeJS.Timeout;
}

function isHandle(value: unknown): value is Handle {
  return typeof value === "object" && value !== null && "timer" in value;
}

/** The process's own timers. */
export const systemTimers: Timers = {
  set: (callback, delayMs): Handle => ({ timer: setTimeout(callback, delayMs) }),
  clear(handle) {
    if (isHandle(handle)) clearTimeout(handle.timer);
  },
};

/** Waits that all end at once when the stand-in is closed: nothing outlives `close()`. */
export interface Delays {
  /** Resolves after `delayMs`, or at once when the stand-in is closing. */
  wait(delayMs: number): Promise<void>;
  /** Calls back unless the returned function was called first; never after `endAll`. */
  alarm(callback: () => void, delayMs: number): () => void;
  endAll(): void;
}

/** Builds waits on the given timers. The number of waits is bounded by the number of connections. */
export function createDelays(timers: Timers): Delays {
  const pending = new Set<() => void>();
  let ended = false;
  return {
    wait(delayMs) {
      if (ended || delayMs <= 0) return Promise.resolve();
      return new Promise((resolve) => {
        const finish = (): void => {
          pending.delete(finish);
          timers.clear(handle);
          resolve();
        };
        const handle = timers.set(finish, delayMs);
        pending.add(finish);
      });
    },
    alarm(callback, delayMs) {
      if (ended) return () => undefined;
      const cancel = (): void => {
        pending.delete(cancel);
        timers.clear(handle);
      };
      const handle = timers.set(() => {
        pending.delete(cancel);
        callback();
      }, delayMs);
      pending.add(cancel);
      return cancel;
    },
    endAll() {
      ended = true;
      for (const finish of [...pending]) finish();
    },
  };
}
