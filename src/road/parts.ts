import type { Clock } from "../base/clock.ts";
import type { Cache } from "../cache/cache.ts";
import type { CrawlerChecks } from "../guard/crawler-checks.ts";
import type { CspReportDoor } from "../guard/csp-reports.ts";
import type { DeviceCookies } from "../guard/device-cookie.ts";
import type { JailDoor } from "../guard/jail.ts";
import type { Limiter } from "../guard/limiter.ts";
import type { Maintenance } from "../guard/maintenance.ts";
import type { PendingAccounts } from "../guard/pending-accounts.ts";
import type { SessionSightings } from "../guard/session-sightings.ts";
import type { KnownSessions } from "../guard/sessions.ts";
import type { SharedPeers } from "../guard/shared-peers.ts";
import type { EventSink } from "../observe/events.ts";
import type { Plan } from "../plan.ts";
import type { Challenges } from "../tls/challenges.ts";
import type { Way } from "../upstream/delivery.ts";
import type { ReconnectPace } from "../upstream/reconnect-pace.ts";
import type { Spool } from "../upstream/spool.ts";
import type { TunnelPlaces } from "./tunnel-places.ts";

/** What the road is made of: state that outlives every plan. */
export interface GatewayParts {
  readonly plan: () => Plan;
  readonly ways: { readonly web: Way; readonly bus: Way; readonly pace: ReconnectPace };
  readonly limiter: Limiter;
  readonly sessions: KnownSessions;
  readonly crawlers: Pick<CrawlerChecks, "verdictOf">;
  readonly sightings: SessionSightings;
  readonly challenges: Pick<Challenges, "httpAnswer">;
  readonly maintenance: Maintenance;
  readonly jail: JailDoor;
  readonly tunnelPlaces: TunnelPlaces;
  readonly devices: DeviceCookies;
  readonly sharedPeers: SharedPeers;
  readonly pendingAccounts: PendingAccounts;
  readonly cspReports: CspReportDoor;
  /** Turns an account's name into what counts and logs may hold. */
  readonly hashAccount: (name: string) => string;
  readonly spool: Spool;
  readonly cache: Cache;
  readonly sink: EventSink;
  readonly clock: Clock;
}
