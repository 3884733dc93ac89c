import type { ExchangeId } from "../base/brands.ts";
import type { CacheWord } from "../cache/cache.ts";
import type { PaymentRoute } from "../message/payment-route.ts";

/** Why an upstream leg failed: a closed list, each with its status (docs/exchange). */
export type FailureKind =
  | "connect-refused"
  | "connect-timeout"
  | "connect-failed"
  | "answer-timeout"
  | "closed-without-answer"
  | "answer-malformed"
  | "answer-cut"
  | "body-stalled"
  | "spool-full"
  | "file-unreadable"
  | "no-worker";

/** One line an exchange, always. Nothing in it is secret: the target is redacted before it gets here. */
export interface AccessRecord {
  readonly type: "access";
  readonly wallMs: number;
  readonly id: ExchangeId;
  readonly client: string;
  readonly peer: string;
  readonly protocol: string;
  readonly method: string;
  readonly host: string;
  /** Path and query with secret values and tokens replaced. */
  readonly target: string;
  /** What the client got; 499 when it left before the answer, or was cut off without one. */
  readonly status: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Rule id, or the refusal's code, or "none". */
  readonly rule: string;
  readonly verdict: string;
  /** Name of the exhausted limit, when one was. */
  readonly limit: string | null;
  readonly failure: FailureKind | null;
  /** What the cache was for it; null: the rule keeps nothing, or the cache is off. */
  readonly cache: CacheWord | null;
  /** Milliseconds from arrival to the end of the answer. */
  readonly totalMs: number;
  /** Milliseconds from connecting to Odoo to its first byte, or to the end when none came; null when Odoo was not asked. */
  readonly upstreamMs: number | null;
  /** Whose turn it took when Odoo was busy (docs/reliability); null when Odoo was not asked. */
  readonly lane: string | null;
  /** Milliseconds it waited for Odoo to be back or for a worker; 0: it did not wait. */
  readonly queueMs: number;
  readonly userAgent: string;
}

