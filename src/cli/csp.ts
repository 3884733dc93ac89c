import { type Asked, askAdmin, member } from "./admin-client.ts";
import { type Reported, type Reports, reportsIn, suggestionText } from "./csp-suggestion.ts";
import { cspHelp } from "./help.ts";

/** `odoo-gateway csp [list] [--json] | suggest [--all] | clear`: asks the running gateway. 0 done, 1 no gateway, 2 misspelt. */
export async function csp(args: readonly string[]): Promise<number> {
  const wanted = wantedIn(args);
  if (typeof wanted === "string") {
    process.stderr.write(`${wanted}\n\n${cspHelp}`);
    return 2;
  }
  const { what, option } = wanted;
  const clears = what === "clear";
  const asked: Omit<Asked, "field"> = clears
    ? { method: "POST", path: "/csp/clear" }
    : { method: "GET", path: "/csp" };
  const text = await askAdmin({ ...asked, field: "csp" });
  if (text === null) return 1;
  if (clears) process.stdout.write(`${Number(member(text, "cleared"))} entries forgotten\n`);
  else if (option === "--json") process.stdout.write(text);
  else {
    const reports = reportsIn(text);
    if (reports === null) {
      process.stderr.write("the answer on ADMIN_LISTEN is not that of a gateway\n");
      return 1;
    }
    process.stdout.write(
      what === "list" ? listText(reports) : suggestionText(reports, option === "--all" ? 1 : 2),
    );
  }
  return 0;
}

const optionOf: Readonly<Record<string, string | null>> = { list: "--json", suggest: "--all", clear: null };

function wantedIn(
  args: readonly string[],
): { readonly what: string; readonly option: string | null } | string {
  const [what = "list", stray] = args.filter((word) => !word.startsWith("--"));
  const options = args.filter((word) => word.startsWith("--"));
  if (!Object.hasOwn(optionOf, what)) return `there is no "${what}", only list, suggest and clear`;
  if (stray !== undefined) return `"${stray}" was not expected`;
  const wrong = options.find((one) => one !== optionOf[what]);
  return wrong === undefined ? { what, option: options[0] ?? null } : `${wrong} does not go with "${what}"`;
}

/** One entry a line, those of most clients first. */
function listText(reports: Reports): string {
  if (reports.mode === "off") return offText(reports);
  const { entries, since, ignored, turnedAway } = reports;
  const noise =
    ignored === 0 ? "" : `${ignored} reports of browser extensions and other noise were ignored\n`;
  const away = turnedAway === 0 ? "" : `${turnedAway} reports of further sources found no room\n`;
  if (entries.length === 0) return `nothing was reported since ${since}\n${noise}${away}`;
  const head = ["directive", "source", "reports", "clients", "first", "last", "page", ""];
  const rows = entries.map((entry) => [
    ...[entry.directive, entry.source, String(entry.count), clientsText(entry, reports)],
    ...[minute(entry.first), minute(entry.last), entry.page],
    entry.allowed ? "(allowed by now)" : "",
  ]);
  const widths = head.map((name, at) => Math.max(name.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `${row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd()}\n`;
  return `${[head, ...rows].map(line).join("")}${noise}${away}`;
}

function offText({ preset }: Reports): string {
  return preset === "nginx-guide"
    ? "nobody is asked for reports: preset nginx-guide keeps that guide's headers\n"
    : "nobody is asked for reports (CSP_REPORTS)\n";
}

function clientsText({ clients }: Reported, { clientsMax }: Reports): string {
  return clients >= clientsMax ? `${clientsMax}+` : String(clients);
}

/** To the minute, in UTC as the log is. */
function minute(moment: string): string {
  return `${moment.slice(0, 16)}Z`;
}
