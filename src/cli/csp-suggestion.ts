import { cleanText } from "../base/clean.ts";
import { readSource } from "../settings/hosts.ts";

/** What the admin listener tells of one directive and source. */
export interface Reported {
  readonly directive: string;
  readonly source: string;
  readonly count: number;
  readonly clients: number;
  readonly first: string;
  readonly last: string;
  readonly page: string;
  readonly allowed: boolean;
}

export interface Reports {
  readonly mode: string;
  readonly preset: string;
  readonly since: string;
  readonly scriptSources: readonly string[];
  readonly clientsMax: number;
  readonly ignored: number;
  readonly turnedAway: number;
  readonly entries: readonly Reported[];
}

/** Reads the answer of `GET /csp`; what is missing in it is empty. null: it is no such answer. */
export function reportsIn(text: string): Reports | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!Array.isArray(memberOf(value, "entries"))) return null;
  return {
    mode: wordOf(value, "mode"),
    preset: wordOf(value, "preset"),
    since: wordOf(value, "since"),
    scriptSources: listOf(value, "scriptSources").map(String),
    clientsMax: numberOf(value, "clientsMax"),
    ignored: numberOf(value, "ignored"),
    turnedAway: numberOf(value, "turnedAway"),
    entries: listOf(value, "entries").map((entry) => ({
      directive: wordOf(entry, "directive"),
      source: wordOf(entry, "source"),
      count: numberOf(entry, "count"),
      clients: numberOf(entry, "clients"),
      first: wordOf(entry, "first"),
      last: wordOf(entry, "last"),
      page: wordOf(entry, "page"),
      allowed: memberOf(entry, "allowed") === true,
    })),
  };
}

/**
 * What to do about it, as text that may be put into an `.env` file as it is: the setting, and everything else behind `#`. Only what
 * `clientsMin` clients reported at least, and what the policy of now does not allow.
 */
export function suggestionText(reports: Reports, clientsMin: number): string {
  const { mode, preset, since, scriptSources } = reports;
  if (mode === "off") return `# nobody is asked for reports (CSP_REPORTS, or preset ${preset})\n`;
  const open = reports.entries.filter(({ allowed }) => !allowed);
  const told = open.filter(({ clients }) => clients >= clientsMin);
  const few = open.length - told.length;
  const left =
    few === 0 ? "" : `# left out: ${few} that one client alone reported; csp suggest --all shows them\n`;
  const who = clientsMin > 1 ? ` by at least ${clientsMin} clients each` : "";
  const from = `reported${who} since ${since}`;
  if (told.length === 0) return `# nothing the policy blocks was ${from}\n${left}`;
  const widened = told.filter(isForSetting);
  const others = told.filter((entry) => !isForSetting(entry));
  const lines = [
    mode === "enforce"
      ? `# Blocked by the policy, as ${from}.`
      : `# With PRESET=strict this would have been blocked, as ${from}.`,
    "# Anybody can forge reports: keep only what you know, and know why it is there.",
  ];
  if (widened.length > 0) {
    lines.push("#", "# Scripts of these sites; each could do on your pages what your own scripts can:");
    for (const entry of widened) lines.push(`#   ${entryText(entry, reports)}`);
    const sources = new Set([...scriptSources, ...widened.map(({ source }) => source)]);
    lines.push(`CSP_SCRIPT_SRC=${[...sources].join(",")}`);
  }
  if (others.length > 0) lines.push("#", "# No setting lets these pass:");
  for (const entry of others) lines.push(`#   ${entryText(entry, reports)}`, `#     ${remedyOf(entry)}`);
  return `${lines.join("\n")}\n${left}`;
}

/** CSP_SCRIPT_SRC widens `script-src` by sites over https, and nothing else does anything. */
function isForSetting({ directive, source }: Reported): boolean {
  return directive === "script-src" && readSource(source).ok;
}

function entryText({ directive, source, count, clients, page }: Reported, { clientsMax }: Reports): string {
  const from =
    clients >= clientsMax
      ? `${clientsMax} clients or more`
      : clients === 1
        ? "1 client"
        : `${clients} clients`;
  return `${directive} ${source}: ${count} ${count === 1 ? "report" : "reports"} of ${from}, first on ${page}`;
}

/** What else can be done about it. */
function remedyOf({ directive, source }: Reported): string {
  if (source.startsWith("http:"))
    return "It comes over plain HTTP: write https:// in the page or module that asks for it.";
  if (directive === "frame-ancestors")
    return "To let other sites frame some pages: frame_ancestors: any in a rule (docs/policies.md).";
  if (/^wss?:/.test(source))
    return "Websockets of pages go to the site's own names only; keep PRESET=standard if you need it.";
  if (!source.includes("//"))
    return `No site is named: a module or a text in a page uses ${source}; correct it, or keep PRESET=standard.`;
  return `${directive} is held to the site itself: serve the file from Odoo, or keep PRESET=standard.`;
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

function wordOf(value: unknown, name: string): string {
  const word = memberOf(value, name);
  return typeof word === "string" ? cleanText(word) : "";
}

function numberOf(value: unknown, name: string): number {
  const number = memberOf(value, name);
  return typeof number === "number" ? number : 0;
}

function listOf(value: unknown, name: string): readonly unknown[] {
  const list = memberOf(value, name);
  return Array.isArray(list) ? list : [];
}
