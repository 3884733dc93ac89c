// What is published carries no Node of its own: `npm pack` and `npm publish` call `strip` before and `restore` after.
// The checkout's package.json pins a Node for its npm scripts; a user who installs the package brings a supported one.
import { copyFileSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";

const manifest = new URL("../package.json", import.meta.url);
const kept = new URL("../package.json.kept", import.meta.url);

const action = process.argv[2];
if (action === "strip") {
  copyFileSync(manifest, kept);
  const json = JSON.parse(readFileSync(manifest, "utf8"));
  delete json.optionalDependencies;
  delete json.devDependencies;
  delete json.scripts;
  json.engines = { node: "^24.17.0 || >=26.3.1" };
  writeFileSync(manifest, `${JSON.stringify(json, null, 2)}\n`);
} else if (action === "restore") {
  if (existsSync(kept)) renameSync(kept, manifest);
} else {
  process.stderr.write("usage: node scripts/manifest.js strip|restore\n");
  process.exit(2);
}
