import type { AdminAlerts } from "../admin/alerts.ts";
import type { AdminBans } from "../admin/bans.ts";
import { type AdminCache, sumCaches } from "../admin/cache.ts";
import type { AdminCsp } from "../admin/csp.ts";
import type { AdminMaintenance } from "../admin/maintenance.ts";
import type { Alerts } from "../alert/alerts.ts";
import type { Clock } from "../base/clock.ts";
import { type Ip, ipKey64 } from "../base/ip.ts";
import type { SupervisorSeam } from "../cluster/seams.ts";
import type { BanJournal } from "../guard/ban-journal.ts";
import { type CspReports, cspClientsMax } from "../guard/csp-reports.ts";
import type { Jail } from "../guard/jail.ts";
import {
  type Maintenance,
  maintenanceMessageCharsMax,
  maintenanceMsMax,
  maintenanceNetworksMax,
} from "../guard/maintenance.ts";
import { newPassKey, passParameter } from "../guard/maintenance-pass.ts";
import type { EventSink } from "../observe/events.ts";
import { allowsSource, odooCspDirectives } from "../reply/csp.ts";
import { asksForReports } from "../reply/security.ts";
import type { Settings } from "../settings/settings.ts";
import type { FileCache } from "./file-cache.ts";

/** Bans as an operator sees and changes them; the journal and the workers are told of a lifted one. */
export function adminBans(
  jail: Jail,
  journal: BanJournal | null,
  supervisor: SupervisorSeam | undefined,
  sink: EventSink,
  clock: Clock,
  settings: () => Settings,
): AdminBans {
  return {
    list: () => jail.bans.list(clock.wallMs()),
    add: (ip, lengthMs) => ({
      untilWallMs: jail.ban(ipKey64(ip), clock.wallMs() + lengthMs).untilWallMs,
      warning: sparedBy(settings(), ip),
    }),
    remove(address) {
      const held = jail.lift(address);
      journal?.lifted(address);
      supervisor?.lifted(address);
      if (held) sink.emit({ type: "ban-lifted", client: address });
      return held;
    },
  };
}

/** Why a ban of this address has no effect; null: it has. */
function sparedBy({ trustedNetworks, trustedProxies }: Settings, ip: Ip): string | null {
  if (trustedNetworks.contains(ip))
    return `${ip.text} is in TRUSTED_NETWORKS, which are never banned: the ban takes effect when it is taken out`;
  return trustedProxies.contains(ip)
    ? `${ip.text} is in TRUSTED_PROXIES: what it passes on counts for the clients it names, ban their addresses`
    : null;
}

/** The cache of this process, or those of all workers. */
export function adminCache(files: FileCache, supervisor: SupervisorSeam | undefined): AdminCache {
  return {
    async figures() {
      return sumCaches(supervisor === undefined ? [files.figures()] : (await supervisor.gather()).caches);
    },
    async clear() {
      if (supervisor === undefined) return files.cache.clear();
      const { caches } = await supervisor.gather();
      supervisor.clearCaches();
      return caches.reduce((sum, { entries }) => sum + entries, 0);
    },
  };
}

/** Reports of the content security policy, beside what that policy says now. */
export function adminCsp(reports: CspReports, sinceWallMs: number, settings: () => Settings): AdminCsp {
  return {
    figures() {
      const { preset, domains, cspScriptSources: scriptSources, cspReports } = settings();
      const asks = asksForReports({ preset, cspReports });
      const directives = odooCspDirectives(domains, scriptSources);
      return {
        mode: !asks ? "off" : preset === "strict" ? "enforce" : "report",
        preset,
        sinceWallMs,
        scriptSources,
        entries: reports.list().map((entry) => ({
          ...entry,
          allowed: allowsSource(directives, entry.directive, entry.source),
        })),
        clientsMax: cspClientsMax,
        ignored: reports.ignored,
        turnedAway: reports.turnedAway,
      };
    },
    clear: () => reports.clear(),
  };
}

/** Maintenance as an operator turns it on and off; whoever has to know is told by `maintenance` itself. */
export function adminMaintenance(maintenance: Maintenance, clock: Clock): AdminMaintenance {
  return {
    current: () => maintenance.current,
    turnOn: (order) => maintenance.turnOn(order),
    newPassKey,
    linkOf: (passKey) => `?${passParameter}=${passKey}`,
    turnOff: () => maintenance.turnOff(),
    wallMs: () => clock.wallMs(),
    bounds: {
      messageCharsMax: maintenanceMessageCharsMax,
      networksMax: maintenanceNetworksMax,
      msMax: maintenanceMsMax,
    },
  };
}

/** What people are told, and a test of where they are told it. */
export function adminAlerts(alerts: Alerts): AdminAlerts {
  return { state: () => alerts.state, test: () => alerts.test() };
}
