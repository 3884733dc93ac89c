import { countsLine, type Finding, type Outcome, type Report } from "./finding.ts";

export interface TableOptions {
  /** Columns of the terminal; held between 60 and 120. */
  readonly columns: number;
  /** Colour the outcomes (a terminal that did not ask for none). */
  readonly colour: boolean;
}

const labels: Readonly<Record<Outcome, string>> = {
  fail: "FAIL",
  warn: "WARN",
  skipped: "skip",
  pass: "pass",
};
/** SGR: red, yellow, grey, green. */
const colours: Readonly<Record<Outcome, string>> = { fail: "31;1", warn: "33", skipped: "90", pass: "32" };
const indent = " ".repeat(6);

/** The report for a person: one block a finding; why and fix stand where something is to be done. */
export function tableText(report: Report, { columns, colour }: TableOptions): string {
  const width = Math.max(60, Math.min(120, columns)) - 1;
  const paint = (outcome: Outcome, text: string) =>
    colour ? `\x1b[${colours[outcome]}m${text}\x1b[0m` : text;
  const lines: string[] = [`odoo-gateway ${report.command} ${report.version}: ${report.subject}`];
  for (const [name, value] of report.facts) lines.push(...wrap(`${name}: ${value}`, "  ", width));
  lines.push("");
  const idWidth = Math.max(0, ...report.findings.map(({ id }) => id.length));
  for (const finding of report.findings) {
    lines.push(
      `${paint(finding.outcome, labels[finding.outcome])}  ${finding.id.padEnd(idWidth)}  ${finding.title}`,
    );
    for (const [name, text] of detailsOf(finding))
      lines.push(...wrap(`${name} ${text}`, indent, width, "      "));
  }
  lines.push("", countsLine(report.findings));
  return `${lines.join("\n")}\n`;
}

function detailsOf(finding: Finding): [string, string][] {
  const at = finding.place === null ? "" : `${placeText(finding.place)}: `;
  const seen: [string, string] = ["seen:", `${at}${finding.seen}`];
  if (finding.outcome === "pass" || finding.outcome === "skipped") return [seen];
  return [seen, ["why: ", finding.why], ["fix: ", finding.fix]];
}

/** `odoo.conf:12`, or only the file. */
export function placeText({ file, line }: NonNullable<Finding["place"]>): string {
  return line === null ? file : `${file}:${line}`;
}

/** Breaks at spaces; a word longer than the line stands alone and may overrun. */
function wrap(text: string, first: string, width: number, hang = ""): string[] {
  const lines: string[] = [];
  let line = first;
  let isEmpty = true;
  for (const word of text.split(" ")) {
    if (!isEmpty && line.length + 1 + word.length > width) {
      lines.push(line);
      line = `${first}${hang}`;
      isEmpty = true;
    }
    line += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  lines.push(line);
  return lines;
}
