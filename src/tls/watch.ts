import { statSync } from "node:fs";
import type { Clock } from "../base/clock.ts";
import type { EventSink } from "../observe/events.ts";
import type { Certificate } from "./certificate.ts";
import { expiresSoon } from "./schedule.ts";

const dayMs = 86_400_000;

/** Notices that files were replaced. Polled: it works on every file system, over links and in mounted secrets. */
export class FileWatch {
  #seen: string | null = null;

  /** True once for each change of any of the files since the last call; the first call only remembers them. */
  changed(paths: readonly string[]): boolean {
    const now = paths.map(mark).join("\n");
    const isChanged = this.#seen !== null && this.#seen !== now;
    this.#seen = now;
    return isChanged;
  }
}

/** What differs when a file is another one; a missing file has a mark too. */
function mark(path: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(path);
    return `${path} ${ino} ${size} ${mtimeMs} ${ctimeMs}`;
  } catch {
    return `${path} none`;
  }
}

/** Warns once a day of certificates that should have been renewed; no authority sends mail any more. */
export class ExpiryWatch {
  readonly #sink: EventSink;
  readonly #clock: Clock;
  /** Serial numbers in use, with the moment of the last warning: as many as certificates. */
  #told = new Map<string, number>();

  constructor(sink: EventSink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  look(certificates: readonly Certificate[]): void {
    const nowMs = this.#clock.wallMs();
    const told = new Map<string, number>();
    for (const { serial, names, notBeforeMs, notAfterMs } of certificates) {
      if (!expiresSoon(notBeforeMs, notAfterMs, nowMs)) continue;
      const last = this.#told.get(serial);
      told.set(serial, last ?? nowMs);
      if (last !== undefined && nowMs - last < dayMs) continue;
      told.set(serial, nowMs);
      const notAfter = new Date(notAfterMs).toISOString();
      const daysLeft = Math.floor((notAfterMs - nowMs) / dayMs);
      this.#sink.emit({ type: "certificate-expiring", names, notAfter, daysLeft });
    }
    this.#told = told;
  }
}
