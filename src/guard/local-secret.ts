import { randomBytes } from "node:crypto";
import { chmod, readFile, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Problem } from "../base/problem.ts";
import { err, ok, type Result } from "../base/result.ts";

/** The file in STATE_DIR. */
export const localSecretFile = "local-secret";
const secretBytes = 32;

/**
 * The secret of this machine that names are hashed and device cookies signed with: made at the first start, kept in STATE_DIR
 * (0600). Losing it forgets which browsers logged in before, nothing else: on a disk that is full or read-only the process keeps one for
 * itself, and `warn` is told.
 */
export async function loadLocalSecret(
  stateDir: string,
  warn: (detail: string) => void,
): Promise<Result<Buffer, Problem>> {
  const path = join(stateDir, localSecretFile);
  let flag = "wx";
  try {
    const kept = await readKept(path);
    if (kept !== null && kept !== "") {
      if (!/^[0-9a-f]{64}$/.test(kept)) return err(problem(path, "does not hold 64 hexadecimal digits"));
      // A read-only disk keeps the mode it has.
      await chmod(path, 0o600).catch(() => {});
      return ok(Buffer.from(kept, "hex"));
    }
    // A disk that was full may have left it empty.
    if (kept === "") flag = "w";
  } catch (error) {
    return err(problem(path, errorText(error)));
  }
  const fresh = randomBytes(secretBytes);
  try {
    await writeFile(path, `${fresh.toString("hex")}\n`, { flag, mode: 0o600 });
  } catch (error) {
    // Another process was faster: its secret is everybody's.
    if (codeOf(error) === "EEXIST") return loadLocalSecret(stateDir, warn);
    if (!isDiskFault(error)) return err(problem(path, errorText(error)));
    // Half a secret would be a problem at the next start.
    await unlink(path).catch(() => {});
    warn(`${path} cannot be written: ${errorText(error)}; known browsers are forgotten at a restart`);
  }
  return ok(fresh);
}

/** The text; null when there is no file. */
async function readKept(path: string): Promise<string | null> {
  try {
    return (await readFile(path, "latin1")).trim();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
}

/** The disk is full or was made read-only: no mistake in the settings, and no reason to keep a site down. */
export function isDiskFault(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT", "EROFS", "EIO"].includes(codeOf(error));
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

function problem(path: string, detail: string): Problem {
  return {
    place: "environment",
    thing: `the secret in STATE_DIR, ${path}: ${detail}`,
    remedy: "make it readable for this user, or remove it: a new one is made",
  };
}

function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
