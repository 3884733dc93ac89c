import { ok } from "../base/result.ts";
import type { FromWorker, ToWorker } from "../cluster/messages.ts";
import { Worker } from "../cluster/worker.ts";
import { createLog, type Log } from "../observe/log-pino.ts";
import { processSettings } from "./settings.ts";
import { boundYoungHeap, collectPieces, keepCompiled, optimizeFromNowOn } from "./tidy-heap.ts";

/** `odoo-gateway worker`: one of several processes, started by `run` with WORKERS above 1 and by nobody else. */
export async function worker(): Promise<number> {
  // Nobody may read it any more; what is lost there is no reason to end.
  process.stderr.on("error", () => {});
  if (process.send === undefined || !process.connected) {
    process.stderr.write("odoo-gateway worker is started by `odoo-gateway run` with WORKERS above 1\n");
    return 2;
  }
  // A terminal and a service manager signal every process; ours are told by the supervisor. SIGUSR1 would open Node's debugger.
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2"]) process.on(signal, () => {});
  boundYoungHeap();
  collectPieces();
  keepCompiled();
  let log: Log | null = null;
  const one = new Worker({
    readSettings: () => {
      const read = processSettings();
      return read.ok ? ok(read.value.settings) : read;
    },
    log: (settings) => {
      log = createLog({ level: settings.logLevel, format: settings.logFormat });
      return log;
    },
    send: (message: FromWorker) => {
      if (process.connected) process.send?.(message, undefined, {}, () => {});
    },
  });
  const status = await new Promise<number>((resolve) => {
    process.on("message", (message, socket) => {
      const { type } = message as ToWorker;
      one.take(message as ToWorker, socket).then((ends) => {
        if (type === "start") optimizeFromNowOn();
        if (ends) resolve(type === "start" ? 1 : 0);
      }, die);
    });
    process.on("disconnect", () => void one.orphaned().then(() => resolve(0)));
    const die = (error: unknown) => {
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
      log?.emit({ type: "error", what: "process", detail });
      one.fail([detail.split("\n", 1)[0] ?? detail]);
      resolve(1);
    };
    process.on("uncaughtException", die);
    process.on("unhandledRejection", die);
    one.greet();
  });
  await closeLog(log);
  if (process.connected) process.disconnect();
  return status;
}

function closeLog(log: Log | null): Promise<void> {
  return log?.close() ?? Promise.resolve();
}
