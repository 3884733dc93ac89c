import { once } from "node:events";
import { connect, createServer } from "node:net";
import { connect as connectTls } from "node:tls";
import t from "tap";
import { h1 } from "../exchange/clients.ts";
import { startTestGateway } from "../support/gateway.ts";

/** The ClientHello of Node's own client, one record. */
async function helloOf(options: {
  readonly servername: string;
  readonly ecdhCurve?: string;
}): Promise<Buffer> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const came = new Promise<Buffer>((resolve) =>
    server.once("connection", (socket) => {
      socket.on("error", () => {});
      socket.once("data", (bytes: Buffer) => {
        socket.destroy();
        resolve(bytes);
      });
    }),
  );
  const client = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
  client.on("error", () => {});
  const hello = await came;
  server.close();
  return hello;
}

/** Bytes with one of them another. */
function changed(bytes: Buffer, at: number, by: number): Buffer {
  const other = Buffer.from(bytes);
  other[at] = ((other[at] ?? 0) + by) & 255;
  return other;
}

/** `head` as the first record's head, whatever follows. */
function cut(bytes: Buffer, length: number): Buffer {
  const other = Buffer.from(bytes);
  other.writeUInt16BE(length, 3);
  return other;
}

t.test("a broken ClientHello ends the gateway for everybody", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const hello = await helloOf({ servername: "odoo.test" });
  t.ok(hello.length > 1_000, "it takes more than one piece");
  const attacks: Buffer[] = [
    Buffer.concat([hello, hello]),
    Buffer.concat([hello, Buffer.alloc(60_000, 22)]),
    Buffer.concat([cut(hello, 100), Buffer.alloc(5_000, 1)]),
    Buffer.alloc(60_000, 22),
    Buffer.from(`GET /${"a".repeat(30_000)} HTTP/1.1\r\n\r\n`),
  ];
  // The first bytes say what all is; further behind, every seventh.
  for (let at = 0; at < hello.length; at += at < 100 ? 1 : 7)
    for (const by of [1, 128]) attacks.push(changed(hello, at, by));
  for (const length of [
    0,
    1,
    4,
    500,
    994,
    995,
    996,
    1_000,
    hello.length - 6,
    hello.length - 4,
    16_384,
    16_385,
    65_535,
  ])
    attacks.push(cut(hello, length));
  let next = 0;
  const attacker = async () => {
    for (let bytes = attacks[next++]; bytes !== undefined; bytes = attacks[next++]) {
      const socket = connect(gateway.httpsPort, "127.0.0.1");
      socket.on("error", () => {});
      socket.resume();
      // Whoever waits for more gets no more.
      socket.end(bytes);
      await new Promise<void>((resolve) => socket.once("close", () => resolve()));
    }
  };
  await Promise.all(Array.from({ length: 8 }, attacker));
  t.equal((await h1(gateway, "GET /demo/echo")).status, 200, `${attacks.length} of them later it serves`);
  t.same(
    gateway.events.filter(({ type }) => type === "error"),
    [],
    "and there was no error of our own",
  );
});

t.test("bytes of another protocol are taken for HTTP", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const chosen = (ALPNProtocols: readonly string[]) =>
    new Promise<string>((resolve) => {
      const socket = connectTls({
        port: gateway.httpsPort,
        host: "127.0.0.1",
        servername: "odoo.test",
        rejectUnauthorized: false,
        ...(ALPNProtocols.length === 0 ? {} : { ALPNProtocols: [...ALPNProtocols] }),
      });
      socket.on("error", (error: NodeJS.ErrnoException) => resolve(`refused: ${error.code}`));
      socket.on("secureConnect", () => {
        resolve(String(socket.alpnProtocol));
        socket.destroy();
      });
    });
  t.equal(await chosen(["http/1.1", "h2"]), "h2");
  t.equal(await chosen(["http/1.1"]), "http/1.1");
  t.equal(await chosen(["imap", "http/1.1"]), "http/1.1");
  t.equal(await chosen([]), "false", "who does not say gets HTTP/1.1");
  t.equal(await chosen(["imap"]), "refused: ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL");
});
