import { isDeepStrictEqual } from "node:util";
import type { Settings } from "../settings/settings.ts";
import type { SettingName } from "../settings/table.ts";

/** Listeners, pools and folders stay as they were opened; a change of those needs a restart. */
const lasting = {
  httpsListen: "HTTPS_LISTEN",
  httpListen: "HTTP_LISTEN",
  adminListen: "ADMIN_LISTEN",
  reportListen: "REPORT_LISTEN",
  odoo: "ODOO_URL",
  odooMore: "ODOO_URL",
  odooBus: "ODOO_BUS_URL",
  odooBusMore: "ODOO_BUS_URL",
  odooBackup: "ODOO_BACKUP_URL",
  odooSticky: "ODOO_STICKY",
  odooResolveMs: "ODOO_RESOLVE",
  odooKeepAlive: "ODOO_KEEPALIVE",
  odooWorkers: "ODOO_WORKERS",
  odooFilestore: "ODOO_FILESTORE",
  queueMax: "QUEUE_MAX",
  queueTimeoutMs: "QUEUE_TIMEOUT",
  holdTimeoutMs: "HOLD_TIMEOUT",
  holdMax: "HOLD_MAX",
  certsDir: "CERTS_DIR",
  stateDir: "STATE_DIR",
  spoolBytesMax: "SPOOL_MAX",
  logLevel: "LOG_LEVEL",
  logFormat: "LOG_FORMAT",
  workers: "WORKERS",
} as const satisfies Partial<Record<keyof Settings, SettingName>>;

/** Plain texts, numbers and lists of them: it is sent to workers as JSON. */
export type LastingSettings = Pick<Settings, keyof typeof lasting>;
const keys = Object.keys(lasting) as (keyof LastingSettings)[];

export function lastingOf(settings: Settings): LastingSettings {
  return Object.fromEntries(keys.map((key) => [key, settings[key]])) as unknown as LastingSettings;
}

/** The new settings, but for those that stay. */
export function keepWhatCannotChange(next: Settings, running: Settings): Settings {
  return { ...next, ...lastingOf(running) };
}

/** The names of those that stay although something else was read. */
export function changedInVain(next: Settings, running: Settings): readonly SettingName[] {
  const changed = keys.filter((key) => !isDeepStrictEqual(next[key], running[key]));
  return [...new Set(changed.map((key) => lasting[key]))];
}
