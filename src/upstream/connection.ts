import { Socket, type TcpNetConnectOpts } from "node:net";
import { newPiece } from "../base/pieces.ts";
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

/** Where a connection comes from. */
export interface ConnectionHome {
  /** It ended while it was kept for later. */
  lost(connection: UpstreamConnection): void;
  /** It is closed after an exchange that ended well, and may be opened `again`. */
  spare(connection: UpstreamConnection): void;
}

/** What the kernel has is read into here, whichever connection it is for, and copied out at once. */
const reading = Buffer.allocUnsafeSlow(64 * 1024);

/**
 * One connection to a member, with the same listeners for all requests it carries: hanging them up anew for each costs more than
 * the request. Between requests every word on it is nobody's answer, and it is closed.
 */
export class UpstreamConnection implements Due {
  readonly socket: Socket;
  readonly #home: ConnectionHome;
  #user: ConnectionUser | null = null;
  /** Its exchange ended well: when it is closed, the socket serves for another connection. */
  #isSpare = false;
  #boundMs = 0;

  constructor(socket: Socket, home: ConnectionHome) {
    this.socket = socket;
    this.#home = home;
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("error", this.#onError);
    socket.on("close", this.#onClose);
    socket.on("timeout", this.#onTimeout);
    socket.on("connect", this.#onConnect);
  }

  /** A fresh connection that is no stream: its bytes come by one callback, from a buffer that all share. It cannot be released. */
  static open(at: TcpNetConnectOpts, home: ConnectionHome): UpstreamConnection {
    let connection: UpstreamConnection | null = null;
    const callback = (bytes: number) => {
      const chunk = newPiece(bytes);
      reading.copy(chunk, 0, 0, bytes);
      if (connection !== null) connection.#onData(chunk);
      return true;
    };
    const options = { noDelay: true, onread: { buffer: reading, callback } };
    // The types of node:net name `noDelay` and `onread` for a connection only; it is the socket that keeps them.
    const socket = new Socket(options as object);
    // Nobody reads the stream, but its end is told to those who do.
    socket.resume();
    connection = new UpstreamConnection(socket, home);
    socket.connect(at);
    return connection;
  }

  /** A spare one connects anew: Node's socket begins from nothing behind its `close`, and costs a third of a new one. */
  again(at: TcpNetConnectOpts): void {
    // Its close ended the timer.
    this.#boundMs = 0;
    this.socket.connect(at);
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
    // Every byte sets the timer anew; only another length is worth a call.
    if (silenceMs === this.#boundMs) return;
    this.#boundMs = silenceMs;
    this.socket.setTimeout(silenceMs);
  }

  /** Nobody hears of it any more; closed at the end of this turn. */
  destroy(): void {
    this.#user = null;
    atTurnEnd(turnOrder.close, this);
  }

  /** After an exchange that ended well on a connection made with `open`, both messages whole: as `destroy`, and it goes home as a spare. */
  finish(): void {
    this.#isSpare = !this.socket.isPaused();
    this.destroy();
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
    socket.off("close", this.#onClose);
    socket.off("timeout", this.#onTimeout);
    socket.off("connect", this.#onConnect);
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

  readonly #onClose = (): void => {
    if (!this.#isSpare) return this.#onEnd();
    this.#isSpare = false;
    this.#home.spare(this);
  };

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    this.#isSpare = false;
    if (this.#user !== null) this.#user.errored(error);
    else this.#drop();
  };

  readonly #onTimeout = (): void => {
    if (this.#user !== null) this.#user.silent();
    else this.#drop();
  };

  #drop(): void {
    this.socket.destroy();
    this.#home.lost(this);
  }
}
