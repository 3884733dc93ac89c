import { availableParallelism } from "node:os";
import type { Problem } from "../base/problem.ts";
import { problemLine } from "../base/problem.ts";
import { err, type Result } from "../base/result.ts";
import { loadAdminListen } from "../settings/admin-listen.ts";
import { type LoadedSettings, loadOwnFiles, loadPoliciesDir, loadSettings } from "../settings/load.ts";
import { readTextFile } from "../settings/read-file.ts";
import type { ListenAddress } from "../settings/settings.ts";
import { problemsOfPolicies } from "../start/policy-files.ts";
import { loadCertificateFiles } from "../tls/certificate.ts";

/** The settings of this process: its environment and gateway.yaml in its folder. */
export function processSettings(): Result<LoadedSettings, readonly Problem[]> {
  const cores = availableParallelism();
  return loadSettings({ env: process.env, cwd: process.cwd(), readFile: readTextFile, cores });
}

/** The same to look at rules: with wrong settings, what is wrong with the policy files is told too, so that one look is enough. */
export function settingsToExplain(): Result<LoadedSettings, readonly Problem[]> {
  const loaded = processSettings();
  if (loaded.ok) return loaded;
  const directory = loadPoliciesDir({ env: process.env, cwd: process.cwd(), readFile: readTextFile });
  return err([...loaded.error, ...(directory === undefined ? [] : problemsOfPolicies(directory))]);
}

/** The same before a start: what is wrong with own certificate files is told too. */
export function settingsToStart(): Result<LoadedSettings, readonly Problem[]> {
  const loaded = settingsToExplain();
  if (loaded.ok) return loaded;
  const own = loadOwnFiles({ env: process.env, cwd: process.cwd(), readFile: readTextFile });
  if (own === null) return loaded;
  const certificate = loadCertificateFiles(own.certFile, own.keyFile, [], Date.now());
  return certificate.ok ? loaded : err([...loaded.error, ...certificate.error]);
}

/** Where the running gateway can be asked; null: nowhere, and why was printed. Other settings may be wrong meanwhile. */
export function whereToAsk(): ListenAddress | null {
  const listen = loadAdminListen({ env: process.env, cwd: process.cwd(), readFile: readTextFile });
  if (!listen.ok) {
    for (const problem of listen.error) process.stderr.write(`problem: ${problemLine(problem)}\n`);
    return null;
  }
  if (listen.value === null) process.stderr.write("there is no admin listener to ask (ADMIN_LISTEN)\n");
  return listen.value;
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
