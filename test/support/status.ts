import { get as getHttp } from "node:http";
import type { TestGateway } from "./gateway.ts";

/** Status and text of `/readyz`. */
export const ready = (gateway: TestGateway): Promise<string> => admin(gateway, "/readyz");

/** What `/status` says. */
export async function status(gateway: TestGateway) {
  const text = await admin(gateway, "/status");
  return JSON.parse(text.slice(text.indexOf("{")));
}

function admin(gateway: TestGateway, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    getHttp({ host: "127.0.0.1", port: gateway.adminPort, path }, (answer) => {
      let text = `${answer.statusCode} `;
      answer.on("data", (chunk) => {
        text += chunk;
      });
      answer.on("end", () => resolve(text));
    }).on("error", reject);
  });
}
