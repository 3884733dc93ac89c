import type { Settings } from "../settings/settings.ts";

/**
 * One worker's part of what is for all of them: Odoo's workers, places to wait, memory for files and disk for bodies. `share` is its
 * place among them, 0 to WORKERS − 1: what cannot be divided evenly goes to the first ones, so that all parts together are
 * what one process would have. A place to wait is never less than one. ODOO_WORKERS is above WORKERS (settings/cross-checks).
 */
export function shareOf(settings: Settings, share: number): Settings {
  const { workers, odooWorkers, queueMax, holdMax, spoolBytesMax, cache } = settings;
  const part = (all: number) => Math.max(1, Math.floor(all / workers) + (share < all % workers ? 1 : 0));
  return {
    ...settings,
    odooWorkers: odooWorkers === null ? null : part(odooWorkers),
    queueMax: part(queueMax),
    holdMax: part(holdMax),
    spoolBytesMax: part(spoolBytesMax),
    cache: { ...cache, bytesMax: part(cache.bytesMax) },
  };
}
