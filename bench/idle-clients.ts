import { randomBytes } from "node:crypto";
import { connect as connectPlain } from "node:net";
import { connect, type TLSSocket } from "node:tls";

/**
 * Clients of idle websockets, a process of its own. Told `{port, count}` it opens that many over TLS, from loopback addresses with a
 * thousand each, and answers `{open}`; told `{drop}` it closes them; told `{}` it counts. Each says a ping now and then, as Odoo's web client
 * does by its own messages, so that no idle time-out ends it.
 */
const perAddress = 1_000;
const atOnceMax = 64;
const pingEveryMs = 45_000;
const openMsMax = 20_000;
/** On a busy machine a handshake may come too late. */
const triesMax = 3;
/** A masked ping without payload (RFC 6455 §5.5.2); the mask may be anything. */
const ping = Buffer.from([0x89, 0x80, 1, 2, 3, 4]);

const open = new Set<TLSSocket>();

function openOne(port: number, index: number): Promise<boolean> {
  return new Promise((resolve) => {
    const localAddress = `127.0.2.${1 + Math.floor(index / perAddress)}`;
    const wire = connectPlain({ host: "127.0.0.1", port, localAddress });
    wire.on("error", () => wire.destroy());
    const socket = connect({
      socket: wire,
      servername: "localhost",
      // The certificate is made for this run and signed by nobody.
      rejectUnauthorized: false,
      ALPNProtocols: ["http/1.1"],
    });
    const bound = setTimeout(() => socket.destroy(), openMsMax);
    let head = "";
    const onHead = (chunk: Buffer) => {
      head += chunk.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      socket.off("data", onHead);
      clearTimeout(bound);
      if (head.startsWith("HTTP/1.1 101")) {
        open.add(socket);
        socket.resume();
      } else socket.destroy();
      resolve(open.has(socket));
    };
    socket.on("data", onHead);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      clearTimeout(bound);
      open.delete(socket);
      resolve(false);
    });
    socket.on("secureConnect", () =>
      socket.write(
        `GET /websocket?version=19.0 HTTP/1.1\r\nHost: localhost\r\nOrigin: https://localhost:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\nCookie: session_id=${"b".repeat(84)}\r\n\r\n`,
      ),
    );
  });
}

async function openMany(port: number, count: number): Promise<void> {
  let index = 0;
  const worker = async () => {
    while (index < count) {
      const own = index;
      index += 1;
      for (let tries = 1; tries <= triesMax && !(await openOne(port, own)); tries += 1);
    }
  };
  await Promise.all(Array.from({ length: atOnceMax }, worker));
}

setInterval(() => {
  for (const socket of open) socket.write(ping);
}, pingEveryMs);

process.on("message", (message: { port?: number; count?: number; drop?: boolean }) => {
  const answer = () => process.send?.({ open: open.size });
  if (message.drop === true) {
    for (const socket of open) socket.destroy();
    open.clear();
    return void setTimeout(answer, 1_000);
  }
  if (message.port === undefined || message.count === undefined) return void answer();
  void openMany(message.port, message.count).then(answer);
});
process.on("disconnect", () => process.exit(0));
