import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { makeCertificate } from "./certificate.ts";
import { type Daemon, findProgram, freePort, startChild, stopChild, temporaryDirectory } from "./children.ts";
import { treeCpuMicroseconds } from "./cpu.ts";
import { caddy } from "./peers/caddy.ts";
import { gateway } from "./peers/gateway.ts";
import { nginx } from "./peers/nginx.ts";
import { median } from "./table.ts";

/** Large bodies: one download and one upload at a time, by curl, over HTTP/1.1 and HTTP/2. Printed: CPU of the peer and time on the clock, also as ratios to nginx in the same run. */
const help = `Usage: npm run bench:bodies [-- --rounds N] [--peers a,b]

  --rounds N    1–20 (default 5); rounds of the peers take turns, and one more at first is not counted
  --peers a,b   nginx, caddy, gateway
`;
const downMegabytes = 400;
const upMegabytes = 100;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    peers: { type: "string", default: "nginx,caddy,gateway" },
    help: { type: "boolean" },
  },
});
if (values.help === true) {
  process.stdout.write(help);
  process.exit(0);
}
const rounds = Math.min(20, Math.max(1, Math.floor(Number(values.rounds)) || 5));
const names = values.peers.split(",");
const curl = findProgram("curl");
if (curl === null) {
  process.stderr.write("curl is not installed: nothing to load with\n");
  process.exit(1);
}

const dir = temporaryDirectory();
const certificate = makeCertificate(dir);
if (certificate === null) throw new Error("openssl is not installed");
const upload = join(dir, "upload");
writeFileSync(upload, Buffer.alloc(upMegabytes * 1024 * 1024));

const upstream = startChild(
  process.execPath,
  [fileURLToPath(new URL("bodies-upstream.js", import.meta.url))],
  { env: {}, cwd: dir, stdio: ["ignore", "inherit", "inherit", "ipc"] },
);
const { port: upstreamPort } = await new Promise<{ port: number }>((resolve) =>
  upstream.once("message", (message) => resolve(message as { port: number })),
);

const path = `/web/content/1?megabytes=${downMegabytes}`;
const loads = [
  { name: `download of ${downMegabytes} MiB, HTTP/1.1`, args: ["--http1.1"], path, answer: "200" },
  { name: `download of ${downMegabytes} MiB, HTTP/2`, args: ["--http2"], path, answer: "200" },
  {
    name: `upload of ${upMegabytes} MiB, HTTP/1.1`,
    args: ["--http1.1", "-X", "POST", "-T", upload],
    path: "/web/binary/upload",
    answer: "200",
  },
  {
    name: `upload of ${upMegabytes} MiB, HTTP/2`,
    args: ["--http2", "-X", "POST", "-T", upload],
    path: "/web/binary/upload",
    answer: "200",
  },
];

/** One transfer; the status curl saw. */
function transfer(port: number, args: readonly string[], at: string): Promise<string> {
  const all = ["-sk", "-o", "/dev/null", "-w", "%{http_code}", ...args, `https://localhost:${port}${at}`];
  return new Promise((resolve, reject) => {
    const child = spawn(curl ?? "curl", all, { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (chunk) => {
      text += String(chunk);
    });
    child.once("error", reject);
    child.once("close", () => resolve(text));
  });
}

interface Running {
  readonly name: string;
  readonly daemon: Daemon;
  readonly port: number;
  /** By load: CPU and time of each round, milliseconds. */
  readonly taken: { readonly cpuMs: number[]; readonly ms: number[] }[];
}

const running: Running[] = [];
for (const peer of [nginx, caddy, gateway]) {
  if (!names.includes(peer.name)) continue;
  const missing = peer.available();
  if (missing !== true) {
    process.stderr.write(`${peer.name} is left out: ${missing}\n`);
    continue;
  }
  const own = join(dir, peer.name);
  mkdirSync(own);
  const port = await freePort();
  const daemon = await peer.start({
    regime: "closing",
    upstreamPort,
    busPort: upstreamPort,
    tlsPort: port,
    ...certificate,
    dir: own,
  });
  running.push({ name: peer.name, daemon, port, taken: loads.map(() => ({ cpuMs: [], ms: [] })) });
}

let failed = false;
for (let round = 0; round <= rounds; round += 1)
  for (const [nth, load] of loads.entries())
    for (const { name, daemon, port, taken } of running) {
      const cpuUs = treeCpuMicroseconds(daemon.pid);
      const startMs = performance.now();
      const status = await transfer(port, load.args, load.path);
      if (status !== load.answer) {
        failed = true;
        process.stderr.write(`${name}, ${load.name}: ${status}\n`);
      }
      // Round 0 warms up and is not kept.
      if (round === 0) continue;
      taken[nth]?.ms.push(performance.now() - startMs);
      taken[nth]?.cpuMs.push((treeCpuMicroseconds(daemon.pid) - cpuUs) / 1_000);
    }

const yardstick = running.find(({ name }) => name === "nginx");
const cell = (mine: readonly number[] = [], theirs: readonly number[] = []): string => {
  const ms = median(mine);
  const ratio = theirs.length === 0 ? "" : ` (${(ms / median(theirs)).toFixed(2)})`;
  return `${ms.toFixed(0)} ms${ratio}`;
};
process.stdout.write(`| | ${running.map(({ name }) => `${name}: CPU | on the clock`).join(" | ")} |\n`);
process.stdout.write(`| --- |${" --- | --- |".repeat(running.length)}\n`);
for (const [nth, { name }] of loads.entries()) {
  const cells = running.map(({ taken }) => {
    const base = yardstick?.taken[nth];
    return `${cell(taken[nth]?.cpuMs, base?.cpuMs)} | ${cell(taken[nth]?.ms, base?.ms)}`;
  });
  process.stdout.write(`| ${name} | ${cells.join(" | ")} |\n`);
}

for (const { daemon } of running) await daemon.stop();
await stopChild(upstream);
process.exit(failed ? 1 : 0);
