import { readdirSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../base/package-root.ts";
import type { Problem } from "../base/problem.ts";
import type { Result } from "../base/result.ts";
import type { Policy } from "../policy/compile.ts";
import { loadPolicy, type PolicyFolder, policyFileProblems } from "../policy/load.ts";
import { readTextFile } from "../settings/read-file.ts";
import type { Settings } from "../settings/settings.ts";

/** Where the policy files are: the operator's folder, or the shipped ones. */
export function policiesDirOf({ policiesDir }: Pick<Settings, "policiesDir">): string {
  return policiesDir ?? join(packageRoot().directory, "policies");
}

/** Loads the policy for these settings, or every problem in it. */
export function readPolicy(settings: Settings): Result<Policy, readonly Problem[]> {
  return loadPolicy({ ...folderAt(policiesDirOf(settings)), settings });
}

/** What is wrong with the policy files of a folder whatever the settings are; null: the shipped ones. */
export function problemsOfPolicies(policiesDir: string | null): readonly Problem[] {
  return policyFileProblems(folderAt(policiesDirOf({ policiesDir })));
}

function folderAt(directory: string): PolicyFolder {
  return {
    directory,
    readDirectory: (path) => readdirSync(path),
    readFile: (path) => {
      const text = readTextFile(path);
      if (!text.ok) throw new Error(text.error.detail);
      return text.value;
    },
  };
}
