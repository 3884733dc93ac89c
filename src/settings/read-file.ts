import { readFileSync, statSync } from "node:fs";
import { err, ok, type Result } from "../base/result.ts";

/** Why a file could not be read. */
export interface FileTrouble {
  /** There is no such file. */
  readonly missing: boolean;
  /** For people: `there is no such file`, `permission denied`. */
  readonly detail: string;
}

/** Reads a text file by its absolute path; an argument, so that tests need no disk. */
export type ReadFile = (path: string) => Result<string, FileTrouble>;

/** Largest file of settings or secrets that is read, in bytes. */
const fileBytesMax = 1_048_576;

/** Reads a file of the disk as UTF-8, bounded. Only regular files: a pipe or a device could block or never end. */
export const readTextFile: ReadFile = (path) => read(path, false);

/** The same with the byte order mark, where there is one: other programs stumble over it. */
export const readTextFileAsItIs: ReadFile = (path) => read(path, true);

function read(path: string, ignoreBOM: boolean): ReturnType<ReadFile> {
  try {
    const stat = statSync(path);
    if (!stat.isFile()) {
      return err({ missing: false, detail: "it is no regular file" });
    }
    if (stat.size > fileBytesMax) {
      return err({ missing: false, detail: `it is larger than ${fileBytesMax} bytes` });
    }
    return ok(new TextDecoder("utf-8", { fatal: true, ignoreBOM }).decode(readFileSync(path)));
  } catch (error) {
    return err(troubleOf(error));
  }
}

function troubleOf(error: unknown): FileTrouble {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return { missing: true, detail: "there is no such file" };
    case "EACCES":
    case "EPERM":
      return { missing: false, detail: "permission denied" };
    case "ERR_ENCODING_INVALID_ENCODED_DATA":
      return { missing: false, detail: "it is not UTF-8 text" };
    default:
      return { missing: false, detail: code === "" ? String(error) : code };
  }
}
