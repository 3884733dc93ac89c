import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import type { WorkerSeam } from "../cluster/seams.ts";
import { BanJournal, banJournalFile } from "../guard/ban-journal.ts";
import { type Ban, BanTable } from "../guard/ban-table.ts";
import { CspReports } from "../guard/csp-reports.ts";
import { Jail } from "../guard/jail.ts";
import { createLimiter, type LendingLimiter } from "../guard/limiter.ts";
import { PendingAccounts } from "../guard/pending-accounts.ts";
import { SessionTrails } from "../guard/session-trails.ts";
import { KnownSessions } from "../guard/sessions.ts";
import { SharedPeers } from "../guard/shared-peers.ts";
import type { EventSink } from "../observe/events.ts";
import { jailNews } from "./news.ts";

/** What is counted here for all workers. */
export interface Shared {
  readonly secret: Uint8Array;
  readonly limiter: LendingLimiter;
  readonly jail: Jail;
  readonly sessions: KnownSessions;
  readonly pendingAccounts: PendingAccounts;
  readonly sessionTrails: SessionTrails;
  readonly sharedPeers: SharedPeers;
  readonly cspReports: CspReports;
}

export interface SharedParts {
  /** STATE_DIR, where the journal of bans is. */
  readonly stateDir: string;
  /** Its replicas are taken where it has some; undefined: this process counts for itself, or for its workers. */
  readonly worker: WorkerSeam | undefined;
  readonly clock: Clock;
  readonly sink: EventSink;
  /** A ban begins; called before it is told. */
  readonly banned: (ban: Ban) => void;
}

/** Makes it, with the bans that the journal remembers. The journal is to be closed; null: another process writes it. */
export function createShared(parts: SharedParts): {
  readonly shared: Shared;
  readonly journal: BanJournal | null;
} {
  const { stateDir, worker, clock, sink, banned } = parts;
  const secret = worker?.secret ?? randomBytes(32);
  const bans = new BanTable();
  // A worker's bans are the supervisor's: one process writes the journal.
  const journal =
    worker !== undefined
      ? null
      : new BanJournal({
          path: join(stateDir, banJournalFile),
          bans,
          wallMs: () => clock.wallMs(),
          fault: (detail) => sink.emit({ type: "warning", what: "ban-journal", detail }),
        });
  const sharedPeers = worker?.sharedPeers ?? new SharedPeers();
  const shared = {
    secret,
    limiter: createLimiter({ clock }),
    jail: new Jail({
      clock,
      bans,
      news: jailNews(sink, journal, banned),
      isSpared: (address) => sharedPeers.has(address),
    }),
    sessions: worker?.sessions ?? new KnownSessions(secret),
    pendingAccounts: worker?.pendingAccounts ?? new PendingAccounts(),
    sessionTrails: new SessionTrails({
      clock,
      news: (moved) => sink.emit({ type: "session-moved", ...moved }),
    }),
    sharedPeers,
    cspReports: new CspReports({
      clock,
      secret,
      news: (found) => sink.emit({ type: "csp-report", ...found }),
    }),
  };
  return { shared, journal };
}
