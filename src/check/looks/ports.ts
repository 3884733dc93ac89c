import { type Ip, isLoopback } from "../../base/ip.ts";
import type { Trouble } from "../budget.ts";
import { type Check, fail, pass, skipped, untold } from "../check.ts";
import { openConnection } from "../connect.ts";
import type { SiteView } from "../view.ts";

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
    const { directPorts } = view;
    // Docker publishes on IPv6 too, where many firewalls know only IPv4.
    const ips = [view.ip, ...view.otherIps.slice(0, othersMax)].filter(
      (ip) => directPorts.even || !isLoopback(ip),
    );
    if (ips.length === 0)
      return skipped("The site was reached over loopback, where Odoo may listen; look from another machine.");
    const tries = await Promise.all(
      ips.flatMap((ip) => directPorts.ports.map((port) => tryPort(view, ip, port))),
    );
    const open = tries.filter((one) => one.isOpen);
    if (open.length > 0) {
      const told = ips.flatMap((ip) => {
        const here = open.filter((one) => one.ip === ip).map(({ words }) => words);
        return here.length === 0 ? [] : [`on ${ip.text}: ${here.join(", ")}`];
      });
      return fail(`Open ${told.join("; ")}.`);
    }
    const untried = tries.find(({ trouble }) => trouble !== null)?.trouble;
    return untried === undefined || untried === null
      ? pass(
          `Nothing answers on ${directPorts.ports.join(", ")} of ${ips.map(({ text }) => text).join(", ")}.`,
        )
      : untold(untried);
  },
};

interface Tried {
  readonly ip: Ip;
  readonly isOpen: boolean;
  readonly words: string;
  /** Why it was not tried; null: it was. */
  readonly trouble: Trouble | null;
}

async function tryPort(view: SiteView, ip: Ip, port: number): Promise<Tried> {
  const words = `${port} (${names[port] ?? "given by --direct-ports"})`;
  if (port === view.target.port)
    return {
      ip,
      isOpen: ip === view.ip,
      words: `${port} (the site itself was given with this port)`,
      trouble: null,
    };
  const timeMs = view.budget.elsewhere();
  if (typeof timeMs !== "number") return { ip, isOpen: false, words, trouble: timeMs };
  const way = { ...view.way, address: ip.text, port, tls: null };
  const opened = await openConnection(way, Math.min(timeMs, connectTimeoutMs));
  if (opened.ok) opened.value.destroy();
  return { ip, isOpen: opened.ok, words, trouble: null };
}

/** Further addresses of the name that are tried; a name with more has a content network behind it. */
const othersMax = 4;

/** A firewall that drops says nothing; longer than this is no answer. */
const connectTimeoutMs = 4_000;

export const portChecks: readonly Check[] = [ports];
