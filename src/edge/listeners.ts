import { createServer as createTcpServer, type Socket, type Server as TcpServer } from "node:net";
import { type TlsOptions, Server as TlsServer } from "node:tls";
import type { Ip } from "../base/ip.ts";
import { ipKey64, parseSocketIp } from "../base/ip.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { ListenAddress } from "../settings/settings.ts";
import type { Challenges } from "../tls/challenges.ts";
import { type EdgeBounds, edgeBounds } from "./bounds.ts";
import { connectionsMax } from "./descriptors.ts";
import { Handshakes } from "./handshakes.ts";
import { takeHello } from "./hello-pieces.ts";
import { type Connection, createHttp1, type EdgeHandlers } from "./http1.ts";
import { createHttp2 } from "./http2.ts";

export interface Admission {
  /** Most connections one client address (IPv6: /64) may hold. */
  readonly connectionsPerClientMax: number;
  /** Banned, and the operator wants no answer for it: a direct peer's connection is not even opened. */
  isBanned(ip: Ip): boolean;
  /** May only this machine, and not this address, connect: it would go around the proxies in front. */
  isShutTo(ip: Ip): boolean;
  /** Trusted networks and proxies hold as many as they like. */
  isExempt(ip: Ip): boolean;
}

/** Where this process is one of several: who accepts, and who serves. At most one of the two is there. */
export interface Elsewhere {
  /** Another process accepts: `server` gets its connections by hand. Null: it did not open this listener. */
  readonly attach?: (server: TcpServer) => { readonly port: number; readonly address: string } | null;
  /** Another process serves: gives an accepted connection away, unread. `closed` is called once. `nobody` takes it, or we serve it `here`. */
  readonly handOver?: (socket: Socket, closed: () => void) => "taken" | "nobody" | "here";
}

/** An open listener. */
export interface Listener {
  readonly port: number;
  readonly address: string;
  /** TLS server of the HTTPS listener, for swapping contexts and ticket keys; null on plain HTTP. */
  readonly tls: TlsServer | null;
  /** Connections that are open now. */
  readonly connections: number;
  /** Takes no new connection, closes idle ones, lets running exchanges finish. */
  stop(): void;
  /** Takes no new connection and tells clients to leave, but closes none: what is under way, or on its way, is served. */
  retire(): void;
  /** Closes whatever is left. */
  destroy(): void;
}

/** A connection from accepting it on. */
class Accepted implements Connection {
  readonly peer: Ip;
  readonly secure: boolean;
  readonly localPort: number;
  readonly isReport: boolean;
  readonly #socket: Socket;
  /** Ends the count of its TLS handshake; null: it has none, or none any more. */
  handshake: (() => void) | null = null;

  constructor(socket: Socket, peer: Ip, kind: "tls" | "plain" | "report") {
    this.#socket = socket;
    this.peer = peer;
    this.secure = kind === "tls";
    this.localPort = socket.localPort ?? 0;
    this.isReport = kind === "report";
  }

  handshakeOver(): void {
    this.handshake?.();
    this.handshake = null;
  }

  reset(): void {
    this.#socket.resetAndDestroy();
  }
}

/**
 * HTTP/2 before HTTP/1.1, and no handshake with those who speak neither. Of a list Node would copy 12 bytes for each connection, out of 8 KiB that it shares out among
 * whoever wants some and that are kept whole until all connections of that time are closed.
 */
function chooseProtocol({ protocols }: { readonly protocols: readonly string[] }): string | undefined {
  return ["h2", "http/1.1"].find((one) => protocols.includes(one));
}

/** One listener for all sockets: one of its own would be kept for as long as the connection stands. */
function destroyIt(this: Socket): void {
  this.destroy();
}

