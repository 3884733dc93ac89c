import { randomBytes } from "node:crypto";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Problem } from "../base/problem.ts";
import { err, ok, type Result } from "../base/result.ts";

/** The file in STATE_DIR. */
export const localSecretFile = "local-secret";
const secretBytes = 32;

/**
 * The secret of this machine that names are hashed and device cookies signed with: made at the first start, kept in STATE_DIR
 * (0600). Losing it forgets which browsers logged in before, nothing else.
 */
export async function loadLocalSecret(stateDir: string): Promise<Result<Buffer, Problem>> {
  const path = join(stateDir, localSecretFile);
  const fresh = randomBytes(secretBytes);
  try {
    await writeFile(path, `${fresh.toString("hex")}\n`, { flag: "wx", mode: 0o600 });
    return ok(fresh);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") return err(problem(path, errorText(error)));
  }
  try {
    const text = (await readFile(path, "latin1")).trim();
    if (!/^[0-9a-f]{64}$/.test(text)) return err(problem(path, "does not hold 64 hexadecimal digits"));
    await chmod(path, 0o600);
    return ok(Buffer.from(text, "hex"));
  } catch (error) {
    return err(problem(path, errorText(error)));
  }
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
