import type { Daemon } from "./children.ts";
import { measure, type Upstream } from "./measure.ts";
import type { Peer } from "./peers/peer.ts";
import type { Sample } from "./table.ts";

/** A steady rate, as a company of some hundred people makes at its busiest: nobody is at the end of its strength. */
const requestsPerSecond = 1_000;
const clients = 20;

export interface SteadyPeer {
  readonly peer: Peer;
  readonly daemon: Daemon;
  readonly port: number;
}

/** Requests that each peer was sent, and the table: latencies with the upstream's own, which answers at once. */
export async function runSteady(
  peers: readonly SteadyPeer[],
  upstream: Upstream,
  { seconds, dir }: { readonly seconds: number; readonly dir: string },
): Promise<{ readonly sent: ReadonlyMap<string, number>; readonly text: string }> {
  const load = { protocol: "http1", clients, seconds, dir, requestsPerSecond } as const;
  const sent = new Map<string, number>();
  const rows: [string, Sample | null][] = [];
  for (const one of peers) {
    const sample = await measure(one, upstream, load).catch(() => null);
    sent.set(one.peer.name, sample?.requests ?? 0);
    rows.push([one.peer.name, sample]);
  }
  const base = rows.find(([name]) => name === "nginx")?.[1]?.cpuUsPerRequest;
  const lines = rows.map(([name, sample]) => {
    if (sample === null) return row(name, ["–", "–", "–", "–", "–"]);
    const ratio = base === undefined ? "–" : `${(sample.cpuUsPerRequest / base).toFixed(2)}×`;
    return row(name, [
      ratio,
      sample.cpuUsPerRequest.toFixed(0),
      sample.p50Ms.toFixed(2),
      sample.p99Ms.toFixed(2),
      `${sample.errors}`,
    ]);
  });
  const title = `HTTP/1.1, ${requestsPerSecond} requests a second, upstream closes each connection`;
  const head = row("", ["CPU", "CPU µs/req", "p50 ms", "p99 ms", "errors"]);
  return { sent, text: [title, head, ...lines].join("\n") };
}

function row(name: string, cells: readonly string[]): string {
  return `  ${name.padEnd(10)}${cells.map((cell) => cell.padStart(15)).join("")}`;
}
