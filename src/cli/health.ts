import { get } from "node:http";
import { noAnswerText } from "./admin-client.ts";
import { whereToAsk } from "./settings.ts";

const timeoutMs = 2_500;

/** `odoo-gateway health`: asks the admin listener of the running gateway; 0 when it says pass. */
export async function health(): Promise<number> {
  const listen = whereToAsk();
  if (listen === null) return 1;
  const host = listen.host === "" ? "127.0.0.1" : listen.host;
  return new Promise((resolve) => {
    const request = get({ host, port: listen.port, path: "/healthz", timeout: timeoutMs }, (answer) => {
      answer.resume();
      if (answer.statusCode !== 200)
        process.stderr.write(`${host}:${listen.port} answers /healthz with ${answer.statusCode}\n`);
      resolve(answer.statusCode === 200 ? 0 : 1);
    });
    request.on("timeout", () => request.destroy(new Error("no answer in time")));
    request.on("error", (error) => {
      process.stderr.write(`${noAnswerText(host, listen.port, error)}\n`);
      resolve(1);
    });
  });
}
