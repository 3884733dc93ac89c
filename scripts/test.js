// Runs the tests: every build/test/**/*.test.js as a program of its own, one more at once than there are processor cores, the
// long ones first. tap's own runner loads hooks into each file and each process a test starts, for coverage and mocks that nobody
// here uses; without them the whole run takes a third less.
//
//   node scripts/test.js [part of a path…]     only files whose path holds one of these; one that no path holds is an error
//
// Prints the TAP of files that failed, and at the end `# { total: …, pass: …, fail: …, skip: … }`. Exit status 0: all passed.
import { spawn } from "node:child_process";
import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname } from "node:path";

/** Longest a file may take, milliseconds; tap itself ends one sooner and says where it stood. */
const fileTimeoutMs = 150_000;
const tapTimeoutSeconds = "120";
/** How long each file took, kept for the next run's order; the first run takes the folders that are known to be slow. */
const timesFile = "node_modules/.cache/odoo-gateway-test-times.json";
const slowFolders = /\/(?:tls|cluster|cli|browser|faults|check|audit|attack|exchange)\//;

const wanted = process.argv.slice(2).map((part) => part.replace(/\.ts$/, ".js"));
const before = readTimes();
const all = globSync("build/test/**/*.test.js");
const missed = wanted.filter((part) => !all.some((file) => file.includes(part)));
if (missed.length > 0) {
  process.stderr.write(`no test file's path holds ${missed.join(", nor ")}\n`);
  process.exit(2);
}
const files = all
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort((a, b) => weight(b) - weight(a) || a.localeCompare(b));
const times = { ...before };
const sum = { total: 0, pass: 0, fail: 0, skip: 0, todo: 0 };
const broken = [];
const running = new Set();

process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

const queue = [...files];
// Many files wait for time-outs most of the time.
const lanes = availableParallelism() + 1;
await Promise.all(Array.from({ length: lanes }, work));
keepTimes();
for (const file of broken) process.stdout.write(`not ok - ${file}\n`);
const shown = Object.entries(sum).filter(([name, count]) => name === "total" || name === "pass" || count > 0);
process.stdout.write(`# { ${shown.map(([name, count]) => `${name}: ${count}`).join(", ")} }\n`);
process.exitCode = broken.length === 0 && sum.fail === 0 && sum.pass > 0 ? 0 : 1;

async function work() {
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
    const startMs = performance.now();
    const { output, status } = await run(file);
    const seconds = (performance.now() - startMs) / 1000;
    times[file] = seconds;
    const counts =
      /^# \{ (total: [^}]*) \}\s*$/m.exec(output.slice(output.lastIndexOf("\n# {") + 1))?.[1] ?? "";
    for (const [, name, count] of counts.matchAll(/([a-z]+): ([0-9]+)/g)) sum[name] += Number(count);
    const passed = status === 0 && counts !== "";
    if (!passed) {
      broken.push(file);
      process.stdout.write(`${output}\n`);
      if (counts === "" || !counts.includes("fail")) sum.fail += 1;
    }
    process.stdout.write(`${passed ? "ok" : "not ok"} - ${file} # ${seconds.toFixed(1)} s { ${counts} }\n`);
  }
}

function run(file) {
  return new Promise((resolve) => {
    const env = { ...process.env, TAP_TIMEOUT: tapTimeoutSeconds };
    const child = spawn(process.execPath, [file], { env, stdio: ["ignore", "pipe", "pipe"] });
    running.add(child);
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      output += text.replace(/^/gm, "# ");
    });
    const timer = setTimeout(() => {
      output += `\n# killed after ${fileTimeoutMs / 1000} s\n`;
      child.kill("SIGKILL");
    }, fileTimeoutMs);
    // Not "close": a process that a test left behind may hold the pipes open.
    child.on("exit", (status) => {
      clearTimeout(timer);
      running.delete(child);
      setImmediate(() => resolve({ output, status }));
    });
  });
}

function readTimes() {
  try {
    return JSON.parse(readFileSync(timesFile, "utf8"));
  } catch {
    return {};
  }
}

function keepTimes() {
  try {
    mkdirSync(dirname(timesFile), { recursive: true });
    writeFileSync(timesFile, JSON.stringify(times));
  } catch {
    // The next run takes another order.
  }
}

function weight(file) {
  return before[file] ?? (slowFolders.test(file) ? 1 : 0);
}
