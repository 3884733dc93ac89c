import { connect, type Socket } from "node:net";

/** One address of a pool. */
export interface Member {
  readonly host: string;
  readonly port: number;
  /** `host:port` for messages. */
  readonly name: string;
}

export function member(host: string, port: number): Member {
  return { host, port, name: host.includes(":") ? `[${host}]:${port}` : `${host}:${port}` };
}

/** Idle connections kept to the bus port. */
export const idleSocketsMax = 32;
/** How long an idle connection is kept before we close it. */
export const idleSocketMs = 10_000;

/**
 * Equal upstreams of one kind. The web pool opens a connection for each exchange and only when the whole request can be
 * sent (Odoo's prefork server answers one request a connection and a silent socket holds a worker);
 * the bus pool keeps idle connections.
 */
export class Pool {
  readonly keepAlive: boolean;
  #member: Member;
  readonly #idle: Socket[] = [];

  constructor(first: Member, keepAlive: boolean) {
    this.#member = first;
    this.keepAlive = keepAlive;
  }

  get member(): Member {
    return this.#member;
  }

  /** Sends what follows elsewhere (bus fall-back and back); idle connections to the old member are closed. */
  redirect(to: Member): void {
    if (to.name === this.#member.name) return;
    this.#member = to;
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

  /** A fresh connection to the member; the caller listens for `connect` and `error`. */
  open(): Socket {
    return connect({ host: this.#member.host, port: this.#member.port, noDelay: true });
  }

  /** Keeps a connection for later. Any byte on it while idle is nobody's answer: it is closed then. */
  giveBack(socket: Socket): void {
    if (!this.keepAlive || this.#idle.length >= idleSocketsMax) {
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
