import { readFileSync } from "node:fs";
import { type ClientHttp2Session, connect as connectHttp2, type IncomingHttpHeaders } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { setTimeout as delay, setImmediate as turn } from "node:timers/promises";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { RawData } from "ws";
import { WebSocket } from "ws";
import type { AccessRecord } from "../../src/observe/events.ts";
import type { TestGateway } from "../support/gateway.ts";
import { type RawAnswer, rawTalk } from "../support/upstream-raw.ts";

/** What `/demo/echo` tells of the request Odoo saw. */
export interface Echo {
  readonly method: string;
  readonly target: string;
  readonly version: string;
  readonly headers: readonly string[];
  readonly client: string;
  readonly host: string;
  readonly scheme: string;
  readonly body: { readonly length: number; readonly sha256: string };
}

export function echoOf(body: string | Buffer): Echo {
  const echo: Echo = JSON.parse(body.toString());
  return echo;
}

/** Values of a field among the lines Odoo saw. */
export function seen(echo: Echo, name: string): string[] {
  const prefix = `${name.toLowerCase()}:`;
  return echo.headers
    .filter((line) => line.toLowerCase().startsWith(prefix))
    .map((line) => line.slice(prefix.length).trim());
}

/** The name a browser would send: the listener's port is no 443. */
export function hostOf(gateway: TestGateway): string {
  return `odoo.test:${gateway.httpsPort}`;
}

/** A TLS connection that chose HTTP/1.1; the certificate is checked. `from`: the client's address, of 127.0.0.0/8. */
export function openTls(gateway: TestGateway, from = "127.0.0.1"): Promise<TLSSocket> {
  // `localAddress` goes through to net.connect; the types of node:tls do not name it.
  const at = { port: gateway.httpsPort, host: "127.0.0.1", localAddress: from };
  return new Promise((resolve, reject) => {
    const socket = connectTls({
      ...at,
      servername: "odoo.test",
      ca: caOf(gateway),
      ALPNProtocols: ["http/1.1"],
    });
    socket.once("secureConnect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
    socket.once("error", reject);
  });
}

function caOf(gateway: TestGateway): Buffer {
  return readFileSync(gateway.caFile);
}

export interface H1Options {
  readonly host?: string;
  /** HTTP/1.0 instead of 1.1. */
  readonly old?: boolean;
  /** The plain listener instead of TLS. */
  readonly plain?: boolean;
  readonly socket?: Socket;
  /** Stop at this text instead of at the end. */
  readonly until?: string;
}

/** A whole request as text, `Connection: close`, with the length of its body. */
export function requestText(
  gateway: TestGateway,
  start: string,
  lines: readonly string[] = [],
  body = "",
  options: H1Options = {},
): string {
  const length = body === "" ? [] : [`Content-Length: ${Buffer.byteLength(body, "latin1")}`];
  const host = options.host ?? (options.plain === true ? "odoo.test" : hostOf(gateway));
  const version = options.old === true ? "HTTP/1.0" : "HTTP/1.1";
  const head = [`${start} ${version}`, `Host: ${host}`, "Connection: close", ...lines, ...length];
  return [...head, "", body].join("\r\n");
}

/** One request on a connection of its own, over TLS unless `plain`; everything until the end. Its record is written by then. */
export async function h1(
  gateway: TestGateway,
  start: string,
  lines: readonly string[] = [],
  body = "",
  options: H1Options = {},
): Promise<RawAnswer> {
  const socket =
    options.socket ??
    (options.plain === true
      ? connectTcp({ port: gateway.httpPort, host: "127.0.0.1" })
      : await openTls(gateway));
  const until = options.until === undefined ? {} : { until: options.until };
  const answer = await rawTalk(0, requestText(gateway, start, lines, body, options), { socket, ...until });
  await turn();
  return answer;
}

/** A chunked body read to its last chunk; `whole` is false when that is missing. */
export function dechunk(body: string): { readonly text: string; readonly whole: boolean } {
  let text = "";
  let rest = body;
  for (;;) {
    const match = /^([0-9a-fA-F]+)\r\n/.exec(rest);
    if (match === null) return { text, whole: false };
    const size = Number.parseInt(match[1] ?? "", 16);
    if (size === 0) return { text, whole: rest === `${match[0]}\r\n` };
    const at = match[0].length;
    text += rest.slice(at, at + size);
    if (rest.length < at + size + 2) return { text, whole: false };
    rest = rest.slice(at + size + 2);
  }
}

export interface Http2Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** 0: the stream ended with END_STREAM. */
  readonly rstCode: number;
  /** Statuses of interim answers. */
  readonly interim: readonly number[];
}

