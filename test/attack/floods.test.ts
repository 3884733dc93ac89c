import { once } from "node:events";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { gzipSync } from "node:zlib";
import t from "tap";
import { systemClock } from "../../src/base/clock.ts";
import { edgeBounds } from "../../src/edge/bounds.ts";
import { listenTls } from "../../src/edge/listeners.ts";
import { echoOf, h1, hostOf, opened, openTls, refusedWith, until, webSocket } from "../exchange/clients.ts";
import { startTestGateway } from "../support/gateway.ts";
import { sessionPair, valuesOf } from "../support/upstream-raw.ts";
import { nextClient } from "./corpus/run.ts";

t.test("handshakes that are begun and not finished hold up those who began them", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const { certPem, keyPem } = gateway.running.tls().fallback;
  let received = 0;
  const listener = await listenTls(
    { host: "127.0.0.1", port: 0 },
    { cert: certPem, key: keyPem },
    () => {
      received += 1;
      return {
        connectionsPerClientMax: 100,
        isBanned: () => false,
        isShutTo: () => false,
        isExempt: () => false,
      };
    },
    {
      clock: systemClock,
      exchange: (down) => down.answer(200, [], Buffer.from("ok"), false),
      broken: () => Buffer.alloc(0),
      malformed: () => {},
      draining: () => false,
      trouble: () => {},
      shutOut() {},
    },
    { ...edgeBounds, handshakesMax: 4, handshakesPerClientMax: 2, handshakeTimeoutMs: 100_000 },
  );
  if (!listener.ok) throw new Error(listener.error);
  const { port } = listener.value;
  t.teardown(() => {
    listener.value.stop();
    listener.value.destroy();
  });
  const flooder = nextClient();
  const half = async () => {
    const socket = connect({ host: "127.0.0.1", port, localAddress: flooder });
    socket.on("error", () => {});
    socket.write("\x16\x03\x01\x02\x00\x01");
    await once(socket, "connect");
    return socket;
  };
  const held = [await half(), await half(), await half(), await half()];
  await until(() => received >= 4);
  const fifth = await half();
  fifth.resume();
  await new Promise((resolve) => fifth.once("close", resolve));
  t.equal(listener.value.connections, 4, "the fifth is closed at once");
  const whole = (localAddress: string) =>
    new Promise<boolean>((resolve) => {
      const at = { host: "127.0.0.1", port, localAddress };
      const socket = connectTls({ ...at, rejectUnauthorized: false });
      socket.once("secureConnect", () => {
        socket.destroy();
        resolve(true);
      });
      socket.on("error", () => resolve(false));
      socket.once("close", () => resolve(false));
    });
  const others = Array.from({ length: 6 }, () => whole(nextClient()));
  t.strictSame(new Set(await Promise.all(others)), new Set([true]), "everybody else is served");
  t.equal(await whole(flooder), false, "the flooder is not");
  for (const socket of held) socket.destroy();
  // Well before their time is over.
  await until(() => listener.value.connections === 0);
  t.equal(await whole(flooder), true, "and is again when its own are over");
});

t.test("a TLS 1.2 client cannot have the handshake repeated", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const socket = connectTls({
    host: "127.0.0.1",
    port: gateway.httpsPort,
    servername: "odoo.test",
    rejectUnauthorized: false,
    maxVersion: "TLSv1.2",
    ALPNProtocols: ["http/1.1"],
  });
  await once(socket, "secureConnect");
  const closed = new Promise<string>((resolve) => {
    socket.on("error", () => {});
    socket.once("close", () => resolve("closed"));
  });
  const renegotiated = new Promise<string>((resolve) => {
    socket.renegotiate({}, (error) => error === null && resolve("renegotiated"));
  });
  t.equal(await Promise.race([closed, renegotiated]), "closed");
  t.equal((await h1(gateway, "GET /demo/echo")).status, 200, "others go on");
});

