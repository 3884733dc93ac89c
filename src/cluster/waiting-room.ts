import type { Socket } from "node:net";
import type { ListenerName } from "./messages.ts";

/** Connections that wait while no worker is there: at the start, and when all of them broke at once. Further ones are closed. */
const waitingMax = 1_024;
/** Longer than a worker takes to start; who waited so long is closed. */
const waitingMsMax = 20_000;

export interface WaitingConnection {
  readonly name: ListenerName;
  readonly socket: Socket;
  readonly closed: () => void;
}

/** Accepted connections nobody can serve yet, unread, first come first served. */
export class WaitingRoom {
  readonly #waiting = new Map<WaitingConnection, NodeJS.Timeout>();

  /** False: it is full. */
  add(connection: WaitingConnection): boolean {
    if (this.#waiting.size >= waitingMax) return false;
    const timer = setTimeout(() => this.#giveUp(connection), waitingMsMax);
    timer.unref();
    this.#waiting.set(connection, timer);
    return true;
  }

  /** Everybody, to be served now. */
  leave(): readonly WaitingConnection[] {
    const all = [...this.#waiting];
    this.#waiting.clear();
    for (const [, timer] of all) clearTimeout(timer);
    return all.map(([connection]) => connection);
  }

  close(): void {
    for (const { socket, closed } of this.leave()) {
      socket.destroy();
      closed();
    }
  }

  #giveUp(connection: WaitingConnection): void {
    this.#waiting.delete(connection);
    connection.socket.destroy();
    connection.closed();
  }
}