/** Opens the HTTPS listener: one TLS server, split by ALPN into HTTP/2 and HTTP/1.1. */
export function listenTls(
  at: ListenAddress,
  tlsOptions: TlsOptions,
  admission: () => Admission,
  handlers: EdgeHandlers,
  bounds: EdgeBounds = edgeBounds,
  challenges: Pick<Challenges, "watchesHellos" | "sort"> | null = null,
  elsewhere: Elsewhere = {},
): Promise<Result<Listener, string>> {
  const http1 = createHttp1(handlers, bounds);
  const http2 = createHttp2(handlers, bounds);
  const tls = new TlsServer({
    ...tlsOptions,
    ALPNCallback: chooseProtocol,
    handshakeTimeout: bounds.handshakeTimeoutMs,
  });
  // A TLS socket does not name the socket below it; the peer's address and port do. Connections whose handshake is under way.
  const byPort = new Map<string, Accepted>();
  const handshakes = new Handshakes(bounds);
  tls.on("tlsClientError", (_error, socket) => socket.destroy());
  tls.on("secureConnection", (socket) => {
    // Node may report a late error of a socket that its HTTP layers let go of (CVE-2025-59465's class).
    socket.on("error", destroyIt);
    const connection = byPort.get(`${socket.remoteAddress}|${socket.remotePort}`);
    if (connection === undefined) return void socket.destroy();
    connection.handshakeOver();
    socket.allowHalfOpen = true;
    if (socket.alpnProtocol === "h2") http2.accept(socket, connection);
    else http1.accept(socket, connection);
  });
  const accept = (socket: Socket, connection: Accepted) => {
    const key = `${socket.remoteAddress}|${socket.remotePort}`;
    const client = ipKey64(connection.peer);
    if (!handshakes.hasRoom(client) && !admission().isExempt(connection.peer)) return void socket.destroy();
    const over = handshakes.begin(client);
    byPort.set(key, connection);
    // Node's own time runs from the hello on.
    const timer = setTimeout(() => socket.destroy(), bounds.handshakeTimeoutMs);
    connection.handshake = () => {
      clearTimeout(timer);
      over();
      byPort.delete(key);
    };
    // While an authority looks at our TLS port, its connections are told from all others by their hello.
    if (challenges?.watchesHellos === true)
      challenges.sort(socket, (sorted) => tls.emit("connection", sorted));
    else takeHello(socket, (ready) => tls.emit("connection", ready));
  };
  return listen(at, "tls", admission, accept, handlers, elsewhere, {
    tls,
    retire: () => http2.retire(),
    stop() {
      http2.close();
      http1.stop();
    },
  });
}

/** Opens the plain HTTP listener, or with `kind` report the one for Odoo's own PDF maker. */
export function listenPlain(
  at: ListenAddress,
  admission: () => Admission,
  handlers: EdgeHandlers,
  bounds: EdgeBounds = edgeBounds,
  kind: "plain" | "report" = "plain",
  elsewhere: Elsewhere = {},
): Promise<Result<Listener, string>> {
  const http1 = createHttp1(handlers, bounds);
  const accept = (socket: Socket, connection: Connection) => http1.accept(socket, connection);
  return listen(at, kind, admission, accept, handlers, elsewhere, {
    tls: null,
    retire() {},
    stop() {
      http1.stop();
    },
  });
}

