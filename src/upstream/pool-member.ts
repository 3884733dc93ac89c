import { connect, type LookupFunction, type Socket, type TcpNetConnectOpts } from "node:net";
import { type ConnectionHome, UpstreamConnection } from "./connection.ts";
import { Crowd } from "./crowd.ts";
import { MemberHealth } from "./health.ts";
import type { Member } from "./pool.ts";

/** Idle connections kept to one member. */
export const idleSocketsMax = 32;
/** Closed connections kept to be opened again, 3 KiB each. */
const sparesMax = 32;
/** How long an idle connection is kept before we close it, to a quarter of it. */
export const idleSocketMs = 10_000;

/** An address a name was resolved to. */
export interface ResolvedAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

/** One member of a pool: where it is, what is known of it, and its idle connections. */
export class PoolMember implements Member, ConnectionHome {
  readonly host: string;
  readonly port: number;
  readonly name: string;
  /** Asked only when no other member is up. */
  readonly isBackup: boolean;
  readonly health = new MemberHealth();
  readonly crowd = new Crowd();
  /** Requests and tunnels it has at the moment. */
  inFlight = 0;
  /** Probes in a row that it accepted and did not answer in time. */
  silentProbes = 0;
  readonly #keepAlive: boolean;
  readonly #idle: UpstreamConnection[] = [];
  /** When each of the above was given back. */
  readonly #idleSinceMs: number[] = [];
  readonly #spares: UpstreamConnection[] = [];
  #sweep: NodeJS.Timeout | null = null;
  #addresses: readonly ResolvedAddress[];
  #isRetired = false;

  /** `addresses`: what the host's name stands for; empty: the system is asked at each connection. */
  constructor(
    at: Member,
    options: { readonly keepAlive: boolean; readonly isBackup: boolean },
    addresses: readonly ResolvedAddress[] = [],
  ) {
    this.host = at.host;
    this.port = at.port;
    this.name = at.name;
    this.isBackup = options.isBackup;
    this.#keepAlive = options.keepAlive;
    this.#addresses = addresses;
  }

  /** The name stands for other addresses now: idle connections to the old ones are closed. */
  moveTo(addresses: readonly ResolvedAddress[]): void {
    const text = (all: readonly ResolvedAddress[]) => all.map(({ address }) => address).join(" ");
    if (text(addresses) === text(this.#addresses)) return;
    this.#addresses = addresses;
    this.close();
  }

  /** It is no member any more: connections that come back are closed. */
  retire(): void {
    this.#isRetired = true;
    this.close();
  }

  /** A connection that carried an exchange before and is still quiet; null when there is none. */
  takeIdle(): UpstreamConnection | null {
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined) return null;
      this.#idleSinceMs.pop();
      if (connection.isUsable) return connection;
      connection.destroy();
    }
  }

  /** A fresh connection for a request. */
  connect(): UpstreamConnection {
    const at = this.#at();
    const spare = this.#spares.pop();
    if (spare === undefined) return UpstreamConnection.open(at, this);
    spare.again(at);
    return spare;
  }

  /** A fresh connection for a request that may end in a tunnel: its socket can be given away. */
  connectForTunnel(): UpstreamConnection {
    return new UpstreamConnection(this.open(), this);
  }

  /** A bare socket of one's own; the caller listens for `connect` and `error`. */
  open(): Socket {
    return connect(this.#at());
  }

  #at(): TcpNetConnectOpts {
    const only = this.#addresses.length === 1 ? this.#addresses[0] : undefined;
    if (only !== undefined) return { host: only.address, port: this.port, noDelay: true };
    if (this.#addresses.length === 0) return { host: this.host, port: this.port, noDelay: true };
    return { host: this.host, port: this.port, noDelay: true, lookup: this.#lookup };
  }

  /** Answers from what was resolved last: Node tries both families (RFC 8305), and DNS may be gone meanwhile. */
  readonly #lookup: LookupFunction = (_host, options, answer) => {
    const known = this.#addresses;
    const first = known[0];
    setImmediate(() => {
      if (options.all === true || first === undefined) answer(null, [...known]);
      else answer(null, first.address, first.family);
    });
  };

  /** Keeps a connection for later. Any byte on it while idle is nobody's answer: it is closed then. */
  giveBack(connection: UpstreamConnection): void {
    if (!this.#keepAlive || this.#isRetired || this.#idle.length >= idleSocketsMax) {
      connection.destroy();
      return;
    }
    connection.leave();
    this.#idle.push(connection);
    this.#idleSinceMs.push(performance.now());
    this.#sweep ??= setInterval(this.#closeOld, idleSocketMs / 4).unref();
  }

  /** Closes idle connections. */
  close(): void {
    for (const connection of this.#idle.splice(0)) connection.destroy();
    this.#idleSinceMs.length = 0;
    this.#closeOld();
  }

  /** The last one given back is the first one taken, so the old ones stand in front. */
  readonly #closeOld = (): void => {
    const before = performance.now() - idleSocketMs;
    let old = 0;
    while (old < this.#idle.length && (this.#idleSinceMs[old] ?? 0) <= before) old += 1;
    this.#idleSinceMs.splice(0, old);
    for (const connection of this.#idle.splice(0, old)) connection.destroy();
    if (this.#idle.length > 0 || this.#sweep === null) return;
    clearInterval(this.#sweep);
    this.#sweep = null;
  };

  lost(connection: UpstreamConnection): void {
    const at = this.#idle.indexOf(connection);
    if (at < 0) return;
    this.#idle.splice(at, 1);
    this.#idleSinceMs.splice(at, 1);
  }

  spare(connection: UpstreamConnection): void {
    if (this.#spares.length < sparesMax) this.#spares.push(connection);
  }
}
