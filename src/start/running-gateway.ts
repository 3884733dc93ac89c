import type { Alerts } from "../alert/alerts.ts";
import type { Problem } from "../base/problem.ts";
import type { Result } from "../base/result.ts";
import type { CacheFigures, ListenerName } from "../cluster/messages.ts";
import type { Gateway } from "../gateway.ts";
import type { Closed } from "../guard/maintenance.ts";
import type { CounterSnapshot } from "../observe/counters.ts";
import type { ProcessFigures } from "../observe/process-figures.ts";
import type { TallySnapshot } from "../observe/tally-sum.ts";
import type { Plan } from "../plan.ts";
import type { Ways } from "../road/ways.ts";
import type { Issuer } from "../tls/issuer.ts";
import type { TlsMaterial } from "../tls/load.ts";
import type { Shared } from "./shared.ts";

/** A gateway that runs. */
export interface RunningGateway {
  readonly httpsPort: number;
  readonly httpPort: number | null;
  readonly reportPort: number | null;
  readonly adminPort: number | null;
  readonly gateway: Gateway;
  readonly plan: () => Plan;
  readonly tls: () => TlsMaterial;
  /** Orders and renews certificates with TLS_MODE=acme; does nothing with others. */
  readonly issuer: Issuer;
  /** Own files that were replaced, the local certificate's renewal, and warnings of an end; called each minute. */
  readonly lookAtCertificates: () => Promise<void>;
  /** HSTS_RAMP goes on where that is due; called each minute. */
  readonly lookAtHsts: () => void;
  readonly policiesDir: string;
  readonly listeners: readonly {
    readonly name: ListenerName;
    readonly port: number;
    readonly address: string;
  }[];
  readonly addresses: {
    readonly https: string;
    readonly http: string | null;
    readonly report: string | null;
    readonly admin: string | null;
  };
  readonly busFallback: () => boolean;
  readonly lookAtBus: Ways["lookAtBus"];
  readonly members: Ways["members"];
  readonly queue: Ways["queue"];
  /** Who is told when something needs a person. */
  readonly alerts: Alerts;
  /** Reads policies, certificates (and settings) again. Problems: the old plan stays, and they are answered. */
  reload(): Promise<readonly Problem[]>;
  /** The first half of `reload`: what was read and compiled, to be put in place together; or every problem in it. */
  prepareReload(): Promise<Result<() => void, readonly Problem[]>>;
  /** Reads the certificates again, after another process changed them. */
  reloadCertificates(): Promise<void>;
  setTicketKeys(keys: Buffer): void;
  readonly counters: () => CounterSnapshot;
  readonly tally: () => TallySnapshot;
  readonly spoolBytes: () => number;
  readonly process: () => ProcessFigures;
  /** The state of maintenance, and what another process says of it. */
  readonly maintenance: () => Closed | null;
  maintain(closed: Closed | null): void;
  readonly shared: Shared;
  readonly cache: { figures(): CacheFigures; clear(): number };
  /** Serves what is open with `Connection: close`; resolves when nothing is left open or the idle bound is over. */
  retire(): Promise<void>;
  /** Stops accepting, lets exchanges finish within DRAIN_TIMEOUT, closes tunnels with 1001; answers how many were cut. */
  stop(): Promise<number>;
}
