import { ok, type Result } from "../base/result.ts";
import { formatBytes } from "../base/units.ts";
import type { EventSink } from "../observe/events.ts";
import { Spool, type SpoolFile, type SpoolTrouble } from "../upstream/spool.ts";

/** A spool whose troubles an operator hears of, with the remedy; the client reads nothing of them. */
export class ToldSpool extends Spool {
  readonly #directory: string;
  readonly #bytesMax: number;
  readonly #sink: EventSink;

  constructor(directory: string, bytesMax: number, partBytesMax: () => number, sink: EventSink) {
    super(directory, bytesMax, partBytesMax);
    this.#directory = directory;
    this.#bytesMax = bytesMax;
    this.#sink = sink;
  }

  override async create(owner: string | null = null): Promise<Result<SpoolFile, SpoolTrouble>> {
    const made = this.#told(await super.create(owner));
    if (!made.ok) return made;
    const file = made.value;
    return ok({
      write: async (pieces, position) => this.#told(await file.write(pieces, position)),
      read: async (into, position) => this.#told(await file.read(into, position)),
      close: () => file.close(),
    });
  }

  #told<T>(result: Result<T, SpoolTrouble>): Result<T, SpoolTrouble> {
    // That one client has used up its part is its own affair, and in the access line.
    if (!result.ok && result.error.kind !== "part") {
      const { cause, remedy } = this.#wordsFor(result.error);
      const detail = `${cause}; large requests get 503, large answers are read at the client's pace; ${remedy}`;
      this.#sink.emit({ type: "warning", what: "spool", detail });
    }
    return result;
  }

  #wordsFor(trouble: Exclude<SpoolTrouble, { kind: "part" }>): {
    readonly cause: string;
    readonly remedy: string;
  } {
    if (trouble.kind === "full")
      return {
        cause: `bodies and answers on disk have reached this process's bound, ${formatBytes(this.#bytesMax)}`,
        remedy: "raise SPOOL_MAX if the disk has room",
      };
    return {
      cause: `${this.#directory} cannot be used: ${trouble.detail}`,
      remedy: "free the disk, or name another STATE_DIR",
    };
  }
}
