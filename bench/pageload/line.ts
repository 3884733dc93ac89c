import { connect, createServer, type Socket } from "node:net";

/**
 * A visitor's line, as a relay on loopback: everything a browser does passes it, all connections share it. It holds
 * bytes back; it never looks into them.
 *
 * What it copies: the rate of each direction, the way's delay, the round trip that opening a connection takes, TCP's
 * slow start (RFC 6928: ten segments at first, doubled with each round trip) and a buffer of one
 * bandwidth-delay product before the narrow place. What it does not: loss, and the headers of packets.
 */
export interface LineSettings {
  /** Towards the browser; bits a second. */
  readonly downBitsPerSecond: number;
  readonly upBitsPerSecond: number;
  /** There and back. */
  readonly roundTripMs: number;
}

/** Time, so that a test can hold it. */
export interface LineClock {
  nowMs(): number;
  /** Calls back after `delayMs`. */
  after(delayMs: number, callback: () => void): void;
}

export interface Line {
  readonly port: number;
  /** Bytes delivered to the browser so far, TLS and all. */
  readonly downBytes: number;
  /** Cuts all connections and stops listening. */
  close(): Promise<void>;
}

const SEGMENT_BYTES = 1_460;
const FIRST_WINDOW_BYTES = 10 * SEGMENT_BYTES;
/** Read from the server and not sent yet, a connection; reading stops above it, as with a full send buffer. */
const UNSENT_BYTES_MAX = 256 * 1024;

export const systemClock: LineClock = {
  nowMs: () => performance.now(),
  after: (delayMs, callback) => void setTimeout(callback, delayMs),
};

/** One direction: bytes queue for the narrow place, then travel. Calls back in order of sending. */
export interface Way {
  send(bytes: number, arrived: () => void): void;
}

/** Bound: what is under way is bounded by its senders' windows. */
export function createWay(bitsPerSecond: number, delayMs: number, clock: LineClock): Way {
  const underWay: { readonly atMs: number; readonly arrived: () => void }[] = [];
  let freeAtMs = 0;
  let sleeping = false;

  function deliver(): void {
    sleeping = false;
    const now = clock.nowMs();
    for (let first = underWay[0]; first !== undefined && first.atMs <= now; first = underWay[0]) {
      underWay.shift();
      first.arrived();
    }
    sleep();
  }

  function sleep(): void {
    const first = underWay[0];
    if (sleeping || first === undefined) return;
    sleeping = true;
    clock.after(Math.max(0, first.atMs - clock.nowMs()), deliver);
  }

  return {
    send(bytes, arrived) {
      freeAtMs = Math.max(clock.nowMs(), freeAtMs) + (bytes * 8_000) / bitsPerSecond;
      underWay.push({ atMs: freeAtMs + delayMs, arrived });
      sleep();
    },
  };
}

/** A sender's window: how much may be under way and not yet acknowledged. */
interface Sender {
  push(piece: Buffer): void;
  end(): void;
}

/**
 * Cuts what it is given into segments and sends as many as the window allows; an acknowledgement, half a round trip
 * after the arrival, opens it by what was acknowledged, up to `windowBytesMax`.
 */
export function createSender(
  way: Way,
  windowBytesMax: number,
  ackDelayMs: number,
  clock: LineClock,
  to: { deliver(piece: Buffer): void; end(): void; unsent(bytes: number): void },
): Sender {
  const queue: Buffer[] = [];
  let unsentBytes = 0;
  let window = FIRST_WINDOW_BYTES;
  let inFlight = 0;
  let ended = false;

  function pump(): void {
    while (inFlight < window) {
      const piece = queue[0];
      if (piece === undefined) break;
      const segment = piece.subarray(0, SEGMENT_BYTES);
      if (segment.length === piece.length) queue.shift();
      else queue[0] = piece.subarray(SEGMENT_BYTES);
      unsentBytes -= segment.length;
      inFlight += segment.length;
      way.send(segment.length, () => {
        to.deliver(segment);
        clock.after(ackDelayMs, () => {
          inFlight -= segment.length;
          window = Math.min(windowBytesMax, window + segment.length);
          pump();
        });
      });
    }
    to.unsent(unsentBytes);
    if (ended && queue.length === 0) {
      ended = false;
      way.send(0, () => to.end());
    }
  }

  return {
    push(piece) {
      queue.push(piece);
      unsentBytes += piece.length;
      pump();
    },
    end() {
      ended = true;
      pump();
    },
  };
}

/** Opens a line on a free port of 127.0.0.1 that leads to `serverPort` of the same address. */
export function openLine(settings: LineSettings, serverPort: number, clock = systemClock): Promise<Line> {
  const oneWayMs = settings.roundTripMs / 2;
  const down = createWay(settings.downBitsPerSecond, oneWayMs, clock);
  const up = createWay(settings.upBitsPerSecond, oneWayMs, clock);
  // What is on the wire, and as much again waiting before it.
  const windowBytesMax = Math.max(
    FIRST_WINDOW_BYTES,
    (2 * settings.downBitsPerSecond * settings.roundTripMs) / 8_000,
  );
  const open = new Set<Socket>();
  let downBytes = 0;

  const server = createServer({ noDelay: true, allowHalfOpen: true }, (browser) => {
    const far = connect({ port: serverPort, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
    const cut = (): void => {
      browser.destroy();
      far.destroy();
    };
    for (const socket of [browser, far]) {
      open.add(socket);
      socket.on("error", cut);
      socket.once("close", () => open.delete(socket));
    }
    const sender = createSender(down, windowBytesMax, oneWayMs, clock, {
      deliver(piece) {
        downBytes += piece.length;
        if (!browser.destroyed) browser.write(piece);
      },
      end: () => browser.end(),
      unsent: (bytes) => void (bytes > UNSENT_BYTES_MAX ? far.pause() : far.resume()),
    });
    far.on("data", (piece) => sender.push(piece));
    far.once("end", () => sender.end());
    // The browser believes the connection open at once; its first bytes leave when a handshake would be over.
    browser.pause();
    clock.after(settings.roundTripMs, () => browser.resume());
    browser.on("data", (piece) => up.send(piece.length, () => void (far.destroyed || far.write(piece))));
    browser.once("end", () => up.send(0, () => far.end()));
    browser.once("close", () => up.send(0, () => far.destroy()));
  });

  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port: 0, host: "127.0.0.1", backlog: 511 }, () => {
      const address = server.address();
      resolve({
        port: typeof address === "object" && address !== null ? address.port : 0,
        get downBytes() {
          return downBytes;
        },
        close() {
          for (const socket of open) socket.destroy();
          return new Promise((done) => server.close(() => done()));
        },
      });
    });
  });
}
