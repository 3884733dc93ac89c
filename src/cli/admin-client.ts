import { type ClientRequest, request } from "node:http";
import type { ListenAddress } from "../settings/settings.ts";
import { whereToAsk } from "./settings.ts";

const timeoutMsDefault = 5_000;
const answerBytesMax = 64 * 1024 * 1024;

export interface Asked {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  /** What the listener wants to see in `X-Odoo-Gateway` before it changes something. */
  readonly field: string;
  /** How long the answer may take; left out: 5 s. */
  readonly timeoutMs?: number;
}

/** Asks the admin listener of the running gateway; null when there is none, or it said no: the reason was printed. */
export async function askAdmin(asked: Asked): Promise<string | null> {
  const listen = whereToAsk();
  if (listen === null) return null;
  const answer = await ask(listen, asked);
  if (answer.ok) return answer.text;
  process.stderr.write(`${answer.text}\n`);
  return null;
}

/** The same of a listener that is known; `text` is the answer, or why there is none. `isThere` false: nobody answers. */
export function ask(
  listen: ListenAddress,
  { method, path, field, timeoutMs = timeoutMsDefault }: Asked,
): Promise<{ readonly ok: boolean; readonly isThere: boolean; readonly text: string }> {
  const host = listen.host === "" ? "127.0.0.1" : listen.host;
  return new Promise((resolve) => {
    const asking: ClientRequest = request(
      { host, port: listen.port, method, path, timeout: timeoutMs, headers: { "X-Odoo-Gateway": field } },
      (answer) => {
        let text = "";
        answer.setEncoding("utf8");
        answer.on("data", (chunk: string) => {
          text += chunk;
          if (text.length > answerBytesMax) asking.destroy(new Error("the answer is too long"));
        });
        answer.on("end", () => {
          const ok = answer.statusCode === 200;
          const why = fieldOf(text, "error") ?? `status ${answer.statusCode}`;
          resolve({ ok, isThere: true, text: ok ? text : why });
        });
      },
    );
    asking.on("timeout", () => asking.destroy(new Error("no answer in time")));
    asking.on("error", (error: NodeJS.ErrnoException) =>
      resolve({
        ok: false,
        isThere: error.code !== "ECONNREFUSED",
        text: noAnswerText(host, listen.port, error),
      }),
    );
    asking.end();
  });
}

/** Why nobody could be asked, and what to look at. */
export function noAnswerText(host: string, port: number, error: Error): string {
  return `the gateway does not answer on ${host}:${port}: ${error.message}; is it running here, with this ADMIN_LISTEN?`;
}

function fieldOf(text: string, name: string): string | null {
  const value: unknown = member(text, name);
  return typeof value === "string" ? value : null;
}

/** A member of a JSON object; null when the text is none. */
export function member(text: string, name: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? Reflect.get(value, name) : null;
  } catch {
    return null;
  }
}