t.test(
  "a packed body is refused where it would have to be seen, and goes on unopened elsewhere",
  async (t) => {
    const gateway = await startTestGateway();
    t.teardown(() => gateway.close());
    // 10 MiB of zeros in 10 KiB, and a guess that would not be seen.
    const bomb = gzipSync(Buffer.alloc(10 * 1024 * 1024)).toString("latin1");
    const guess = gzipSync("login=admin&password=x").toString("latin1");
    const doors: readonly (readonly [string, string, string])[] = [
      ["POST /web/login", "application/x-www-form-urlencoded", guess],
      ["POST /web/session/authenticate", "application/json", bomb],
      ["POST /jsonrpc", "application/json", bomb],
      ["POST /xmlrpc/2/common", "text/xml", bomb],
      ["POST /fr/xmlrpc/2/object", "text/xml", bomb],
      ["POST /json/2/res.partner/search", "application/json", bomb],
      ["POST /web/dataset/call_kw/res.partner/read", "application/json", bomb],
    ];
    for (const [start, type, body] of doors) {
      for (const coding of ["gzip", "GZIP", "br", "identity, gzip", "x"]) {
        const answer = await h1(
          gateway,
          start,
          [`Content-Type: ${type}`, `Content-Encoding: ${coding}`],
          body.slice(0, 60_000),
        );
        t.equal(answer.status, 415, `${start} ${coding}`);
      }
    }
    const told = await h1(gateway, "POST /jsonrpc", ["Content-Encoding: gzip"], "x");
    t.strictSame(valuesOf(told, "accept-encoding"), ["identity"]);
    t.equal(gateway.demo.requests.length, 0, "nothing reached Odoo");
    const plain = await h1(
      gateway,
      "POST /web/login",
      ["Content-Type: application/x-www-form-urlencoded", "Content-Encoding: identity"],
      "login=admin&password=x",
    );
    t.not(plain.status, 415, "identity is no coding");
    const hook = await h1(gateway, "POST /demo/echo", ["Content-Encoding: gzip"], bomb);
    t.equal(echoOf(hook.body).body.length, bomb.length, "byte for byte");
  },
);

t.test("a websocket that floods ends with 1008, and takes nobody with it", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const calm = await opened(webSocket(gateway));
  const socket = await openTls(gateway);
  socket.on("error", () => {});
  let received = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
  });
  const host = hostOf(gateway);
  socket.write(
    [
      "GET /websocket?version=19.0-2 HTTP/1.1",
      `Host: ${host}`,
      `Origin: https://${host}`,
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
      "",
      "",
    ].join("\r\n"),
  );
  await until(() => received.includes("\r\n\r\n"));
  const ended = once(socket, "close");
  socket.write(Buffer.concat(Array.from({ length: 1_000 }, () => Buffer.from("8a8000000000", "hex"))));
  await ended;
  t.ok(received.includes(Buffer.from("880203f0", "hex")), "close 1008");
  const record = await gateway.event((event) => event.type === "access" && event.limit !== null);
  t.match(record, { limit: "tunnel-messages", status: 101 });
  t.equal(calm.readyState, calm.OPEN);
  calm.terminate();
});

t.test("one session has so many websockets, wherever they come from", async (t) => {
  const gateway = await startTestGateway({
    env: { TUNNELS_PER_SESSION: "2", TRUSTED_PROXIES: "127.0.0.1" },
  });
  t.teardown(() => gateway.close());
  const body = JSON.stringify({ params: { db: "prod", login: "demo", password: "demo" } });
  const login = await h1(
    gateway,
    "POST /web/session/authenticate",
    ["Content-Type: application/json", "X-Forwarded-For: 203.0.113.1"],
    body,
  );
  const session = sessionPair(login);
  const from = (address: string, with_ = session) => ({
    headers: { "X-Forwarded-For": address, Cookie: with_ },
  });
  const first = await opened(webSocket(gateway, from("203.0.113.2")));
  const second = await opened(webSocket(gateway, from("203.0.113.3")));
  t.equal((await refusedWith(webSocket(gateway, from("203.0.113.4")))).status, 429);
  const stranger = await opened(webSocket(gateway, from("203.0.113.4", "a=b")));
  first.close();
  await until(() => gateway.running.gateway.tunnels === 2);
  const again = await opened(webSocket(gateway, from("203.0.113.4")));
  for (const one of [second, stranger, again]) one.terminate();
  await until(() => gateway.running.gateway.tunnels === 0);
});
