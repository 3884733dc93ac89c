import { type ChildProcess, execFileSync, type StdioOptions, spawn } from "node:child_process";
import { accessSync, closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/**
 * Owner of everything a run leaves behind if it is not tidied: processes and the temporary directory. All of it
 * ends when this process ends, by itself or by a signal that can be caught.
 */
const groups = new Set<number>();
const directories = new Set<string>();

process.on("exit", () => {
  for (const pid of groups) killGroup(pid, "SIGKILL");
  for (const directory of directories) rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
});
for (const [signal, number] of [
  ["SIGINT", 2],
  ["SIGTERM", 15],
  ["SIGHUP", 1],
] as const)
  process.on(signal, () => process.exit(128 + number));

/** A directory that is removed at exit. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "odoo-gateway-bench-"));
  directories.add(directory);
  return directory;
}

export interface ChildOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly stdio: StdioOptions;
}

/** Starts a program as the leader of a process group of its own, which is killed at exit. */
export function startChild(program: string, args: readonly string[], options: ChildOptions): ChildProcess {
  const child = spawn(program, args, { ...options, detached: true });
  const pid = child.pid;
  if (pid !== undefined) {
    groups.add(pid);
    // The leader's end is not the group's: a worker may be left. Its id stays reserved as long as one is.
    child.once("exit", () => {
      killGroup(pid, "SIGKILL");
      groups.delete(pid);
    });
  }
  child.on("error", () => {});
  return child;
}

/** Asks a child's group to end, after 3 s forces it; returns when the leader is gone. */
export async function stopChild(child: ChildProcess): Promise<void> {
  const pid = child.pid;
  if (pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  killGroup(pid, "SIGTERM");
  const force = setTimeout(() => killGroup(pid, "SIGKILL"), 3_000);
  await gone;
  clearTimeout(force);
}

export interface Daemon {
  readonly pid: number;
  stop(): Promise<void>;
}

/**
 * Starts a server whose output goes to `dir/NAME.log` and returns when its port accepts a connection.
 * Throws with the end of that log when it ends before, or does not listen within 15 s.
 */
export async function startDaemon(
  name: string,
  program: string,
  args: readonly string[],
  at: { readonly dir: string; readonly port: number; readonly env?: Readonly<Record<string, string>> },
): Promise<Daemon> {
  const logFile = join(at.dir, `${name}.log`);
  const log = openSync(logFile, "a");
  const env = { PATH: process.env["PATH"] ?? "", HOME: at.dir, ...at.env };
  const child = startChild(program, args, { env, cwd: at.dir, stdio: ["ignore", log, log] });
  closeSync(log);
  const deadline = performance.now() + 15_000;
  for (;;) {
    const ended = child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
    if (!ended && (await accepts(at.port))) break;
    if (ended || performance.now() > deadline) {
      await stopChild(child);
      const tail = readFileSync(logFile, "utf8").trim().split("\n").slice(-5).join("\n    ");
      throw new Error(`${ended ? "ended at start" : "did not listen within 15 s"}\n    ${tail}`);
    }
    await delay(50);
  }
  return { pid: child.pid ?? 0, stop: () => stopChild(child) };
}

/** Absolute path of a program on PATH or where Debian keeps servers; null when it is not installed. */
export function findProgram(name: string): string | null {
  const places = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin", "/sbin"];
  for (const place of places) {
    if (place === "") continue;
    try {
      accessSync(join(place, name), constants.X_OK);
      return join(place, name);
    } catch {
      // Not here.
    }
  }
  return null;
}

/** A port of 127.0.0.1 that nobody listens on at this moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const done = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(1_000, () => done(false));
    socket.once("connect", () => done(true));
    socket.once("error", () => done(false));
  });
}

function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // Gone already.
  }
}

/** Resident memory of a process and of those it started itself; what is gone counts as nothing. */
export function residentMiB(pid: number, isAlone = false): number {
  return [pid, ...(isAlone ? [] : childrenOf(pid))].reduce((sum, one) => sum + residentKiB(one), 0) / 1024;
}

function childrenOf(pid: number): readonly number[] {
  try {
    return execFileSync("pgrep", ["-P", String(pid)], { encoding: "utf8" })
      .trim()
      .split("\n")
      .map(Number);
  } catch {
    // None.
    return [];
  }
}

function residentKiB(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
