import { fileURLToPath } from "node:url";
import { type Daemon, startChild } from "./children.ts";
import { treeCpuMicroseconds } from "./cpu.ts";
import type { Upstream } from "./measure.ts";
import type { Peer } from "./peers/peer.ts";

/** A steady rate, as a company of some hundred people makes at its busiest: nobody is at the end of its strength. */
const requestsPerSecond = 1_000;

export interface SteadyPeer {
  readonly peer: Peer;
  readonly daemon: Daemon;
  readonly port: number;
}

interface Told {
  readonly requests: number;
  readonly errors: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Requests that each peer was sent, and the table: latencies beside those of the upstream when it is asked without anything between. */
export async function runSteady(
  peers: readonly SteadyPeer[],
  upstream: Upstream,
  { seconds, dir }: { readonly seconds: number; readonly dir: string },
): Promise<{ readonly sent: ReadonlyMap<string, number>; readonly text: string }> {
  const sent = new Map<string, number>();
  const direct = await runClients(upstream.odooPort, "plain", seconds, dir);
  const rows: { name: string; told: Told; cpuUs: number }[] = [];
  for (const { peer, daemon, port } of peers) {
    const before = treeCpuMicroseconds(daemon.pid);
    const told = await runClients(port, "tls", seconds, dir);
    const cpuUs = (treeCpuMicroseconds(daemon.pid) - before) / told.requests;
    sent.set(peer.name, told.requests);
    rows.push({ name: peer.name, told, cpuUs });
  }
  const base = rows.find(({ name }) => name === "nginx")?.cpuUs;
  const ms = (value: number) => value.toFixed(2);
  const lines = rows.map(({ name, told, cpuUs }) =>
    row(name, [
      base === undefined ? "–" : `${(cpuUs / base).toFixed(2)}×`,
      cpuUs.toFixed(0),
      ms(told.p50Ms),
      ms(told.p99Ms),
      ms(told.p99Ms - direct.p99Ms),
      `${told.errors}`,
    ]),
  );
  const title = `HTTP/1.1, ${requestsPerSecond} requests a second at even distances, upstream closes each connection`;
  const head = row("", ["CPU", "CPU µs/req", "p50 ms", "p99 ms", "p99 added", "errors"]);
  const without = row("(direct)", ["–", "–", ms(direct.p50Ms), ms(direct.p99Ms), "0", `${direct.errors}`]);
  return { sent, text: [title, head, without, ...lines].join("\n") };
}

async function runClients(port: number, kind: "tls" | "plain", seconds: number, dir: string): Promise<Told> {
  const program = fileURLToPath(new URL("steady-clients.js", import.meta.url));
  const args = [program, `${port}`, `${seconds}`, `${requestsPerSecond}`, kind];
  const child = startChild(process.execPath, args, {
    env: {},
    cwd: dir,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    output += chunk.toString("utf8");
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`the clients ended with ${code}`);
  const told: Told = JSON.parse(output);
  return told;
}

function row(name: string, cells: readonly string[]): string {
  return `  ${name.padEnd(10)}${cells.map((cell) => cell.padStart(12)).join("")}`;
}
