import { isLoopback } from "../../base/ip.ts";
import { type Check, fail, pass, skipped, untold } from "../check.ts";
import { openConnection } from "../connect.ts";

const names: Readonly<Record<number, string>> = {
  8069: "Odoo itself",
  8072: "Odoo's gevent port, which serves the whole of Odoo too",
  5432: "PostgreSQL",
};

const ports: Check = {
  id: "direct-ports",
  title: "Odoo and PostgreSQL are not reached past the gateway",
  why: "On 8069 and 8072 everything the gateway refuses is open, the database manager first of all. Docker publishes ports past the host's firewall.",
  fix: "Bind Odoo to loopback or an internal network (http_interface = 127.0.0.1, no ports: in compose), PostgreSQL too; close the ports in the firewall.",
  async look(view) {
    const { ip, directPorts, target } = view;
    if (isLoopback(ip) && !directPorts.even)
      return skipped("The site was reached over loopback, where Odoo may listen; look from another machine.");
    const open: string[] = [];
    for (const port of directPorts.ports) {
      const timeMs = view.budget.elsewhere();
      if (typeof timeMs !== "number") {
        if (open.length === 0) return untold(timeMs);
        break;
      }
      if (port === target.port) {
        open.push(`${port} (the site itself was given with this port)`);
        continue;
      }
      const opened = await openConnection(
        { ...view.way, port, tls: null },
        Math.min(timeMs, connectTimeoutMs),
      );
      if (!opened.ok) continue;
      opened.value.destroy();
      open.push(`${port} (${names[port] ?? "given by --direct-ports"})`);
    }
    if (open.length === 0) return pass(`Nothing answers on ${directPorts.ports.join(", ")} of ${ip.text}.`);
    return fail(`Open on ${ip.text}: ${open.join(", ")}.`);
  },
};

/** A firewall that drops says nothing; longer than this is no answer. */
const connectTimeoutMs = 4_000;

export const portChecks: readonly Check[] = [ports];
