import { randomBytes } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { mkdir, open, readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { err, ok, type Result } from "../base/result.ts";

/** Why bytes could not be set aside: the spool's bound is reached, or one owner's part of it, or the disk said no. */
export type SpoolTrouble =
  | { readonly kind: "full" }
  | { readonly kind: "part" }
  | { readonly kind: "disk"; readonly detail: string };

/**
 * A file for the part of one message that memory should not hold. It has no name: it is unlinked as soon as it is
 * open, so nothing is left behind by a crash. Offsets are the caller's business; a file is closed exactly once.
 */
export interface SpoolFile {
  /** Writes the pieces one behind the other, all of them; they are not to be changed meanwhile. */
  write(pieces: readonly Buffer[], position: number): Promise<Result<void, SpoolTrouble>>;
  /** Reads up to `into.length` bytes; the number read, 0 at the end. */
  read(into: Buffer, position: number): Promise<Result<number, SpoolTrouble>>;
  close(): void;
}

/** What one session, or one address without any, may take of a spool; a whole body in any case. */
export function spoolPartBytes(spoolBytesMax: number, bodyBytesMax: number): number {
  return Math.max(spoolBytesMax / 4, bodyBytesMax);
}

/** All spool files together, bounded by `bytesMax`; past it a writer is told so (413 or 503, never a hang). A file counts as large as it ever was. */
export class Spool {
  readonly #directory: string;
  readonly #bytesMax: number;
  readonly #partBytesMax: () => number;
  /** Of each owner that has any. */
  readonly #ofOwner = new Map<string, number>();
  #bytes = 0;
  #ready: Promise<void> | null = null;

  /** `partBytesMax`: of one owner's files together; asked each time, for BODY_MAX may change. */
  constructor(directory: string, bytesMax: number, partBytesMax: () => number = () => bytesMax) {
    this.#directory = directory;
    this.#bytesMax = bytesMax;
    this.#partBytesMax = partBytesMax;
  }

  /** Bytes set aside at the moment. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What can fit whoever it is of. */
  get partBytesMax(): number {
    return Math.min(this.#bytesMax, this.#partBytesMax());
  }

  /** The largest body of this owner that can ever fit. */
  roomFor(owner: string | null): number {
    return owner === null ? this.#bytesMax : this.partBytesMax;
  }

  /** `owner`: whose part it is of, a session or an address; null: nobody's in particular. */
  async create(owner: string | null = null): Promise<Result<SpoolFile, SpoolTrouble>> {
    try {
      this.#ready ??= prepare(this.#directory);
      await this.#ready;
      const path = join(this.#directory, `spool-${randomBytes(12).toString("hex")}`);
      const handle = await open(path, "wx+", 0o600);
      await unlink(path);
      return ok(this.#file(handle, owner));
    } catch (error) {
      this.#ready = null;
      return err({ kind: "disk", detail: errorText(error) });
    }
  }

  #count(owner: string | null, bytes: number): void {
    this.#bytes += bytes;
    if (owner === null) return;
    const now = (this.#ofOwner.get(owner) ?? 0) + bytes;
    if (now > 0) this.#ofOwner.set(owner, now);
    else this.#ofOwner.delete(owner);
  }

  #file(handle: FileHandle, owner: string | null): SpoolFile {
    let counted = 0;
    let closed = false;
    return {
      write: async (pieces, position) => {
        const more = Math.max(0, position + bytesOf(pieces) - counted);
        if (this.#bytes + more > this.#bytesMax) return err({ kind: "full" });
        if (owner !== null && (this.#ofOwner.get(owner) ?? 0) + more > this.#partBytesMax())
          return err({ kind: "part" });
        counted += more;
        this.#count(owner, more);
        try {
          let done = 0;
          for (let left = pieces; left.length > 0; left = piecesFrom(pieces, done))
            done += (await handle.writev(left, position + done)).bytesWritten;
          return ok(undefined);
        } catch (error) {
          return err({ kind: "disk", detail: errorText(error) });
        }
      },
      read: async (into, position) => {
        try {
          const { bytesRead } = await handle.read(into, 0, into.length, position);
          return ok(bytesRead);
        } catch (error) {
          return err({ kind: "disk", detail: errorText(error) });
        }
      },
      close: () => {
        if (closed) return;
        closed = true;
        this.#count(owner, -counted);
        // Closing a file that has no name cannot lose anything; a failure here has nobody to tell.
        handle.close().catch(() => {});
      },
    };
  }
}

function bytesOf(pieces: readonly Buffer[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}

/** What is left behind the first `done` bytes: a write may take less than it is given. */
function piecesFrom(pieces: readonly Buffer[], done: number): readonly Buffer[] {
  let skipped = 0;
  for (const [i, piece] of pieces.entries()) {
    if (skipped + piece.length > done) return [piece.subarray(done - skipped), ...pieces.slice(i + 1)];
    skipped += piece.length;
  }
  return [];
}

/** Makes the folder and removes what a kill between open and unlink may have left. */
async function prepare(directory: string): Promise<void> {
  // Not recursive: the state folder exists, and Node's recursive mkdir never returns on some file systems.
  await mkdir(directory, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  for (const name of await readdir(directory)) {
    if (name.startsWith("spool-")) await unlink(join(directory, name)).catch(() => {});
  }
}

function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
