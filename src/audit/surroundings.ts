/** The machine the audit runs on: disk, sizes, modes. */
import { readdirSync, statSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { readTextFileAsItIs } from "../settings/read-file.ts";
import type { AuditSurroundings } from "./audit.ts";
import type { FileFacts } from "./backup/read.ts";
import type { Machine, Modes } from "./context.ts";

/** This process's own disk and clock. */
export function processSurroundings(): AuditSurroundings {
  return {
    cwd: process.cwd(),
    readFile: readTextFileAsItIs,
    readFolder,
    modesOf,
    factsOf,
    nowMs: Date.now(),
  };
}

/** Cores and memory: what is given, else this machine's, a container's bound included. */
export function machineOf(cores: number | null, memoryBytes: number | null): Machine {
  const bound = process.constrainedMemory();
  const here = bound > 0 && bound < totalmem() ? bound : totalmem();
  const given = [...(cores === null ? [] : ["--cores"]), ...(memoryBytes === null ? [] : ["--memory"])];
  return {
    cores: cores ?? availableParallelism(),
    memoryBytes: memoryBytes ?? here,
    from:
      given.length === 2
        ? "given"
        : given.length === 1
          ? `${given[0]} given, the rest of this machine`
          : "of this machine",
  };
}

function readFolder(path: string): readonly string[] | null {
  try {
    return readdirSync(path);
  } catch {
    return null;
  }
}

/** Windows has no such modes; a file that cannot be looked at has none we know. */
function modesOf(path: string): Modes | null {
  if (process.platform === "win32") return null;
  try {
    const stat = statSync(path);
    return { mode: stat.mode, owner: stat.uid, isFolder: stat.isDirectory() };
  } catch {
    return null;
  }
}

function factsOf(path: string): FileFacts | null {
  try {
    const stat = statSync(path);
    return {
      isFolder: stat.isDirectory(),
      isFile: stat.isFile(),
      sizeBytes: stat.size,
      changedMs: stat.mtimeMs,
      mode: process.platform === "win32" ? 0 : stat.mode,
    };
  } catch {
    return null;
  }
}
