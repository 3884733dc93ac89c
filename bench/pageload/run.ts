import { type ChildProcess, execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { squeezeAfterMs } from "../../src/cache/squeeze.ts";
import { type CertificateFiles, makeCertificate, publicKeyHash } from "../certificate.ts";
import {
  type Daemon,
  findProgram,
  freePort,
  startChild,
  stopChild,
  temporaryDirectory,
} from "../children.ts";
import { treeSize } from "../cpu.ts";
import { caddy } from "../peers/caddy.ts";
import { gateway, startGateway } from "../peers/gateway.ts";
import { nginx } from "../peers/nginx.ts";
import type { Peer, PeerContext } from "../peers/peer.ts";
import { ordinaryBrowser, visit } from "./browser.ts";
import { type Line, type LineSettings, openLine } from "./line.ts";
import { contentOf } from "./page.ts";
import { isAsset, RESOURCES } from "./resources.ts";
import { renderLoads, renderSteps, type Visit, type Visitor } from "./table.ts";

/**
 * Cold loads of Odoo's web client in Chromium over a visitor's line, through the gateway and its peers, one after
 * another in every round. Prints bytes and times as ratios to nginx with Odoo's documented gzip.
 */

const line: LineSettings = { downBitsPerSecond: 20_000_000, upBitsPerSecond: 20_000_000, roundTripMs: 40 };
/** A page that asks for nothing for this long is loaded: the replay's longest work between requests is 117 ms. */
const quietMs = 600;
/** The gateway is left alone this long at most to compress what it keeps before the second visitor comes. */
const settleMsMax = 180_000;

interface Setup {
  readonly name: string;
  readonly peer: Peer;
  readonly compress: boolean;
  /** What it keeps in memory is given up before each round, and it is visited twice. */
  readonly twice: boolean;
}

const setups: readonly Setup[] = [
  { name: "nginx", peer: nginx, compress: false, twice: false },
  { name: "nginx, gzip", peer: nginx, compress: true, twice: false },
  { name: "Caddy, zstd", peer: caddy, compress: true, twice: false },
  { name: "gateway", peer: gateway, compress: true, twice: true },
];
const yardstick = "nginx, gzip";

const help = `Usage: npm run bench:page [-- options]

Cold loads of Odoo 19's web client, replayed as recorded, in Chromium over 20 Mbit/s and
40 ms: bytes, load event, last byte, and how many bundles and static files were asked of
Odoo. The gateway is visited twice: with nothing in memory, and again.

  --rounds N         rounds, 1–50 (default 5)
  --peers a,b        only these: ${[...new Set(setups.map((setup) => setup.peer.name))].join(", ")}
  --apart            the browser has one processor to itself and all others share the rest,
                     as if it were on a machine of its own (taskset of util-linux)
  --timeline         tells of each load when its files were asked for and came
  --text             only tells how the replayed text compresses
  --help             this text
`;

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function usageError(text: string): never {
  say(`${text}\nSee --help.`);
  process.exit(2);
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        rounds: { type: "string" },
        peers: { type: "string" },
        text: { type: "boolean" },
        apart: { type: "boolean" },
        timeline: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
    const rounds = Number(values.rounds ?? 5);
    if (!Number.isInteger(rounds) || rounds < 1 || rounds > 50)
      usageError("--rounds: a whole number from 1 to 50");
    return { ...values, rounds, peers: values.peers?.split(",") };
  } catch (error) {
    return usageError(reasonOf(error));
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

interface Upstream {
  readonly child: ChildProcess;
  readonly port: number;
  readonly busPort: number;
  /** What was asked since the last time. */
  asked(): Promise<readonly string[]>;
}

interface UpstreamMessage {
  readonly port?: number;
  readonly busPort?: number;
  readonly paths?: readonly string[];
}

function nextMessage(child: ChildProcess): Promise<UpstreamMessage> {
  return new Promise((resolve, reject) => {
    const bound = setTimeout(() => reject(new Error("the upstream is silent for 20 s")), 20_000);
    child.once("message", (message: UpstreamMessage) => {
      clearTimeout(bound);
      resolve(message);
    });
  });
}

async function startUpstream(dir: string): Promise<Upstream> {
  const program = fileURLToPath(new URL("upstream.js", import.meta.url));
  const child = startChild(process.execPath, [program], {
    env: {},
    cwd: dir,
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const { port, busPort } = await nextMessage(child);
  if (port === undefined || busPort === undefined) throw new Error("the upstream did not tell its ports");
  return {
    child,
    port,
    busPort,
    async asked() {
      const answer = nextMessage(child);
      child.send({});
      return (await answer).paths ?? [];
    },
  };
}

interface Laboratory {
  readonly upstream: Upstream;
  readonly certificate: CertificateFiles;
  readonly keyHash: string;
  readonly program: string;
  readonly dir: string;
  readonly tellsSteps: boolean;
}

/** A peer, and the one line that leads to it: all its visitors name the same host and port. */
interface Running {
  readonly daemon: Daemon;
  readonly line: Line;
  /** Gives up what it keeps in memory. */
  empty(): Promise<void>;
}

async function start(setup: Setup, lab: Laboratory): Promise<Running> {
  const dir = join(lab.dir, setup.name.replace(/\W+/g, "-"));
  mkdirSync(dir);
  const tlsPort = await freePort();
  const context: PeerContext = {
    regime: "closing",
    upstreamPort: lab.upstream.port,
    busPort: lab.upstream.busPort,
    tlsPort,
    ...lab.certificate,
    dir,
    compress: setup.compress,
  };
  if (!setup.twice) {
    const daemon = await setup.peer.start(context);
    return { daemon, line: await openLine(line, tlsPort), empty: async () => {} };
  }
  const adminPort = await freePort();
  const more = { TRUSTED_NETWORKS: "127.0.0.0/8", ADMIN_LISTEN: `127.0.0.1:${adminPort}` };
  const daemon = await startGateway(context, more);
  return { daemon, line: await openLine(line, tlsPort), empty: () => emptyCache(adminPort) };
}

/** As `odoo-gateway cache clear` does. */
async function emptyCache(adminPort: number): Promise<void> {
  const headers = { "X-Odoo-Gateway": "cache" };
  const answer = await fetch(`http://127.0.0.1:${adminPort}/cache/clear`, { method: "POST", headers });
  if (!answer.ok) throw new Error(`the gateway does not empty its memory: status ${answer.status}`);
}

async function stop(running: Running): Promise<void> {
  await running.line.close();
  await running.daemon.stop();
}

/** One visit of a new browser. */
async function visitOnce(access: Line, lab: Laboratory): Promise<Visit> {
  await lab.upstream.asked();
  const bytesBefore = access.downBytes;
  const load = await visit({
    url: `https://localhost:${access.port}/odoo`,
    program: lab.program,
    keyHash: lab.keyHash,
    cookies: { session_id: "b".repeat(84) },
    quietMs,
  });
  const problem = load.failed[0] ?? load.consoleErrors[0];
  if (problem !== undefined) throw new Error(`the page did not load whole: ${problem}`);
  if (lab.tellsSteps) say(renderSteps(load));
  const asked = await lab.upstream.asked();
  return {
    ...load,
    wireBytes: access.downBytes - bytesBefore,
    assetRequests: asked.filter(isAsset).length,
  };
}

/** Waits until a process has no more helpers at work than before the visit. Seconds it took. */
async function settle(pid: number, sizeBefore: number): Promise<number> {
  const startMs = performance.now();
  await delay(squeezeAfterMs + 1_000);
  for (;;) {
    const waitedMs = performance.now() - startMs;
    if (treeSize(pid) <= sizeBefore) return waitedMs / 1_000;
    if (waitedMs > settleMsMax) throw new Error("still compressing after three minutes");
    await delay(200);
  }
}

/** All peers run from the first round to the last. Round 0 warms them up and is not kept. */
async function runRounds(wanted: readonly Setup[], rounds: number, lab: Laboratory): Promise<Visitor[]> {
  const visits = new Map<string, Visit[]>();
  const keep = (name: string, round: number, one: Visit): void => {
    if (round > 0) visits.set(name, [...(visits.get(name) ?? []), one]);
  };
  const lasting = new Map<Setup, Running>();
  const settled: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    for (const setup of wanted) {
      say(`${round === 0 ? "warm-up" : `round ${round}/${rounds}`}: ${setup.name}`);
      const running = lasting.get(setup) ?? (await start(setup, lab));
      lasting.set(setup, running);
      try {
        await running.empty();
        const sizeBefore = treeSize(running.daemon.pid);
        const first = await visitOnce(running.line, lab);
        if (!setup.twice) {
          keep(setup.name, round, first);
          continue;
        }
        keep(`${setup.name}, first visitor`, round, first);
        settled.push(await settle(running.daemon.pid, sizeBefore));
        keep(`${setup.name}, second visitor`, round, await visitOnce(running.line, lab));
      } catch (error) {
        process.exitCode = 1;
        say(`${setup.name}: ${reasonOf(error)}`);
      }
    }
  }
  for (const running of lasting.values()) await stop(running);
  if (settled.length > 0)
    say(`the gateway compressed for at most ${Math.max(...settled).toFixed(0)} s before the second visitor`);
  return [...visits].map(([name, list]) => ({ name, visits: list }));
}

/** How the replayed text compresses, beside the recording's. */
function textReport(): string {
  const texts = RESOURCES.map(contentOf).filter((_, at) => /\.(?:js|css)$/.test(RESOURCES[at]?.url ?? ""));
  const total = (size: (text: Buffer) => number) => texts.reduce((sum, text) => sum + size(text), 0) / 1e6;
  const brotli = (quality: number) => (text: Buffer) =>
    brotliCompressSync(text, {
      params: { [constants.BROTLI_PARAM_QUALITY]: quality, [constants.BROTLI_PARAM_SIZE_HINT]: text.length },
    }).length;
  const rows: readonly (readonly [string, number, number])[] = [
    ["raw", total((text) => text.length), 8.7],
    ["gzip 6", total((text) => gzipSync(text, { level: 6 }).length), 1.69],
    ["brotli 5", total(brotli(5)), 1.49],
    ["brotli 11", total(brotli(11)), 1.26],
  ];
  return rows
    .map(([name, ours, real]) => `  ${name.padEnd(10)} ${ours.toFixed(2)} MB   Odoo's ${real.toFixed(2)} MB`)
    .join("\n");
}

/** This process and all it starts leave the last processor to the browser; answers its number. */
function setApart(): number {
  const last = availableParallelism() - 1;
  if (last < 1) usageError("--apart needs two processors");
  if (findProgram("taskset") === null) usageError("--apart needs taskset (Debian package util-linux)");
  execFileSync("taskset", ["-acp", `0-${last - 1}`, String(process.pid)], { stdio: "ignore" });
  return last;
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options.help === true) return void process.stdout.write(help);
  if (options.text === true) return void process.stdout.write(`Scripts and styles\n${textReport()}\n`);
  const program = findProgram("chromium");
  if (program === null)
    usageError("chromium is needed to load pages and is not installed (Debian package chromium)");
  const wanted = setups.filter(({ name, peer }) => {
    if (options.peers !== undefined && !options.peers.includes(peer.name)) return false;
    const there = peer.available();
    if (there !== true) say(`${name} is left out: ${there}`);
    return there === true;
  });
  if (wanted.length === 0) usageError("nothing left to measure");
  const dir = temporaryDirectory();
  const apart = options.apart === true ? setApart() : null;
  const browser = ordinaryBrowser(program, findProgram("setpriv"), apart, dir);
  const certificate = makeCertificate(dir);
  if (certificate === null) usageError("openssl is needed to make the certificate and is not installed");
  const keyHash = publicKeyHash(certificate.cert);
  const upstream = await startUpstream(dir);
  const visitors = await runRounds(wanted, options.rounds, {
    upstream,
    certificate,
    keyHash,
    program: browser,
    dir,
    tellsSteps: options.timeline === true,
  });
  await stopChild(upstream.child);
  process.stdout.write(`${renderLoads(visitors, yardstick)}\n`);
}

await main();
