import type { ConfView } from "./view.ts";

/** The processes of an Odoo with these options that load its modules and have a pool of connections each. */
export interface OdooProcesses {
  /** Worker processes for people; 0: one process serves everybody in threads, scheduled jobs included. */
  readonly workers: number;
  readonly cron: number;
  /** The process of the websocket port; it has bounds of its own (`…_gevent`). */
  readonly gevent: number;
  readonly count: number;
  /** `6 processes (4 workers, 1 for scheduled jobs, 1 for websockets)`. */
  readonly words: string;
}

/** Counts them as Odoo's server starts them (odoo/service/server.py): the parent of a prefork server closes its connections and is not among them. */
export function odooProcesses(conf: ConfView): OdooProcesses {
  const workers = Math.max(conf.whole("workers") ?? 0, 0);
  if (workers === 0) return { workers, cron: 0, gevent: 0, count: 1, words: "1 process (workers = 0)" };
  const cron = Math.max(conf.whole("max_cron_threads") ?? 0, 0);
  const count = workers + cron + 1;
  const jobs = cron === 0 ? "" : `${cron} for scheduled jobs, `;
  const words = `${count} processes (${workers} ${workers === 1 ? "worker" : "workers"}, ${jobs}1 for websockets)`;
  return { workers, cron, gevent: 1, count, words };
}
