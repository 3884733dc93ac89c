#!/usr/bin/env node
// Entry of the `odoo-gateway` command: runs the compiled program, with the Node pinned in node_modules when this one is too old.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const main = join(root, "build", "src", "main.js");
const pinned = join(root, "node_modules", ".bin", "node");

if (!existsSync(main)) {
  process.stderr.write("odoo-gateway is not built yet: run `npm ci && npm run build` first.\n");
  process.exit(1);
} else if ((await isUnfit()) && existsSync(pinned)) {
  const child = spawn(pinned, [main, ...process.argv.slice(2)], { stdio: "inherit" });
  // Who stops or reloads us means the gateway: it must neither be left behind nor miss the signal.
  for (const signal of ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"])
    process.on(signal, () => child.kill(signal));
  // A terminal sends Ctrl-C to both; a second one would end the gateway without letting exchanges finish.
  process.on("SIGINT", () => process.stdin.isTTY || child.kill("SIGINT"));
  child.on("error", (error) => {
    process.stderr.write(`the Node in node_modules cannot be started: ${error.message}\n`);
    process.exit(1);
  });
  child.on("exit", (status) => process.exit(status ?? 1));
} else {
  await import(pathToFileURL(main).href);
}

/** Is this Node one the gateway does not start with. */
async function isUnfit() {
  const { nodeProblem } = await import(
    pathToFileURL(join(root, "build", "src", "base", "node-version.js")).href
  );
  return nodeProblem(process.versions.node) !== null;
}
