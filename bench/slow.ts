import type { ChildProcess } from "node:child_process";
import { mkdirSync } from "node:fs";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { makeCertificate } from "./certificate.ts";
import { freePort, startChild, stopChild, temporaryDirectory } from "./children.ts";
import { caddy } from "./peers/caddy.ts";
import { gateway, startGateway } from "./peers/gateway.ts";
import { nginx } from "./peers/nginx.ts";
import type { Peer } from "./peers/peer.ts";
import { median } from "./table.ts";

/**
 * Slow clients: 200 strangers read an 8 MB answer at 50 KB/s while somebody who is logged in asks twenty times a second. Printed: his latency
 * as a ratio to his own before they came, and how many of Odoo's eight workers are held meanwhile. The gateway does it twice, the second time told how many workers there are.
 */
const help = `Usage: npm run bench:slow [-- --seconds N] [--clients N] [--peers a,b]

  --seconds N   of asking beside them, 5–60 (default 15); --clients N: 1–1000 (default 200)
  --peers a,b   gateway, nginx, caddy
`;
const bytes = 8 * 1024 * 1024;
const bytesPerSecond = 50_000;
const workers = 8;
const idleMs = 6_000;
/** So long the answers may take to leave Odoo; what is measured begins when they have, or when they do not. */
const leaveMsMax = 20_000;
const everyMs = 50;
const answerMsMax = 10_000;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "15" },
    clients: { type: "string", default: "200" },
    peers: { type: "string", default: "gateway,nginx,caddy" },
    help: { type: "boolean" },
  },
});
if (values.help === true) {
  process.stdout.write(help);
  process.exit(0);
}
const seconds = Math.min(60, Math.max(5, Number(values.seconds) || 15));
const clients = Math.min(1_000, Math.max(1, Number(values.clients) || 200));
const names = values.peers.split(",");

const told: Peer = {
  name: `gateway, ODOO_WORKERS=${workers}`,
  protocols: gateway.protocols,
  available: gateway.available,
  start: (context) =>
    startGateway(context, { TRUSTED_NETWORKS: "127.0.0.0/8", ODOO_WORKERS: String(workers) }),
};
const setups: readonly { readonly name: string; readonly peer: Peer }[] = [
  { name: "gateway", peer: gateway },
  { name: "gateway", peer: told },
  { name: "nginx", peer: nginx },
  { name: "caddy", peer: caddy },
];

const dir = temporaryDirectory();
const certificate = makeCertificate(dir);
if (certificate === null) throw new Error("openssl is not installed");

