import type { CounterSnapshot } from "../observe/counters.ts";
import type { MemberState, QueueState } from "../road/ways.ts";

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
    /** null or missing: nobody here renews it, or it is not planned yet. */
    readonly renewAtMs?: number | null;
    /** Until when a good OCSP answer is stapled; null or missing: none is. */
    readonly stapledUntilMs?: number | null;
  }[];
  /** How ordering from an authority goes; null or missing with another TLS_MODE. */
  readonly issuer?: AdminIssuer | null;
  readonly counters: CounterSnapshot;
  /** Log lines lost since the start. */
  readonly logLinesDropped: number;
  readonly inFlight: { readonly exchanges: number; readonly tunnels: number };
  /** One row a member. */
  readonly pools: readonly MemberState[];
  readonly queue: QueueState;
  /** With WORKERS above 1: who serves. */
  readonly workers?: readonly AdminWorker[];
}

/** One of several processes that serve. */
export interface AdminWorker {
  readonly pid: number;
  readonly state: "starting" | "ready" | "retiring";
  /** Connections it was handed and did not close yet. */
  readonly connections: number;
  readonly exchanges: number;
  readonly tunnels: number;
  /** It answered in time, so its figures are of now. */
  readonly answers: boolean;
  readonly residentBytes: number;
  /** Delay of its event loop, 99th percentile of the last 15 to 30 s. */
  readonly loopDelayP99Ms: number;
}

/** What an operator wants to know about certificates from an authority. */
export interface AdminIssuer {
  readonly names: readonly string[];
  readonly directory: string;
  readonly renewAtMs: number | null;
  /** From when to when the authority would like a renewal (ARI); null: it says nothing. */
  readonly renewalWindow: { readonly startMs: number; readonly endMs: number } | null;
  /** Attempts that failed since the last certificate. */
  readonly failures: number;
  readonly nextTryMs: number | null;
  readonly lastFailure: { readonly wallMs: number; readonly detail: string } | null;
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
      certificates: certificates.map(({ names, issuer, notAfterMs, renewAtMs, stapledUntilMs }) => ({
        names,
        issuer,
        notAfter: new Date(notAfterMs).toISOString(),
        daysLeft: Math.floor((notAfterMs - nowWallMs) / dayMs),
        nextRenewal: moment(renewAtMs),
        stapledUntil: moment(stapledUntilMs),
      })),
      issuer: issuerJson(rest.issuer),
      inFlight: rest.inFlight,
      pools: rest.pools,
      queue: rest.queue,
      ...(rest.workers === undefined ? {} : { workers: rest.workers }),
      counters: rest.counters,
      logLinesDropped: rest.logLinesDropped,
      eventLoopDelay: loop,
    },
    null,
    2,
  );
}

function issuerJson(issuer: AdminIssuer | null | undefined): object | null {
  if (issuer === null || issuer === undefined) return null;
  const { names, directory, renewAtMs, renewalWindow, failures, nextTryMs, lastFailure } = issuer;
  const window =
    renewalWindow === null
      ? null
      : { start: moment(renewalWindow.startMs), end: moment(renewalWindow.endMs) };
  return {
    names,
    directory,
    nextRenewal: moment(renewAtMs),
    renewalWindow: window,
    failures,
    nextTry: moment(nextTryMs),
    lastFailure: lastFailure === null ? null : { at: moment(lastFailure.wallMs), detail: lastFailure.detail },
  };
}

/** ISO 8601; null for none, and for a number that is no moment (a damaged file). */
function moment(ms: number | null | undefined): string | null {
  if (ms === null || ms === undefined) return null;
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}
