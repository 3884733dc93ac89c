import { type ClientRequest, request } from "node:http";
import { processSettings } from "./settings.ts";

const timeoutMs = 5_000;
const answerBytesMax = 64 * 1024 * 1024;

/** One question to the running gateway. */
export interface Asked {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  /** The word of the field `X-Odoo-Gateway` that changes need. */
  readonly field: string;
}

/** Asks the running gateway through ADMIN_LISTEN; `text` is its answer, or one sentence on why there is none. */
export function askGateway({
  method,
  path,
  field,
}: Asked): Promise<{ readonly ok: boolean; readonly text: string }> {
  const loaded = processSettings();
  const listen = loaded.ok ? loaded.value.settings.adminListen : null;
  if (listen === null)
    return Promise.resolve({ ok: false, text: "there is no admin listener to ask (ADMIN_LISTEN)" });
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
          const error: unknown = memberOf(text, "error");
          resolve({
            ok,
            text: ok ? text : typeof error === "string" ? error : `status ${answer.statusCode}`,
          });
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

/** A member of JSON text; null when it is no object. */
export function memberOf(text: string, name: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? Reflect.get(value, name) : null;
  } catch {
    return null;
  }
}