/** An HTTP/2 connection to the gateway. */
export function openHttp2(gateway: TestGateway): Promise<ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`https://127.0.0.1:${gateway.httpsPort}`, {
      servername: "odoo.test",
      ca: caOf(gateway),
    });
    session.once("connect", () => {
      session.off("error", reject);
      session.on("error", () => {});
      resolve(session);
    });
    session.once("error", reject);
  });
}

export type H2Fields = Readonly<Record<string, string | string[]>>;

/** One exchange on an HTTP/2 connection. Its record is written by then. */
export async function h2(
  session: ClientHttp2Session,
  gateway: TestGateway,
  fields: H2Fields,
  body: Buffer | string | null = null,
): Promise<Http2Answer> {
  const answer = await new Promise<Http2Answer>((resolve) => {
    const stream = session.request(
      { ":authority": hostOf(gateway), ":scheme": "https", ...fields },
      { endStream: body === null },
    );
    let headers: IncomingHttpHeaders = {};
    let status = 0;
    const interim: number[] = [];
    const parts: Buffer[] = [];
    stream.on("headers", (fields) => interim.push(fields[":status"] ?? 0));
    stream.on("response", (fields) => {
      headers = fields;
      status = fields[":status"] ?? 0;
    });
    stream.on("data", (chunk: Buffer) => parts.push(chunk));
    stream.on("error", () => {});
    stream.on("close", () => {
      resolve({ status, headers, body: Buffer.concat(parts), rstCode: stream.rstCode, interim });
    });
    if (body !== null) stream.end(body);
  });
  await turn();
  return answer;
}

export interface SocketOptions {
  /** Left out: our own; null: none at all. */
  readonly origin?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly path?: string;
}

/** A `ws` client towards the gateway, not yet open. */
export function webSocket(gateway: TestGateway, options: SocketOptions = {}): WebSocket {
  const host = hostOf(gateway);
  const origin = options.origin === undefined ? `https://${host}` : options.origin;
  const url = `wss://127.0.0.1:${gateway.httpsPort}${options.path ?? "/websocket?version=19.0-2"}`;
  // `servername` goes through to tls.connect; the types of ws do not name it.
  const tls = { ca: caOf(gateway), servername: "odoo.test" };
  const headers = { Host: host, ...(origin === null ? {} : { Origin: origin }), ...options.headers };
  return new WebSocket(url, { ...tls, headers });
}

/** Resolves when the handshake is through. */
export function opened(socket: WebSocket): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    socket.once("open", () => resolve(socket));
    socket.once("error", reject);
  });
}

/** Status of a refused handshake and its body. */
export function refusedWith(
  socket: WebSocket,
): Promise<{ status: number; body: string; headers: IncomingHttpHeaders }> {
  return new Promise((resolve, reject) => {
    socket.on("error", () => {});
    socket.once("open", () => {
      socket.terminate();
      reject(new Error("the handshake went through"));
    });
    socket.once("unexpected-response", (_request, response) => {
      const parts: Buffer[] = [];
      response.on("data", (chunk: Buffer) => parts.push(chunk));
      response.on("end", () => {
        const body = Buffer.concat(parts).toString();
        resolve({ status: response.statusCode ?? 0, body, headers: response.headers });
      });
    });
  });
}

/** The next text message. */
export function nextMessage(socket: WebSocket): Promise<string> {
  return new Promise((resolve) => socket.once("message", (data: RawData) => resolve(data.toString())));
}

/** Code and reason of the close. */
export function closedWith(socket: WebSocket): Promise<{ code: number; reason: string }> {
  return new Promise((resolve) => {
    socket.on("error", () => {});
    socket.once("close", (code, reason) => resolve({ code, reason: reason.toString() }));
  });
}

/** The access record of the exchange whose target this is; waits for it. */
export async function recordOf(gateway: TestGateway, target: string): Promise<AccessRecord> {
  const event = await gateway.event((one) => one.type === "access" && one.target === target);
  if (event.type !== "access") throw new Error("no access record");
  return event;
}

/** Resolves as soon as `test` is true: for states that nothing announces. */
export async function until(test: () => boolean): Promise<void> {
  const endMs = performance.now() + 10_000;
  while (!test()) {
    if (performance.now() > endMs) throw new Error(`never true: ${test}`);
    await delay(1);
  }
}
