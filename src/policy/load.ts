import { basename, join } from "node:path";
import type { Problem } from "../base/problem.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { Settings } from "../settings/settings.ts";
import { checkPolicy } from "./check.ts";
import { compileLimit, compilePolicy, type Policy } from "./compile.ts";
import { type DecodedFile, decodePolicyFile } from "./decode.ts";
import { parsePathPattern } from "./path-pattern.ts";

/** Where policy files are read from. */
export interface PolicyFolder {
  /** Absolute, or relative to the working directory. */
  readonly directory: string;
  /** The names in a directory; may throw as `node:fs` does, which becomes a problem. */
  readonly readDirectory: (path: string) => readonly string[];
  /** The text of a file; may throw, which becomes a problem. */
  readonly readFile: (path: string) => string;
}

/** What loading needs from outside. */
export interface PolicySource extends PolicyFolder {
  readonly settings: Settings;
}

/** Most policy files a directory may hold. */
export const policyFilesMax = 200;

/**
 * Loads a directory of policy files: reads its `*.yaml` in name order, decodes, checks across files and
 * compiles for the settings. Answers the policy, or every problem there is.
 */
export function loadPolicy(source: PolicySource): Result<Policy, readonly Problem[]> {
  const { directory, settings } = source;
  const read = readFiles(source, settings);
  if (!read.ok) {
    return read;
  }
  const { rules, limits, problems } = read.value;
  if (problems.length > 0) {
    return err(problems);
  }
  const compiledLimits = new Map(limits.map((limit) => [limit.name, compileLimit(limit)]));
  const policy = compilePolicy(rules, compiledLimits, settings);
  if (policy.rules.length === 0) {
    const remedy = "every request would be refused; check the keys under when";
    return err([{ place: directory, thing: "no rule is left for these settings", remedy }]);
  }
  return ok(policy);
}

/** What is wrong with the policy files whatever the settings are: told together with what is wrong with those. */
export function policyFileProblems(folder: PolicyFolder): readonly Problem[] {
  const read = readFiles(folder, null);
  return read.ok ? read.value.problems : read.error;
}

/** All rules and limits that can be read, and every problem of and between them. */
function readFiles(folder: PolicyFolder, settings: Settings | null): Result<DecodedFile, readonly Problem[]> {
  const shown = basename(folder.directory);
  const names = filesOf(folder, shown);
  if (!names.ok) {
    return names;
  }
  const problems: Problem[] = settings === null ? [] : [...stagingProblems(settings)];
  const files: DecodedFile[] = [];
  for (const name of names.value) {
    const text = attempt(() => folder.readFile(join(folder.directory, name)));
    if (text.ok) {
      const file = decodePolicyFile(`${shown}/${name}`, text.value);
      files.push(file);
      problems.push(...file.problems);
    } else {
      const remedy = "a policy file is a regular file of UTF-8 text, 1 MiB at most";
      problems.push({ place: `${shown}/${name}`, thing: `cannot be read: ${text.error}`, remedy });
    }
  }
  const rules = files.flatMap((file) => file.rules);
  const limits = files.flatMap((file) => file.limits);
  // With a file that did not decode, "unknown limit" or "no last rule" would blame the innocent.
  problems.push(...checkPolicy(rules, limits, settings, problems.length === 0));
  return ok({ rules, limits, problems });
}

function filesOf(source: PolicyFolder, shown: string): Result<readonly string[], readonly Problem[]> {
  const entries = attempt(() => source.readDirectory(source.directory));
  if (!entries.ok) {
    return err([
      { place: source.directory, thing: `cannot be read: ${entries.error}`, remedy: "check POLICIES_DIR" },
    ]);
  }
  const visible = [...entries.value].filter((name) => !name.startsWith(".")).sort();
  const names = visible.filter((name) => name.endsWith(".yaml"));
  const misnamed = visible.filter((name) => name.endsWith(".yml"));
  if (misnamed.length > 0) {
    return err(
      misnamed.map((name) => ({
        place: `${shown}/${name}`,
        thing: "would not be read",
        remedy: `rename it to ${name.slice(0, -4)}.yaml`,
      })),
    );
  }
  if (names.length === 0) {
    return err([
      {
        place: source.directory,
        thing: "holds no policy file",
        remedy: "put *.yaml files there, or unset POLICIES_DIR",
      },
    ]);
  }
  if (names.length > policyFilesMax) {
    return err([
      {
        place: source.directory,
        thing: `holds more than ${policyFilesMax} policy files`,
        remedy: "merge some",
      },
    ]);
  }
  return ok(names);
}

function stagingProblems(settings: Settings): readonly Problem[] {
  return settings.stagingExempt.flatMap((text) => {
    const pattern = parsePathPattern(text);
    return pattern.ok
      ? []
      : [
          {
            place: "environment",
            thing: `STAGING_EXEMPT ${JSON.stringify(text)} ${pattern.error}`,
            remedy: "",
          },
        ];
  });
}

function attempt<T>(read: () => T): Result<T, string> {
  try {
    return ok(read());
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}
