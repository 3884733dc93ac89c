import { parseArgs } from "node:util";
import { type Asked, askAdmin, member } from "./admin-client.ts";
import { maintenanceHelp } from "./help.ts";

/** `odoo-gateway maintenance on | off | status`: asks the running gateway. 0 done, 1 not, 2 misspelt. */
export async function maintenance(args: readonly string[]): Promise<number> {
  const asked = askedFor(args);
  if (typeof asked === "string") {
    process.stderr.write(`${asked}\n\n${maintenanceHelp}`);
    return 2;
  }
  const text = await askAdmin(asked);
  if (text === null) return 1;
  process.stdout.write(statusText(text, asked.method));
  const warning = member(text, "warning");
  if (typeof warning === "string") process.stderr.write(`warning: ${warning}\n`);
  return 0;
}

/** What to ask, or what could not be understood. */
function askedFor(args: readonly string[]): Asked | string {
  const read = readArguments(args);
  if (typeof read === "string") return read;
  const [what = "status", ...rest] = read.positionals;
  const { allow = [], ...others } = read.values;
  if (rest[0] !== undefined) return `"${rest[0]}" was not expected; a message of several words needs quotes`;
  const field = "maintenance";
  if (what !== "on") {
    if (what !== "status" && what !== "off") return `there is no "${what}", only on, off and status`;
    if (allow.length > 0 || Object.keys(others).length > 0) return `options go with "on", not with "${what}"`;
    return { method: what === "off" ? "DELETE" : "GET", path: "/maintenance", field };
  }
  const query = new URLSearchParams();
  for (const name of ["message", "for"] as const) {
    const value = others[name];
    if (value !== undefined) query.set(name, value);
  }
  if (others.until !== undefined) query.set("until", momentOf(others.until));
  if (others.link === true) query.set("link", "yes");
  for (const network of allow.flatMap((one) => one.split(/[\s,]+/)).filter((one) => one !== ""))
    query.append("allow", network);
  return { method: "POST", path: `/maintenance?${query}`, field };
}

function readArguments(args: readonly string[]) {
  const text = { type: "string" } as const;
  const options = {
    message: text,
    for: text,
    until: text,
    allow: { ...text, multiple: true },
    link: { type: "boolean" },
  } as const;
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** A moment without a zone is this machine's; what is no moment is left to the gateway, which says so. */
function momentOf(text: string): string {
  const isLocal = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?$/.test(text);
  const at = isLocal ? new Date(text.replace(" ", "T")) : null;
  return at === null || Number.isNaN(at.getTime()) ? text : at.toISOString();
}

function statusText(text: string, method: Asked["method"]): string {
  if (member(text, "maintenance") !== "on") {
    if (method === "DELETE" && member(text, "wasOn") === true) return "maintenance is off now\n";
    return "maintenance is off\n";
  }
  const until = member(text, "until");
  const message = member(text, "message");
  const allow = member(text, "allow");
  const lines = [`maintenance is on${typeof until === "string" ? ` until ${until}` : ""}`];
  if (typeof message === "string" && message !== "") lines.push(`  message  ${message}`);
  if (Array.isArray(allow) && allow.length > 0) lines.push(`  allowed  ${allow.join(" ")}`);
  const link = member(text, "link");
  if (typeof link === "string") lines.push(`  let in   whoever opens any page once with ${link}`);
  return `${lines.join("\n")}\n`;
}
