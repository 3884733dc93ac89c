import { type Asked, askAdmin, member } from "./admin-client.ts";
import { bansHelp } from "./help.ts";

/** `odoo-gateway bans list [--json] | add <address> [duration] | remove <address>`: asks the running gateway. 0 done, 1 not, 2 misspelt. */
export async function bans(args: readonly string[]): Promise<number> {
  const json = args.includes("--json");
  const words = args.filter((word) => word !== "--json");
  const asked = json && words[0] !== undefined && words[0] !== "list" ? jsonElsewhere : askedFor(words);
  if (typeof asked === "string") {
    process.stderr.write(`${asked}\n\n${bansHelp}`);
    return 2;
  }
  const text = await askAdmin({ ...asked, field: "bans" });
  if (text === null) return 1;
  process.stdout.write(json ? text : asked.method === "GET" ? listText(text) : doneText(text));
  const warning = json ? null : member(text, "warning");
  if (typeof warning === "string") process.stderr.write(`warning: ${warning}\n`);
  return 0;
}

const jsonElsewhere = '--json goes with "list" only';

/** What to ask, or what could not be understood. */
function askedFor(args: readonly string[]): Omit<Asked, "field"> | string {
  const [what = "list", address, duration, ...rest] = args;
  if (!["list", "add", "remove"].includes(what)) return `there is no "${what}", only list, add and remove`;
  const more = what === "list" ? address : what === "remove" ? duration : rest[0];
  if (more !== undefined || rest[0] !== undefined) return `"${more ?? rest[0]}" was not expected`;
  if (what === "list") return { method: "GET", path: "/bans" };
  if (address === undefined) return `"${what}" needs an address`;
  const query = new URLSearchParams({ address, ...(duration === undefined ? {} : { for: duration }) });
  return { method: what === "add" ? "POST" : "DELETE", path: `/bans?${query}` };
}

/** What was done, in words; the admin listener answers in JSON. */
function doneText(text: string): string {
  const lifted = member(text, "lifted");
  if (typeof lifted === "string") return `${lifted} is no longer banned\n`;
  const address = member(text, "address");
  return typeof address === "string" ? `${address} is banned until ${String(member(text, "until"))}\n` : text;
}

/** What the machine words of `why` (log, metrics, admin listener) mean. */
const reasons: ReadonlyMap<string, string> = new Map([
  ["pair", "wrong passwords for one account"],
  ["address", "too many failed log-ins, for several accounts"],
  ["scanner", "requests that only scanners make"],
  ["operator", "added by hand"],
]);

/** One ban a line, the one that ends last first. */
function listText(text: string): string {
  const list: unknown = member(text, "bans");
  if (!Array.isArray(list) || list.length === 0) return "nobody is banned\n";
  const cell = (one: unknown, name: string) =>
    typeof one === "object" && one !== null ? String(Reflect.get(one, name)) : "";
  return list
    .map((one: unknown) => {
      const times = cell(one, "times");
      const reason = cell(one, "reason");
      const words = reasons.get(reason) ?? reason;
      return `${cell(one, "address").padEnd(24)} until ${cell(one, "until")}  ${words}${times === "1" ? "" : ` (banned ${times} times)`}\n`;
    })
    .join("");
}
