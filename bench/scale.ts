/**
 * What a second worker brings: the gateway with WORKERS=1 and WORKERS=2 in turns, in front of an upstream that answers with 15 KB of JSON, compressed on its way by
 * the process itself (gzip), and of one that answers with 1 KB as it is. Clients and upstream are on the same cores and would take what a second worker needs. So
 * each gateway gets a share of the processors, the second one with all its processes exactly twice that of the first, and the rest of the machine is the
 * clients' and the upstream's. Where no shares can be given (no right to make control groups) they compete, and the output says so.
 * Run: `npm run bench:scale`.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type CertificateFiles, makeCertificate } from "./certificate.ts";
import { type Daemon, freePort, startChild, stopChild, temporaryDirectory } from "./children.ts";
import { treeCpuMicroseconds } from "./cpu.ts";
import { loadAvailable, runLoad } from "./load.ts";
import { startGateway } from "./peers/gateway.ts";
import { openShare, type Share } from "./share.ts";
import { median } from "./table.ts";

const rounds = 5;
const seconds = 5;
/** What is compiled while it runs is compiled by then, in the second worker too. */
const warmUpSeconds = 20;
const clients = 32;
const workers = [1, 2] as const;
/** Of the time of one processor, for each worker. */
const coresEach = 0.4;

interface Work {
  readonly title: string;
  /** The upstream's program and its arguments. */
  readonly upstream: readonly [program: string, ...args: string[]];
  readonly headers: readonly (readonly [string, string])[];
}
const works: readonly Work[] = [
  {
    title: "15 KB of JSON, compressed on its way",
    upstream: ["text-upstream.js"],
    headers: [["Accept-Encoding", "gzip"]],
  },
  { title: "1 KB of JSON", upstream: ["upstream.js", "keep-alive"], headers: [] },
];

interface Running {
  readonly workers: number;
  readonly daemon: Daemon;
  readonly port: number;
  readonly share: Share | null;
  readonly perSecond: number[];
  readonly cpuUs: number[];
}

const able = loadAvailable("http1");
if (able !== true) {
  process.stderr.write(`nothing to measure with: ${able}\n`);
  process.exit(0);
}
const dir = temporaryDirectory();
const certificate = makeCertificate(dir);
if (certificate === null) throw new Error("openssl is not installed");
for (const [nth, work] of works.entries()) await measure(work, join(dir, String(nth)), certificate);

async function measure(work: Work, at: string, certificate: CertificateFiles): Promise<void> {
  mkdirSync(at);
  const [program, ...args] = work.upstream;
  const upstream = startChild(process.execPath, [fileURLToPath(new URL(program, import.meta.url)), ...args], {
    env: {},
    cwd: at,
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const told = await new Promise<{ readonly ports: { readonly odoo: number } }>((resolve) =>
    upstream.once("message", resolve),
  );
  const running: Running[] = [];
  for (const count of workers) running.push(await start(count, told.ports.odoo, at, certificate));
  // Round 0 warms up and is not kept.
  for (let round = 0; round <= rounds; round += 1) {
    for (const one of running) {
      const before = treeCpuMicroseconds(one.daemon.pid);
      const length = round === 0 ? warmUpSeconds : seconds;
      const load = { protocol: "http1", clients, dir: at, headers: work.headers, port: one.port } as const;
      const result = await runLoad({ ...load, seconds: length });
      if (result.errors > 0) throw new Error(`${result.errors} errors with ${one.workers} workers`);
      if (round === 0) continue;
      one.perSecond.push(result.requests / seconds);
      one.cpuUs.push((treeCpuMicroseconds(one.daemon.pid) - before) / result.requests);
      await delay(200);
    }
  }
  process.stdout.write(`${work.title}\n${table(running)}\n`);
  for (const one of running) {
    await one.daemon.stop();
    one.share?.close();
  }
  await stopChild(upstream);
}

async function start(
  count: number,
  upstreamPort: number,
  at: string,
  certificate: CertificateFiles,
): Promise<Running> {
  const dir = join(at, `workers-${count}`);
  mkdirSync(dir);
  const port = await freePort();
  const ports = { upstreamPort, busPort: upstreamPort, tlsPort: port };
  const context = { regime: "keep-alive" as const, ...ports, ...certificate, dir };
  const share = openShare(`workers-${count}`, coresEach * count);
  const settings = { TRUSTED_NETWORKS: "127.0.0.0/8", WORKERS: String(count) };
  const daemon = await startGateway(context, settings, { shell: share?.enter ?? null });
  return { workers: count, daemon, port, share, perSecond: [], cpuUs: [] };
}

function table(running: readonly Running[]): string {
  const range = (values: readonly number[]) =>
    `${median(values).toFixed(0)} (${Math.min(...values).toFixed(0)}–${Math.max(...values).toFixed(0)})`;
  const rows = running.map(
    (one) => `  ${String(one.workers).padEnd(10)}${range(one.perSecond).padEnd(25)}${range(one.cpuUs)}`,
  );
  const [single, double] = running.map((one) => median(one.perSecond));
  const ratio = ((double ?? Number.NaN) / (single ?? Number.NaN)).toFixed(2);
  const shares = running.every(({ share }) => share !== null)
    ? `each worker had ${coresEach} of a processor, the gateway with two all its processes ${coresEach * 2}`
    : "shares of the processors could not be given: clients, upstream and workers competed for them";
  const head = "  WORKERS   requests a second        CPU µs a request";
  return [head, ...rows, `  2 to 1: ${ratio}×; ${shares}`, ""].join("\n");
}
