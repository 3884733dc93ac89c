import { constants, fstatSync, openSync, write, writeSync } from "node:fs";

/** A write is made when this much is waiting, and each `flushMs` whatever is waiting. Lengths in UTF-16 units. */
const writeLengthMin = 32_768;
const flushMs = 1_000;
/** What waits for a reader that is too slow or a full disk. Past it lines are dropped and counted. */
const waitingLengthMax = 16 * 1024 * 1024;
/** How long `close` waits for the last write. */
const closeTimeoutMs = 2_000;
/** ... and then for one that is just being made. */
const hangMs = 1_000;
/** A descriptor that takes nothing just now (EAGAIN) is asked again, ever later; at exit so many times in a row. */
const againMs = 10;
const againMsMax = 250;
const againAtExitMax = 50;

/** Takes whole lines, each with its line feed; one, unless it is said how many. */
export interface LogDestination {
  write(line: string, count?: number): void;
}

export interface BufferedDestination extends LogDestination {
  /** Lines lost: nobody took them in time. */
  readonly dropped: number;
  /**
   * A write hangs in the system although we stopped waiting for it: a socket nobody reads. The thread it holds would keep
   * the process from ending.
   */
  readonly isStuck: boolean;
  /** Writes what waits, for two seconds at most, and lets go of the descriptor without closing it. */
  close(): Promise<void>;
}

/**
 * Lines written behind to a descriptor. pino's own destination is not used: at a process's exit it retries a full disk for
 * ever, and a closed pipe makes it drop lines without counting. Here a write never throws or waits; a failed one is tried
 * again each second while lines wait up to their bound; a reader that has gone for good loses them; at exit each line is
 * tried once.
 */
export function openDestination(descriptor: number): BufferedDestination {
  const fd = withoutBlocking(descriptor);
  let waitMs = againMs;
  let waiting = "";
  let waitingLines = 0;
  let pending: Buffer | null = null;
  let pendingLines = 0;
  let isWriting = false;
  let isGone = false;
  let dropped = 0;
  let onIdle: (() => void) | null = null;
  let onWritten: (() => void) | null = null;

  const lose = () => {
    dropped += waitingLines + pendingLines;
    waiting = "";
    waitingLines = 0;
    pending = null;
    pendingLines = 0;
  };
  const take = (): Buffer | null => {
    if (pending === null && waiting !== "") {
      pending = Buffer.from(waiting);
      pendingLines = waitingLines;
      waiting = "";
      waitingLines = 0;
    }
    return pending;
  };
  const pump = () => {
    if (isWriting || isGone) return;
    const buffer = take();
    if (buffer === null) return void onIdle?.();
    isWriting = true;
    write(fd, buffer, (error, count) => {
      isWriting = false;
      onWritten?.();
      if (error !== null) return failed(errorCodeOf(error));
      waitMs = againMs;
      pending = count < buffer.length ? buffer.subarray(count) : null;
      if (pending === null) pendingLines = 0;
      if (pending !== null || waiting.length >= writeLengthMin || onIdle !== null) pump();
    });
  };
  const failed = (code: string) => {
    if (code === "EAGAIN" || code === "EBUSY") {
      setTimeout(pump, waitMs).unref();
      waitMs = Math.min(waitMs * 2, againMsMax);
      return;
    }
    if (code === "EPIPE" || code === "EBADF") {
      isGone = true;
      lose();
    }
    // Otherwise (ENOSPC, EIO, …) the timer tries again; a closing destination does not wait for that.
    onIdle?.();
  };
  const atExit = () => {
    // A write that runs in another thread is left to it; its lines are not written twice.
    if (isWriting) pending = null;
    for (let again = 0; again < againAtExitMax && !isGone; ) {
      const buffer = take();
      if (buffer === null) return;
      try {
        pending = buffer.subarray(writeSync(fd, buffer));
        if (pending.length === 0) pending = null;
      } catch (error) {
        if (errorCodeOf(error) !== "EAGAIN") return;
        again += 1;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, againMs);
      }
    }
  };
  const timer = setInterval(pump, flushMs);
  timer.unref();
  process.on("exit", atExit);

  return {
    write(line, count = 1) {
      if (isGone || waiting.length + (pending?.length ?? 0) + line.length > waitingLengthMax) {
        dropped += count;
        return;
      }
      waiting += line;
      waitingLines += count;
      // A batch that failed waits for the timer: a full disk is not asked again for each line.
      if (waiting.length >= writeLengthMin && pending === null) pump();
    },
    get dropped() {
      return dropped;
    },
    get isStuck() {
      return isGone && isWriting;
    },
    async close() {
      clearInterval(timer);
      await new Promise<void>((resolve) => {
        const deadline = setTimeout(resolve, closeTimeoutMs);
        onIdle = () => {
          clearTimeout(deadline);
          resolve();
        };
        if (isGone) onIdle();
        else pump();
      });
      onIdle = null;
      isGone = true;
      lose();
      // A write that is only slow is waited for: just one that hangs makes the process end the hard way.
      if (isWriting)
        await new Promise<void>((resolve) => {
          const deadline = setTimeout(resolve, hangMs);
          onWritten = () => {
            clearTimeout(deadline);
            resolve();
          };
        });
      process.removeListener("exit", atExit);
    },
  };
}

/**
 * A pipe opened anew so that a full one says EAGAIN: a blocking write would hold a thread of the pool that files and names need too, and
 * the process could not end while it does. The flag is not set on the descriptor itself, which others share. Where it cannot be
 * opened (another user's pipe, no /proc) the descriptor is used as it is.
 */
function withoutBlocking(descriptor: number): number {
  try {
    if (!fstatSync(descriptor).isFIFO()) return descriptor;
    return openSync(`/proc/self/fd/${descriptor}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return descriptor;
  }
}

function errorCodeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}
