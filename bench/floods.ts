import { closeSync, mkdirSync, openSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startDemo } from "../src/demo/start.ts";
import { makeCertificate } from "./certificate.ts";
import {
  type Daemon,
  findProgram,
  freePort,
  residentMiB,
  startChild,
  startDaemon,
  temporaryDirectory,
} from "./children.ts";
import { nginx } from "./peers/nginx.ts";

/**
 * slowhttptest and h2load against the gateway as it comes and against nginx, on loopback, one after another, with a visitor from another
 * address who asks four times a second on connections of its own. Prints what the visitor saw and what the peer's memory grew by.
 */
const help = `Usage: npm run bench:floods [-- --seconds N] [--only NAME,…]

  --seconds N   length of one flood, 5–20 (default 12); eight floods, two peers
  --only a,b    only these floods
`;
const visitor = "127.0.0.2";
const visitEveryMs = 250;
const visitMsMax = 5_000;

interface Flood {
  readonly name: string;
  readonly program: "slowhttptest" | "h2load";
  readonly args: (url: string, seconds: number) => readonly string[];
}

const slow =
  (mode: string, more: readonly string[], path = "/web/login"): Flood["args"] =>
  (url, seconds) => [
    mode,
    "-c",
    "1000",
    "-r",
    "200",
    "-l",
    `${seconds}`,
    "-p",
    "3",
    ...more,
    "-u",
    `${url}${path}`,
  ];
const many =
  (more: readonly string[], path = "/demo/big?bytes=1000"): Flood["args"] =>
  (url, seconds) => ["-D", `${seconds}`, ...more, `${url}${path}`];

