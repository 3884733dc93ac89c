import { connect, type Socket, type TcpNetConnectOpts } from "node:net";
import { atTurnEnd, type Due, turnOrder } from "../base/turn-end.ts";

/** What one request on an upstream connection hears of it. */
export interface ConnectionUser {
  /** A fresh connection is there. */
  connected(): void;
  received(chunk: Buffer): void;
  /** Odoo ended its side, or the connection is closed. */
  ended(): void;
  errored(error: NodeJS.ErrnoException): void;
  /** Nothing came or went for as long as `bound` said. */
  silent(): void;
}

/** What the kernel has is read into here, whichever connection it is for, and copied out at once. */
const reading = Buffer.allocUnsafeSlow(64 * 1024);

/**
 * One connection to a member, with the same listeners for all requests it carries: hanging them up anew for each costs more than
 * the request. Between requests every word on it is nobody's answer, and it is closed.
 */
export class UpstreamConnection implements Due {
  readonly socket: Socket;
  readonly #lost: (connection: UpstreamConnection) => void;
  #user: ConnectionUser | null = null;

  /** `lost`: it ended while it was kept for later. */
  constructor(socket: Socket, lost: (connection: UpstreamConnection) => void) {
    this.socket = socket;
    this.#lost = lost;
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("error", this.#onError);
    socket.on("close", this.#onEnd);
    socket.on("timeout", this.#onTimeout);
    if (socket.connecting) socket.once("connect", this.#onConnect);
  }

  /** A fresh connection that is no stream: its bytes come by one callback, from a buffer that all share. It cannot be released. */
  static open(at: TcpNetConnectOpts, lost: (connection: UpstreamConnection) => void): UpstreamConnection {
    let connection: UpstreamConnection | null = null;
    const callback = (bytes: number) => {
      const chunk = Buffer.allocUnsafe(bytes);
      reading.copy(chunk, 0, 0, bytes);
      if (connection !== null) connection.#onData(chunk);
      return true;
    };
    const socket = connect({ ...at, onread: { buffer: reading, callback } });
    // Nobody reads the stream, but its end is told to those who do.
    socket.resume();
    connection = new UpstreamConnection(socket, lost);
    return connection;
  }

  get isUsable(): boolean {
    const { socket } = this;
    return !socket.destroyed && socket.readable && socket.writable;
  }

  use(user: ConnectionUser): void {
    this.#user = user;
  }

  /** Nobody's from here on: kept for later, or about to be destroyed. */
  leave(): void {
    this.#user = null;
    if (this.socket.isPaused()) this.socket.resume();
  }

  /** Longest silence, milliseconds; 0: none is too long. */
  bound(silenceMs: number): void {
    const { socket } = this;
    // Every byte sets the timer anew; only another length is worth a call.
    if ((socket.timeout ?? 0) !== silenceMs) socket.setTimeout(silenceMs);
  }

  /** Nobody hears of it any more; closed at the end of this turn. */
  destroy(): void {
    this.#user = null;
    atTurnEnd(turnOrder.close, this);
  }

  due(): void {
    this.socket.destroy();
  }

  /** Gives the bare socket away, for a tunnel; not of one that was made with `open`. */
  release(): Socket {
    const { socket } = this;
    this.#user = null;
    socket.off("data", this.#onData);
    socket.off("end", this.#onEnd);
    socket.off("error", this.#onError);
    socket.off("close", this.#onEnd);
    socket.off("timeout", this.#onTimeout);
    socket.setTimeout(0);
    return socket;
  }

  readonly #onConnect = (): void => {
    this.#user?.connected();
  };

  readonly #onData = (chunk: Buffer): void => {
    if (this.#user !== null) this.#user.received(chunk);
    else this.#drop();
  };

  readonly #onEnd = (): void => {
    if (this.#user !== null) this.#user.ended();
    else this.#drop();
  };

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    if (this.#user !== null) this.#user.errored(error);
    else this.#drop();
  };

  readonly #onTimeout = (): void => {
    if (this.#user !== null) this.#user.silent();
    else this.#drop();
  };

  #drop(): void {
    this.socket.destroy();
    this.#lost(this);
  }
}
