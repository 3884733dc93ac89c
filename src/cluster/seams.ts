import type { Server as NetServer, Socket } from "node:net";
import type { AdminWorker } from "../admin/state.ts";
import type { Problem } from "../base/problem.ts";
import type { Ban } from "../guard/ban-table.ts";
import type { CspReportDoor } from "../guard/csp-reports.ts";
import type { JailDoor } from "../guard/jail.ts";
import type { Limiter } from "../guard/limiter.ts";
import type { Closed } from "../guard/maintenance.ts";
import type { PendingAccounts } from "../guard/pending-accounts.ts";
import type { SessionTrailDoor } from "../guard/session-sightings.ts";
import type { KnownSessions } from "../guard/sessions.ts";
import type { SharedPeers } from "../guard/shared-peers.ts";
import type { StagingTries } from "../guard/staging.ts";
import type { CounterSnapshot } from "../observe/counters.ts";
import type { ProcessFigures } from "../observe/process-figures.ts";
import type { TallySnapshot } from "../observe/tally-sum.ts";
import type { TunnelPlaces } from "../road/tunnel-places.ts";
import type { MemberState, QueueState } from "../road/ways.ts";
import type { Challenges } from "../tls/challenges.ts";
import type { CacheFigures, ListenerName } from "./messages.ts";

/** Where `startGateway` differs when it is one of several processes. A single process has neither. */

/** A worker: it serves connections that the supervisor accepted, and asks it for what is counted once for all. */
export interface WorkerSeam {
  readonly secret: Uint8Array;
  readonly ticketKeys: Buffer;
  readonly jail: JailDoor;
  readonly limiter: Limiter;
  readonly sessions: KnownSessions;
  readonly pendingAccounts: PendingAccounts;
  readonly sessionTrails: SessionTrailDoor;
  readonly sharedPeers: SharedPeers;
  readonly cspReports: CspReportDoor;
  readonly challenges: Challenges;
  readonly stagingTries: StagingTries;
  /** Places for tunnels, counted over all workers. */
  readonly tunnelPlaces: TunnelPlaces;
  /** What the supervisor opened. `server` gets its connections; null: this listener is not open. */
  attach(name: ListenerName, server: NetServer): { readonly port: number; readonly address: string } | null;
}

/** The supervisor: it accepts, counts and decides, and hands every connection to a worker. */
export interface SupervisorSeam {
  /**
   * Gives an accepted connection away; `closed` is called once, when the worker closed it or ended. `nobody`: it is to be closed.
   * `here`: there are no workers yet, and the supervisor serves it itself.
   */
  handOver(name: ListenerName, socket: Socket, closed: () => void): "taken" | "nobody" | "here";
  banned(ban: Ban): void;
  lifted(address: string): void;
  maintained(closed: Closed | null): void;
  /** Tells every worker what an authority will ask for. */
  readonly challenges: Challenges;
  /** Empties the cache of every worker. */
  clearCaches(): void;
  /** Lets every worker read and compile the same, then puts it in place here (`commit`) and there; or answers why nowhere. */
  reload(commit: () => void): Promise<readonly Problem[]>;
  /** The certificates on disk are others now. */
  certificatesChanged(): void;
  /**
   * Counters of all workers, those that ended included, and what is under way. `process`: with what each takes of the machine, which costs
   * a look at every descriptor; left out: yes.
   */
  gather(process?: boolean): Promise<{
    readonly counters: readonly CounterSnapshot[];
    readonly workers: readonly AdminWorker[];
    readonly tallies: readonly TallySnapshot[];
    readonly spoolBytes: number;
    readonly caches: readonly CacheFigures[];
    readonly queue: QueueState;
    readonly members: readonly MemberState[];
    readonly busFallback: boolean;
    readonly processes: readonly ProcessFigures[];
  }>;
  /** Workers that ended without being told to, since the start. */
  readonly lost: number;
  /** Reasons why nothing is served; empty: at least one worker is ready. */
  reasons(): readonly string[];
  /** Stops every worker as SIGTERM does; answers how many exchanges were cut. */
  stop(): Promise<number>;
}
