/**
 * Every benchmark that has an end of its own, one after the other: what each costs beside its peers, the hot functions, what stays flat, slow
 * clients, memory, and the fuzz of the answer reader. Arguments go to the first. Run: `npm run bench:full`, about half an hour.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const programs: readonly (readonly string[])[] = [
  ["run.js", "--full", ...process.argv.slice(2)],
  ["functions/run.js"],
  ["flat.js", "--rounds", "5"],
  ["scale.js"],
  ["bodies.js"],
  ["slow.js"],
  ["memory.js"],
  ["addresses.js"],
  ["fuzz-answers.js", "--seconds", "60"],
];

let current: ReturnType<typeof spawn> | null = null;
let stopped = false;
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.on(signal, () => {
    current?.kill(signal);
    process.exitCode = 1;
    stopped = true;
  });

function run([program = "", ...args]: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    current = spawn(process.execPath, [fileURLToPath(new URL(program, import.meta.url)), ...args], {
      stdio: "inherit",
    });
    current.once("error", () => resolve(1));
    current.once("exit", (code) => resolve(code ?? 1));
  });
}

for (const program of programs) {
  if (stopped) break;
  process.stdout.write(`\n# ${program.join(" ")}\n\n`);
  if ((await run(program)) !== 0) process.exitCode = 1;
}
