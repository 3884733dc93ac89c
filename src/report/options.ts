/** The options both commands share: which form, where to, which checks. */
import { err, ok, type Result } from "../base/result.ts";
import type { Selection } from "./select.ts";

export const forms = ["json", "sarif", "html", "junit"] as const;
export type Form = (typeof forms)[number];

export interface OutputOptions {
  /** What standard output gets; null: the table. */
  readonly form: Form | null;
  /** Files to write beside it: `--html=report.html`. */
  readonly files: readonly { readonly form: Form; readonly path: string }[];
  readonly selection: Selection;
  /** `--since`: an earlier report to compare with; null: none. */
  readonly since: string | null;
  /** `--list`: print the ids and titles, look at nothing. */
  readonly list: boolean;
}

/**
 * Takes the shared options out of the arguments: `--json`, `--sarif`, `--html`, `--junit` (one of them, to standard
 * output) or with `=FILE` (any number, into files, standard output keeps the table), `--only IDS`, `--skip IDS`, `--since FILE`,
 * `--list`.
 * Answers them and what is left for the command, or one sentence on what is wrong.
 */
export function readOutputOptions(
  args: readonly string[],
): Result<{ readonly output: OutputOptions; readonly rest: readonly string[] }, string> {
  let form: Form | null = null;
  let list = false;
  let since: string | null = null;
  const files: { form: Form; path: string }[] = [];
  const only: string[] = [];
  const skip: string[] = [];
  const rest: string[] = [];
  for (let i = 0; i < args.length; i += 1) {
    const arg = args[i] ?? "";
    const [, name = "", value] = /^--([a-z]+)(?:=([\s\S]*))?$/.exec(arg) ?? [];
    const asForm = forms.find((one) => one === name);
    if (asForm !== undefined) {
      if (value === "") return err(`--${name}= needs a file name, or no "="`);
      if (value !== undefined) files.push({ form: asForm, path: value });
      else if (form !== null && form !== asForm)
        return err(`--${form} and --${name} cannot both go to standard output; write --${name}=FILE`);
      else form = asForm;
    } else if (name === "only" || name === "skip") {
      const ids = value ?? args[i + 1];
      if (value === undefined) i += 1;
      if (ids === undefined || ids === "" || ids.startsWith("--"))
        return err(`--${name} needs ids, see --list`);
      (name === "only" ? only : skip).push(ids);
    } else if (name === "since") {
      const path = value ?? args[i + 1];
      if (value === undefined) i += 1;
      if (path === undefined || path === "" || path.startsWith("--"))
        return err("--since needs the file of an earlier --json");
      if (since !== null) return err("--since stands twice; it takes one");
      since = path;
    } else if (arg === "--list") list = true;
    else rest.push(arg);
  }
  return ok({ output: { form, files, selection: { only, skip }, since, list }, rest });
}