function start(name: string): ChildProcess {
  return startChild(process.execPath, [fileURLToPath(new URL(`${name}.js`, import.meta.url))], {
    env: {},
    cwd: dir,
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
}

function next(child: ChildProcess): Promise<Readonly<Record<string, number>>> {
  return new Promise((resolve, reject) => {
    const bound = setTimeout(() => reject(new Error("a child is silent for 10 s")), 10_000);
    child.once("message", (message: Readonly<Record<string, number>>) => {
      clearTimeout(bound);
      resolve(message);
    });
  });
}

function ask(child: ChildProcess): Promise<Readonly<Record<string, number>>> {
  const answer = next(child);
  child.send({});
  return answer;
}

const place = (port: number) => ({
  host: "127.0.0.1",
  port,
  servername: "localhost",
  // The certificate is made for this run and signed by nobody.
  rejectUnauthorized: false,
});

/** Logs in as a web client does; the session's cookie. */
function login(port: number): Promise<string> {
  const params = { db: "prod", login: "admin", password: "admin" };
  return new Promise((resolve, reject) => {
    const asking = request(
      {
        ...place(port),
        path: "/web/session/authenticate",
        method: "POST",
        headers: { Host: "localhost", "Content-Type": "application/json" },
        timeout: answerMsMax,
      },
      (answer) => {
        answer.resume();
        const cookie = answer.headers["set-cookie"]?.find((line) => line.startsWith("session_id="));
        if (cookie === undefined) reject(new Error(`no session: status ${answer.statusCode}`));
        else resolve(cookie.split(";", 1)[0] ?? "");
      },
    );
    asking.on("timeout", () => asking.destroy(new Error("no answer to a log-in")));
    asking.on("error", reject);
    asking.end(JSON.stringify({ jsonrpc: "2.0", params }));
  });
}

/** One small request of the other client; its time, null when it failed or took more than ten seconds. */
function visit(port: number, cookie: string, agent: Agent): Promise<number | null> {
  const startMs = performance.now();
  return new Promise((resolve) => {
    const asking = request(
      {
        ...place(port),
        path: "/demo/big?bytes=1000",
        headers: { Host: "localhost", Cookie: cookie },
        agent,
        timeout: answerMsMax,
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

interface Visits {
  readonly asked: number;
  readonly served: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

function after(ms: number): () => boolean {
  const endMs = performance.now() + ms;
  return () => performance.now() >= endMs;
}

/** Asks twenty times a second until it is over. */
async function visits(port: number, cookie: string, isOver: () => boolean): Promise<Visits> {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const all: Promise<number | null>[] = [];
  while (!isOver()) {
    all.push(visit(port, cookie, agent));
    await delay(everyMs);
  }
  const times = await Promise.all(all);
  agent.destroy();
  const good = times.filter((time) => time !== null).sort((a, b) => a - b);
  const at = (share: number) => good[Math.floor((good.length - 1) * share)] ?? Number.NaN;
  return { asked: times.length, served: good.length, p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** Waits until no worker has anything to do; how long that took, null when they never came to it. */
async function leave(upstream: ChildProcess): Promise<number | null> {
  const startMs = performance.now();
  let free = 0;
  let wasBusy = false;
  while (performance.now() - startMs < leaveMsMax) {
    await delay(100);
    const { active = 0, waiting = 0 } = await ask(upstream);
    wasBusy ||= active > 0;
    // Five looks: a pause between two answers, or before the first, is no end.
    free = wasBusy && active === 0 && waiting === 0 ? free + 1 : 0;
    if (free === 5) return performance.now() - startMs - 500;
  }
  return null;
}

async function measure(peer: Peer): Promise<readonly string[]> {
  const own = join(dir, peer.name.replace(/\W+/g, "-"));
  mkdirSync(own);
  const upstream = start("slow-upstream");
  const { webPort = 0, busPort = 0 } = await next(upstream);
  const port = await freePort();
  const { cert, key } = certificate ?? { cert: "", key: "" };
  const context = { regime: "closing" as const, upstreamPort: webPort, busPort, tlsPort: port, cert, key };
  const daemon = await peer.start({ ...context, dir: own });
  const slow = start("slow-clients");
  try {
    const cookie = await login(port);
    await visits(port, cookie, after(1_000));
    const idle = await visits(port, cookie, after(idleMs));
    const slowMs = performance.now();
    slow.send({ port, count: clients, path: `/demo/big?bytes=${bytes}`, bytesPerSecond });
    let isFree = false;
    const leaving = leave(upstream).finally(() => {
      isFree = true;
    });
    const first = await visits(port, cookie, () => isFree);
    const freeMs = await leaving;
    const held: number[] = [];
    let isOver = false;
    const watch = (async () => {
      while (!isOver) {
        held.push((await ask(upstream))["active"] ?? 0);
        await delay(200);
      }
    })();
    const loaded = await visits(port, cookie, after(seconds * 1_000));
    isOver = true;
    await watch;
    const { reading = 0, bytes: read = 0, refused = 0 } = await ask(slow);
    const slowS = (performance.now() - slowMs) / 1_000;
    const ratio = (now: number, before: number) => `${(now / before).toFixed(2)}×`;
    const ms = (value: number) => (Number.isNaN(value) ? "–" : `${value.toFixed(1)} ms`);
    return [
      peer.name,
      ratio(loaded.p50Ms, idle.p50Ms),
      ratio(loaded.p99Ms, idle.p99Ms),
      `${ms(idle.p50Ms)} / ${ms(first.p50Ms)} / ${ms(loaded.p50Ms)}`,
      `${ms(idle.p99Ms)} / ${ms(first.p99Ms)} / ${ms(loaded.p99Ms)}`,
      `${first.served + loaded.served} of ${first.asked + loaded.asked}`,
      freeMs === null ? `not in ${leaveMsMax / 1_000} s` : `${(freeMs / 1_000).toFixed(1)} s`,
      `${median(held)} of ${workers} (at most ${Math.max(0, ...held)})`,
      `${reading - refused} at ${(read / 1_000 / Math.max(1, reading) / slowS).toFixed(0)} KB/s`,
    ];
  } finally {
    await stopChild(slow);
    await daemon.stop();
    await stopChild(upstream);
  }
}

setTimeout(
  () => {
    process.stderr.write("not finished in time: given up\n");
    process.exit(1);
  },
  (setups.length * (seconds + 80) + 30) * 1_000,
).unref();
process.stdout.write(
  `${clients} clients read ${bytes / 1024 / 1024} MB at ${bytesPerSecond / 1_000} KB/s\n\n`,
);
process.stdout.write(
  "| peer | p50 to idle | p99 to idle | p50 idle / until workers are free / then | p99 of the same | served | workers free after | workers held then | slow clients reading |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
);
let failures = 0;
for (const { name, peer } of setups) {
  if (!names.includes(name)) continue;
  const able = peer.available();
  if (able !== true) {
    process.stderr.write(`${peer.name} is left out: ${able}\n`);
    continue;
  }
  try {
    process.stdout.write(`| ${(await measure(peer)).join(" | ")} |\n`);
  } catch (error) {
    failures += 1;
    process.stderr.write(
      `${peer.name} is left out: ${error instanceof Error ? error.message : String(error)}\n`,
    );
  }
}
process.exit(failures > 0 ? 1 : 0);
