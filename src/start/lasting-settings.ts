import type { Settings } from "../settings/settings.ts";

/** Listeners, pools and folders stay as they were opened; a change of those needs a restart. */
export function keepWhatCannotChange(next: Settings, running: Settings): Settings {
  return {
    ...next,
    httpsListen: running.httpsListen,
    httpListen: running.httpListen,
    adminListen: running.adminListen,
    reportListen: running.reportListen,
    odoo: running.odoo,
    odooMore: running.odooMore,
    odooBus: running.odooBus,
    odooBusMore: running.odooBusMore,
    odooBackup: running.odooBackup,
    odooSticky: running.odooSticky,
    odooResolveMs: running.odooResolveMs,
    odooKeepAlive: running.odooKeepAlive,
    odooWorkers: running.odooWorkers,
    queueMax: running.queueMax,
    queueTimeoutMs: running.queueTimeoutMs,
    holdTimeoutMs: running.holdTimeoutMs,
    holdMax: running.holdMax,
    stateDir: running.stateDir,
    spoolBytesMax: running.spoolBytesMax,
    logLevel: running.logLevel,
    logFormat: running.logFormat,
    workers: running.workers,
  };
}
