import { execFile } from "node:child_process";
import { type Ip, parseIp } from "../base/ip.ts";
import { err, ok, type Result } from "../base/result.ts";

/** Addresses of one name that are looked at; more are left out. */
const addressesMax = 16;

const program = `require("node:dns").lookup(process.argv[1], { all: true }, (error, found) =>
  process.stdout.write(JSON.stringify(error ? { error: error.message } : { found: found.map((one) => one.address) })))`;

/**
 * The addresses of a name, as this machine's resolver gives and orders them; at least one. In a process of its own: a lookup
 * cannot be called back, and Node does not end before it does, 20 s later when two name servers say nothing. `asking`: what that
 * process runs.
 */
export function resolveHost(
  host: string,
  timeoutMs: number,
  asking: string = program,
): Promise<Result<readonly Ip[], string>> {
  return new Promise((resolve) => {
    const env = { ...process.env, NODE_OPTIONS: "" };
    const options = { timeout: Math.max(1, Math.floor(timeoutMs)), killSignal: "SIGKILL", env } as const;
    execFile(process.execPath, ["-e", asking, "--", host], options, (error, out) => {
      const said = parse(out);
      if (said === null)
        return resolve(
          err(
            error?.killed === true
              ? `the name ${host} was not resolved in time`
              : `the name ${host} cannot be resolved: ${error?.message ?? "no answer"}`,
          ),
        );
      if (typeof said.error === "string")
        return resolve(err(`the name ${host} cannot be resolved: ${said.error}`));
      const found = Array.isArray(said.found) ? said.found.slice(0, addressesMax) : [];
      const ips = found.map((one) => parseIp(String(one))).filter((ip) => ip !== null);
      resolve(ips.length === 0 ? err(`the name ${host} has no address`) : ok(ips));
    });
  });
}

function parse(text: string): { readonly error?: unknown; readonly found?: unknown } | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}
