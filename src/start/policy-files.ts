import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../base/package-root.ts";
import type { Problem } from "../base/problem.ts";
import type { Result } from "../base/result.ts";
import type { Policy } from "../policy/compile.ts";
import { loadPolicy } from "../policy/load.ts";
import type { Settings } from "../settings/settings.ts";

/** Where the policy files are: the operator's folder, or the shipped ones. */
export function policiesDirOf(settings: Settings): string {
  return settings.policiesDir ?? join(packageRoot().directory, "policies");
}

/** Loads the policy for these settings, or every problem in it. */
export function readPolicy(settings: Settings): Result<Policy, readonly Problem[]> {
  return loadPolicy({
    directory: policiesDirOf(settings),
    readDirectory: (path) => readdirSync(path),
    readFile: (path) => readFileSync(path, "utf8"),
    settings,
  });
}