function listen(
  at: ListenAddress,
  kind: "tls" | "plain" | "report",
  admission: () => Admission,
  accept: (socket: Socket, connection: Accepted) => void,
  handlers: Pick<EdgeHandlers, "trouble" | "shutOut">,
  elsewhere: Elsewhere,
  above: Above,
): Promise<Result<Listener, string>> {
  const open = new Set<Socket>();
  const perClient = new Map<string, number>();
  const { attach, handOver } = elsewhere;
  const { trouble } = handlers;
  const server = createTcpServer({
    noDelay: true,
    // A TLS handshake whose client has left would be kept until its time is over.
    allowHalfOpen: kind !== "tls",
    pauseOnConnect: handOver !== undefined,
  });
  server.maxConnections = connectionsMax(kind);
  server.on("drop", () =>
    trouble(`${server.maxConnections} connections are open on one listener; further ones are closed at once`),
  );
  server.on("connection", (socket) => {
    socket.on("error", destroyIt);
    const peer = parseSocketIp(socket.remoteAddress ?? "");
    if (peer === null) return void socket.destroy();
    const rules = admission();
    if (rules.isBanned(peer)) return void socket.destroy();
    // Whoever comes from this machine has its own address on both ends.
    if (rules.isShutTo(peer) && socket.remoteAddress !== socket.localAddress) {
      handlers.shutOut(peer.text);
      return void socket.destroy();
    }
    const key = ipKey64(peer);
    const held = perClient.get(key) ?? 0;
    // The cheapest refusal there is: no handshake, no answer.
    if (held >= rules.connectionsPerClientMax && !rules.isExempt(peer)) return void socket.destroy();
    perClient.set(key, held + 1);
    open.add(socket);
    const connection = new Accepted(socket, peer, kind);
    const closed = () => {
      open.delete(socket);
      connection.handshakeOver();
      const left = (perClient.get(key) ?? 1) - 1;
      if (left <= 0) perClient.delete(key);
      else perClient.set(key, left);
    };
    if (handOver !== undefined) {
      // Node counts what this process holds; what it gave away it does not.
      const taken = open.size > connectionsMax(kind) ? "nobody" : handOver(socket, closed);
      if (taken === "nobody") {
        closed();
        socket.destroy();
      }
      if (taken !== "here") return;
      // It was accepted unread; for TLS its hello is waited for.
      if (above.tls === null) socket.resume();
    }
    socket.on("close", closed);
    accept(socket, connection);
  });
  if (attach !== undefined) {
    const at = attach(server);
    return Promise.resolve(at === null ? err("is not open") : ok(opened(server, at, open, above)));
  }
  return new Promise((resolve) => {
    server.once("error", (error: NodeJS.ErrnoException) => resolve(err(listenProblem(error, at))));
    const where = at.host === "" ? { port: at.port } : { port: at.port, host: at.host };
    server.listen({ ...where, backlog: 1024 }, () => {
      server.removeAllListeners("error");
      // Memory of the system, mostly; descriptors that ran out are noticed by `watchDescriptors`. It accepts again when that is over.
      server.on("error", (error: NodeJS.ErrnoException) =>
        trouble(`connections cannot be accepted: ${error.code ?? error.message}`),
      );
      resolve(ok(opened(server, boundAt(server), open, above)));
    });
  });
}

/** What stands above the TCP connections of one listener. */
interface Above {
  readonly tls: TlsServer | null;
  stop(): void;
  retire(): void;
}

function boundAt(server: TcpServer): { readonly port: number; readonly address: string } {
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  const host = typeof bound === "object" && bound !== null ? bound.address : "";
  return { port, address: host.includes(":") ? `[${host}]:${port}` : `${host}:${port}` };
}

function opened(
  server: TcpServer,
  { port, address }: { readonly port: number; readonly address: string },
  open: Set<Socket>,
  above: Above,
): Listener {
  return {
    port,
    address,
    tls: above.tls,
    get connections() {
      return open.size;
    },
    stop() {
      if (server.listening) server.close();
      above.stop();
    },
    retire() {
      if (server.listening) server.close();
      above.retire();
    },
    destroy() {
      for (const socket of open) socket.destroy();
    },
  };
}

function listenProblem(error: NodeJS.ErrnoException, at: ListenAddress): string {
  const where = `${at.host.includes(":") ? `[${at.host}]` : at.host}:${at.port}`;
  switch (error.code) {
    case "EADDRINUSE":
      return `${where} is taken by another program; stop it or choose another address`;
    case "EACCES":
      return `${where} needs the right to open ports below 1024; choose a port above or grant CAP_NET_BIND_SERVICE`;
    case "EADDRNOTAVAIL":
      return `${where} is no address of this machine`;
    default:
      return `${where} cannot be opened: ${error.code ?? error.message}`;
  }
}
