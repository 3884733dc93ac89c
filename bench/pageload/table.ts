import { median } from "../table.ts";
import type { PageLoad } from "./browser.ts";

/** One cold load. */
export interface Visit {
  /** What came down the line, TLS and all: the browser's own count leaves out what it was told to load ahead. */
  readonly wireBytes: number;
  readonly loadMs: number;
  readonly lastByteMs: number;
  /** Bundles and static files that were asked of Odoo. */
  readonly assetRequests: number;
}

export interface Visitor {
  readonly name: string;
  readonly visits: readonly Visit[];
}

/** Medians over the rounds, ratios to the yardstick's medians behind them, lowest–highest of the load event. */
export function renderLoads(visitors: readonly Visitor[], yardstickName: string): string {
  const yardstick = visitors.find((one) => one.name === yardstickName);
  const head = ["", "MB on the line", "", "load event s", "", "low–high", "last byte s", "", "assets asked"];
  const rows = visitors.map((visitor) => {
    const of = (pick: (visit: Visit) => number) => median(visitor.visits.map(pick));
    const ratio = (pick: (visit: Visit) => number) =>
      yardstick === undefined ? "–" : `${(of(pick) / median(yardstick.visits.map(pick))).toFixed(2)}×`;
    const loads = visitor.visits.map((visit) => visit.loadMs / 1_000);
    return [
      visitor.name,
      (of((visit) => visit.wireBytes) / 1e6).toFixed(2),
      ratio((visit) => visit.wireBytes),
      (of((visit) => visit.loadMs) / 1_000).toFixed(2),
      ratio((visit) => visit.loadMs),
      `${Math.min(...loads).toFixed(2)}–${Math.max(...loads).toFixed(2)}`,
      (of((visit) => visit.lastByteMs) / 1_000).toFixed(2),
      ratio((visit) => visit.lastByteMs),
      String(Math.max(...visitor.visits.map((visit) => visit.assetRequests))),
    ];
  });
  const widths = head.map((text, column) =>
    Math.max(text.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  const line = (cells: readonly string[]) =>
    `  ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join("  ")}`;
  return [line(head), ...rows.map(line)].join("\n");
}

/** One load, request by request: milliseconds since its start. */
export function renderSteps({ steps, loadMs, lastByteMs }: PageLoad): string {
  const cell = (ms: number) => (Number.isNaN(ms) ? "–" : ms.toFixed(0)).padStart(6);
  const rows = steps.map((one) => {
    const { pathname, search } = new URL(one.url);
    const times = [one.askedMs, one.sentMs, one.headMs, one.firstByteMs, one.lastByteMs].map(cell).join("");
    return `${times}  ${String(one.bytes).padStart(8)}  #${one.connection}  ${one.priority.padEnd(6)}  ${pathname}${search}`;
  });
  const head = "   asked  sent  head first  last     bytes";
  return [head, ...rows, `  load event ${loadMs.toFixed(0)}, last byte ${lastByteMs.toFixed(0)}`].join("\n");
}
