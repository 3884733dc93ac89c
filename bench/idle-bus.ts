import { createHash } from "node:crypto";
import { createServer } from "node:net";

/** The upstream of idle websockets, a process of its own: answers every handshake with 101, as Odoo's gevent server, and then keeps silent. */
const magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455 §1.3

const server = createServer({ noDelay: true }, (socket) => {
  let head = "";
  socket.on("error", () => socket.destroy());
  const onHead = (chunk: Buffer) => {
    head += chunk.toString("latin1");
    if (!head.includes("\r\n\r\n")) return;
    socket.off("data", onHead);
    socket.resume();
    const key = /^sec-websocket-key: *(.*)$/im.exec(head)?.[1]?.trim() ?? "";
    const accept = createHash("sha1")
      .update(key + magic)
      .digest("base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
  };
  socket.on("data", onHead);
});
server.listen({ port: 0, host: "127.0.0.1", backlog: 1024 }, () => {
  const address = server.address();
  process.send?.({ port: typeof address === "object" && address !== null ? address.port : 0 });
});
process.on("disconnect", () => process.exit(0));
