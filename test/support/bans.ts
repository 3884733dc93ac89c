import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../src/base/package-root.ts";

/** The shipped policies with log-in limits that leave guessing to the bans. */
export function withWideLogin(folder: string): { readonly POLICIES_DIR: string } {
  cpSync(join(packageRoot().directory, "policies"), folder, { recursive: true });
  const file = join(folder, "20-login.yaml");
  const text = readFileSync(file, "utf8");
  const wide = text.replace(/^( {2}login(?:-address)?: \{ rate: \d+\/min, burst: )\d+/gm, "$1100");
  if (text.split("burst: 100").length + 2 !== wide.split("burst: 100").length)
    throw new Error("the shipped log-in limits read otherwise");
  writeFileSync(file, wide);
  return { POLICIES_DIR: folder };
}
