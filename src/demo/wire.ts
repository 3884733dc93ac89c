import type { Socket } from "node:net";
import type { Delays } from "./timers.ts";

/** Writing to a client as a blocking server does: a write that makes no progress for too long is given up. */
export interface Wire {
  /** False: the client is gone or stalled and the socket is closed; nothing more will be sent. */
  write(data: Buffer | string): Promise<boolean>;
  /** Flushes, ends and closes. */
  end(): Promise<void>;
  /** Closes with RST. */
  reset(): void;
  /** Waits; ends early when the stand-in closes. */
  wait(delayMs: number): Promise<void>;
  readonly gone: boolean;
}

const SLICE_BYTES = 64 * 1024;

/** @param stallMs longest time one write may take; null: for ever. */
export function createWire(socket: Socket, stallMs: number | null, delays: Delays): Wire {
  function settled(event: "drain" | "finish"): Promise<boolean> {
    if (socket.destroyed) return Promise.resolve(false);
    return new Promise((resolve) => {
      let cancel = (): void => undefined;
      const finish = (good: boolean): void => {
        socket.off(event, onGood);
        socket.off("close", onClose);
        cancel();
        resolve(good);
      };
      const onGood = (): void => finish(true);
      const onClose = (): void => finish(false);
      socket.on(event, onGood);
      socket.on("close", onClose);
      if (stallMs !== null) {
        cancel = delays.alarm(() => {
          socket.destroy();
          finish(false);
        }, stallMs);
      }
    });
  }

  async function writeSlice(data: Buffer): Promise<boolean> {
    if (socket.destroyed || !socket.writable) return false;
    return socket.write(data) ? true : settled("drain");
  }

  return {
    async write(data) {
      const buffer = typeof data === "string" ? Buffer.from(data, "latin1") : data;
      if (buffer.length <= SLICE_BYTES) return writeSlice(buffer);
      for (let at = 0; at < buffer.length; at += SLICE_BYTES) {
        if (!(await writeSlice(buffer.subarray(at, at + SLICE_BYTES)))) return false;
      }
      return true;
    },
    async end() {
      if (socket.destroyed) return;
      const finished = socket.writableFinished ? Promise.resolve(true) : settled("finish");
      socket.end();
      await finished;
      socket.destroy();
    },
    reset() {
      socket.resetAndDestroy();
    },
    wait: (delayMs) => delays.wait(delayMs),
    get gone() {
      return socket.destroyed;
    },
  };
}
