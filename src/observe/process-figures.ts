import { readdirSync, readFileSync } from "node:fs";
import type { LoopDelay } from "./loop-delay.ts";

/** What one of our processes takes of the machine. */
export interface ProcessFigures {
  readonly residentBytes: number;
  readonly loopDelayP99Ms: number;
  /** 0 to 1; 0 where it cannot be read (not Linux). */
  readonly descriptorsUsedRatio: number;
}

/** Of this process. Reads /proc, so it is for those who ask now and then. */
export function processFigures(delay: LoopDelay): ProcessFigures {
  return {
    residentBytes: process.memoryUsage.rss(),
    loopDelayP99Ms: delay.p99Ms,
    descriptorsUsedRatio: descriptorsUsedRatio(),
  };
}

/** Of several processes: memory together, and the worst of what each has for itself. */
export function sumProcesses(parts: readonly ProcessFigures[]): ProcessFigures {
  const worst = (pick: (one: ProcessFigures) => number) => Math.max(0, ...parts.map(pick));
  return {
    residentBytes: parts.reduce((sum, one) => sum + one.residentBytes, 0),
    loopDelayP99Ms: worst((one) => one.loopDelayP99Ms),
    descriptorsUsedRatio: worst((one) => one.descriptorsUsedRatio),
  };
}

function descriptorsUsedRatio(): number {
  try {
    const most = Number(/^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1]);
    return most > 0 ? readdirSync("/proc/self/fd").length / most : 0;
  } catch {
    return 0;
  }
}
