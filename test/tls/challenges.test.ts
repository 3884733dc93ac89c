import { once } from "node:events";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { connect, type TLSSocket, Server as TlsServer } from "node:tls";
import t from "tap";
import { challengePath, createChallenges } from "../../src/tls/challenges.ts";
import { issuedChain } from "../contracts/acme-store.ts";

interface Seen {
  readonly names: string;
  readonly protocol: string | false | null;
}

function handshake(port: number, ALPNProtocols: string[], servername = "odoo.test"): Promise<Seen | string> {
  return new Promise((resolve) => {
    const socket: TLSSocket = connect({
      host: "127.0.0.1",
      port,
      servername,
      ALPNProtocols,
      rejectUnauthorized: false,
    });
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(`refused ${error.code}`));
    socket.on("secureConnect", () => {
      const seen = { names: socket.getPeerCertificate().subjectaltname ?? "", protocol: socket.alpnProtocol };
      socket.on("end", () => resolve(seen));
      socket.resume();
      if (!ALPNProtocols.includes("acme-tls/1")) socket.end();
    });
  });
}

t.test("while a challenge is open only the authority sees its certificate", async (t) => {
  const nowMs = Date.now();
  const [usual, proof] = [
    await issuedChain(["odoo.test"], nowMs),
    await issuedChain(["proof.odoo.test"], nowMs),
  ];
  const tls = new TlsServer({ cert: usual.certPem, key: usual.keyPem, ALPNProtocols: ["h2", "http/1.1"] });
  tls.on("tlsClientError", (_error, socket) => socket.destroy());
  tls.on("secureConnection", (socket) => socket.on("error", () => {}).resume());
  const challenges = createChallenges();
  const open: Socket[] = [];
  const server = createServer((socket) => {
    open.push(socket);
    socket.on("error", () => socket.destroy());
    challenges.sort(socket, (sorted) => tls.emit("connection", sorted));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;

  t.equal(challenges.watchesHellos, false);
  challenges.addTls("Odoo.test", proof);
  t.equal(challenges.watchesHellos, true);
  const visitor = { names: "DNS:odoo.test", protocol: "h2" };
  const [authority, ...visitors] = await Promise.all([
    handshake(port, ["acme-tls/1"]),
    ...Array.from({ length: 5 }, () => handshake(port, ["h2", "http/1.1"])),
  ]);
  t.same(authority, { names: "DNS:proof.odoo.test", protocol: "acme-tls/1" }, "and is hung up on");
  for (const one of visitors) t.same(one, visitor);
  t.match(await handshake(port, ["acme-tls/1"], "other.test"), /^refused/, "a name without a challenge");

  // A hello of a visitor that comes byte by byte, through a relay.
  const slow = createServer((down) => {
    const up = connectTcp(port, "127.0.0.1");
    up.setNoDelay(true);
    for (const socket of [up, down]) socket.on("error", () => {});
    down.on("data", (chunk) => {
      for (const byte of chunk) up.write(Buffer.from([byte]));
    });
    down.on("end", () => up.end());
    up.pipe(down);
  }).listen(0, "127.0.0.1");
  await once(slow, "listening");
  t.teardown(() => slow.close());
  const relay = slow.address();
  const slowPort = typeof relay === "object" && relay !== null ? relay.port : 0;
  t.same(await handshake(slowPort, ["h2"]), visitor);
  t.same(await handshake(slowPort, ["acme-tls/1"]), authority);

  // What is no TLS is left to the TLS server's own judgement.
  const raw = connectTcp(port, "127.0.0.1", () => raw.write("GET / HTTP/1.1\r\n\r\n"));
  raw.on("error", () => {}).resume();
  await once(raw, "close");
  challenges.removeTls("odoo.test");
  t.equal(challenges.watchesHellos, false);
  t.match(await handshake(port, ["acme-tls/1"]), /^refused/, "afterwards nobody gets it");
});

t.test("HTTP answers are exact, and bounded in number", async (t) => {
  const challenges = createChallenges();
  challenges.addHttp("token-1", "token-1.key");
  t.equal(challenges.httpAnswer(`${challengePath}token-1`), "token-1.key");
  for (const path of [
    challengePath,
    `${challengePath}token`,
    `${challengePath}token-1/`,
    "/token-1",
    `${challengePath}__proto__`,
  ]) {
    t.equal(challenges.httpAnswer(path), null, path);
  }
  for (let i = 0; i < 1_000; i += 1) challenges.addHttp(`other-${i}`, "x");
  t.equal(challenges.httpAnswer(`${challengePath}other-999`), null);
  challenges.removeHttp("token-1");
  t.equal(challenges.httpAnswer(`${challengePath}token-1`), null);
});