const floods: readonly Flood[] = [
  { name: "slow heads", program: "slowhttptest", args: slow("-H", ["-i", "5", "-t", "GET"]) },
  { name: "slow bodies", program: "slowhttptest", args: slow("-B", ["-i", "5", "-s", "8192", "-t", "POST"]) },
  {
    name: "slow readers",
    program: "slowhttptest",
    args: slow(
      "-X",
      ["-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "1"],
      "/demo/big?bytes=5000000",
    ),
  },
  { name: "ranges", program: "slowhttptest", args: slow("-R", ["-t", "HEAD", "-a", "10", "-b", "3000"]) },
  { name: "idle connections", program: "slowhttptest", args: slow("-H", ["-i", "100", "-t", "GET"]) },
  {
    name: "requests on 100 connections",
    program: "h2load",
    args: many(["-c", "100", "-m", "10", "-t", "1"]),
  },
  { name: "100 streams a connection", program: "h2load", args: many(["-c", "10", "-m", "100", "-t", "1"]) },
  {
    name: "tiny windows",
    program: "h2load",
    // 2^7 − 1 bytes a stream and a connection's worth of the least HTTP/2 has.
    args: many(["-c", "50", "-m", "10", "-t", "1", "-w", "7"], "/demo/big?bytes=200000"),
  },
];

const quietEveryMs = 250;
const quietLooks = 8;
const quietLooksMax = 120;

interface Seen {
  readonly asked: number;
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly mostMs: number;
  readonly grownMiB: number;
}

/** One request of the visitor; its time, or null when it failed. */
function visit(port: number): Promise<number | null> {
  const startMs = performance.now();
  return new Promise((resolve) => {
    const asking = request(
      {
        host: "127.0.0.1",
        localAddress: visitor,
        port,
        path: "/demo/big?bytes=1000",
        servername: "localhost",
        headers: { Host: "localhost", Connection: "close" },
        // The certificate is made for this run and signed by nobody.
        rejectUnauthorized: false,
        agent: false,
        timeout: visitMsMax,
      },
      (answer) => {
        answer.resume();
        answer.on("error", () => resolve(null));
        answer.on("end", () => resolve(answer.statusCode === 200 ? performance.now() - startMs : null));
      },
    );
    asking.on("timeout", () => asking.destroy());
    asking.on("error", () => resolve(null));
    asking.end();
  });
}

async function measure(
  flood: Flood,
  daemon: Daemon,
  port: number,
  seconds: number,
  dir: string,
): Promise<Seen> {
  const before = residentMiB(daemon.pid);
  const log = openSync(join(dir, "flood.log"), "a");
  const child = startChild(
    findProgram(flood.program) ?? flood.program,
    flood.args(`https://127.0.0.1:${port}`, seconds),
    {
      env: { PATH: process.env["PATH"] ?? "" },
      cwd: dir,
      stdio: ["ignore", log, log],
    },
  );
  closeSync(log);
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  let most = before;
  const visits: Promise<number | null>[] = [];
  for (let i = 0; i < (seconds * 1_000) / visitEveryMs; i++) {
    await delay(visitEveryMs);
    visits.push(visit(port));
    most = Math.max(most, residentMiB(daemon.pid));
  }
  const times = await Promise.all(visits);
  child.kill("SIGTERM");
  await ended;
  const good = times.filter((time) => time !== null).sort((a, b) => a - b);
  const at = (share: number) => good[Math.floor((good.length - 1) * share)] ?? Number.NaN;
  return {
    asked: times.length,
    failed: times.length - good.length,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    mostMs: at(1),
    grownMiB: most - before,
  };
}

const { values } = parseArgs({
  options: { seconds: { type: "string" }, only: { type: "string" }, help: { type: "boolean" } },
});
if (values.help === true) {
  process.stdout.write(help);
  process.exit(0);
}
const seconds = Math.min(20, Math.max(5, Number(values.seconds ?? "12") || 12));
const wanted = values.only?.split(",") ?? floods.map(({ name }) => name);
for (const name of wanted) {
  if (floods.some((flood) => flood.name === name)) continue;
  process.stderr.write(`--only: "${name}" is not one of ${floods.map((flood) => flood.name).join(", ")}\n`);
  process.exit(2);
}
const chosen = floods.filter(({ name }) => wanted.includes(name));
const dir = temporaryDirectory();
const certificate = makeCertificate(dir);
for (const program of ["slowhttptest", "h2load", "nginx"])
  if (findProgram(program) === null) throw new Error(`${program} is not installed (Debian has it)`);
if (certificate === null) throw new Error("openssl is not installed");
const demo = await startDemo({ workers: 64 });

async function gateway(tlsPort: number): Promise<Daemon> {
  const own = join(dir, "gateway");
  mkdirSync(own);
  const program = fileURLToPath(new URL("../src/main.js", import.meta.url));
  const env = {
    DOMAIN: "localhost,127.0.0.1",
    ODOO_URL: `http://127.0.0.1:${demo.webPort}`,
    ODOO_BUS_URL: `http://127.0.0.1:${demo.busPort}`,
    HTTPS_LISTEN: `127.0.0.1:${tlsPort}`,
    HTTP_LISTEN: "off",
    ADMIN_LISTEN: "off",
    TLS_MODE: "files",
    TLS_CERT_FILE: certificate?.cert ?? "",
    TLS_KEY_FILE: certificate?.key ?? "",
    STATE_DIR: join(own, "state"),
    CERTS_DIR: join(own, "certs"),
  };
  return startDaemon("gateway", process.execPath, [program], { dir: own, port: tlsPort, env });
}

async function nginxPeer(tlsPort: number): Promise<Daemon> {
  const own = join(dir, "nginx");
  mkdirSync(own);
  const at = {
    ...certificate,
    regime: "closing" as const,
    upstreamPort: demo.webPort,
    busPort: demo.busPort,
  };
  return nginx.start({
    ...at,
    cert: certificate?.cert ?? "",
    key: certificate?.key ?? "",
    tlsPort,
    dir: own,
  });
}

/**
 * Until the stand-in has nothing to do for two seconds. Where its listen queue overflowed, connections that their client gave up are
 * accepted seconds later, say nothing and hold a worker each: the next row is not to pay for them.
 */
async function quiet(): Promise<void> {
  let before = -1;
  for (let looks = 0, calm = 0; calm < quietLooks && looks < quietLooksMax; looks += 1) {
    const { activeWorkers, waiting, connections } = demo.stats;
    calm = activeWorkers === 0 && waiting === 0 && connections === before ? calm + 1 : 0;
    before = connections;
    await delay(quietEveryMs);
  }
}

process.stdout.write(
  "| flood | peer | visitor: served | median | p99 | most | memory |\n| --- | --- | --- | --- | --- | --- | --- |\n",
);
const ports = { gateway: await freePort(), nginx: await freePort() };
const daemons = { gateway: await gateway(ports.gateway), nginx: await nginxPeer(ports.nginx) };
for (const flood of chosen) {
  for (const name of ["gateway", "nginx"] as const) {
    const seen = await measure(flood, daemons[name], ports[name], seconds, dir);
    await quiet();
    const ms = (value: number) => (Number.isNaN(value) ? "–" : `${value.toFixed(0)} ms`);
    process.stdout.write(
      `| ${flood.name} | ${name} | ${seen.asked - seen.failed} of ${seen.asked} | ${ms(seen.p50Ms)} | ${ms(seen.p99Ms)} | ${ms(seen.mostMs)} | +${seen.grownMiB.toFixed(0)} MiB |\n`,
    );
  }
}
for (const daemon of Object.values(daemons)) await daemon.stop();
await demo.close();
process.exit(0);
