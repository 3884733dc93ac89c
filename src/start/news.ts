import { isPrivate, parseIp } from "../base/ip.ts";
import type { SupervisorSeam } from "../cluster/seams.ts";
import type { Gateway } from "../gateway.ts";
import type { BanJournal } from "../guard/ban-journal.ts";
import type { Ban } from "../guard/ban-table.ts";
import type { HstsRamp } from "../guard/hsts-ramp.ts";
import type { JailNews } from "../guard/jail.ts";
import type { Closed } from "../guard/maintenance.ts";
import type { EventSink, GatewayEvent } from "../observe/events.ts";
import type { Settings } from "../settings/settings.ts";

/** The event of a maintenance that began, or ended (null). */
export function maintenanceEvent(closed: Closed | null): GatewayEvent {
  if (closed === null) return { type: "maintenance", state: "off", message: "", until: null, allow: [] };
  const { message, untilWallMs, allow } = closed;
  const until = untilWallMs === null ? null : new Date(untilWallMs).toISOString();
  return { type: "maintenance", state: "on", message, until, allow: allow.texts };
}

/** What browsers are told of HSTS, and until when. */
export function hstsEvent(
  ramp: Pick<HstsRamp, "secondsMax" | "nextWallMs">,
  { hstsMaxAgeSeconds }: Pick<Settings, "hstsMaxAgeSeconds">,
): GatewayEvent {
  const { secondsMax, nextWallMs } = ramp;
  const until = nextWallMs === null ? null : new Date(nextWallMs).toISOString();
  return { type: "hsts-ramp", maxAgeSeconds: Math.min(hstsMaxAgeSeconds, secondsMax), until };
}

/** Tells what is under way when the gateway begins to stop, here and in its workers. */
export async function tellDraining(
  here: Pick<Gateway, "exchanges" | "tunnels">,
  supervisor: SupervisorSeam | undefined,
  sink: EventSink,
): Promise<void> {
  const { exchanges, tunnels } = here;
  const workers = supervisor === undefined ? [] : (await supervisor.gather()).workers;
  const event = { exchanges, tunnels };
  for (const one of workers) {
    event.exchanges += one.exchanges;
    event.tunnels += one.tunnels;
  }
  sink.emit({ type: "draining", ...event });
}

/** What the jail tells: journal, tunnels and log. */
export function jailNews(sink: EventSink, journal: BanJournal | null, banned: (ban: Ban) => void): JailNews {
  /** One address of our own network may stand for everybody. */
  const warn = (address: string, what: string, also: string) => {
    const detail = `${address} ${what}: if a proxy or a container's network brings everybody from this address, name the proxy in TRUSTED_PROXIES; ${also}`;
    sink.emit({ type: "warning", what: "bans", detail });
  };
  return {
    strike: (client, why, account, marks) => sink.emit({ type: "strike", client, why, account, marks }),
    ban: (ban) => {
      const { address, reason, untilWallMs, times } = ban;
      journal?.record(ban);
      banned(ban);
      const until = new Date(untilWallMs).toISOString();
      sink.emit({ type: "ban", client: address, why: reason, until, times });
      const ip = parseIp(address.replace(/\/64$/, ""));
      if (ip !== null && isPrivate(ip) && reason !== "operator")
        warn(address, "is banned", "lift the ban with `odoo-gateway bans remove`");
    },
    spared: (address, reason) =>
      warn(
        address,
        `would be banned (${reason}) but is let off, since a proxy's fields come from it`,
        "until then every client counts as one",
      ),
  };
}
