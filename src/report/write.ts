import { writeFileSync } from "node:fs";
import { unreachable } from "../base/result.ts";
import type { CheckInfo, Report } from "./finding.ts";
import { exitStatusOf } from "./finding.ts";
import { htmlText } from "./html.ts";
import { jsonText } from "./json.ts";
import { junitText } from "./junit.ts";
import type { Form, OutputOptions } from "./options.ts";
import { sarifText } from "./sarif.ts";
import { tableText } from "./table.ts";

/** One form of a report as text. */
export function formText(report: Report, form: Form): string {
  switch (form) {
    case "json":
      return jsonText(report);
    case "sarif":
      return sarifText(report);
    case "html":
      return htmlText(report);
    case "junit":
      return junitText(report);
    default:
      return unreachable(form);
  }
}

/** Where text goes; a test gives its own. */
export interface Terminal {
  readonly out: (text: string) => void;
  readonly error: (text: string) => void;
  readonly columns: number;
  readonly colour: boolean;
}

/** The process's own terminal. Colour: only for a person who did not ask for none (no-color.org). */
export function processTerminal(): Terminal {
  return {
    out: (text) => void process.stdout.write(text),
    error: (text) => void process.stderr.write(text),
    columns: process.stdout.columns ?? 100,
    colour: process.stdout.isTTY === true && (process.env["NO_COLOR"] ?? "") === "",
  };
}

/** Prints the report and writes its files. The exit status: 0 nothing fails, 1 something does, 2 a file could not be written. */
export function deliver(report: Report, output: OutputOptions, terminal: Terminal): number {
  terminal.out(output.form === null ? tableText(report, terminal) : formText(report, output.form));
  let status: number = exitStatusOf(report.findings);
  for (const { form, path } of output.files) {
    try {
      writeFileSync(path, formText(report, form));
    } catch (error) {
      terminal.error(
        `--${form}=${path} cannot be written: ${error instanceof Error ? error.message : String(error)}\n`,
      );
      status = 2;
    }
  }
  return status;
}

/** What --list prints: ids and titles. */
export function listText(checks: readonly CheckInfo[]): string {
  const width = Math.max(0, ...checks.map(({ id }) => id.length));
  return checks.map(({ id, title }) => `${id.padEnd(width)}  ${title}\n`).join("");
}
