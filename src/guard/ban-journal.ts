import { closeSync, fstatSync, openSync, readSync, renameSync, rmSync, writeSync } from "node:fs";
import { ipKey64, parseIp } from "../base/ip.ts";
import type { Ban, BanReason, BanTable } from "./ban-table.ts";

/** The file in STATE_DIR. */
export const banJournalFile = "bans.jsonl";
/** Most of the file that is read at start, from its end; compaction keeps it far below. */
export const journalBytesMax = 64 * 1024 * 1024;
/** Lines beyond twice the bans worth keeping before the file is written anew. */
const slackLines = 1_000;
/** Lines held back while the disk takes none: some 80 KiB. */
const owedMax = 1_000;
const reasons: readonly BanReason[] = ["pair", "address", "scanner", "operator"];

export interface BanJournalOptions {
  readonly path: string;
  readonly bans: BanTable;
  readonly wallMs: () => number;
  /** The journal cannot be read or written: told each time, bans hold in memory all the same. */
  readonly fault: (detail: string) => void;
  /** Writes bytes and answers how many; `writeSync`, or a test's full disk. */
  readonly write?: (fd: number, bytes: Buffer) => number;
}

/**
 * Bans that survive a restart: one JSON line a ban or lift, appended in one write before the ban is answered for, so that
 * kill -9 loses at most the line under way. A torn line (killed, disk full) is skipped when read and never glued to the next.
 * Nothing here throws: without the file the jail works, and says so.
 */
export class BanJournal {
  readonly #options: BanJournalOptions;
  readonly #write: (fd: number, bytes: Buffer) => number;
  #fd: number | null = null;
  #lines = 0;
  /** The file may end in the middle of a line. */
  #torn = false;
  /** Lines that could not be written; they go with the next one. */
  #owed: string[] = [];
  /** More than `owedMax` of them: only the whole table can settle that. */
  #owesTable = false;

  /** Reads what is there into the table and opens the file for appending. */
  constructor(options: BanJournalOptions) {
    this.#options = options;
    this.#write = options.write ?? writeSync;
    this.#load();
    this.#compactWhenDue();
  }

  record(ban: Ban): void {
    const { address, untilWallMs, reason, times } = ban;
    this.#append(`${JSON.stringify({ ban: address, until: untilWallMs, reason, times })}\n`);
    this.#compactWhenDue();
  }

  lifted(address: string): void {
    this.#append(`${JSON.stringify({ lift: address })}\n`);
    this.#compactWhenDue();
  }

