import { readFileSync } from "node:fs";
import type { Clock } from "../base/clock.ts";
import { replaceFile } from "./replace-file.ts";

/** The file in STATE_DIR; there is none before HSTS_RAMP was set. */
export const hstsRampFile = "hsts.json";

const daySeconds = 86_400;
/** How long a browser is told to insist, and for how many days without trouble that is said. Then HSTS_MAX_AGE holds. */
export const hstsSteps: readonly { readonly seconds: number; readonly days: number }[] = [
  { seconds: 300, days: 1 },
  { seconds: daySeconds, days: 7 },
  { seconds: 30 * daySeconds, days: 30 },
];

/** Where it stands: which step, and since when without trouble. */
interface Standing {
  readonly step: number;
  readonly sinceWallMs: number;
}

export interface HstsRampOptions {
  /** Absolute. */
  readonly path: string;
  readonly clock: Pick<Clock, "wallMs">;
  /** Another process writes the file. */
  readonly isReader: boolean;
  /** Told once why a restart would begin anew. */
  readonly fault: (detail: string) => void;
}

/**
 * HSTS that grows by itself (HSTS_RAMP): a browser that has heard a year cannot be talked out of it, so a new site says it when its certificates have proved to
 * work. A step lasts its days, counted anew from any trouble; it never goes back. Kept in one small file; what is torn begins anew.
 */
export class HstsRamp {
  readonly #options: HstsRampOptions;
  /** Null until it is first looked at: days before HSTS_RAMP was set do not count. */
  #standing: Standing | null = null;
  #isWritten = false;
  #hasFault = false;

  constructor(options: HstsRampOptions) {
    this.#options = options;
  }

  /** The most that is said now, in seconds; infinite when it is over. */
  get secondsMax(): number {
    return hstsSteps[this.#standing?.step ?? 0]?.seconds ?? Number.POSITIVE_INFINITY;
  }

  /** When the next step is due, if there is no trouble; null: it is over. */
  get nextWallMs(): number | null {
    const { step, sinceWallMs } = this.#standing ?? this.#fresh();
    const days = hstsSteps[step]?.days;
    return days === undefined ? null : sinceWallMs + days * daySeconds * 1000;
  }

  /** Begins, or goes one step on where that is due; true: other seconds hold now. What could not be written is tried again. */
  look(): boolean {
    const before = this.secondsMax;
    const kept = this.#standing === null || this.#options.isReader ? this.#read() : null;
    if (kept !== null) this.#isWritten = true;
    const standing = kept ?? this.#standing ?? this.#fresh();
    this.#standing = this.#options.isReader ? standing : this.#grown(standing);
    if (!this.#isWritten && !this.#options.isReader) this.#write(this.#standing);
    return this.secondsMax !== before;
  }

  /** A certificate could not be had, or runs out: the days of this step count anew. */
  troubled(): void {
    if (this.#options.isReader || this.#standing === null || this.nextWallMs === null) return;
    this.#standing = { step: this.#standing.step, sinceWallMs: this.#options.clock.wallMs() };
    this.#write(this.#standing);
  }

  #fresh(): Standing {
    return { step: 0, sinceWallMs: this.#options.clock.wallMs() };
  }

  #grown(standing: Standing): Standing {
    const { step, sinceWallMs } = standing;
    const days = hstsSteps[step]?.days;
    if (days === undefined) return standing;
    const nowMs = this.#options.clock.wallMs();
    // A date that was set ahead for a while lets no days pass.
    const isAhead = sinceWallMs > nowMs;
    if (!isAhead && nowMs - sinceWallMs < days * daySeconds * 1000) return standing;
    this.#isWritten = false;
    return { step: isAhead ? step : step + 1, sinceWallMs: nowMs };
  }

  #read(): Standing | null {
    try {
      const value: unknown = JSON.parse(readFileSync(this.#options.path, "utf8"));
      if (typeof value !== "object" || value === null) return null;
      const step: unknown = Reflect.get(value, "step");
      const since: unknown = Reflect.get(value, "since");
      const sinceWallMs = typeof since === "string" ? Date.parse(since) : Number.NaN;
      if (typeof step !== "number" || !Number.isInteger(step) || step < 0 || step > hstsSteps.length)
        return null;
      return Number.isNaN(sinceWallMs) ? null : { step, sinceWallMs };
    } catch {
      return null;
    }
  }

  #write({ step, sinceWallMs }: Standing): void {
    try {
      replaceFile(
        this.#options.path,
        `${JSON.stringify({ step, since: new Date(sinceWallMs).toISOString() })}\n`,
      );
      this.#isWritten = true;
      this.#hasFault = false;
    } catch (error) {
      this.#isWritten = false;
      if (this.#hasFault) return;
      this.#hasFault = true;
      const detail = error instanceof Error ? error.message : String(error);
      this.#options.fault(
        `${this.#options.path} cannot be written: ${detail}; HSTS_RAMP begins anew at a restart`,
      );
    }
  }
}
