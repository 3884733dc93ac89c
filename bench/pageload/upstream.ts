import { createHash } from "node:crypto";
import { createServer, type Socket } from "node:net";
import { contentOf } from "./page.ts";
import { type Caching, RESOURCES, type Resource } from "./resources.ts";

/**
 * The upstream of the page-load benchmark, a process of its own: Odoo's prefork server with two workers, as far as
 * a page load sees it. HTTP/1.0, one request a connection, nothing compressed; a worker takes one connection,
 * works as long as Odoo does, and is free when the answer has left.
 *
 * Talks over the IPC channel: sends `{port, busPort}` once, then for every message received `{paths}`, what was
 * asked since the message before.
 */

const WORKERS = 2;
/** The browser asks for about 40 files; more at once means something is wrong. */
const WAITING_MAX = 1_000;

const CACHING: Readonly<Record<Caching, string>> = {
  immutable: "Cache-Control: public, max-age=31536000, immutable\r\n",
  static: "Cache-Control: public, max-age=604800\r\n",
  private: "Cache-Control: max-age=31536000, private, immutable\r\n",
  revalidate: "Cache-Control: no-cache, private\r\n",
  "no-store": "Cache-Control: no-store\r\n",
  translations: "Cache-Control: public, max-age=31536000\r\n",
  none: "",
};

interface Ready {
  readonly resource: Resource;
  readonly body: Buffer;
  readonly etag: string;
}

const files = new Map<string, Ready>(
  RESOURCES.map((resource, seed) => {
    const body = contentOf(resource, seed + 1);
    return [resource.url, { resource, body, etag: createHash("sha1").update(body).digest("hex") }];
  }),
);

function answerHead({ resource, body, etag }: Ready, request: string): string {
  const validated = resource.caching !== "none" && resource.caching !== "no-store";
  const validators = `ETag: "${etag}"\r\nLast-Modified: Fri, 20 Nov 2026 08:00:00 GMT\r\n`;
  const isNew = !/\r\ncookie:[^\r]*session_id=/i.test(request);
  // Odoo renews the session's cookie with its page, and hands one to a newcomer even with a bundle.
  const session =
    resource.url.startsWith("/odoo") || (isNew && resource.caching === "immutable")
      ? `Set-Cookie: session_id=${"s".repeat(84)}; Max-Age=604800; HttpOnly; Path=/\r\n`
      : "";
  return `HTTP/1.0 200 OK\r\nServer: Werkzeug/2.2.2 Python/3.11.2\r\nDate: ${new Date().toUTCString()}\r\nContent-Type: ${resource.type}\r\n${CACHING[resource.caching]}${validated ? validators : ""}${session}Content-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
}

/** The whole first request in `text`, or null while a part is missing. Trusts its peers: this is a laboratory. */
function wholeRequest(text: string): string | null {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) return null;
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(text.slice(0, headEnd))?.[1] ?? 0);
  return text.length >= headEnd + 4 + length ? text : null;
}

let asked: string[] = [];
let busy = 0;
const waiting: Socket[] = [];

function work(socket: Socket): void {
  busy++;
  let text = "";
  socket.once("close", () => {
    busy--;
    const next = waiting.shift();
    if (next !== undefined) work(next);
  });
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    const request = wholeRequest(text);
    if (request === null) return;
    socket.removeAllListeners("data");
    socket.resume();
    const url = request.split(" ", 2)[1] ?? "";
    asked.push(url);
    const file = files.get(url);
    if (file === undefined)
      return void socket.end("HTTP/1.0 404 NOT FOUND\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    setTimeout(() => {
      socket.write(answerHead(file, request), "latin1");
      socket.end(file.body, () => socket.destroy());
    }, file.resource.ownMs);
  });
}

const odoo = createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => socket.destroy());
  if (busy < WORKERS) work(socket);
  else if (waiting.length < WAITING_MAX) waiting.push(socket);
  else socket.destroy();
});
/** Nothing here opens a websocket; peers want an address. */
const bus = createServer((socket) => socket.destroy());

function listen(server: typeof odoo): Promise<number> {
  return new Promise((resolve) => {
    server.listen({ port: 0, host: "127.0.0.1", backlog: 511 }, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}

process.on("message", () => {
  process.send?.({ paths: asked });
  asked = [];
});
process.on("disconnect", () => process.exit(0));
process.send?.({ port: await listen(odoo), busPort: await listen(bus) });
