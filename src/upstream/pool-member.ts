import { connect, type LookupFunction, type Socket } from "node:net";
import { MemberHealth } from "./health.ts";
import type { Member } from "./pool.ts";

/** Idle connections kept to one member. */
export const idleSocketsMax = 32;
/** How long an idle connection is kept before we close it. */
export const idleSocketMs = 10_000;

/** An address a name was resolved to. */
export interface ResolvedAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

/** One member of a pool: where it is, what is known of it, and its idle connections. */
export class PoolMember implements Member {
  readonly host: string;
  readonly port: number;
  readonly name: string;
  /** Asked only when no other member is up. */
  readonly isBackup: boolean;
  readonly health = new MemberHealth();
  /** Requests and tunnels it has at the moment. */
  inFlight = 0;
  /** Probes in a row that it accepted and did not answer in time. */
  silentProbes = 0;
  readonly #keepAlive: boolean;
  readonly #idle: Socket[] = [];
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
  takeIdle(): Socket | null {
    for (;;) {
      const socket = this.#idle.pop();
      if (socket === undefined) return null;
      socket.removeAllListeners();
      socket.setTimeout(0);
      if (!socket.destroyed && socket.readable && socket.writable) return socket;
      quiet(socket);
      socket.destroy();
    }
  }

  /** A fresh connection; the caller listens for `connect` and `error`. */
  open(): Socket {
    const only = this.#addresses.length === 1 ? this.#addresses[0] : undefined;
    if (only !== undefined) return connect({ host: only.address, port: this.port, noDelay: true });
    if (this.#addresses.length === 0) return connect({ host: this.host, port: this.port, noDelay: true });
    return connect({ host: this.host, port: this.port, noDelay: true, lookup: this.#lookup });
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
  giveBack(socket: Socket): void {
    if (!this.#keepAlive || this.#isRetired || this.#idle.length >= idleSocketsMax) {
      quiet(socket);
      socket.destroy();
      return;
    }
    const drop = () => {
      const at = this.#idle.indexOf(socket);
      if (at >= 0) this.#idle.splice(at, 1);
      socket.destroy();
    };
    socket.removeAllListeners();
    socket.on("data", drop);
    socket.on("end", drop);
    socket.on("error", drop);
    socket.on("close", drop);
    socket.setTimeout(idleSocketMs, drop);
    socket.resume();
    this.#idle.push(socket);
  }

  /** Closes idle connections. */
  close(): void {
    for (const socket of this.#idle.splice(0)) {
      quiet(socket);
      socket.destroy();
    }
  }
}

/** A socket on its way out may still report an error; nobody is left to hear it. */
function quiet(socket: Socket): void {
  socket.removeAllListeners();
  socket.on("error", () => {});
}
