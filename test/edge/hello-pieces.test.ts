import { once } from "node:events";
import { connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import { type ConnectionOptions, connect, createServer as createTlsServer, type TLSSocket } from "node:tls";
import t from "tap";
import { pieceBytesMax, takeHello } from "../../src/edge/hello-pieces.ts";
import { keyGroups } from "../../src/tls/context.ts";
import { issuedChain } from "../contracts/acme-store.ts";

const chain = await issuedChain(["odoo.test"], Date.now());

async function opened(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** What a TLS server of Node would be given of these first bytes, which come at once: it reads the socket's buffer to its end, in the next tick. */
async function handedOn(bytes: Buffer, pauseOnConnect = false): Promise<Buffer[]> {
  const server = createServer({ pauseOnConnect });
  const port = await opened(server);
  const pieces = new Promise<Buffer[]>((resolve) => {
    server.once("connection", (socket) => {
      takeHello(socket, (ready) => {
        process.nextTick(() => {
          const read: Buffer[] = [];
          for (let piece = ready.read(); piece !== null; piece = ready.read()) read.push(piece);
          ready.destroy();
          resolve(read);
        });
      });
    });
  });
  const client = connectTcp(port, "127.0.0.1");
  client.on("error", () => {});
  client.end(bytes);
  const read = await pieces;
  server.close();
  return read;
}

/** A record with this many bytes behind its head, of which `sent` are there. */
function record(type: number, length: number, sent = length): Buffer {
  const bytes = Buffer.from(Array.from({ length: 5 + sent }, (_, at) => at % 251));
  bytes.set([type, 3, 1, length >> 8, length & 255]);
  return bytes;
}

t.test("a hello is handed on in pieces that leave the server's buffer small", async (t) => {
  for (const [what, bytes, pauses] of [
    ["with post-quantum keys", record(22, 1_700)],
    ["small", record(22, 300)],
    ["as long as two pieces", record(22, 2 * pieceBytesMax - 5)],
    ["whose end is on its way", record(22, 1_700, 1_400)],
    ["on a connection that was accepted unread", record(22, 1_700), true],
  ] as const) {
    const pieces = await handedOn(bytes, pauses ?? false);
    t.ok(Buffer.concat(pieces).equals(bytes), `${what}: nothing is lost, and all of it in order`);
    t.equal(pieces.length, Math.ceil(bytes.length / pieceBytesMax), `${what}: in so many pieces`);
    t.ok(Math.max(...pieces.map(({ length }) => length)) <= pieceBytesMax, what);
  }
});

t.test("what OpenSSL could refuse before its end is handed on whole", async (t) => {
  for (const [what, bytes] of [
    ["plain HTTP", Buffer.from(`GET / HTTP/1.1\r\nX: ${"a".repeat(2_000)}\r\n\r\n`)],
    ["no handshake", record(23, 1_700)],
    ["two records", Buffer.concat([record(22, 100), record(22, 1_700)])],
    ["a record that is too long", record(22, 16_385, 2_000)],
    ["an empty record, and more", Buffer.concat([record(22, 0), record(22, 1_700)])],
    ["half a head", Buffer.from([22, 3, 1])],
  ] as const) {
    const pieces = await handedOn(bytes);
    t.equal(pieces.length, 1, what);
    t.ok(pieces[0]?.equals(bytes), what);
  }
});

t.test(
  "handshakes end as without it: versions, groups, resumption, hellos in any number of packets",
  async (t) => {
    const tls = createTlsServer({
      cert: chain.certPem,
      key: chain.keyPem,
      ecdhCurve: keyGroups,
      ALPNProtocols: ["http/1.1"],
    });
    tls.on("tlsClientError", (_error, socket) => socket.destroy());
    tls.on("secureConnection", (socket) => socket.on("error", () => {}).pipe(socket));
    const server = createServer((socket) => {
      socket.on("error", () => socket.destroy());
      takeHello(socket, (ready) => tls.emit("connection", ready));
    });
    const port = await opened(server);
    t.teardown(() => void server.close());

    /** Shakes hands and gets `bytes` bytes back. */
    const talk = async (options: ConnectionOptions, bytes = 5, through?: Socket): Promise<TLSSocket> => {
      const at = through === undefined ? { port, host: "127.0.0.1" } : { socket: through };
      const socket = connect({ ...at, servername: "odoo.test", rejectUnauthorized: false, ...options });
      await once(socket, "secureConnect");
      let left = bytes;
      const all = new Promise<void>((resolve) =>
        socket.on("data", (chunk: Buffer) => {
          left -= chunk.length;
          if (left === 0) resolve();
        }),
      );
      socket.write(Buffer.alloc(bytes, "x"));
      await all;
      return socket;
    };

    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      for (const group of keyGroups.split(":")) {
        // In TLS 1.2 the certificate's own curve has to be among them.
        const ecdhCurve = maxVersion === "TLSv1.3" ? group : `${group}:prime256v1`;
        const socket = await talk({ maxVersion, ecdhCurve });
        t.equal(socket.getProtocol(), maxVersion, `${maxVersion} with ${group}`);
        socket.destroy();
      }
      const sessions: Buffer[] = [];
      const first = connect({
        port,
        host: "127.0.0.1",
        servername: "odoo.test",
        rejectUnauthorized: false,
        maxVersion,
      });
      first.on("session", (session: Buffer) => sessions.push(session));
      first.write("hello");
      await once(first, "data");
      first.destroy();
      const [session] = sessions;
      if (session === undefined) throw new Error("no session was given");
      const again = await talk({ maxVersion, session });
      t.equal(again.isSessionReused(), true, `${maxVersion}: a session is resumed`);
      again.destroy();
    }

    const long = await talk({}, 300_000);
    t.pass("as much as one likes goes through afterwards");
    long.destroy();

    // A hello for a group the client did not think of is answered by HelloRetryRequest.
    const retried = await talk({ ecdhCurve: "secp521r1:secp384r1" });
    t.pass("a second hello is read too");
    retried.destroy();

    for (const size of [1, 4, 5, 6, 700, 1_000, 1_001]) {
      const relay = createServer((client) => {
        const wire = connectTcp(port, "127.0.0.1");
        for (const one of [client, wire]) one.on("error", () => {}).setNoDelay(true);
        wire.pipe(client);
        client.once("data", async (hello: Buffer) => {
          for (let at = 0; at < hello.length; at += size) {
            wire.write(hello.subarray(at, at + size));
            if (size > 1 || at < 8) await new Promise((resolve) => setImmediate(resolve));
          }
          client.pipe(wire);
        });
      });
      const through = connectTcp(await opened(relay), "127.0.0.1");
      const socket = await talk({}, 5, through);
      t.pass(`packets of ${size} bytes`);
      socket.destroy();
      relay.close();
    }
  },
);
