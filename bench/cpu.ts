import { readdirSync, readFileSync } from "node:fs";

/** The kernel reports process times in units of 1/100 s to user space on every architecture Node runs on (USER_HZ, proc(5)). */
const microsecondsPerTick = 10_000;

interface ProcessTimes {
  readonly parent: number;
  readonly ticks: number;
}

/**
 * CPU time, user and system, that a process and all its descendants have used so far, in microseconds
 * (steps of 10 ms). What dead and awaited children used is contained. 0 when the process is gone.
 */
export function treeCpuMicroseconds(rootPid: number): number {
  const all = allProcesses();
  let ticks = 0;
  for (const [pid, times] of all) if (descendsFrom(pid, rootPid, all)) ticks += times.ticks;
  return ticks * microsecondsPerTick;
}

/** A process and its descendants now; none when it is gone. */
export function treePids(rootPid: number): readonly number[] {
  const all = allProcesses();
  return [...all.keys()].filter((pid) => descendsFrom(pid, rootPid, all));
}

/** How many processes a process and its descendants are now; 0 when it is gone. */
export function treeSize(rootPid: number): number {
  return treePids(rootPid).length;
}

function allProcesses(): ReadonlyMap<number, ProcessTimes> {
  const all = new Map<number, ProcessTimes>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const times = readTimes(pid);
    if (times !== null) all.set(pid, times);
  }
  return all;
}

function descendsFrom(pid: number, rootPid: number, all: ReadonlyMap<number, ProcessTimes>): boolean {
  // Bound: a chain of parents is never longer than the table; a torn reading could make it a circle.
  let at = pid;
  for (let step = 0; step <= all.size; step++) {
    if (at === rootPid) return true;
    const times = all.get(at);
    if (times === undefined) return false;
    at = times.parent;
  }
  return false;
}

function readTimes(pid: number): ProcessTimes | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return null; // Ended between the listing and the reading.
  }
  return parseStat(text);
}

/** Reads parent and times from the text of /proc/PID/stat; null when it is not of that form. */
export function parseStat(text: string): ProcessTimes | null {
  // The command name may contain spaces and parentheses: fields are counted from the last ")" (proc(5): state is field 3).
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const field = (number: number) => Number(fields[number - 3]);
  const ticks = field(14) + field(15) + field(16) + field(17);
  const parent = field(4);
  return Number.isFinite(ticks) && Number.isInteger(parent) ? { parent, ticks } : null;
}