/** Something that happened. Closed; every sink handles every member. */
export type GatewayEvent =
  | AccessRecord
  | {
      readonly type: "refused";
      readonly id: ExchangeId;
      readonly client: string;
      readonly code: string;
      readonly detail: string;
    }
  | {
      readonly type: "denied";
      readonly id: ExchangeId;
      readonly client: string;
      readonly rule: string;
      readonly target: string;
    }
  | {
      readonly type: "limited";
      readonly id: ExchangeId;
      readonly client: string;
      readonly limit: string;
      readonly rule: string;
      readonly retryAfterSeconds: number;
    }
  | {
      readonly type: "upstream-failed";
      readonly id: ExchangeId;
      readonly failure: FailureKind;
      readonly member: string;
      readonly detail: string;
    }
  | {
      /** Odoo had no worker for it in time. */
      readonly type: "shed";
      readonly id: ExchangeId;
      readonly client: string;
      readonly lane: string;
      readonly reason: "queue-full" | "displaced" | "waited";
      readonly queueMs: number;
      readonly rule: string;
    }
  /** A member of several is passed over until it answers again. */
  | {
      readonly type: "member-down";
      readonly pool: "web" | "bus";
      readonly member: string;
      readonly why: FailureKind;
    }
  | { readonly type: "member-up"; readonly pool: "web" | "bus"; readonly member: string }
  | {
      /** ODOO_WORKERS is not set and Odoo's listen queue overflowed: from now on no more than this is sent to a member at once. */
      readonly type: "odoo-full";
      readonly perMember: number;
      readonly remedy: string;
    }
  /** No member could be connected to: requests wait. */
  | { readonly type: "odoo-away"; readonly members: number }
  | { readonly type: "odoo-back"; readonly awayMs: number; readonly held: number }
  | {
      /** An attempt to log in, as Odoo's answer tells it. */
      readonly type: "login";
      readonly id: ExchangeId;
      readonly client: string;
      /** Where it was tried (guard/login-door). */
      readonly door: string;
      /** The password or key comes with each call: a success is no news and is logged at debug. */
      readonly eachCall: boolean;
      readonly outcome: "success" | "pending" | "failure";
      /** Hash of the account's name with the local secret; null: not known. */
      readonly account: string | null;
    }
  | {
      /** One mark against an address. Stable: ban tools read it (docs/bans). */
      readonly type: "strike";
      readonly client: string;
      readonly why: "login" | "scanner";
      readonly account: string | null;
      /** Marks of this kind that count now. */
      readonly marks: number;
    }
  | {
      /** Stable: ban tools read it (docs/bans). */
      readonly type: "ban";
      readonly client: string;
      readonly why: string;
      /** ISO 8601. */
      readonly until: string;
      readonly times: number;
    }
  | {
      /** A session of somebody who is logged in looks like one in two hands (docs/operations). Nothing was refused. */
      readonly type: "session-moved";
      readonly id: ExchangeId;
      readonly client: string;
      /** Hash of the session's id with the local secret. */
      readonly session: string;
      /** Hash of the account that logged in with it, as in `login`; null: not known. */
      readonly account: string | null;
      readonly why: "other-browser" | "two-networks";
      /** IPv4 /24, IPv6 /48; the last one is where it was used now. */
      readonly networks: readonly string[];
      /** Kinds of browsers, the last one now. Words of ours. */
      readonly agents: readonly string[];
    }
  | {
      /** A request to a payment route was answered with 4xx or 5xx; or a provider's with a redirect, or it left before the answer. */
      readonly type: "payment-failed";
      readonly id: ExchangeId;
      readonly client: string;
      readonly route: PaymentRoute;
      /** The payment provider; null: its name is not in the path, or is none of Odoo's. */
      readonly provider: string | null;
      readonly status: number;
      /** `forward`: it is Odoo's answer. */
      readonly verdict: string;
      readonly rule: string;
      readonly failure: FailureKind | null;
    }
  | {
      /** DNS was asked whether somebody is the search engine's crawler he says he is (FAKE_CRAWLERS). */
      readonly type: "crawler-checked";
      readonly client: string;
      readonly claims: string;
      readonly verdict: "verified" | "false" | "unknown";
      /** A name of the address, chosen by whoever holds it; null: none. */
      readonly name: string | null;
    }
  /** An operator ended a ban. */
  | { readonly type: "ban-lifted"; readonly client: string }
  | {
      /** Browsers of a second client report that the content security policy blocked this, or would have. Anybody can send reports. */
      readonly type: "csp-report";
      readonly directive: string;
      readonly source: string;
      readonly page: string;
    }
  | { readonly type: "untrusted-forwarding"; readonly peer: string; readonly field: string }
  | { readonly type: "unknown-host"; readonly client: string; readonly host: string }
  | {
      readonly type: "listening";
      readonly what: "https" | "http" | "report" | "admin";
      readonly address: string;
    }
  | {
      readonly type: "plan-loaded";
      readonly revision: number;
      readonly rules: number;
      readonly preset: string;
    }
  /** The requests no stranger may get through were sent to our own listener, and refused. */
  | { readonly type: "self-checked"; readonly refused: number }
  | { readonly type: "reload-refused"; readonly problems: readonly string[] }
  | { readonly type: "certificate-loaded"; readonly names: readonly string[]; readonly notAfter: string }
  | {
      readonly type: "certificate-ordered";
      readonly names: readonly string[];
      readonly issuer: string;
      readonly notAfter: string;
      /** The authority's directory. */
      readonly directory: string;
    }
  | {
      readonly type: "certificate-renewed";
      readonly names: readonly string[];
      readonly issuer: string;
      readonly notAfter: string;
      readonly directory: string;
    }
  | {
      readonly type: "certificate-failed";
      readonly names: readonly string[];
      readonly directory: string;
      /** What went wrong, the authority's own words, and what to do. */
      readonly detail: string;
      /** Attempts that failed since the last certificate. */
      readonly failures: number;
      readonly nextTry: string;
    }
  | {
      readonly type: "certificate-expiring";
      readonly names: readonly string[];
      readonly notAfter: string;
      readonly daysLeft: number;
    }
  | {
      /** An operator closed the site or opened it, or the announced end came. */
      readonly type: "maintenance";
      readonly state: "on" | "off";
      readonly message: string;
      /** ISO 8601; null: until it is turned off. */
      readonly until: string | null;
      /** Networks that are let through. */
      readonly allow: readonly string[];
    }
  | {
      /** HSTS_RAMP: what browsers are told from now on. */
      readonly type: "hsts-ramp";
      readonly maxAgeSeconds: number;
      /** ISO 8601: when it grows, if no certificate fails; null: HSTS_MAX_AGE is reached. */
      readonly until: string | null;
    }
  | {
      /** A client's TLS hello asked for a name that no certificate covers. */
      readonly type: "certificate-missing";
      readonly name: string;
      /** Names of the certificate it was shown. */
      readonly shown: readonly string[];
      /** Such hellos since the last line that were not told. */
      readonly untold: number;
    }
  | { readonly type: "bus-fallback"; readonly bus: string; readonly web: string }
  | { readonly type: "bus-restored"; readonly bus: string }
  | {
      /** People are told (docs/operations, alerts). */
      readonly type: "alert";
      /** As in docs/prometheus/alerts.yml. */
      readonly name: string;
      readonly state: "firing" | "resolved";
      readonly severity: "critical" | "warning";
      readonly summary: string;
    }
  | { readonly type: "draining"; readonly exchanges: number; readonly tunnels: number }
  | { readonly type: "stopped"; readonly cut: number }
  | { readonly type: "warning"; readonly what: string; readonly detail: string }
  | { readonly type: "error"; readonly what: string; readonly detail: string };

/** Takes events. Emitting never throws and never waits. */
export interface EventSink {
  emit(event: GatewayEvent): void;
}
