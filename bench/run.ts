import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loggedRequests } from "./access-log.ts";
import { makeCertificate } from "./certificate.ts";
import { type Daemon, freePort, stopChild, temporaryDirectory } from "./children.ts";
import { loadAvailable } from "./load.ts";
import { measure, startUpstream, type Upstream } from "./measure.ts";
import { caddy } from "./peers/caddy.ts";
import { gateway } from "./peers/gateway.ts";
import { haproxy } from "./peers/haproxy.ts";
import { httpProxy } from "./peers/http-proxy.ts";
import { nginx } from "./peers/nginx.ts";
import type { Peer, Protocol, Regime } from "./peers/peer.ts";
import { probe } from "./probe.ts";
import { runSteady } from "./steady.ts";
import { type PeerSamples, renderTable, type Sample } from "./table.ts";

/**
 * Side-by-side benchmark: the gateway and its peers in front of one upstream, one after another in every round,
 * so that a busy machine troubles all alike. Prints CPU and latency as ratios to nginx.
 */

const peers: readonly Peer[] = [nginx, haproxy, caddy, httpProxy, gateway];
const yardstick = nginx.name;
const regimes: readonly Regime[] = ["closing", "keep-alive"];
const protocols: readonly Protocol[] = ["http1", "http2"];
const clients = 32;

const help = `Usage: npm run bench [-- options]

CPU and latency of the gateway beside nginx, HAProxy, Caddy and http-proxy: one upstream,
TLS 1.3, ${clients} clients, 1 KB JSON-RPC answers. Figures are ratios to nginx.

  --full             10 s × 5 rounds, about 16 minutes (default: 2 s × 3 rounds, under 3)
  --peers a,b        only these: ${peers.map((peer) => peer.name).join(", ")}
  --only a,b         only these regimes and protocols: ${[...regimes, ...protocols].join(", ")}
  --seconds N        length of one load, 1–60
  --rounds N         rounds, 1–50
  --help             this text

closing: the upstream closes each connection, as Odoo's prefork server (HTTP/1.0).
keep-alive: HTTP/1.1, connections kept. http1 is driven by wrk, http2 by h2load.
`;

interface Plan {
  readonly peers: readonly Peer[];
  readonly regimes: readonly Regime[];
  readonly protocols: readonly Protocol[];
  readonly seconds: number;
  readonly rounds: number;
  readonly warmUpSeconds: number;
}

interface Running {
  readonly peer: Peer;
  readonly daemon: Daemon;
  readonly port: number;
  readonly dir: string;
}

/**
 * Peers whose compiler works while they run are warmed up so many times longer, once for each upstream. They go on getting quicker for some 50,000
 * requests, which a server that runs for weeks has behind it; the others need no warm-up.
 */
const compileFactor = 8;

/** Peers that were asked for and are there, but failed: the exit status tells. */
let failures = 0;

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function usageError(text: string): never {
  say(`${text}\nSee --help.`);
  process.exit(2);
}

function readPlan(): Plan {
  const { values } = parse();
  if (values.help === true) {
    process.stdout.write(help);
    process.exit(0);
  }
  const full = values.full === true;
  const only = chosen("--only", values.only, [...regimes, ...protocols]);
  const names = chosen(
    "--peers",
    values.peers,
    peers.map((peer) => peer.name),
  );
  const pick = <T extends string>(all: readonly T[]) => {
    const some = all.filter((name) => only.includes(name));
    return some.length > 0 ? some : all;
  };
  return {
    peers: peers.filter((peer) => names.includes(peer.name)),
    regimes: pick(regimes),
    protocols: pick(protocols),
    seconds: wholeNumber("--seconds", values.seconds, full ? 10 : 2, 60),
    rounds: wholeNumber("--rounds", values.rounds, full ? 5 : 3, 50),
    warmUpSeconds: full ? 3 : 1,
  };
}

