import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "./ports.ts";

const program = "/usr/sbin/nginx";
/** The header a request says its address with. */
export const fromHeader = "X-Test-From";

/** Why the tests with a real nginx cannot run here; null: they can. In CI a missing nginx is a failure. */
export function nginxMissing(): string | null {
  if (existsSync(program)) return null;
  const why =
    "nginx is not installed (Debian: apt-get install nginx): its choices are compared with nothing here";
  if (process.env["CI"] === "true") throw new Error(why);
  process.stderr.write(`SKIPPED: ${why}\n`);
  return why;
}

/** Debian's nginx in front of an upstream that tells what it was asked. */
export interface Nginx {
  /** The site as it runs: with the ports of here. */
  readonly text: string;
  /** Status, and what the upstream was asked for when it was. */
  ask(
    method: string,
    target: string,
    host: string,
    from: string,
  ): Promise<{ readonly status: number; readonly sent: string | null }>;
  close(): Promise<void>;
}

/** Runs a site of a fixture on free ports of the loopback, in clear, with limits out of the way. */
export async function startNginx(site: string): Promise<Nginx> {
  const upstream = createServer((socket) => {
    socket.on("error", () => {});
    let head = "";
    socket.on("data", (chunk: Buffer) => {
      head += chunk.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      const target = /^\S+ (.*) HTTP\/1\.[01]\r\n/.exec(head)?.[1] ?? "?";
      socket.end(`HTTP/1.1 299 Odoo\r\nX-Sent: ${target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    });
  }).listen(0, "127.0.0.1");
  await once(upstream, "listening");
  const { port: upstreamPort } = upstream.address() as AddressInfo;
  const [httpPort = 0, httpsPort = 0] = await freePorts(2);
  const text = site
    .replaceAll(/listen 443(?: ssl)?/g, `listen 127.0.0.1:${httpsPort}`)
    .replaceAll("listen 80", `listen 127.0.0.1:${httpPort}`)
    .replaceAll(/127\.0\.0\.1:80(?:69|72)/g, `127.0.0.1:${upstreamPort}`)
    .replaceAll(/rate=[0-9]+r\/[sm]/g, "rate=100000r/s")
    .replaceAll(/^\s*ssl on;/gm, "");
  const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-nginx-"));
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(" ");
  const inner = `${temporary} access_log off; set_real_ip_from 127.0.0.1; real_ip_header ${fromHeader};`;
  const isWhole = /^http \{/m.test(text);
  const whole = isWhole
    ? text.replace(/^http \{/m, `http { ${inner}`)
    : `events {}\nhttp { ${inner}\n${text}\n}`;
  writeFileSync(
    join(folder, "nginx.conf"),
    `daemon off; master_process off; pid ${folder}/pid; error_log stderr notice;\n${whole.replace(/^worker_processes.*$/m, "")}`,
  );
  const server = spawn(program, ["-p", folder, "-c", join(folder, "nginx.conf"), "-e", "stderr"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  const started = new Promise<void>((resolve, reject) => {
    server.stderr?.on("data", (chunk: Buffer) => {
      said += chunk.toString("utf8");
      // Written when the sockets listen already.
      if (said.includes("OS: ")) resolve();
    });
    server.once("exit", () => reject(new Error(`nginx did not start: ${said}`)));
  });
  const ended = once(server, "exit");
  const close = async () => {
    server.kill("SIGKILL");
    await ended;
    upstream.close();
    rmSync(folder, { recursive: true, force: true });
  };
  const ask: Nginx["ask"] = (method, target, host, from) =>
    new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port: httpsPort });
      let answer = "";
      socket.on("error", reject);
      socket.on("data", (chunk: Buffer) => {
        answer += chunk.toString("latin1");
      });
      socket.on("close", () => {
        const sent = /^X-Sent: (.*)\r$/m.exec(answer)?.[1] ?? null;
        resolve({ status: Number(/^HTTP\/1\.1 ([0-9]{3})/.exec(answer)?.[1] ?? 0), sent });
      });
      socket.write(
        `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${fromHeader}: ${from}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
      );
    });
  try {
    await started;
  } catch (error) {
    upstream.close();
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return { text, ask, close };
}
