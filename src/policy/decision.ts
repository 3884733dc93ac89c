import type { CanonicalPath } from "../base/brands.ts";

/** Which upstream pool an exchange goes to: Odoo's prefork HTTP port, or its gevent (bus) port. */
export type PoolName = "web" | "bus";

/** Why: the rule, where it stands and what it is for. Every verdict names one. */
export interface Reason {
  readonly rule: string;
  readonly file: string;
  readonly line: number;
  readonly why: string;
}

/**
 * A named rate with the meaning of nginx `limit_req rate=… burst=… nodelay`:
 * the first request is free of excess, `burst` more may come at once, then one each `1/rate`.
 */
export interface Limit {
  readonly name: string;
  /** Requests a second; may be a fraction (5 a minute is 5/60). */
  readonly ratePerSecond: number;
  readonly burst: number;
  /**
   * Whom it counts: the client address (IPv6 by /64); the session we saw log in, else the address; or the account an attempt is for together
   * with the address, where the request names it in one reading, else the address.
   */
  readonly key: "client" | "session" | "account";
  /** An attempt whose answer shows that it succeeded gives its point back. */
  readonly refund: boolean;
}

export interface ForwardDecision {
  readonly verdict: "forward";
  readonly reason: Reason;
  readonly pool: PoolName;
  /** Asked before the body is read. */
  readonly limits: readonly Limit[];
  /** Those that count by account, asked when the body is there. */
  readonly accountLimits: readonly Limit[];
  /** May this exchange leave the road as a WebSocket tunnel. */
  readonly websocket: boolean;
  /** How long Odoo may take to the first byte, and between bytes. */
  readonly answerTimeoutMs: number;
  /** Largest request body; null means the setting BODY_MAX. */
  readonly bodyBytesMax: number | null;
  /** Refuse an XML body with a document type declaration. */
  readonly xmlWithoutDoctype: boolean;
  /** Read the JSON-RPC call in the body: one reading or 400, and its db service only from ADMIN_NETWORKS. */
  readonly rpcEnvelope: boolean;
  /** No staging password is asked on this route. */
  readonly withoutStagingPassword: boolean;
  /** Other sites may show the answers in a frame, unless Odoo itself says who may. */
  readonly framedByAny: boolean;
  /** May files that Odoo calls public be kept in memory, on this path. */
  readonly stores: (path: CanonicalPath) => boolean;
}

export interface DenyDecision {
  readonly verdict: "deny";
  readonly reason: Reason;
  readonly status: number;
  /** The request is a mark against its address. */
  readonly strike: boolean;
}

export interface RedirectDecision {
  readonly verdict: "redirect";
  readonly reason: Reason;
  readonly status: 301 | 302 | 303 | 307 | 308;
  /** A path on the same host. */
  readonly location: string;
}

export interface AnswerDecision {
  readonly verdict: "answer";
  readonly reason: Reason;
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface DropDecision {
  readonly verdict: "drop";
  readonly reason: Reason;
  readonly strike: boolean;
}

/** Verdict and everything needed to carry it out; built and frozen when the policy is compiled. */
export type Decision = ForwardDecision | DenyDecision | RedirectDecision | AnswerDecision | DropDecision;
