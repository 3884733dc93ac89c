#!/usr/bin/env node
// Entry of the `odoo-gateway` command: runs the compiled program, with the Node pinned in node_modules when this one is too old.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const main = join(root, "build", "src", "main.js");
const pinned = join(root, "node_modules", ".bin", "node");
const major = Number(process.versions.node.split(".")[0]);

if (!existsSync(main)) {
  process.stderr.write("odoo-gateway is not built yet: run `npm ci && npm run build` first.\n");
  process.exit(1);
} else if (major < 24 && existsSync(pinned)) {
  const child = spawnSync(pinned, [main, ...process.argv.slice(2)], { stdio: "inherit" });
  process.exit(child.status ?? 1);
} else {
  await import(main);
}
