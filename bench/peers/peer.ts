import type { Daemon } from "../children.ts";

/** How the upstream treats connections: Odoo's prefork server closes each, its gevent server keeps them. */
export type Regime = "closing" | "keep-alive";
/** What the clients speak. */
export type Protocol = "http1" | "http2";

export interface PeerContext {
  readonly regime: Regime;
  readonly upstreamPort: number;
  readonly busPort: number;
  /** Where the peer must listen with TLS, on 127.0.0.1. */
  readonly tlsPort: number;
  /** PEM files, ECDSA P-256. */
  readonly cert: string;
  readonly key: string;
  /** The peer's own directory: configuration, logs, state; removed after the run. */
  readonly dir: string;
  /** Text is compressed, in the way the peer's operators are told to; absent: as the peer comes. */
  readonly compress?: boolean;
}

export interface Peer {
  readonly name: string;
  readonly protocols: readonly Protocol[];
  /** Its machine code is made while it runs: it is warmed up for longer. */
  readonly compilesAsItRuns?: boolean;
  /** true, or why it cannot take part. */
  available(): true | string;
  /** Starts it; returns when it accepts connections, throws when it cannot. */
  start(context: PeerContext): Promise<Daemon>;
}
