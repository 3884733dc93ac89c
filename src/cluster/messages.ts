import type { CacheFigures } from "../admin/cache.ts";
import type { Ban } from "../guard/ban-table.ts";
import type { CspReading } from "../guard/csp-report.ts";
import type { Attempt, Entry } from "../guard/jail.ts";
import type { Exhausted, LimitKeys, Outcome } from "../guard/limiter.ts";
import type { Sighting } from "../guard/session-sightings.ts";
import type { CounterSnapshot } from "../observe/counters.ts";
import type { ProcessFigures } from "../observe/process-figures.ts";
import type { TallySnapshot } from "../observe/tally-sum.ts";
import type { Limit } from "../policy/decision.ts";
import type { MemberState, QueueState } from "../road/ways.ts";
import type { LastingSettings } from "../start/lasting-settings.ts";

/**
 * What the supervisor and its workers tell each other, over the channel of `child_process.fork`. Both ends are ours. Messages
 * arrive in the order they were sent, accepted connections included: what was told before a connection holds for it.
 */

/** Raised with each change of these messages: a worker of another version of the program is not taken (docs/operations). */
export const protocolVersion = 7;

export type { CacheFigures };

export type ListenerName = "https" | "http" | "report";

/** A question of a worker; its number comes back in the `Reply`. */
export type Ask =
  | {
      readonly ask: "limit";
      readonly id: number;
      readonly limits: readonly Limit[];
      readonly keys: LimitKeys;
    }
  | { readonly ask: "enter"; readonly id: number; readonly attempt: Attempt }
  | { readonly ask: "ban"; readonly id: number; readonly address: string }
  | { readonly ask: "tunnel"; readonly id: number; readonly client: string; readonly most: number };

export type Tell =
  /** How the attempt ended that question `id` was granted for. */
  | { readonly tell: "settle"; readonly id: number; readonly outcome: Outcome }
  | { readonly tell: "failed"; readonly attempt: Attempt }
  | { readonly tell: "scanned"; readonly client: string; readonly address: string }
  | { readonly tell: "tunnel-ended"; readonly client: string }
  | { readonly tell: "session"; readonly key: string; readonly known: boolean }
  | { readonly tell: "sighting"; readonly sighting: Sighting }
  | { readonly tell: "pending"; readonly key: string; readonly account: string }
  | { readonly tell: "csp-reports"; readonly client: string; readonly reading: CspReading }
  | { readonly tell: "shared-peer"; readonly address: string }
  /** The bus port went away there, or came back. */
  | { readonly tell: "bus" }
  /** A lease is over; `points` of it were not used. */
  | { readonly tell: "lease-over"; readonly limit: Limit; readonly key: string; readonly points: number };

export type Reply =
  /** `leases`: points of each limit that the worker may give out by itself; empty for limits with refund. */
  | { readonly id: number; readonly answer: "granted"; readonly leases: readonly number[] }
  | { readonly id: number; readonly answer: "exhausted"; readonly exhausted: Exhausted }
  | {
      readonly id: number;
      readonly answer: "entry";
      readonly entry: Exclude<Entry, { readonly kind: "go" }> | { readonly kind: "go" };
    }
  | { readonly id: number; readonly answer: "ban"; readonly ban: Ban | null }
  | { readonly id: number; readonly answer: "tunnel"; readonly ok: boolean };

/** What a worker needs before it can serve; only what it cannot read for itself. */
export interface WorkerStart {
  /** What stays as it was when the gateway started, whatever the files say by now; and where Odoo was found. */
  readonly lasting: LastingSettings;
  /** Hexadecimal, 32 bytes: keys of sessions and of the staging cookie. */
  readonly secret: string;
  /** Hexadecimal, 48 bytes. */
  readonly ticketKeys: string;
  /** Its place among the workers, 0 to their number − 1 (cluster/share). */
  readonly share: number;
  readonly listeners: readonly {
    readonly name: ListenerName;
    readonly port: number;
    readonly address: string;
  }[];
}

export type ToWorker =
  | { readonly type: "start"; readonly start: WorkerStart }
  | { readonly type: "replies"; readonly replies: readonly Reply[] }
  /** Comes with the socket. */
  | { readonly type: "connection"; readonly id: number; readonly listener: ListenerName }
  | { readonly type: "bans"; readonly bans: readonly Ban[] }
  | { readonly type: "lift"; readonly address: string }
  | { readonly type: "sessions"; readonly keys: readonly string[]; readonly known: boolean }
  | { readonly type: "pending"; readonly entries: readonly (readonly [key: string, account: string])[] }
  /** `maintenanceText` of guard/maintenance. */
  | { readonly type: "maintenance"; readonly text: string }
  | { readonly type: "clear-cache" }
  | { readonly type: "recall"; readonly limit: Limit; readonly key: string }
  | {
      readonly type: "challenge";
      readonly kind: "http" | "tls";
      readonly name: string;
      /** null: it is over. */
      readonly proof: string | { readonly certPem: string; readonly keyPem: string } | null;
    }
  | { readonly type: "ticket-keys"; readonly keys: string }
  | { readonly type: "prepare-reload"; readonly id: number }
  | { readonly type: "commit-reload"; readonly id: number; readonly go: boolean }
  | { readonly type: "reload-certificates" }
  /** `process`: with what its process takes of the machine, which costs a look at every descriptor. */
  | { readonly type: "report"; readonly id: number; readonly process: boolean }
  /** No connection follows: serve those that are open, with `Connection: close`, then end. */
  | { readonly type: "retire" }
  /** As SIGTERM: end within DRAIN_TIMEOUT. */
  | { readonly type: "stop" };

/** A worker's part of `/status`. */
export interface WorkerReport {
  /** null: it did not come to serving. */
  readonly counters: CounterSnapshot | null;
  readonly tally: TallySnapshot | null;
  readonly spoolBytes: number;
  readonly exchanges: number;
  readonly tunnels: number;
  readonly planRevision: number;
  readonly cache: CacheFigures | null;
  /** What waits for Odoo there, and the members as it sees them. */
  readonly queue: QueueState | null;
  readonly members: readonly MemberState[];
  readonly busFallback: boolean;
  readonly process: ProcessFigures | null;
}

export type FromWorker =
  | { readonly type: "hello"; readonly protocol: number; readonly version: string }
  | { readonly type: "ready" }
  /** Why it ends. */
  | { readonly type: "problems"; readonly problems: readonly string[] }
  | { readonly type: "batch"; readonly items: readonly (Ask | Tell)[] }
  | { readonly type: "closed"; readonly ids: readonly number[] }
  | { readonly type: "prepared"; readonly id: number; readonly problems: readonly string[] }
  | { readonly type: "report"; readonly id: number; readonly report: WorkerReport }
  /** The last word of a worker that ends in order. */
  | { readonly type: "ended"; readonly cut: number; readonly report: WorkerReport };
