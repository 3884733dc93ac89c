import { createServer, type Socket } from "node:net";
import { answerBody } from "./request.ts";

/**
 * The upstream of every peer, run as a process of its own: answers each request at once with 1 KB of JSON-RPC.
 * `closing` copies Odoo's prefork server on the wire (HTTP/1.0, one request a connection); `keep-alive` keeps
 * HTTP/1.1 connections. As lean as it can be made on node:net: it must not be what is measured.
 *
 * Talks over the IPC channel: sends `{ports}` once, then for every message received `{count}`, requests answered so far.
 */

const body = answerBody();
const shared = `Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${body.length}\r\n`;
const closingAnswer = Buffer.from(
  `HTTP/1.0 200 OK\r\nServer: Werkzeug/2.2.2 Python/3.11.2\r\n${shared}Connection: close\r\n\r\n${body}`,
  "latin1",
);
const keptAnswer = Buffer.from(`HTTP/1.1 200 OK\r\n${shared}\r\n${body}`, "latin1");

let count = 0;

/** Bytes of the first request in `text`, 0 when it is not whole yet. Trusts its peers: this is a laboratory. */
function requestLength(text: string): number {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) return 0;
  const head = text.slice(0, headEnd).toLowerCase();
  const start = headEnd + 4;
  const lengthAt = head.indexOf("\r\ncontent-length:");
  if (lengthAt >= 0) {
    const whole = start + Number.parseInt(head.slice(lengthAt + 17), 10);
    return text.length >= whole ? whole : 0;
  }
  if (head.includes("\r\ntransfer-encoding:")) {
    const last = text.indexOf("0\r\n\r\n", start);
    return last < 0 ? 0 : last + 5;
  }
  return start;
}

function serve(socket: Socket, keep: boolean): void {
  let pending = "";
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk) => {
    pending += chunk.toString("latin1");
    for (let length = requestLength(pending); length > 0; length = requestLength(pending)) {
      pending = pending.slice(length);
      count++;
      if (!keep) return void socket.end(closingAnswer);
      socket.write(keptAnswer);
    }
  });
}

function listen(keep: boolean): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer({ noDelay: true }, (socket) => serve(socket, keep));
    server.listen({ port: 0, host: "127.0.0.1", backlog: 1024 }, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}

const odoo = await listen(process.argv[2] === "keep-alive");
const bus = await listen(true);
process.on("message", () => process.send?.({ count }));
process.on("disconnect", () => process.exit(0));
process.send?.({ ports: { odoo, bus } });
