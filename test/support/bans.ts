import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../src/base/package-root.ts";
import { startTestGateway, type TestGateway, type TestGatewayOptions } from "./gateway.ts";

/** The shipped policies with a log-in limit that leaves guessing to the bans. */
export function withWideLogin(folder: string): { readonly POLICIES_DIR: string } {
  cpSync(join(packageRoot().directory, "policies"), folder, { recursive: true });
  const file = join(folder, "20-login.yaml");
  const narrow = "login: { rate: 5/min, burst: 5, key: client, refund: success }";
  const text = readFileSync(file, "utf8");
  if (!text.includes(narrow)) throw new Error("the shipped log-in limit reads otherwise");
  writeFileSync(file, text.replace(narrow, narrow.replace("burst: 5", "burst: 20")));
  return { POLICIES_DIR: folder };
}

/** Bans are asked for by setting; these tests ask. */
export function startWithBans(options: TestGatewayOptions = {}): Promise<TestGateway> {
  return startTestGateway({ ...options, env: { LOGIN_BANS: "standard", ...options.env } });
}
