/**
 * The hot functions of the road by themselves. Each is timed (CPU time) in turn with a calibration of fixed work, in many short rounds, so that what
 * disturbs the machine disturbs both; a figure is the median of its rounds in calibrations. Printed as ratios to bench/reference.json, which
 * `--record` writes anew. Run: `npm run bench:functions`.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { packageRoot } from "../../src/base/package-root.ts";
import { median } from "../table.ts";
import { calibration } from "./calibration.ts";
import type { Subject } from "./subject.ts";
import { subjects } from "./subjects.ts";

interface Reference {
  readonly recorded: string;
  readonly node: string;
  readonly machine: string;
  readonly calibrationNs: number;
  /** Time of one call, in calibrations. */
  readonly calls: Readonly<Record<string, number>>;
}

const rounds = 40;
/** Length of one measurement, and of the time before the first that the compiler gets. */
const sliceMs = 12;
const warmUpMs = 400;
const file = join(packageRoot().directory, "bench/reference.json");

let sink: unknown = null;

/** CPU time of this thread, user and system, in microseconds: what else runs on the machine is not in it. */
function cpuUs(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

/** CPU nanoseconds of one call, over about `ms`. */
function time(subject: Subject, ms: number): number {
  const startUs = cpuUs();
  let steps = 0;
  let usedUs = 0;
  while (usedUs < ms * 1_000) {
    for (let i = 0; i < 16; i += 1) sink = subject.step();
    steps += 16;
    usedUs = cpuUs() - startUs;
  }
  return (usedUs * 1_000) / (steps * subject.calls);
}

function readReference(): Reference | null {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return null;
  }
}

const { values } = parseArgs({ options: { record: { type: "boolean", default: false } } });
for (const subject of [calibration, ...subjects]) time(subject, warmUpMs);
const unitsNs: number[] = [];
const found = new Map<string, { readonly ns: number[]; readonly units: number[] }>(
  subjects.map(({ name }) => [name, { ns: [], units: [] }]),
);
for (let round = 0; round < rounds; round += 1)
  for (const subject of subjects) {
    const unitNs = time(calibration, sliceMs);
    const ns = time(subject, sliceMs);
    unitsNs.push(unitNs);
    found.get(subject.name)?.ns.push(ns);
    found.get(subject.name)?.units.push(ns / unitNs);
  }
if (sink === null) throw new Error("nothing was measured");

const calibrationNs = median(unitsNs);
const calls = Object.fromEntries([...found].map(([name, { units }]) => [name, median(units)]));
const reference = readReference();
const spread = (list: readonly number[]) => {
  const sorted = [...list].sort((a, b) => a - b);
  const at = (share: number) => (sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN).toFixed(3);
  return `${at(0.1)}–${at(0.9)}`;
};
process.stdout.write(
  `${"".padEnd(12)}  ratio to the recorded run   in calibrations now (10–90 %)   recorded   ns a call\n`,
);
for (const [name, { ns, units }] of found) {
  const before = reference?.calls[name];
  const now = calls[name] ?? Number.NaN;
  const ratio = before === undefined ? "–" : `${(now / before).toFixed(2)}×`;
  const cells = [
    ratio.padStart(25),
    `${now.toFixed(3)} (${spread(units)})`.padStart(31),
    (before?.toFixed(3) ?? "–").padStart(10),
    median(ns).toFixed(0).padStart(10),
  ];
  process.stdout.write(`${name.padEnd(12)}  ${cells.join(" ")}\n`);
}
process.stdout.write(
  `calibration: ${calibrationNs.toFixed(0)} ns here${reference === null ? "" : `, ${reference.calibrationNs.toFixed(0)} ns on ${reference.machine} with Node ${reference.node}, recorded ${reference.recorded}`}\n`,
);
if (values.record) {
  const written: Reference = {
    recorded: new Date().toISOString().slice(0, 10),
    node: process.versions.node,
    machine: `${cpus().length} × ${cpus()[0]?.model ?? process.arch}`,
    calibrationNs: Math.round(calibrationNs),
    calls: Object.fromEntries(Object.entries(calls).map(([name, value]) => [name, Number(value.toFixed(3))])),
  };
  writeFileSync(file, `${JSON.stringify(written, null, 2)}\n`);
  process.stdout.write(`recorded in ${file}\n`);
}
