import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get as getHttps } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "./ports.ts";

/** Debian's pebble: a real ACME server for tests, with its own CA, that really validates. */
export interface Pebble {
  readonly directoryUrl: string;
  /** PEM file: trusted for the directory itself. */
  readonly caFile: string;
  /** The root that signs certificates, PEM. */
  root(): Promise<string>;
  /** Everything it has written. */
  log(): string;
  /** Stops answering; the ports stay its own for `start`. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** The control port of the name server; `ACME_DNS_HOOK` of the tests posts there. */
  readonly controlPort: number;
  close(): Promise<void>;
}

export interface PebbleOptions {
  /** Where it looks for HTTP-01 and TLS-ALPN-01: the gateway's ports. */
  readonly httpPort: number;
  readonly tlsPort: number;
  readonly env?: Readonly<Record<string, string>>;
  /** External account binding: key ids and base64url keys; then every account needs one. */
  readonly eab?: Readonly<Record<string, string>>;
  readonly validitySeconds?: number;
}

/** Why the tests with pebble cannot run here; null: they can. In CI a missing pebble is a failure. */
export function pebbleMissing(): string | null {
  const found = ["pebble", "pebble-challtestsrv"].every((name) =>
    ["/usr/bin", "/usr/local/bin"].some((folder) => existsSync(join(folder, name))),
  );
  if (found) return null;
  const why = "pebble is not installed (Debian: apt-get install pebble): nothing of ACME is tested here";
  if (process.env["CI"] === "true") throw new Error(why);
  process.stderr.write(`SKIPPED: ${why}\n`);
  return why;
}

export async function startPebble(options: PebbleOptions): Promise<Pebble> {
  const folder = mkdtempSync(join(tmpdir(), "gateway-pebble-"));
  const [api = 0, management = 0, dns = 0, control = 0] = await freePorts(4);
  const caFile = join(folder, "api.pem");
  const keyFile = join(folder, "api.key");
  execFileSync(
    "openssl",
    [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
      ...["-subj", "/CN=pebble api", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"],
      ...["-keyout", keyFile, "-out", caFile],
    ],
    { stdio: "ignore" },
  );
  const config = join(folder, "config.json");
  const pebble = {
    listenAddress: `127.0.0.1:${api}`,
    managementListenAddress: `127.0.0.1:${management}`,
    certificate: caFile,
    privateKey: keyFile,
    httpPort: options.httpPort,
    tlsPort: options.tlsPort,
    ocspResponderURL: "",
    externalAccountBindingRequired: options.eab !== undefined,
    ...(options.eab === undefined ? {} : { externalAccountMACKeys: options.eab }),
    ...(options.validitySeconds === undefined ? {} : { certificateValidityPeriod: options.validitySeconds }),
  };
  writeFileSync(config, JSON.stringify({ pebble }));
  const written: string[] = [];
  const keep = (child: ChildProcess) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk: Buffer) => written.push(chunk.toString()));
    }
    return child;
  };
  const names = keep(
    spawn("pebble-challtestsrv", [
      ...["-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dns01", `127.0.0.1:${dns}`],
      ...["-http01", "", "-https01", "", "-tlsalpn01", "", "-management", `127.0.0.1:${control}`],
    ]),
  );
  let server: ChildProcess | null = null;
  const ask = (port: number, path: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const request = getHttps({ host: "127.0.0.1", port, path, rejectUnauthorized: false }, (answer) => {
        let text = "";
        answer.on("data", (chunk) => {
          text += chunk;
        });
        answer.on("end", () => resolve(text));
      });
      request.on("error", reject);
    });
  const start = async () => {
    const child = keep(
      spawn("pebble", ["-config", config, "-dnsserver", `127.0.0.1:${dns}`, "-strict"], {
        env: { ...process.env, PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "0", ...options.env },
      }),
    );
    server = child;
    // Its own word that both ports are open.
    await new Promise<void>((resolve, reject) => {
      const look = () => {
        if (/ACME directory available at/.test(written.slice(from).join(""))) resolve();
      };
      const from = written.length;
      child.stdout?.on("data", look);
      child.stderr?.on("data", look);
      child.once("exit", () => reject(new Error(`pebble ended: ${written.join("")}`)));
    });
    for (let tries = 0; tries < 50; tries += 1) {
      const up = await ask(api, "/dir").catch(() => null);
      if (up !== null) return;
    }
    throw new Error("pebble does not answer");
  };
  const end = async (child: ChildProcess | null) => {
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const over = once(child, "exit");
    child.kill("SIGKILL");
    await over;
  };
  await start();
  return {
    directoryUrl: `https://127.0.0.1:${api}/dir`,
    caFile,
    controlPort: control,
    root: () => ask(management, "/roots/0"),
    log: () => written.join(""),
    start,
    stop: () => end(server),
    async close() {
      await end(server);
      await end(names);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
