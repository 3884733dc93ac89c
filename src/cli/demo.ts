import { parseArgs } from "node:util";
import { startDemo } from "../demo/start.ts";

/** `odoo-gateway demo`: the stand-in alone, until a signal; the exit status. */
export async function demo(args: readonly string[]): Promise<number> {
  let values: { host: string; port: string; "bus-port": string; workers: string };
  try {
    values = parseArgs({
      args: [...args],
      options: {
        host: { type: "string", default: "127.0.0.1" },
        port: { type: "string", default: "8069" },
        "bus-port": { type: "string", default: "8072" },
        workers: { type: "string", default: "2" },
      },
    }).values;
  } catch (error) {
    process.stderr.write(
      `${error instanceof Error ? error.message : String(error)}\nsee: odoo-gateway demo --help\n`,
    );
    return 2;
  }
  const numbers = [values.port, values["bus-port"], values.workers].map(Number);
  const [webPort = 0, busPort = 0, workers = 2] = numbers;
  if (numbers.some((n) => !Number.isInteger(n) || n < 0 || n > 65_535)) {
    process.stderr.write("--port, --bus-port and --workers are whole numbers\n");
    return 2;
  }
  try {
    const running = await startDemo({ host: values.host, webPort, busPort, workers });
    process.stdout.write(
      `The stand-in Odoo answers on http://${values.host}:${running.webPort} (web) and :${running.busPort} (bus).\n` +
        "Log in as admin/admin, demo/demo, portal/portal or carol/carol. It stores nothing. Ctrl-C ends it.\n",
    );
    await new Promise<void>((resolve) => {
      process.once("SIGTERM", resolve);
      process.once("SIGINT", resolve);
    });
    await running.close();
    return 0;
  } catch (error) {
    process.stderr.write(
      `the stand-in could not start: ${error instanceof Error ? error.message : String(error)}\n`,
    );
    return 1;
  }
}
