import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** Debian's nginx or Caddy on loopback ports, with a certificate of its own. */
export interface Peer {
  readonly httpsPort: number;
  readonly httpPort: number;
  /** The certificate itself, for --ca. */
  readonly caFile: string;
  close(): Promise<void>;
}

const programs = { nginx: "/usr/sbin/nginx", caddy: "/usr/bin/caddy" } as const;
export type PeerName = keyof typeof programs;

/** Why the tests with this program cannot run here; null: they can. In CI a missing one is a failure. */
export function peerMissing(name: PeerName): string | null {
  if (existsSync(programs[name])) return null;
  const why = `${name} is not installed (Debian: apt-get install ${name}): it is not looked at here`;
  if (process.env["CI"] === "true") throw new Error(why);
  process.stderr.write(`SKIPPED: ${why}\n`);
  return why;
}

export interface PeerPlace {
  readonly folder: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly httpsPort: number;
  readonly httpPort: number;
}

/** Starts the program with what `config` writes; waits until both ports accept. */
export async function startPeer(
  name: PeerName,
  ports: readonly [https: number, http: number],
  config: (place: PeerPlace) => string,
): Promise<Peer> {
  const folder = mkdtempSync(join(tmpdir(), `gateway-${name}-`));
  const certFile = join(folder, "cert.pem");
  const keyFile = join(folder, "key.pem");
  makeCertificate(certFile, keyFile, "DNS:odoo.test");
  const [httpsPort, httpPort] = ports;
  const file = join(folder, "config");
  writeFileSync(file, config({ folder, certFile, keyFile, httpsPort, httpPort }));
  mkdirSync(join(folder, "home"));
  const args =
    name === "nginx" ? ["-p", folder, "-c", file] : ["run", "--config", file, "--adapter", "caddyfile"];
  const written: string[] = [];
  const child: ChildProcess = spawn(programs[name], args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, HOME: join(folder, "home"), XDG_DATA_HOME: join(folder, "home") },
  });
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Buffer) => written.push(chunk.toString()));
  const close = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  for (const port of ports) {
    if (await opens(port, child)) continue;
    await close();
    throw new Error(`${name} did not start: ${written.join("")}`);
  }
  return { httpsPort, httpPort, caFile: certFile, close };
}

/** A certificate that is its own authority. `names`: `DNS:a,IP:b`. */
export function makeCertificate(certFile: string, keyFile: string, names: string, days = 90): void {
  execFileSync(
    "openssl",
    [
      ...[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        String(days),
      ],
      ...["-subj", "/CN=test", "-addext", `subjectAltName=${names}`, "-keyout", keyFile, "-out", certFile],
    ],
    { stdio: "ignore" },
  );
}

/** Tries to connect for 10 s, or until the program is gone. */
async function opens(port: number, child: ChildProcess): Promise<boolean> {
  for (let tries = 0; tries < 200 && child.exitCode === null; tries += 1) {
    const socket = connect(port, "127.0.0.1");
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    socket.destroy();
    if (isOpen) return true;
    await delay(50);
  }
  return false;
}
