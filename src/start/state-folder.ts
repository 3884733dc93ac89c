import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Problem } from "../base/problem.ts";
import { isDiskFault } from "../guard/local-secret.ts";

/**
 * The state folder exists and can be written, or that is a problem now and not at the first large upload. A disk that is full or
 * was made read-only by its system is told instead: a machine that starts again after such a fault should serve.
 */
export async function prepareState(
  directory: string,
  fault: (detail: string) => void,
): Promise<readonly Problem[]> {
  try {
    await readdir(directory).catch(() => mkdir(directory, { recursive: true, mode: 0o700 }));
    // Not recursive: on a read-only disk Node would say that there is no such folder.
    await mkdir(join(directory, "spool"), { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    // Listed is not yet writable. The spool removes what a kill leaves behind by this beginning of the name.
    const probe = join(directory, "spool", `spool-${randomBytes(12).toString("hex")}`);
    await (await open(probe, "wx", 0o600)).close();
    // Another worker may have tidied it away.
    await unlink(probe).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
    return [];
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    if (isDiskFault(error)) {
      fault(`${directory} cannot be written: ${detail}; large requests get 503, bans end with the process`);
      return [];
    }
    return [
      {
        place: "environment",
        thing: `STATE_DIR ${directory} cannot be used: ${detail}`,
        remedy: "make it writable for this user, or choose another",
      },
    ];
  }
}
