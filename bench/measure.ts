import type { ChildProcess } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Daemon, startChild } from "./children.ts";
import { treeCpuMicroseconds } from "./cpu.ts";
import { type LoadResult, runLoad } from "./load.ts";
import type { Protocol, Regime } from "./peers/peer.ts";
import type { Sample } from "./table.ts";

/** Start of a load that is not measured: handshakes and first connections. */
const settleMs = 400;
/** The window ends this long before the load does, while all clients are still at work. */
const tailMs = 150;

/** The upstream of all peers, a process of its own. */
export interface Upstream {
  readonly odooPort: number;
  readonly busPort: number;
  /** Requests answered so far. */
  count(): Promise<number>;
  readonly child: ChildProcess;
}

export async function startUpstream(regime: Regime, dir: string): Promise<Upstream> {
  const program = fileURLToPath(new URL("upstream.js", import.meta.url));
  const child = startChild(process.execPath, [program, regime], {
    env: {},
    cwd: dir,
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const { ports } = await nextMessage(child);
  if (ports === undefined) throw new Error("the upstream did not tell its ports");
  return {
    child,
    odooPort: ports.odoo,
    busPort: ports.bus,
    async count() {
      const answer = nextMessage(child);
      child.send({});
      return (await answer).count ?? Number.NaN;
    },
  };
}

interface UpstreamMessage {
  readonly ports?: { readonly odoo: number; readonly bus: number };
  readonly count?: number;
}

function nextMessage(child: ChildProcess): Promise<UpstreamMessage> {
  return new Promise((resolve, reject) => {
    const bound = setTimeout(() => reject(new Error("the upstream is silent for 10 s")), 10_000);
    child.once("message", (message: UpstreamMessage) => {
      clearTimeout(bound);
      resolve(message);
    });
  });
}

export interface MeasuredLoad {
  readonly protocol: Protocol;
  readonly clients: number;
  readonly seconds: number;
  readonly dir: string;
}

/** One load against one peer. CPU and requests are read in a window inside it, latencies over all of it. */
export async function measure(
  { daemon, port }: { readonly daemon: Daemon; readonly port: number },
  upstream: Upstream,
  wanted: MeasuredLoad,
): Promise<Sample> {
  const { seconds } = wanted;
  let failed: unknown = null;
  const load = runLoad({ ...wanted, port }).catch((error: unknown) => {
    failed = error;
    return null;
  });
  await delay(settleMs);
  const countBefore = await upstream.count();
  const startMs = performance.now();
  const cpuBefore = treeCpuMicroseconds(daemon.pid);
  await delay(seconds * 1000 - settleMs - tailMs);
  const countAfter = await upstream.count();
  const windowMs = performance.now() - startMs;
  const cpuAfter = treeCpuMicroseconds(daemon.pid);
  const result: LoadResult | null = await load;
  if (result === null) throw failed;
  const requests = countAfter - countBefore;
  if (requests < 1) throw new Error("no request reached the upstream");
  return {
    cpuUsPerRequest: (cpuAfter - cpuBefore) / requests,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    requestsPerSecond: (requests / windowMs) * 1000,
    requests: result.requests,
    errors: result.errors,
  };
}
