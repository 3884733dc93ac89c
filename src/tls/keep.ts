import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import {
  copyFile,
  type FileHandle,
  link,
  mkdir,
  open,
  readFile,
  rename,
  stat,
  unlink,
} from "node:fs/promises";
import { join } from "node:path";

/** Certificate and key files are a few KiB; what is larger is something else. */
export const pemBytesMax = 1024 * 1024;

/** Makes the directory (and its parents) for us alone. One that exists keeps its mode: it may be shared on purpose. */
export async function makePrivateDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
}

/** The whole text of a small file; null when there is none. Throws a system error, or `EFBIG` past `pemBytesMax`. */
export async function readSmall(path: string): Promise<string | null> {
  try {
    const { size } = await stat(path);
    if (size > pemBytesMax)
      throw Object.assign(new Error(`EFBIG: larger than ${pemBytesMax} bytes`), { code: "EFBIG" });
    return await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw error;
  }
}

/** Puts a whole file in place of what was there: a reader sees the old text or the new one, also after a power cut. */
export async function replaceFile(
  directory: string,
  name: string,
  text: string,
  mode: number,
): Promise<void> {
  const aside = await writeAside(directory, name, text, mode);
  try {
    await rename(aside, join(directory, name));
  } catch (error) {
    await unlink(aside).catch(() => {});
    throw error;
  }
  await syncDirectory(directory);
}

/**
 * Puts a whole file in place only when there is none: of several processes that start at once exactly one answers true,
 * and afterwards all of them read that one's file. Nothing is locked, so nothing can be left locked.
 */
export async function createFileOnce(
  directory: string,
  name: string,
  text: string,
  mode: number,
): Promise<boolean> {
  const aside = await writeAside(directory, name, text, mode);
  try {
    await link(aside, join(directory, name));
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    // File systems without hard links (FAT, some shared folders of virtual machines).
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"].includes(errorCode(error))) throw error;
    return await copyOnce(aside, join(directory, name));
  } finally {
    await unlink(aside).catch(() => {});
  }
  await syncDirectory(directory);
  return true;
}

/** Removes a file; none there is fine. */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  }
}

/** The `code` of a system error, or "" for anything else. */
export function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

async function copyOnce(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_EXCL);
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  }
}

async function writeAside(directory: string, name: string, text: string, mode: number): Promise<string> {
  const aside = join(directory, `.${name}.${randomBytes(6).toString("hex")}`);
  const file = await open(aside, "wx", mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } catch (error) {
    await unlink(aside).catch(() => {});
    throw error;
  } finally {
    await file.close();
  }
  return aside;
}

/** Makes a rename or link last; where directories cannot be synced (Windows) the system does what it can. */
async function syncDirectory(directory: string): Promise<void> {
  let handle: FileHandle | null = null;
  try {
    handle = await open(directory, "r");
    await handle.sync();
  } catch {
    // The file itself is synced; only its name could be lost, and then it is made again.
  } finally {
    await handle?.close();
  }
}
