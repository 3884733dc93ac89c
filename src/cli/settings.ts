import type { Problem } from "../base/problem.ts";
import { problemLine } from "../base/problem.ts";
import type { Result } from "../base/result.ts";
import { type LoadedSettings, loadSettings } from "../settings/load.ts";
import { readTextFile } from "../settings/read-file.ts";

/** The settings of this process: its environment and gateway.yaml in its folder. */
export function processSettings(): Result<LoadedSettings, readonly Problem[]> {
  return loadSettings({ env: process.env, cwd: process.cwd(), readFile: readTextFile });
}

/** Prints problems to standard error, one a line, with a last line that counts them. */
export function printProblems(problems: readonly Problem[]): void {
  for (const problem of problems) process.stderr.write(`problem: ${problemLine(problem)}\n`);
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  process.stderr.write(`${count}; nothing was started or changed\n`);
}

export function printWarnings(problems: readonly Problem[]): void {
  for (const problem of problems) process.stderr.write(`warning: ${problemLine(problem)}\n`);
}
