import type { CanonicalPath, HostName } from "../base/brands.ts";
import type { Ip } from "../base/ip.ts";

/** How the message travelled to us. */
export type Protocol = "HTTP/1.0" | "HTTP/1.1" | "HTTP/2";

/**
 * Name and value alternating, in the order and spelling received; names keep their case.
 * HTTP/2 pseudo-fields are not in it and `cookie` crumbs are already joined with `; `.
 */
export type RawFields = readonly string[];

/**
 * One object for all requests of a connection whose fields are the same, byte for byte, but for the number in Content-Length: a program
 * that calls again and again, a browser that loads one page. What follows from the fields alone is worked out once and remembered by it;
 * what follows from Content-Length is not. It ends with its connection, and what is remembered with it.
 */
export type Likeness = object;

/**
 * What was read about a request: who, where to, what. Immutable; everything that decides looks at facts,
 * never at the message again. Built by `screen` and only for a message with exactly one meaning.
 */
export interface RequestFacts {
  readonly protocol: Protocol;
  /** Upper-case method from the closed list. */
  readonly method: string;
  /** The request target exactly as received, origin-form; this is what goes to Odoo. */
  readonly target: string;
  /** First reading of the path. */
  readonly path: CanonicalPath;
  /**
   * Every reading Odoo could give the path: itself and, when its first segment could be a language code,
   * the rest behind it (odoo-wire d). One or two entries; `paths[0] === path`. A rule matches when any matches.
   */
  readonly paths: readonly CanonicalPath[];
  /** `paths` in lower case, for deny rules. The same array when nothing differs. */
  readonly pathsLower: readonly CanonicalPath[];
  /** The raw query without `?`; empty when there is none. */
  readonly query: string;
  /** The host asked for, without port. */
  readonly host: HostName;
  /** Host for `X-Forwarded-Host`: with the port unless it is 443. */
  readonly authority: string;
  /** Who holds the TCP connection. */
  readonly peer: Ip;
  /** The peer, or what trusted proxies vouch for, read from the right. */
  readonly client: Ip;
  /** Did the message arrive over TLS. */
  readonly secure: boolean;
  /** Media type in lower case without parameters; empty when absent. */
  readonly contentType: string;
  /** The value of the session cookie; null when absent. */
  readonly sessionId: string | null;
  /** A well-formed WebSocket handshake (RFC 6455 §4.2.1) asks for an upgrade; null otherwise. */
  readonly upgrade: "websocket" | null;
  /** What equal fields of this connection have in common; null or left out: nothing is known to be equal. */
  readonly likeness?: Likeness | null;
  /** The field lines as received, but several Cookie lines are one, joined with `; `. */
  readonly fields: RawFields;
  /**
   * The first forwarding field (`x-forwarded-for`, …) sent by a peer that is no trusted proxy; null when
   * there is none. The field itself is ignored; the operator is told that TRUSTED_PROXIES may lack a proxy.
   */
  readonly untrustedForwarding: string | null;
}

/** A client's fault: the status it gets, why (for the log and the page), and always a closed connection on HTTP/1. */
export interface Refusal {
  readonly status: number;
  /** Stable word for logs and metrics, kebab-case: `host-repeated`, `target-dot-segment`. */
  readonly code: string;
  /** One sentence a person understands, with the RFC section where one says so. Never echoes the request. */
  readonly detail: string;
  /** Field lines the answer must carry (name, value, …): `Allow` with 405, `Sec-WebSocket-Version` with 426. */
  readonly headers?: readonly string[];
}