  /** What a full or read-only disk kept out is written as soon as it can be; called each minute, and by `close`. */
  settle(): void {
    if (this.#owesTable) this.#rewrite();
    else if (this.#owed.length > 0) this.#append("");
  }

  close(): void {
    this.settle();
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  #load(): void {
    const { path, bans, fault, wallMs } = this.#options;
    try {
      const fd = openSync(path, "a+", 0o600);
      this.#fd = fd;
      const { size } = fstatSync(fd);
      const start = Math.max(0, size - journalBytesMax);
      const bytes = Buffer.alloc(size - start);
      let read = 0;
      while (read < bytes.length) {
        const got = readSync(fd, bytes, read, bytes.length - read, start + read);
        if (got === 0) break;
        read += got;
      }
      this.#torn = read > 0 && bytes[read - 1] !== 0x0a;
      const nowMs = wallMs();
      const lines = bytes.toString("utf8", 0, read).split("\n");
      // What was cut by a kill, or by our own bound, is no news.
      const cut = [...(start > 0 ? [0] : []), ...(this.#torn ? [lines.length - 1] : [])];
      let strange = 0;
      for (const [at, line] of lines.entries()) {
        if (line === "") continue;
        this.#lines += 1;
        const entry = readEntry(line, nowMs);
        if (entry === null) strange += cut.includes(at) ? 0 : 1;
        else if (typeof entry === "string") bans.delete(entry);
        else bans.set(entry);
      }
      if (strange > 0)
        fault(`${path}: ${strange} of ${this.#lines} lines are not what we wrote; their bans are not known`);
      // What is not even read is let go, and a cut line, which would be none of ours once another stands behind it.
      if (start > 0 || this.#torn) this.#lines = Number.MAX_SAFE_INTEGER;
    } catch (error) {
      fault(`${path} cannot be read: ${errorText(error)}; bans hold until the gateway stops`);
    }
  }

  #append(line: string): void {
    const { path, fault } = this.#options;
    try {
      this.#fd ??= openSync(path, "a+", 0o600);
      const text = this.#owed.join("") + line;
      const bytes = Buffer.from(this.#torn ? `\n${text}` : text);
      this.#torn = true;
      const written = this.#write(this.#fd, bytes);
      // Whatever comes behind, a part of a line stays.
      if (written > 0 && written !== bytes.length) this.#owesTable = true;
      if (written !== bytes.length) throw new Error(`only ${written} of ${bytes.length} bytes were written`);
      this.#torn = false;
      this.#lines += 1 + this.#owed.length;
      this.#owed = [];
    } catch (error) {
      if (this.#owed.length >= owedMax) this.#owesTable = true;
      else if (line !== "") this.#owed.push(line);
      const detail = `${path} cannot be written: ${errorText(error)}`;
      fault(`${detail}; bans hold in memory and are written as soon as that works`);
    }
  }

  /** Writes the file anew beside the old one and puts it in its place: at no moment is there half a file under the name. */
  #compactWhenDue(): void {
    if (this.#lines > this.#options.bans.size * 2 + slackLines) this.#rewrite();
  }

  #rewrite(): void {
    const { path, bans, wallMs, fault } = this.#options;
    const kept = bans.kept(wallMs());
    const beside = `${path}.new`;
    let fresh: number | null = null;
    try {
      fresh = openSync(beside, "w", 0o600);
      const text = kept
        .map(
          ({ address, untilWallMs, reason, times }) =>
            `${JSON.stringify({ ban: address, until: untilWallMs, reason, times })}\n`,
        )
        .join("");
      const bytes = Buffer.from(text);
      if (bytes.length > 0 && this.#write(fresh, bytes) !== bytes.length) throw new Error("the disk is full");
      renameSync(beside, path);
      if (this.#fd !== null) closeSync(this.#fd);
      // The same file under its new name; it was opened for writing only, at its end.
      this.#fd = fresh;
      this.#torn = false;
      this.#lines = kept.length;
      this.#owed = [];
      this.#owesTable = false;
    } catch (error) {
      if (fresh !== null) closeSync(fresh);
      // Half of it would take the room that the journal needs.
      if (fresh !== null) rmSync(beside, { force: true });
      // Not tried again with every ban.
      this.#lines = 0;
      fault(`${path} cannot be written anew: ${errorText(error)}`);
    }
  }
}

/** A ban, the address of a lift, or null for a line that is neither. */
function readEntry(line: string, nowMs: number): Ban | string | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const lift: unknown = Reflect.get(value, "lift");
  if (typeof lift === "string") return isAddressKey(lift) ? lift : null;
  const address: unknown = Reflect.get(value, "ban");
  const until: unknown = Reflect.get(value, "until");
  const times: unknown = Reflect.get(value, "times");
  const reason = reasons.find((one) => one === Reflect.get(value, "reason"));
  if (typeof address !== "string" || !isAddressKey(address) || reason === undefined) return null;
  if (typeof until !== "number" || !Number.isSafeInteger(until) || until > nowMs + banMsMost) return null;
  if (typeof times !== "number" || !Number.isSafeInteger(times) || times < 1) return null;
  return { address, untilWallMs: until, reason, times };
}

/** The longest ban there can be, an operator's included: ten years. */
export const banMsMost = 10 * 365 * 24 * 3_600_000;

function isAddressKey(text: string): boolean {
  const ip = parseIp(text.endsWith("/64") ? text.slice(0, -3) : text);
  return ip !== null && ipKey64(ip) === text;
}

function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
