import { type ClientRequest, request } from "node:http";
import type { ListenAddress } from "../settings/settings.ts";
import { bansHelp } from "./help.ts";
import { processSettings } from "./settings.ts";

const timeoutMs = 5_000;
const answerBytesMax = 64 * 1024 * 1024;

interface Asked {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
}

/** `odoo-gateway bans list | add <address> [duration] | remove <address>`: asks the running gateway. 0 done, 1 not, 2 misspelt. */
export async function bans(args: readonly string[]): Promise<number> {
  const asked = askedFor(args);
  if (asked === null) {
    process.stderr.write(bansHelp);
    return 2;
  }
  const loaded = processSettings();
  const listen = loaded.ok ? loaded.value.settings.adminListen : null;
  if (listen === null) {
    process.stderr.write("there is no admin listener to ask (ADMIN_LISTEN)\n");
    return 1;
  }
  const answer = await ask(listen, asked);
  if (!answer.ok) {
    process.stderr.write(`${answer.text}\n`);
    return 1;
  }
  process.stdout.write(asked.method === "GET" ? listText(answer.text) : answer.text);
  return 0;
}

function askedFor(args: readonly string[]): Asked | null {
  const [what = "list", address, duration, ...rest] = args;
  if (rest.length > 0) return null;
  if (what === "list") return address === undefined ? { method: "GET", path: "/bans" } : null;
  if (address === undefined) return null;
  const query = new URLSearchParams({ address, ...(duration === undefined ? {} : { for: duration }) });
  if (what === "add") return { method: "POST", path: `/bans?${query}` };
  return what === "remove" && duration === undefined ? { method: "DELETE", path: `/bans?${query}` } : null;
}

function ask(
  listen: ListenAddress,
  { method, path }: Asked,
): Promise<{ readonly ok: boolean; readonly text: string }> {
  const host = listen.host === "" ? "127.0.0.1" : listen.host;
  return new Promise((resolve) => {
    const asking: ClientRequest = request(
      { host, port: listen.port, method, path, timeout: timeoutMs, headers: { "X-Odoo-Gateway": "bans" } },
      (answer) => {
        let text = "";
        answer.setEncoding("utf8");
        answer.on("data", (chunk: string) => {
          text += chunk;
          if (text.length > answerBytesMax) asking.destroy(new Error("the answer is too long"));
        });
        answer.on("end", () => {
          const ok = answer.statusCode === 200;
          resolve({ ok, text: ok ? text : (fieldOf(text, "error") ?? `status ${answer.statusCode}`) });
        });
      },
    );
    asking.on("timeout", () => asking.destroy(new Error("no answer in time")));
    asking.on("error", (error) =>
      resolve({ ok: false, text: `the gateway does not answer on ${host}:${listen.port}: ${error.message}` }),
    );
    asking.end();
  });
}

function fieldOf(text: string, name: string): string | null {
  const value: unknown = member(text, name);
  return typeof value === "string" ? value : null;
}

function member(text: string, name: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? Reflect.get(value, name) : null;
  } catch {
    return null;
  }
}

/** One ban a line, the one that ends last first. */
function listText(text: string): string {
  const list: unknown = member(text, "bans");
  if (!Array.isArray(list) || list.length === 0) return "nobody is banned\n";
  const cell = (one: unknown, name: string) =>
    typeof one === "object" && one !== null ? String(Reflect.get(one, name)) : "";
  return list
    .map((one: unknown) => {
      const times = cell(one, "times");
      return `${cell(one, "address").padEnd(24)} until ${cell(one, "until")}  ${cell(one, "reason")}${times === "1" ? "" : ` (${times} times)`}\n`;
    })
    .join("");
}
