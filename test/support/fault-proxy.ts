import { connect, createServer, type Socket } from "node:net";

/** How far an exchange gets before the fault. `tunnel`: behind a 101 and so many bytes of Odoo's. */
export type FaultStage = "connect" | "request" | "head" | "after-head" | "body" | "end" | "tunnel";

/**
 * `delay`: nothing until `release`. `reset`: RST. `half`: FIN, what came before is all. `black-hole`: nothing more, for ever.
 * `slow`: the rest byte by byte, each in a turn of the event loop of its own.
 */
export type FaultKind = "delay" | "reset" | "half" | "black-hole" | "slow";

export interface Fault {
  readonly stage: FaultStage;
  readonly kind: FaultKind;
}

/** A proxy between the gateway and Odoo that spoils exchanges at a place the test names. */
export interface FaultProxy {
  readonly port: number;
  /** For the next connection only; null: nothing is spoilt. */
  next(fault: Fault | null): void;
  /** Connections so far. */
  readonly connections: number;
  /** Faults that took place. */
  readonly done: number;
  /** Connections whose gateway's side is still open. */
  readonly open: number;
  /** Lets what was delayed go on. */
  release(): void;
  close(): Promise<void>;
}

/** Sent by the health checks; never spoilt and never counted. */
const probe = /^GET \/(?:web|websocket)\/health /;

export async function startFaultProxy(target: number): Promise<FaultProxy> {
  const all = new Set<Socket>();
  const open = new Set<Socket>();
  let fault: Fault | null = null;
  let connections = 0;
  let done = 0;
  let waiting: (() => void)[] = [];
  const untilReleased = (go: () => void) => waiting.push(go);

  const strike = (kind: FaultKind, socket: Socket, rest: Buffer, goOn: () => void) => {
    done += 1;
    // Read on, or the other side's end would never be noticed.
    socket.resume();
    switch (kind) {
      case "delay":
        return void untilReleased(() => {
          if (!socket.destroyed) socket.write(rest);
          goOn();
        });
      case "reset":
        // Behind the bytes that were written: a reset at once would overtake them.
        return void setImmediate(() => setImmediate(() => socket.resetAndDestroy()));
      case "half":
        return void socket.end();
      case "black-hole":
        return;
      case "slow":
        return drip(socket, rest, goOn);
    }
  };

  const server = createServer({ allowHalfOpen: true }, (socket) => {
    all.add(socket);
    open.add(socket);
    socket.on("error", () => {});
    // Its own side may stay open: that is what a black hole does.
    socket.on("end", () => open.delete(socket));
    socket.on("close", () => {
      open.delete(socket);
      all.delete(socket);
    });
    let seen = Buffer.alloc(0);
    const collect = (chunk: Buffer) => {
      seen = Buffer.concat([seen, chunk]);
      const end = seen.indexOf("\r\n\r\n");
      if (end < 0) return;
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(seen.toString("latin1", 0, end))?.[1] ?? 0);
      if (seen.length < end + 4 + length) return;
      socket.off("data", collect);
      if (probe.test(seen.toString("latin1", 0, 40))) return forward(socket, seen, null);
      connections += 1;
      const mine = fault;
      fault = null;
      forward(socket, seen, mine);
    };
    if (fault?.stage === "connect") {
      const { kind } = fault;
      fault = null;
      const read = () => socket.on("data", collect);
      if (kind === "delay" || kind === "slow") {
        done += 1;
        return void (kind === "delay" ? untilReleased(read) : setImmediate(read));
      }
      connections += 1;
      return strike(kind, socket, Buffer.alloc(0), () => {});
    }
    socket.on("data", collect);
  });

  /** The whole answer is fetched first, so that the place of the fault is exact; a tunnel passes as it comes. */
  const forward = (socket: Socket, request: Buffer, mine: Fault | null) => {
    const upstream = connect(target, "127.0.0.1");
    upstream.on("error", () => socket.destroy());
    socket.on("close", () => upstream.destroy());
    upstream.write(request);
    if (mine?.stage === "tunnel" || /\r\nupgrade: websocket/i.test(request.toString("latin1")))
      return tunnel(socket, upstream, mine);
    const parts: Buffer[] = [];
    upstream.on("data", (chunk: Buffer) => parts.push(chunk));
    upstream.on("end", () => {
      const answer = Buffer.concat(parts);
      if (mine === null) return void socket.end(answer);
      const at = placeOf(answer, mine.stage);
      if (at > 0) socket.write(answer.subarray(0, at));
      strike(mine.kind, socket, answer.subarray(at), () => socket.end());
    });
  };

  const tunnel = (socket: Socket, upstream: Socket, mine: Fault | null) => {
    let passed = 0;
    let struck = false;
    let headEnd = -1;
    socket.on("data", (chunk: Buffer) => upstream.write(chunk));
    socket.on("end", () => upstream.end());
    upstream.on("end", () => socket.end());
    upstream.on("data", (chunk: Buffer) => {
      if (struck) return void (mine?.kind === "slow" && socket.write(chunk));
      passed += chunk.length;
      if (headEnd < 0) {
        headEnd = chunk.indexOf("\r\n\r\n") + 4;
        // What came with the head is the tunnel's first part.
        if (chunk.length === headEnd) return void socket.write(chunk);
      }
      if (mine === null || passed <= headEnd) return void socket.write(chunk);
      struck = true;
      // In the middle of the first frame.
      const at = Math.min(1, chunk.length);
      socket.write(chunk.subarray(0, at));
      strike(mine.kind, socket, chunk.subarray(at), () => {});
    });
  };

  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
  return {
    port,
    next(one) {
      fault = one;
    },
    get connections() {
      return connections;
    },
    get done() {
      return done;
    },
    get open() {
      return open.size;
    },
    release() {
      const gone = waiting;
      waiting = [];
      for (const go of gone) go();
    },
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of all) socket.destroy();
      return closed;
    },
  };
}

/** How many bytes of a whole answer pass before the fault. */
function placeOf(answer: Buffer, stage: FaultStage): number {
  const head = answer.indexOf("\r\n\r\n") + 4;
  switch (stage) {
    case "connect":
    case "request":
    case "tunnel":
      return 0;
    case "head":
      return Math.floor(head / 2);
    case "after-head":
      return head;
    case "body":
      return head + Math.floor((answer.length - head) / 2);
    case "end":
      return answer.length - 1;
  }
}

function drip(socket: Socket, rest: Buffer, goOn: () => void): void {
  let at = 0;
  // The last bytes one by one; a large rest in so many pieces.
  const step = Math.max(1, Math.ceil(rest.length / 500));
  const next = () => {
    if (socket.destroyed) return;
    if (at >= rest.length) return goOn();
    socket.write(rest.subarray(at, at + step));
    at += step;
    setImmediate(next);
  };
  next();
}
