import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { request as askPlain } from "node:http";
import { type Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Demo, startDemo } from "../../src/demo/start.ts";
import { childSettings } from "../support/child-gateway.ts";
import { freePort } from "../support/ports.ts";

const program = fileURLToPath(new URL("../../src/main.js", import.meta.url));
const waitMsMax = 60_000;

export interface Answer {
  readonly status: number;
  readonly connection: string;
  /** `name=value` of the session it sets; empty: none. */
  readonly cookie: string;
  readonly body: string;
}

export interface Status {
  readonly plan: { readonly revision: number };
  readonly workers: readonly {
    readonly pid: number;
    readonly state: string;
    readonly connections: number;
    readonly tunnels: number;
  }[];
  readonly counters: { readonly exchanges: number; readonly bans: Readonly<Record<string, number>> };
}

/** `odoo-gateway run` with two workers as processes of their own, in front of the stand-in. */
export class WorkersGateway {
  readonly folder: string;
  readonly child: ChildProcess;
  readonly demo: Demo;
  readonly httpsPort: number;
  readonly adminPort: number;
  out = "";
  errors = "";
  readonly ended: Promise<number | null>;

  private constructor(
    folder: string,
    demo: Demo,
    ports: readonly [number, number],
    env: Readonly<Record<string, string>>,
  ) {
    this.folder = folder;
    this.demo = demo;
    [this.httpsPort, this.adminPort] = ports;
    this.child = spawn(process.execPath, [program, "run"], {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...childSettings(folder, demo, { https: this.httpsPort, admin: this.adminPort }),
        DRAIN_TIMEOUT: "5s",
        WORKERS: "2",
        ...env,
      },
    });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.out += text;
    });
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.errors += text;
    });
    this.ended = once(this.child, "close").then(([status]) => status);
  }

  static async start(
    env: (folder: string) => Readonly<Record<string, string>> = () => ({}),
  ): Promise<WorkersGateway> {
    const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-workers-"));
    const demo = await startDemo({ workers: 8 });
    const ports = [await freePort(), await freePort()] as const;
    const gateway = new WorkersGateway(folder, demo, ports, env(folder));
    try {
      await gateway.until(() => gateway.errors.includes("odoo-gateway is running"));
      return gateway;
    } catch (error) {
      await gateway.close();
      throw error;
    }
  }

  /** One request; on a connection of its own unless an agent keeps one. */
  ask(
    path: string,
    options: {
      readonly agent?: Agent;
      readonly json?: object;
      /** Of `json`; left out: application/json. */
      readonly type?: string;
      /** As a browser posts a form of this site. */
      readonly form?: { readonly fields: URLSearchParams; readonly cookie: string };
      readonly from?: string;
      readonly agentName?: string;
      readonly cookie?: string;
    } = {},
  ): Promise<Answer> {
    const { form, json } = options;
    const text = json === undefined ? form?.fields.toString() : JSON.stringify(json);
    const body = text === undefined ? null : Buffer.from(text);
    const type =
      json === undefined ? "application/x-www-form-urlencoded" : (options.type ?? "application/json");
    return new Promise((resolve, reject) => {
      const asking = request(
        {
          host: "127.0.0.1",
          port: this.httpsPort,
          path,
          method: body === null ? "GET" : "POST",
          servername: "odoo.test",
          rejectUnauthorized: false,
          agent: options.agent ?? false,
          localAddress: options.from ?? "127.0.0.1",
          headers: {
            Host: `odoo.test:${this.httpsPort}`,
            // Without one it would be taken for a crawler.
            "User-Agent": options.agentName ?? "Mozilla/5.0 (test)",
            ...(options.cookie === undefined ? {} : { Cookie: options.cookie }),
            ...(options.agent === undefined ? { Connection: "close" } : {}),
            ...(body === null ? {} : { "Content-Type": type, "Content-Length": body.length }),
            ...(form === undefined ? {} : { Accept: "text/html", Cookie: form.cookie }),
          },
        },
        (answer) => {
          let text = "";
          answer.setEncoding("latin1").on("data", (chunk: string) => {
            text += chunk;
          });
          answer.on("error", reject);
          answer.on("end", () =>
            resolve({
              status: answer.statusCode ?? 0,
              connection: answer.headers.connection ?? "",
              cookie: /session_id=[^;]+/.exec(String(answer.headers["set-cookie"]))?.[0] ?? "",
              body: text,
            }),
          );
        },
      );
      asking.on("error", reject);
      asking.end(body ?? undefined);
    });
  }

  /** The admin listener; changes carry its field. */
  admin(method: string, path: string): Promise<{ readonly status: number; readonly body: string }> {
    return new Promise((resolve, reject) => {
      const asking = askPlain(
        {
          host: "127.0.0.1",
          port: this.adminPort,
          path,
          method,
          agent: false,
          // The field names what is changed: bans or maintenance.
          headers: { "X-Odoo-Gateway": path.split(/[/?]/)[1] ?? "" },
        },
        (answer) => {
          let body = "";
          answer.setEncoding("utf8").on("data", (chunk: string) => {
            body += chunk;
          });
          answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
        },
      );
      asking.on("error", reject);
      asking.end();
    });
  }

  async status(): Promise<Status> {
    const status: Status = JSON.parse((await this.admin("GET", "/status")).body);
    return status;
  }

  /** Process ids of the workers that serve. */
  async serving(): Promise<readonly number[]> {
    return (await this.status()).workers.filter(({ state }) => state === "ready").map(({ pid }) => pid);
  }

  /** Resolves as soon as `test` is true; rejects after a minute, or when the process ended. */
  async until(test: () => boolean | Promise<boolean>): Promise<void> {
    const endMs = performance.now() + waitMsMax;
    while (!(await test())) {
      if (this.child.exitCode !== null || performance.now() > endMs)
        throw new Error(`never true: ${test}\n${this.errors}\n${this.out.slice(-3_000)}`);
      await delay(10);
    }
  }

  async close(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill("SIGTERM");
    const timer = setTimeout(() => this.child.kill("SIGKILL"), 30_000);
    await this.ended;
    clearTimeout(timer);
    await this.demo.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Does a process with this id exist. */
export function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
