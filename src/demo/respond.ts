import type { Socket } from "node:net";
import { type Answer, type PlainAnswer, reasonPhrase } from "./answer.ts";
import type { Dialect, ParserError } from "./http-parse.ts";
import type { SocketReader } from "./socket-reader.ts";
import type { Wire } from "./wire.ts";

/** How a port writes its answers. */
export interface Style {
  readonly dialect: Dialect;
  /** HTTP/1.1 and chunked answers on the web port (`workers = 0`). */
  readonly threaded: boolean;
}

const BANNER = "Werkzeug/2.2.2 Python/3.11.2";

function hasNoBody(status: number): boolean {
  return status === 204 || status === 304 || status < 200;
}

function webHead(answer: PlainAnswer, style: Style, wallMs: number): string {
  let head = `HTTP/1.${style.threaded ? 1 : 0} ${answer.status} ${reasonPhrase(answer.status)}\r\nServer: ${BANNER}\r\nDate: ${new Date(wallMs).toUTCString()}\r\n`;
  for (const [name, value] of answer.headers) head += `${name}: ${value}\r\n`;
  if (answer.length !== null) head += `Content-Length: ${answer.length}\r\n`;
  else if (style.threaded && !hasNoBody(answer.status)) head += "Transfer-Encoding: chunked\r\n";
  return `${head}Connection: close\r\n\r\n`;
}

function busHead(answer: PlainAnswer, keepAlive: boolean, chunked: boolean, wallMs: number): string {
  let head = `HTTP/1.1 ${answer.status} ${reasonPhrase(answer.status)}\r\n`;
  for (const [name, value] of answer.headers) head += `${name}: ${value}\r\n`;
  if (answer.length !== null) head += `Content-Length: ${answer.length}\r\n`;
  if (!keepAlive) head += "Connection: close\r\n";
  if (chunked) head += "Transfer-Encoding: chunked\r\n";
  return `${head}Date: ${new Date(wallMs).toUTCString()}\r\n\r\n`;
}

async function writeBody(wire: Wire, head: string, answer: PlainAnswer, chunked: boolean): Promise<boolean> {
  if (Buffer.isBuffer(answer.body)) {
    // Head and small body leave in one write; a large body is not copied for it.
    const start = Buffer.from(head, "latin1");
    if (!chunked && answer.body.length > 65_536) return (await wire.write(start)) && wire.write(answer.body);
    if (!chunked) return wire.write(answer.body.length === 0 ? start : Buffer.concat([start, answer.body]));
    return wire.write(Buffer.concat([start, asChunk(answer.body), Buffer.from("0\r\n\r\n")]));
  }
  if (!(await wire.write(head))) return false;
  let sent = 0;
  for await (const piece of answer.body()) {
    if (!(await wire.write(chunked ? asChunk(piece) : piece))) return false;
    sent += piece.length;
  }
  if (chunked) return wire.write("0\r\n\r\n");
  // An answer shorter than it said cannot be followed by another one.
  return answer.length === null || sent === answer.length;
}

function asChunk(piece: Buffer): Buffer {
  if (piece.length === 0) return piece;
  return Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")]);
}

const NO_BYTES = Buffer.alloc(0);

/** What an answer leaves behind: the connection may go on, is closed, or was handed over. */
export type AfterAnswer = "keep" | "close" | "taken";

/** Writes an answer in the style of its port. `keepAlive`: the client and the port would go on. */
export async function respond(
  answer: Answer,
  method: string,
  httpVersion: string,
  keepAlive: boolean,
  style: Style,
  socket: Socket,
  reader: SocketReader,
  wire: Wire,
  wallMs: number,
): Promise<AfterAnswer> {
  switch (answer.kind) {
    case "raw":
      await answer.write(wire);
      return "close";
    case "upgrade": {
      const fields = answer.headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
      const date = `Date: ${new Date(wallMs).toUTCString()}\r\n`;
      await wire.write(`HTTP/1.1 101 SWITCHING PROTOCOLS\r\n${fields}${date}\r\n`);
      answer.take(socket, reader.takeRest());
      return "taken";
    }
    case "plain":
      return respondPlain(answer, method, httpVersion, keepAlive, style, wire, wallMs);
  }
}

async function respondPlain(
  answer: PlainAnswer,
  method: string,
  httpVersion: string,
  keepAlive: boolean,
  style: Style,
  wire: Wire,
  wallMs: number,
): Promise<AfterAnswer> {
  const bodiless = method === "HEAD" || hasNoBody(answer.status);
  const shown: PlainAnswer = bodiless ? { ...answer, body: NO_BYTES } : answer;
  const open = answer.length === null && !hasNoBody(answer.status);
  if (style.dialect === "prefork") {
    await writeBody(wire, webHead(answer, style, wallMs), shown, open && style.threaded && !bodiless);
    return "close";
  }
  // gevent: without a length HTTP/1.1 gets chunks, HTTP/1.0 the end of the connection.
  const chunked = open && httpVersion === "HTTP/1.1";
  const stays = keepAlive && (!open || chunked);
  const whole = await writeBody(wire, busHead(answer, stays, chunked, wallMs), shown, chunked && !bodiless);
  return whole && stays ? "keep" : "close";
}

/** The HTTP parser's own error: mixed-case phrase, Python's little page; gevent sends an empty body. */
export function parserErrorBytes(error: ParserError, dialect: Dialect, wallMs: number): string {
  const date = new Date(wallMs).toUTCString();
  if (dialect === "gevent") {
    return `HTTP/1.1 ${error.status} ${error.reason}\r\nConnection: close\r\nContent-Length: 0\r\nDate: ${date}\r\n\r\n`;
  }
  const html = `<!DOCTYPE HTML>\n<html lang="en">\n    <head>\n        <meta charset="utf-8">\n        <title>Error response</title>\n    </head>\n    <body>\n        <h1>Error response</h1>\n        <p>Error code: ${error.status}</p>\n    </body>\n</html>\n`;
  if (error.bare) return html;
  const reason = error.reason.replace(/[\r\n]/g, " ");
  return `HTTP/1.0 ${error.status} ${reason}\r\nServer: ${BANNER}\r\nDate: ${date}\r\nConnection: close\r\nContent-Type: text/html;charset=utf-8\r\nContent-Length: ${html.length}\r\n\r\n${html}`;
}
