import { randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { rename, unlink } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { createFileOnce, errorCode, makePrivateDirectory, readSmall, replaceFile } from "./keep.ts";

/** The holder writes its file anew this often. */
export const beatMs = 10_000;
/** A lock whose text did not change for so long, by our own clock, is nobody's any more. */
export const staleMs = 60_000;

/** What stands in a lock file. */
interface Holder {
  /** Drawn for each taking: tells our own lock from a later one. */
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  /** The process id means something only inside the same one. */
  readonly pidSpace: string;
  /** Linux' name of this run of the kernel: the first process namespace has the same name on every machine, and hosts may be called alike. "" elsewhere. */
  readonly boot: string;
  readonly beat: number;
}

/**
 * One holder among the processes that share a folder. Held by a file with a heartbeat: a process that was killed
 * leaves it, and the next one takes it over, at once when it can see that the holder is gone (same machine and process
 * namespace), else after `staleMs` without a beat. Moments are measured on our own clock only: two machines' clocks
 * are never compared.
 */
export class FileLock {
  readonly #directory: string;
  readonly #name: string;
  readonly #clock: Clock;
  #holder: Holder | null = null;
  #timer: NodeJS.Timeout | null = null;
  #seen: { readonly text: string; readonly sinceMs: number } | null = null;

  constructor(directory: string, name: string, clock: Clock) {
    this.#directory = directory;
    this.#name = name;
    this.#clock = clock;
  }

  get isHeld(): boolean {
    return this.#holder !== null;
  }

  /** True: the lock is ours until `release`. False: another holds it, ask again later. Throws system errors. */
  async take(): Promise<boolean> {
    if (this.#holder !== null) return true;
    await makePrivateDirectory(this.#directory);
    if (await this.#create()) return true;
    const text = await readSmall(this.#path);
    if (text === null) return await this.#create();
    if (!this.#isStale(text)) return false;
    await this.#remove(text);
    return await this.#create();
  }

  /** Writes the heartbeat; false when the lock was lost to another. Called by a timer, and by tests. */
  async beat(): Promise<boolean> {
    const holder = this.#holder;
    if (holder === null) return false;
    try {
      if (parseHolder((await readSmall(this.#path)) ?? "")?.id !== holder.id) {
        this.#forget();
        return false;
      }
      const next = { ...holder, beat: holder.beat + 1 };
      await replaceFile(this.#directory, this.#name, JSON.stringify(next), 0o600);
      if (this.#holder === holder) this.#holder = next;
      else await unlink(this.#path).catch(() => {});
    } catch {
      // A full disk for a while is no reason to stop; another may take over meanwhile, and then the id tells.
    }
    return this.#holder !== null;
  }

  async release(): Promise<void> {
    const holder = this.#holder;
    this.#forget();
    if (holder === null) return;
    try {
      if (parseHolder((await readSmall(this.#path)) ?? "")?.id === holder.id) await unlink(this.#path);
    } catch {
      // It becomes stale by itself.
    }
  }

  get #path(): string {
    return join(this.#directory, this.#name);
  }

  #forget(): void {
    this.#holder = null;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  async #create(): Promise<boolean> {
    const holder: Holder = {
      id: randomBytes(12).toString("hex"),
      host: hostname(),
      pid: process.pid,
      pidSpace: pidSpace(),
      boot: boot(),
      beat: 0,
    };
    if (!(await createFileOnce(this.#directory, this.#name, JSON.stringify(holder), 0o600))) return false;
    this.#holder = holder;
    this.#seen = null;
    this.#timer = setInterval(() => void this.beat(), beatMs);
    this.#timer.unref();
    return true;
  }

  #isStale(text: string): boolean {
    const holder = parseHolder(text);
    if (holder !== null && isGone(holder)) return true;
    const nowMs = this.#clock.nowMs();
    if (this.#seen === null || this.#seen.text !== text) this.#seen = { text, sinceMs: nowMs };
    return nowMs - this.#seen.sinceMs >= staleMs;
  }

  /** Moved away first and looked at again: of two that find the same stale lock, one must not remove the other's new one. */
  async #remove(text: string): Promise<void> {
    const aside = `.${this.#name}.${randomBytes(6).toString("hex")}.stale`;
    try {
      await rename(this.#path, join(this.#directory, aside));
    } catch (error) {
      if (errorCode(error) === "ENOENT") return;
      throw error;
    }
    const moved = await readSmall(join(this.#directory, aside));
    if (moved !== null && moved !== text) await createFileOnce(this.#directory, this.#name, moved, 0o600);
    await unlink(join(this.#directory, aside)).catch(() => {});
  }
}

/** Sure that nobody beats any more: same machine, same process namespace, and no such process. */
function isGone(holder: Holder): boolean {
  const space = pidSpace();
  if (holder.host !== hostname() || holder.pidSpace !== space || space === "") return false;
  if (holder.boot !== "" && holder.boot !== boot()) return false;
  try {
    process.kill(holder.pid, 0);
    return false;
  } catch (error) {
    return errorCode(error) === "ESRCH";
  }
}

/** Linux' name of the process namespace; "" elsewhere, and then only the heartbeat counts. */
function pidSpace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}

function boot(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}

function parseHolder(text: string): Holder | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return null;
    const { id, host, pid, pidSpace: space, boot: run, beat } = value as Record<string, unknown>;
    if (typeof id !== "string" || typeof host !== "string" || typeof space !== "string") return null;
    if (typeof pid !== "number" || !Number.isSafeInteger(pid) || pid < 1 || typeof beat !== "number")
      return null;
    return { id, host, pid, pidSpace: space, boot: typeof run === "string" ? run : "", beat };
  } catch {
    return null;
  }
}
