import type { CounterSnapshot } from "../observe/counters.ts";

/** What `/status` shows. Everything in it may be read by any user of the machine: no key, password or client's name. */
export interface AdminState {
  readonly version: string;
  readonly startedWallMs: number;
  readonly nowWallMs: number;
  readonly listeners: readonly { readonly what: string; readonly address: string }[];
  readonly plan: {
    readonly revision: number;
    readonly rules: number;
    readonly preset: string;
    readonly policiesDir: string;
  };
  readonly certificates: readonly {
    readonly names: readonly string[];
    readonly issuer: string;
    readonly notAfterMs: number;
  }[];
  readonly counters: CounterSnapshot;
  /** Log lines lost since the start. */
  readonly logLinesDropped: number;
  readonly inFlight: { readonly exchanges: number; readonly tunnels: number };
  /** One row a member. */
  readonly pools: readonly {
    readonly name: string;
    readonly member: string;
    readonly state: string;
    readonly up: boolean;
    readonly backup: boolean;
    /** Requests and tunnels it has at the moment. */
    readonly inFlight: number;
  }[];
  /** What waits for Odoo. */
  readonly queue: {
    /** Odoo's workers that are up; null: not known (ODOO_WORKERS), nothing waits for one. */
    readonly capacity: number | null;
    readonly inFlight: number;
    readonly waiting: number;
    readonly lanes: readonly {
      readonly lane: string;
      readonly inFlight: number;
      readonly waiting: number;
      readonly capacity: number;
      /** Since the start. */
      readonly admitted: number;
      readonly waited: number;
      readonly shed: number;
      readonly longestWaitMs: number;
    }[];
    /** Requests held while Odoo is away. */
    readonly held: number;
    readonly awayMs: number | null;
  };
}

/** Delay of the event loop since the last reading, milliseconds. */
export interface LoopDelay {
  readonly meanMs: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const dayMs = 86_400_000;

/** `/status` as JSON text: moments as ISO 8601, days left rounded down (negative: expired). */
export function statusJson(state: AdminState, loop: LoopDelay): string {
  const { startedWallMs, nowWallMs, certificates, ...rest } = state;
  return JSON.stringify(
    {
      version: rest.version,
      started: new Date(startedWallMs).toISOString(),
      uptimeSeconds: Math.floor((nowWallMs - startedWallMs) / 1000),
      listeners: rest.listeners,
      plan: rest.plan,
      certificates: certificates.map(({ names, issuer, notAfterMs }) => ({
        names,
        issuer,
        notAfter: new Date(notAfterMs).toISOString(),
        daysLeft: Math.floor((notAfterMs - nowWallMs) / dayMs),
      })),
      inFlight: rest.inFlight,
      pools: rest.pools,
      queue: rest.queue,
      counters: rest.counters,
      logLinesDropped: rest.logLinesDropped,
      eventLoopDelay: loop,
    },
    null,
    2,
  );
}
