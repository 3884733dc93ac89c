import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram, startChild, stopChild } from "./children.ts";
import type { Protocol } from "./peers/peer.ts";
import { requestBody, requestHeaders, requestHost, requestPath } from "./request.ts";

export interface Load {
  readonly protocol: Protocol;
  readonly port: number;
  readonly clients: number;
  /** Whole seconds: wrk knows no others. */
  readonly seconds: number;
  /** For scripts and logs of the load generators. */
  readonly dir: string;
}

export interface LoadResult {
  readonly requests: number;
  /** Answers outside 2xx, and connections or requests that failed. */
  readonly errors: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const generators: Readonly<Record<Protocol, { readonly program: string; readonly debianPackage: string }>> = {
  http1: { program: "wrk", debianPackage: "wrk" },
  http2: { program: "h2load", debianPackage: "nghttp2-client" },
};

/** true, or why this protocol's load generator cannot run. */
export function loadAvailable(protocol: Protocol): true | string {
  const { program, debianPackage } = generators[protocol];
  return findProgram(program) !== null || `${program} is not installed (Debian package ${debianPackage})`;
}

/**
 * Every client sends its next request when the answer to the last one is whole. wrk speaks HTTP/1.1, h2load
 * HTTP/2 with one stream a connection, so that both have `clients` requests under way.
 * Throws when the generator fails or does not end in time.
 */
export function runLoad(load: Load): Promise<LoadResult> {
  switch (load.protocol) {
    case "http1":
      return runWrk(load);
    case "http2":
      return runH2load(load);
  }
}

const mark = "RESULT ";

async function runWrk(load: Load): Promise<LoadResult> {
  const script = join(load.dir, "post.lua");
  // No `request` function: wrk then formats the request once, not for each.
  const headers = [...requestHeaders, ["Host", requestHost] as const];
  const lines = headers.map(([name, value]) => `wrk.headers[${luaText(name)}] = ${luaText(value)}`);
  writeFileSync(
    script,
    `wrk.method = "POST"
wrk.body = ${luaText(requestBody())}
${lines.join("\n")}
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("${mark}%d %d %f %f\\n", summary.requests, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
`,
  );
  const url = `https://localhost:${load.port}${requestPath}`;
  const output = await run(load, ["-t1", `-c${load.clients}`, `-d${load.seconds}s`, "-s", script, url]);
  return parseWrk(output);
}

async function runH2load(load: Load): Promise<LoadResult> {
  const bodyFile = join(load.dir, "body.json");
  const logFile = join(load.dir, "h2load.tsv");
  writeFileSync(bodyFile, requestBody());
  rmSync(logFile, { force: true });
  const args = ["-t1", `-c${load.clients}`, "-m1", "-D", `${load.seconds}`, "-d", bodyFile];
  args.push(
    `--log-file=${logFile}`,
    `--connect-to=127.0.0.1:${load.port}`,
    "-H",
    `:authority: ${requestHost}`,
  );
  for (const [name, value] of requestHeaders) args.push("-H", `${name.toLowerCase()}: ${value}`);
  const output = await run(load, [...args, `https://localhost:${load.port}${requestPath}`]);
  return parseH2load(output, readFileSync(logFile, "latin1"));
}

function luaText(text: string): string {
  return JSON.stringify(text); // ASCII without control characters: the same in both languages.
}

/** Reads the line that the script above writes. */
export function parseWrk(output: string): LoadResult {
  const line = output.split("\n").find((text) => text.startsWith(mark));
  const [requests, errors, p50Ms, p99Ms] = (line ?? "").slice(mark.length).split(" ").map(Number);
  if (requests === undefined || errors === undefined || p50Ms === undefined || p99Ms === undefined)
    throw new Error(`wrk printed no result:\n${output}`);
  return { requests, errors, p50Ms, p99Ms };
}

/** Reads h2load's summary for failures and its log (start µs, status, duration µs; a line per request) for latencies. */
export function parseH2load(output: string, log: string): LoadResult {
  const durationsMs: number[] = [];
  let errors = 0;
  for (const line of log.split("\n")) {
    if (line === "") continue;
    const [, status, durationUs] = line.split("\t").map(Number);
    if (status === undefined || durationUs === undefined) continue;
    if (status >= 200 && status < 300) durationsMs.push(durationUs / 1000);
    else errors++;
  }
  if (durationsMs.length === 0 && errors === 0) throw new Error(`h2load finished no request:\n${output}`);
  const failed = /(\d+) failed, (\d+) errored/.exec(output);
  durationsMs.sort((a, b) => a - b);
  const at = (share: number) => durationsMs[Math.floor((durationsMs.length - 1) * share)] ?? Number.NaN;
  return {
    requests: durationsMs.length + errors,
    errors: Math.max(errors, Number(failed?.[1] ?? 0)),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  };
}

async function run(load: Load, args: readonly string[]): Promise<string> {
  const name = generators[load.protocol].program;
  const env = { PATH: process.env["PATH"] ?? "" };
  const child = startChild(findProgram(name) ?? name, args, {
    env,
    cwd: load.dir,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    output += chunk.toString("utf8");
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    output += chunk.toString("utf8");
  });
  const boundMs = load.seconds * 1000 + 10_000;
  const bound = setTimeout(() => void stopChild(child), boundMs);
  const code = await new Promise<number | null>((resolve) => {
    child.once("close", (exit) => resolve(exit));
    child.once("error", () => resolve(null));
  });
  clearTimeout(bound);
  if (code !== 0)
    throw new Error(`${name} failed or took longer than ${boundMs} ms (exit ${code}):\n${output}`);
  return output;
}
