import type { IncomingHttpHeaders } from "node:http";
import { request } from "node:https";
import { TLSSocket } from "node:tls";
import { securityHeaders } from "./duties.ts";
import { answerBody, requestBody, requestHeaders, requestHost, requestPath } from "./request.ts";

/**
 * Sends the benchmark's request once and looks at the answer: a peer that answers wrongly, or leaves a duty
 * out, must not be measured. Returns null, or what is wrong.
 */
export function probe(port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const headers = Object.fromEntries([...requestHeaders, ["Host", requestHost], ["Connection", "close"]]);
    const call = request(
      {
        host: "127.0.0.1",
        servername: requestHost,
        port,
        path: requestPath,
        method: "POST",
        headers: { ...headers, "Content-Length": requestBody().length },
        // The certificate is made for this run and signed by nobody.
        rejectUnauthorized: false,
        agent: false,
        timeout: 5_000,
      },
      (answer) => {
        const protocol = answer.socket instanceof TLSSocket ? answer.socket.getProtocol() : null;
        let body = "";
        answer.setEncoding("latin1");
        answer.on("data", (chunk: string) => {
          body += chunk;
        });
        answer.on("error", (error) => resolve(error.message));
        answer.on("end", () => resolve(judge(answer.statusCode ?? 0, answer.headers, body, protocol)));
      },
    );
    call.on("timeout", () => call.destroy(new Error("no answer within 5 s")));
    call.on("error", (error) => resolve(error.message));
    call.end(requestBody());
  });
}

function judge(
  status: number,
  headers: IncomingHttpHeaders,
  body: string,
  protocol: string | null,
): string | null {
  if (status !== 200) return `answers ${status}: ${body.slice(0, 200)}`;
  if (body !== answerBody()) return `changes the answer (${body.length} bytes)`;
  if (protocol !== "TLSv1.3") return `speaks ${protocol}, not TLS 1.3`;
  // Values differ by taste, and framing may be ruled by a CSP instead; that the others are there is the duty.
  for (const [name] of securityHeaders)
    if (name !== "X-Frame-Options" && headers[name.toLowerCase()] === undefined) return `sends no ${name}`;
  if (String(headers["server"] ?? "").includes("Werkzeug")) return "lets Odoo's Server header through";
  return null;
}
