import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Demo, startDemo } from "../../src/demo/start.ts";
import { freePort } from "./ports.ts";
import { type RawAnswer, rawTalk } from "./upstream-raw.ts";

const program = fileURLToPath(new URL("../../src/main.js", import.meta.url));

/** Can this user mount a file system of its own, in a name space of its own: root, or Linux with user name spaces. */
export const canMount = tries("unshare", ["-rm", "sh", "-c", "mount -t tmpfs -o size=64k tmpfs /tmp"]);
export const hasPrlimit = tries("prlimit", ["--nofile"]);

function tries(command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** What a gateway of its own folder needs to be told, in front of the stand-in. */
export function childSettings(
  folder: string,
  demo: Demo,
  ports: { readonly https: number; readonly admin: number },
): Readonly<Record<string, string>> {
  return {
    PATH: process.env["PATH"] ?? "",
    DOMAIN: "odoo.test",
    ODOO_URL: `http://127.0.0.1:${demo.webPort}`,
    ODOO_BUS_URL: `http://127.0.0.1:${demo.busPort}`,
    HTTPS_LISTEN: `127.0.0.1:${ports.https}`,
    HTTP_LISTEN: "off",
    ADMIN_LISTEN: `127.0.0.1:${ports.admin}`,
    CERTS_DIR: join(folder, "certs"),
    STATE_DIR: join(folder, "state"),
    LOG_FORMAT: "json",
  };
}

export interface ChildGatewayOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Shell lines run before the gateway starts, in its own mount name space when `mounts`; `$FOLDER` is the folder. */
  readonly before?: string;
  readonly mounts?: boolean;
  /** `prlimit --nofile`. */
  readonly descriptors?: number;
  /** Where standard output goes; left out: read by us. */
  readonly stdout?: number;
  /** A folder of the caller's, kept at `close`. */
  readonly folder?: string;
}

/** The command itself as a process of its own, in front of the stand-in: for faults that belong to a process. */
export class ChildGateway {
  readonly folder: string;
  readonly child: ChildProcess;
  readonly demo: Demo;
  readonly httpsPort: number;
  readonly adminPort: number;
  out = "";
  errors = "";
  readonly ended: Promise<number | null>;
  readonly #keepsFolder: boolean;

  private constructor(
    options: ChildGatewayOptions,
    demo: Demo,
    ports: { readonly https: number; readonly admin: number },
  ) {
    this.folder = options.folder ?? mkdtempSync(join(tmpdir(), "odoo-gateway-fault-"));
    this.#keepsFolder = options.folder !== undefined;
    this.demo = demo;
    this.httpsPort = ports.https;
    this.adminPort = ports.admin;
    for (const name of ["state", "certs"]) mkdirSync(join(this.folder, name), { recursive: true });
    const env = {
      ...childSettings(this.folder, demo, ports),
      FOLDER: this.folder,
      DRAIN_TIMEOUT: "2s",
      ...options.env,
    };
    const limit = options.descriptors === undefined ? "" : `prlimit --nofile=${options.descriptors} `;
    const script = `set -e\n${options.before ?? ""}\nexec ${limit}"$0" "$1" run`;
    const args = ["sh", "-c", script, process.execPath, program];
    const [command = "sh", ...rest] = options.mounts === true ? ["unshare", "-rm", ...args] : args;
    this.child = spawn(command, rest, {
      env,
      cwd: this.folder,
      stdio: ["ignore", options.stdout ?? "pipe", "pipe"],
    });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.out += text;
    });
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.errors += text;
    });
    this.ended = once(this.child, "close").then(([status]) => status);
  }

  /** Resolves when it serves; rejects with what it said when it ends before. */
  static async start(options: ChildGatewayOptions = {}): Promise<ChildGateway> {
    const demo = await startDemo();
    const gateway = new ChildGateway(options, demo, { https: await freePort(), admin: await freePort() });
    try {
      await gateway.until(() => gateway.errors.includes("odoo-gateway is running"));
      return gateway;
    } catch (error) {
      await gateway.close();
      throw error;
    }
  }

  /** One request on a connection of its own. */
  get(path: string, body: Buffer | null = null): Promise<{ readonly status: number; readonly body: string }> {
    return new Promise((resolve, reject) => {
      const asking = request(
        {
          host: "127.0.0.1",
          port: this.httpsPort,
          path,
          method: body === null ? "GET" : "POST",
          servername: "odoo.test",
          // The certificate of a folder that only the child can see.
          rejectUnauthorized: false,
          headers: {
            Host: `odoo.test:${this.httpsPort}`,
            ...(body === null ? {} : { "Content-Length": body.length }),
          },
          agent: false,
          timeout: 60_000,
        },
        (answer) => {
          let text = "";
          answer.setEncoding("latin1").on("data", (chunk: string) => {
            text += chunk;
          });
          answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: text }));
          answer.on("error", reject);
        },
      );
      asking.on("timeout", () => asking.destroy(new Error("no answer in 60 s")));
      asking.on("error", reject);
      asking.end(body ?? undefined);
    });
  }

  /** Asks the admin listener; changes carry its field. */
  admin(start: string, field = "bans"): Promise<RawAnswer> {
    const lines = [
      `${start} HTTP/1.1`,
      "Host: localhost",
      "Connection: close",
      `X-Odoo-Gateway: ${field}`,
      "",
      "",
    ];
    return rawTalk(this.adminPort, lines.join("\r\n"));
  }

  /** Log lines so far. */
  events(type: string): readonly Readonly<Record<string, unknown>>[] {
    const lines = this.out.split("\n").filter((line) => line.includes(`"event":"${type}"`));
    return lines.map((line): Readonly<Record<string, unknown>> => JSON.parse(line));
  }

  /** Runs a shell line in the gateway's own mount name space. */
  inside(script: string): void {
    const pid = String(this.child.pid);
    const args = ["-t", pid, "-m", "-U", "--preserve-credentials", "sh", "-c", script];
    execFileSync("nsenter", args, {
      env: { PATH: process.env["PATH"] ?? "", FOLDER: this.folder },
      stdio: "pipe",
    });
  }

  /** Resolves as soon as `test` is true; rejects after a minute, or when the process ended. */
  async until(test: () => boolean): Promise<void> {
    const endMs = performance.now() + 60_000;
    while (!test()) {
      if (this.child.exitCode !== null) await this.ended;
      if (this.child.exitCode !== null || performance.now() > endMs)
        throw new Error(`never true: ${test}\n${this.errors}\n${this.out.slice(-2_000)}`);
      await delay(5);
    }
  }

  /** SIGTERM; the exit status. A process that does not end within a minute is killed, and null is answered. */
  async stop(): Promise<number | null> {
    const timer = setTimeout(() => this.child.kill("SIGKILL"), 60_000);
    if (this.child.exitCode === null) this.child.kill("SIGTERM");
    const status = await this.ended;
    clearTimeout(timer);
    return status;
  }

  async close(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.ended;
    await this.demo.close();
    if (!this.#keepsFolder) rmSync(this.folder, { recursive: true, force: true });
  }
}
