/** One measured round of one peer. */
export interface Sample {
  /** CPU of the peer's whole process tree, user and system. */
  readonly cpuUsPerRequest: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly requestsPerSecond: number;
  /** Requests of the whole load, those outside the measured window included. */
  readonly requests: number;
  readonly errors: number;
}

export interface PeerSamples {
  readonly peer: string;
  /** In order of rounds; null where a round failed. */
  readonly rounds: readonly (Sample | null)[];
}

type Measure = "cpuUsPerRequest" | "p50Ms" | "p99Ms";

/** Middle value; NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Ratios to the yardstick, each round to the yardstick's same round: what disturbs a round disturbs both. */
export function ratios(peer: PeerSamples, yardstick: PeerSamples | undefined, measure: Measure): number[] {
  const out: number[] = [];
  peer.rounds.forEach((sample, round) => {
    const base = yardstick?.rounds[round];
    if (sample !== null && base !== null && base !== undefined && base[measure] > 0)
      out.push(sample[measure] / base[measure]);
  });
  return out;
}

/**
 * The printed table: ratios to the yardstick (median of rounds, lowest and highest behind), absolute medians in
 * grey beside them. Without the yardstick the ratios are dashes.
 */
export function renderTable(
  title: string,
  peers: readonly PeerSamples[],
  yardstickName: string,
  colour: boolean,
): string {
  const yardstick = peers.find((peer) => peer.peer === yardstickName);
  const head = ["", "CPU", "p50", "p99", "CPU µs/req", "p50 ms", "p99 ms", "req/s", "errors"];
  const rows = peers.map((peer) => {
    const samples = peer.rounds.filter((sample) => sample !== null);
    const of = (pick: (sample: Sample) => number, digits: number) =>
      number(median(samples.map(pick)), digits);
    return [
      peer.peer,
      ratioText(ratios(peer, yardstick, "cpuUsPerRequest")),
      ratioText(ratios(peer, yardstick, "p50Ms")),
      ratioText(ratios(peer, yardstick, "p99Ms")),
      of((sample) => sample.cpuUsPerRequest, 0),
      of((sample) => sample.p50Ms, 2),
      of((sample) => sample.p99Ms, 2),
      of((sample) => sample.requestsPerSecond, 0),
      String(samples.reduce((sum, sample) => sum + sample.errors, 0)),
    ];
  });
  const widths = head.map((text, column) =>
    Math.max(text.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  const grey = (text: string) => (colour ? `\x1b[90m${text}\x1b[39m` : text);
  const line = (cells: readonly string[]) => {
    const padded = cells.map((cell, column) => {
      const width = widths[column] ?? 0;
      return column === 0 ? cell.padEnd(width) : cell.padStart(width);
    });
    return `  ${padded.slice(0, 4).join("   ")}   ${grey(padded.slice(4).join("   "))}`;
  };
  return [title, line(head), ...rows.map(line)].join("\n");
}

function ratioText(values: readonly number[]): string {
  if (values.length === 0) return "–";
  const middle = `${median(values).toFixed(2)}×`;
  if (values.length === 1) return middle;
  return `${middle} (${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)})`;
}

function number(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : "–";
}
