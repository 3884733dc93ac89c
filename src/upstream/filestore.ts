import { constants } from "node:fs";
import { type FileHandle, open, readlink, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { err, ok, type Result } from "../base/result.ts";
import type { FailureKind } from "../observe/events.ts";
import type { NamedFile } from "./named-file.ts";

/** Files of the filestore that are open at the same time, where the system gives enough descriptors; a further one is 503. A quarter of them for one session, or one address without any. */
export const filesOpenMax = 2_048;
/**
 * Calls to the disk at the same time: a filestore on a network disk that hangs takes so many of the process's four threads with it, and DNS, the spool and the
 * compressors have the others. The rest wait in order, one for each open file at most.
 */
export const diskCallsMax = 2;

/** Why a file is not sent. `detail` names it below the filestore, with the remedy. */
export interface FileTrouble {
  readonly kind: FailureKind;
  readonly detail: string;
}

/** A file that is open; closed exactly once. */
export interface StoreFile {
  /** As it was when it was opened. */
  readonly bytes: number;
  /** Reads up to `into.length` bytes; the number read, 0 at the end. */
  read(into: Buffer, position: number): Promise<Result<number, FileTrouble>>;
  close(): void;
}

/** A pipe in its place must not be waited for, and a terminal not become ours. */
const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;

/** Odoo's filestore, `<data_dir>/filestore`, read only: `<database>/<xx>/<sha1>`. */
export class Filestore {
  readonly #directory: string;
  readonly #openMax: number;
  readonly #openOfOneMax: number;
  /** Of each owner that has any open. */
  readonly #ofOwner = new Map<string, number>();
  readonly #calls = new DiskCalls();
  #open = 0;
  /** Without symbolic links; null: not looked up, or it was another one. */
  #root: string | null = null;

  /** `directory`: absolute. `openMax`: files that are open at the same time. */
  constructor(directory: string, openMax: number = filesOpenMax) {
    this.#directory = directory;
    this.#openMax = openMax;
    this.#openOfOneMax = Math.max(1, Math.floor(openMax / 4));
  }

  /** Files that are open, or being opened, at the moment. */
  get filesOpen(): number {
    return this.#open;
  }

  /**
   * Opens a file for `owner`, a session or an address. Only a regular file that lies in the filestore by its real path, under the same name, is opened: the last part may be no symbolic
   * link, and what is open is asked where it lies, so that nothing can be exchanged in between.
   */
  async open(file: NamedFile, owner: string): Promise<Result<StoreFile, FileTrouble>> {
    const ofOwner = this.#ofOwner.get(owner) ?? 0;
    if (this.#open >= this.#openMax || ofOwner >= this.#openOfOneMax) {
      const whose = this.#open >= this.#openMax ? "" : " of this client";
      return err({
        kind: "spool-full",
        detail: `${file.path}: too many files${whose} are being sent already`,
      });
    }
    this.#count(owner, 1);
    const opened = await this.#opened(file);
    if (!opened.ok) {
      this.#count(owner, -1);
      return opened;
    }
    const { handle, bytes } = opened.value;
    let closed = false;
    return ok({
      bytes,
      read: async (into, position) => {
        try {
          const { bytesRead } = await this.#calls.run(() => handle.read(into, 0, into.length, position));
          return ok(bytesRead);
        } catch (error) {
          return err(troubleOf(file, error));
        }
      },
      close: () => {
        if (closed) return;
        closed = true;
        this.#count(owner, -1);
        // It was only read; a failure here has nobody to tell.
        handle.close().catch(() => {});
      },
    });
  }

  #count(owner: string, more: 1 | -1): void {
    this.#open += more;
    const now = (this.#ofOwner.get(owner) ?? 0) + more;
    if (now > 0) this.#ofOwner.set(owner, now);
    else this.#ofOwner.delete(owner);
  }

  #opened(
    file: NamedFile,
  ): Promise<Result<{ readonly handle: FileHandle; readonly bytes: number }, FileTrouble>> {
    return this.#calls.run(async () => {
      const path = join(this.#directory, file.path);
      let handle: FileHandle | null = null;
      try {
        handle = await open(path, flags);
        const found = await handle.stat();
        if (found.isFile() && (await this.#liesHere(handle, path, file, found))) {
          const bytes = found.size;
          const good = handle;
          handle = null;
          return ok({ handle: good, bytes });
        }
        const what = found.isFile()
          ? "lies outside the filestore, behind a symbolic link"
          : "is no regular file";
        return err({
          kind: "answer-malformed",
          detail: `${file.path} of ODOO_FILESTORE ${what}: it is not sent`,
        });
      } catch (error) {
        return err(troubleOf(file, error));
      } finally {
        handle?.close().catch(() => {});
      }
    });
  }

  async #liesHere(
    handle: FileHandle,
    path: string,
    file: NamedFile,
    found: { readonly dev: number; readonly ino: number },
  ): Promise<boolean> {
    const real = await whereIs(handle, path, found);
    if (real === null || !real.endsWith(file.path.slice(file.database.length))) return false;
    if (this.#root !== null && real.startsWith(this.#root)) return true;
    // The folder itself may have become another one meanwhile: a mount, or a link that was set anew.
    const root = await realpath(this.#directory);
    this.#root = root.endsWith(sep) ? root : `${root}${sep}`;
    return real.startsWith(this.#root);
  }
}

/** Where an open file lies; null: nobody can tell. */
async function whereIs(
  handle: FileHandle,
  path: string,
  found: { readonly dev: number; readonly ino: number },
): Promise<string | null> {
  if (process.platform === "linux") {
    try {
      // Odoo may have collected it since it named it.
      return (await readlink(`/proc/self/fd/${handle.fd}`)).replace(/ \(deleted\)$/, "");
    } catch {
      // Without /proc: as elsewhere.
    }
  }
  const real = await realpath(path);
  const there = await stat(real);
  return there.dev === found.dev && there.ino === found.ino ? real : null;
}

function troubleOf({ path }: NamedFile, error: unknown): FileTrouble {
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
  const which = `${path} of ODOO_FILESTORE`;
  switch (code) {
    case "ELOOP":
      return { kind: "answer-malformed", detail: `${which} is a symbolic link: it is not sent` };
    case "EMFILE":
    case "ENFILE":
      return {
        kind: "spool-full",
        detail: `${which}: no file descriptor is left (${code}); raise LimitNOFILE`,
      };
    case "ENOENT":
    case "ENOTDIR":
      return {
        kind: "file-unreadable",
        detail: `${which} is not there (${code}): is it the folder filestore of this Odoo's data_dir, and is it mounted? Otherwise Odoo has lost the file; restore it from a backup`,
      };
    case "EACCES":
    case "EPERM":
      return {
        kind: "file-unreadable",
        detail: `${which} may not be read by ${whoWeAre()} (${code}): run the gateway with Odoo's user or group, mounted read-only`,
      };
    default:
      return {
        kind: "file-unreadable",
        detail: `${which} cannot be read (${code}): look at the disk or its mount`,
      };
  }
}

/** For messages: with whose rights files are read. */
export function whoWeAre(): string {
  const uid = process.geteuid?.();
  return uid === undefined ? "this user" : `uid ${uid}, gid ${process.getegid?.() ?? "?"}`;
}

/** Lets so many calls to the disk run at the same time; the others in the order they came. */
class DiskCalls {
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#running < diskCallsMax) this.#running += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await call();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
