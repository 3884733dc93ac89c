/**
 * What a second worker brings on a machine of two cores: the gateway with WORKERS=1 and WORKERS=2 in turns, in front of an upstream that answers with
 * 15 KB of JSON, compressed on its way by the process itself (gzip). The work is the gateway's then; the upstream and the clients, on the same cores,
 * take little.
 * Run: `npm run bench:scale`.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { makeCertificate } from "./certificate.ts";
import { type Daemon, freePort, startChild, stopChild, temporaryDirectory } from "./children.ts";
import { treeCpuMicroseconds } from "./cpu.ts";
import { loadAvailable, runLoad } from "./load.ts";
import { startGateway } from "./peers/gateway.ts";

const rounds = 4;
const seconds = 4;
const clients = 32;
const workers = [1, 2] as const;

const able = loadAvailable("http1");
if (able !== true) {
  process.stderr.write(`nothing to measure with: ${able}\n`);
  process.exit(0);
}
const dir = temporaryDirectory();
const certificate = makeCertificate(dir);
if (certificate === null) throw new Error("openssl is not installed");
const program = fileURLToPath(new URL("text-upstream.js", import.meta.url));
const upstream = startChild(process.execPath, [program], {
  env: {},
  cwd: dir,
  stdio: ["ignore", "inherit", "inherit", "ipc"],
});
const told = await new Promise<{ readonly ports: { readonly odoo: number } }>((resolve) =>
  upstream.once("message", resolve),
);

interface Running {
  readonly workers: number;
  readonly daemon: Daemon;
  readonly port: number;
  readonly perSecond: number[];
  readonly cpuUs: number[];
}
const running: Running[] = [];
for (const count of workers) {
  const own = join(dir, `workers-${count}`);
  mkdirSync(own);
  const port = await freePort();
  const ports = { upstreamPort: told.ports.odoo, busPort: told.ports.odoo, tlsPort: port };
  const context = { regime: "keep-alive" as const, ...ports, ...certificate, dir: own };
  const daemon = await startGateway(context, { TRUSTED_NETWORKS: "127.0.0.0/8", WORKERS: String(count) });
  running.push({ workers: count, daemon, port, perSecond: [], cpuUs: [] });
}
const load = { protocol: "http1", clients, dir, headers: [["Accept-Encoding", "gzip"]] } as const;
// Round 0 warms up and is not kept.
for (let round = 0; round <= rounds; round += 1) {
  for (const one of running) {
    const before = treeCpuMicroseconds(one.daemon.pid);
    const result = await runLoad({ ...load, port: one.port, seconds });
    if (result.errors > 0) throw new Error(`${result.errors} errors with ${one.workers} workers`);
    if (round === 0) continue;
    one.perSecond.push(result.requests / seconds);
    one.cpuUs.push((treeCpuMicroseconds(one.daemon.pid) - before) / result.requests);
    await delay(200);
  }
}
const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const range = (values: readonly number[]) =>
  `${Math.min(...values).toFixed(0)}–${Math.max(...values).toFixed(0)}`;
process.stdout.write("WORKERS   requests a second        CPU µs a request\n");
for (const one of running)
  process.stdout.write(
    `${`${String(one.workers).padEnd(10)}${median(one.perSecond).toFixed(0)} (${range(one.perSecond)})`.padEnd(
      35,
    )}${median(one.cpuUs).toFixed(0)} (${range(one.cpuUs)})\n`,
  );
const [single, double] = running;
if (single !== undefined && double !== undefined)
  process.stdout.write(`2 to 1: ${(median(double.perSecond) / median(single.perSecond)).toFixed(2)}×\n`);
for (const one of running) await one.daemon.stop();
await stopChild(upstream);