function parse() {
  try {
    return parseArgs({
      options: {
        full: { type: "boolean" },
        peers: { type: "string" },
        only: { type: "string" },
        seconds: { type: "string" },
        rounds: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    return usageError(reasonOf(error));
  }
}

function chosen(option: string, text: string | undefined, known: readonly string[]): readonly string[] {
  if (text === undefined) return known;
  const names = text.split(",").map((name) => name.trim());
  for (const name of names)
    if (!known.includes(name)) usageError(`${option}: "${name}" is not one of ${known.join(", ")}`);
  return names;
}

function wholeNumber(option: string, text: string | undefined, standard: number, max: number): number {
  if (text === undefined) return standard;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > max)
    usageError(`${option}: a whole number from 1 to ${max}`);
  return value;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function startPeers(
  plan: Plan,
  regime: Regime,
  upstream: Upstream,
  dir: string,
  certificate: { readonly cert: string; readonly key: string },
): Promise<Running[]> {
  const running: Running[] = [];
  for (const peer of plan.peers) {
    const own = join(dir, `${peer.name}-${regime}`);
    mkdirSync(own);
    const port = await freePort();
    try {
      const ports = { upstreamPort: upstream.odooPort, busPort: upstream.busPort, tlsPort: port };
      const daemon = await peer.start({ regime, ...ports, ...certificate, dir: own });
      const wrong = await probe(port);
      if (wrong === null) running.push({ peer, daemon, port, dir: own });
      else {
        await daemon.stop();
        throw new Error(wrong);
      }
    } catch (error) {
      failures++;
      say(`${peer.name} is left out of ${regime}: ${reasonOf(error)}`);
    }
  }
  return running;
}

/** An access line for each request is a duty like the others: a peer that left it out had less to do. */
async function stopAndCheckLog({ peer, daemon, dir }: Running, sent: number): Promise<void> {
  await daemon.stop();
  const logged = await loggedRequests(dir);
  if (logged >= sent * 0.98) return;
  failures++;
  say(`${peer.name} logged ${logged} of ${sent} requests: its figures are not comparable`);
}

async function runRegime(
  plan: Plan,
  regime: Regime,
  dir: string,
  certificate: { readonly cert: string; readonly key: string },
): Promise<void> {
  const upstream = await startUpstream(regime, dir);
  const running = await startPeers(plan, regime, upstream, dir, certificate);
  const sent = new Map<string, number>();
  for (const [nth, protocol] of plan.protocols.entries()) {
    const able = running.filter(({ peer }) => peer.protocols.includes(protocol));
    const rounds = new Map<string, (Sample | null)[]>(able.map(({ peer }) => [peer.name, []]));
    // Round 0 warms up (compilers, caches) and is not kept.
    for (let round = 0; round <= plan.rounds; round++) {
      for (const one of able) {
        const compiles = one.peer.compilesAsItRuns === true;
        if (round === 0 && !compiles) continue;
        const warms = nth === 0 ? compileFactor : 1;
        const seconds = round === 0 ? plan.warmUpSeconds * warms : plan.seconds;
        if (process.stderr.isTTY)
          process.stderr.write(`\x1b[2K\r${regime} ${protocol} ${round}/${plan.rounds} ${one.peer.name}`);
        const sample = await measure(one, upstream, { protocol, clients, seconds, dir }).catch(
          (error: unknown) => {
            failures++;
            say(`\n${one.peer.name}, ${regime}, ${protocol}: ${reasonOf(error)}`);
            return null;
          },
        );
        sent.set(one.peer.name, (sent.get(one.peer.name) ?? 0) + (sample?.requests ?? 0));
        if (round > 0) rounds.get(one.peer.name)?.push(sample);
      }
    }
    if (process.stderr.isTTY) process.stderr.write("\x1b[2K\r");
    const samples: PeerSamples[] = [...rounds].map(([peer, list]) => ({ peer, rounds: list }));
    const front = protocol === "http1" ? "HTTP/1.1" : "HTTP/2";
    const behind = regime === "closing" ? "upstream closes each connection" : "upstream keeps connections";
    process.stdout.write(
      `${renderTable(`${front} in front, ${behind}`, samples, yardstick, useColour())}\n\n`,
    );
  }
  if (regime === "closing" && loadAvailable("http2") === true) {
    // http-proxy's queue only grows at this rate on two cores.
    const able = running.filter(({ peer }) => peer !== httpProxy);
    const steady = await runSteady(able, upstream, { seconds: plan.seconds, dir });
    for (const [name, requests] of steady.sent) sent.set(name, (sent.get(name) ?? 0) + requests);
    process.stdout.write(`${steady.text}\n\n`);
  }
  for (const one of running) await stopAndCheckLog(one, sent.get(one.peer.name) ?? 0);
  await stopChild(upstream.child);
}

function useColour(): boolean {
  return process.stdout.isTTY === true && process.env["NO_COLOR"] === undefined;
}

/** Names what is missing and leaves it out. */
function leaveOutMissing(plan: Plan): Plan {
  const present = (name: string, there: true | string) => {
    if (there !== true) say(`${name} is left out: ${there}`);
    return there === true;
  };
  const kept = plan.peers.filter((peer) => present(peer.name, peer.available()));
  const driven = plan.protocols.filter((protocol) => present(protocol, loadAvailable(protocol)));
  return { ...plan, peers: kept, protocols: driven };
}

/** Seconds the loads take, without starts and stops. */
function loadSeconds(plan: Plan): number {
  const each = plan.rounds * plan.seconds;
  const pairs = plan.protocols.flatMap((protocol) =>
    plan.peers.filter((peer) => peer.protocols.includes(protocol)),
  );
  const compiling = plan.peers.filter((peer) => peer.compilesAsItRuns === true).length;
  const warming = (compileFactor + 1) * plan.warmUpSeconds * compiling;
  const steady = plan.regimes.includes("closing") ? (plan.seconds + 1.5) * plan.peers.length : 0;
  return plan.regimes.length * (pairs.length * each + warming) + steady;
}

async function main(): Promise<void> {
  const wanted = readPlan();
  if (!existsSync("/proc/self/stat")) usageError("CPU times are read from /proc: this runs on Linux only");
  const plan = leaveOutMissing(wanted);
  if (plan.peers.length === 0 || plan.protocols.length === 0) usageError("nothing left to measure");
  const expected = loadSeconds(plan);
  const boundSeconds = expected * 2 + 120;
  setTimeout(() => {
    say(`not finished after ${boundSeconds} s: given up`);
    process.exit(1);
  }, boundSeconds * 1000).unref();
  say(`${plan.rounds} rounds of ${plan.seconds} s, ${clients} clients, about ${expected + 10} s`);
  const dir = temporaryDirectory();
  const certificate = makeCertificate(dir);
  if (certificate === null) usageError("openssl is needed to make the certificate and is not installed");
  for (const regime of plan.regimes) await runRegime(plan, regime, dir, certificate);
  const scale = plan.peers.includes(nginx)
    ? "Ratios to nginx, lower is better: median of rounds (lowest–highest)."
    : "";
  process.stdout.write(`${scale} CPU: user + system of all the peer's processes.\n`.trimStart());
  process.exitCode = failures > 0 ? 1 : 0;
}

await main();
