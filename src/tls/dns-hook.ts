import { type ChildProcess, spawn } from "node:child_process";
import { Socket } from "node:net";
import { err, ok, type Result } from "../base/result.ts";

/** A provider's interface and the record's way to its servers take minutes at worst; then the hook is ended. */
export const hookTimeoutMs = 300_000;
/** So much of what the hook says is kept for the message. */
const saidBytesMax = 2_000;
/** Secrets of ours that are none of the hook's business; its own are in the rest of the environment. */
const hidden = ["ACME_EAB_HMAC_KEY", "ACME_FALLBACK_EAB_HMAC_KEY", "STAGING_PASSWORD"];

/**
 * Calls the operator's program as `HOOK add|remove NAME VALUE`, without a shell, and waits until it ends. Exit status 0:
 * done, and for `add` the record can be seen. Anything else is answered in words, with what the program said last.
 */
export function callDnsHook(
  hook: string,
  action: "add" | "remove",
  name: string,
  value: string,
  timeoutMs: number = hookTimeoutMs,
): Promise<Result<null, string>> {
  return new Promise((resolve) => {
    const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !hidden.includes(key)));
    const child = spawn(hook, [action, name, value], {
      shell: false,
      // A process group of its own, so that what it has started ends with it.
      detached: true,
      stdio: ["ignore", "ignore", "pipe"],
      env,
    });
    // A gateway that stops is not kept by it, nor by its bound: the hook goes on by itself.
    const bound = setTimeout(() => end(child), timeoutMs).unref();
    child.unref();
    if (child.stderr instanceof Socket) child.stderr.unref();
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString("utf8")).slice(-saidBytesMax);
    });
    child.on("error", (error) => {
      clearTimeout(bound);
      resolve(
        err(
          `ACME_DNS_HOOK ${hook} cannot be started: ${error.message}; check the path, and that this user may execute it`,
        ),
      );
    });
    child.on("exit", (status, signal) => {
      clearTimeout(bound);
      // A grandchild may hold stderr open: what counts is the hook's own end.
      child.stderr.destroy();
      if (status === 0) return resolve(ok(null));
      const how =
        signal === null
          ? `ended with status ${status}`
          : `was ended by ${signal} (at most ${timeoutMs / 1000} s)`;
      const last = said.trim().split("\n").slice(-3).join(" | ");
      resolve(err(`ACME_DNS_HOOK ${action} ${name} ${how}${last === "" ? "" : `: ${last}`}`));
    });
  });
}

function end({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}
