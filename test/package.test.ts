import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import t from "tap";
import { packageRoot } from "../src/base/package-root.ts";

const run = promisify(execFile);
const root = packageRoot().directory;
const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-pack-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

// What `npm pack` reads; the checkout itself is never rewritten by a test.
const parts = [
  ...["package.json", ".npmrc", "tsconfig.json", "LICENSE", "README.md", "CHANGELOG.md"],
  ...["bin", "scripts", "policies", "docs", "src"],
];
for (const part of parts) cpSync(join(root, part), join(folder, part), { recursive: true });
symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));

t.test("what is published brings no Node, no tools, and everything the program reads", async (t) => {
  const before = readFileSync(join(folder, "package.json"), "utf8");
  // A machine may tell npm to skip scripts; then the manifest would not be stripped, and this test would show it.
  // Without the test runner's loader, which the compiler that `prepack` calls cannot be loaded through.
  const pack = ["-u", "NODE_OPTIONS", "npm", "pack", "--json", "--ignore-scripts=false"];
  const packing = await run("env", pack, { cwd: folder });
  const [{ filename, files }] = JSON.parse(packing.stdout);
  t.equal(readFileSync(join(folder, "package.json"), "utf8"), before, "package.json is as it was");
  t.notOk(existsSync(join(folder, "package.json.kept")), "no copy is left behind");

  const { stdout } = await run("tar", ["-xzOf", join(folder, filename), "package/package.json"]);
  const manifest = JSON.parse(stdout);
  for (const key of ["optionalDependencies", "devDependencies", "scripts"])
    t.notOk(key in manifest, `no ${key}`);
  t.equal(manifest.engines.node, "^24.17.0 || >=26.3.1", "the Node lines with all security fixes");
  t.same(manifest.dependencies, JSON.parse(before).dependencies, "the run-time packages are the same");
  t.same(manifest.bin, { "odoo-gateway": "bin/odoo-gateway.js" });

  const paths: string[] = files.map(({ path }: { path: string }) => path);
  const needed = [
    ...["README.md", "LICENSE", "CHANGELOG.md", "bin/odoo-gateway.js", "build/src/main.js"],
    ...["policies/10-database.yaml", "policies/policy.schema.json", "docs/options.md"],
  ];
  for (const path of needed) t.ok(paths.includes(path), path);
  const strange = paths.filter(
    (path) => !/^(?:bin|build\/src|policies|docs)\/|^[A-Z]+(?:\.md)?$|^package\.json$/.test(path),
  );
  t.same(strange, [], "nothing else is in it");
});
