import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import t from "tap";
import { systemClock } from "../../src/base/clock.ts";
import { edgeBounds } from "../../src/edge/bounds.ts";
import type { EdgeHandlers } from "../../src/edge/http1.ts";
import { type Admission, type Listener, listenPlain, listenTls } from "../../src/edge/listeners.ts";
import { listenHttp2 } from "../edge/http2/listener.ts";
import { until } from "../exchange/clients.ts";
import { startTestGateway } from "../support/gateway.ts";
import { rawTalk } from "../support/upstream-raw.ts";
import { request, smuggled } from "./corpus/case.ts";
import { nextClient, open, Wire } from "./corpus/run.ts";
import { frame, frameType, get, RawHttp2, uint32 } from "./frames.ts";

t.test("what stands behind a message that is refused late is not run", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const bomb = "<!DOCTYPE a [<!ENTITY x 'y'>]><methodCall/>";
  const answer = await rawTalk(
    gateway.httpsPort,
    `${request("POST /xmlrpc/2/common", [`Content-Length: ${bomb.length}`], bomb)}${smuggled}`,
    { socket: open(gateway, nextClient()) },
  );
  t.equal(answer.status, 200, "a fault");
  t.notMatch(answer.body, "HTTP/1.1", "one answer");
  t.strictSame(gateway.demo.requests, [], "Odoo saw neither");
});

t.test(
  "who hangs up or talks rubbish right behind his request is written down with what it was refused for",
  async (t) => {
    const gateway = await startTestGateway();
    t.teardown(() => gateway.close());
    const rubbish = request("POST /web/database/drop", ["Transfer-Encoding: chunked"]);
    for (const [bytes, hangsUp] of [
      [request("GET /web/database/manager"), true],
      [`${rubbish}zz\r\n`, false],
    ] as const) {
      const socket = open(gateway, nextClient());
      let got = "";
      socket.on("data", (chunk: Buffer) => {
        got += chunk.toString("latin1");
      });
      socket.on("error", () => {});
      if (hangsUp) socket.end(bytes);
      else socket.write(bytes);
      await once(socket, "close");
      t.match(got, /^HTTP\/1\.1 404 /);
    }
    await until(() => gateway.records().length === 2);
    t.same(
      gateway.records().map(({ status, rule }) => [status, rule]),
      [
        [404, "database-manager"],
        [404, "database-manager"],
      ],
    );
  },
);

t.test("a pipeline gets one worker of Odoo at a time, and its answers in order", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const wire = new Wire(open(gateway, nextClient()));
  const requests = 300;
  const all = Array.from({ length: requests }, (_, i) => request(`GET /web/assets/1/${i}.js`));
  wire.socket.write(all.join(""));
  for (let answers = 0; answers < requests; answers += 1) {
    if ((await wire.answer(false)) === null) return void t.fail(`only ${answers} answers`);
  }
  t.equal(gateway.demo.stats.maxActiveWorkers, 1);
  t.strictSame(
    gateway.demo.requests.map(({ target }) => target),
    Array.from({ length: requests }, (_, i) => `/web/assets/1/${i}.js`),
    "in order",
  );
});

t.test(
  "a refusal reaches a client that is still sending, and nothing of its body reaches Odoo",
  async (t) => {
    const gateway = await startTestGateway({ env: { BODY_MAX: "1MiB" } });
    t.teardown(() => gateway.close());
    const length = ["Content-Length: 3000000"];
    const heads: readonly (readonly [string, number])[] = [
      [request("POST /web/database/restore", length), 404],
      [request("POST /demo/echo", length), 413],
      [`${request("POST /demo/echo", ["Transfer-Encoding: chunked"])}2dc6c0\r\n`, 413],
      [request("POST //demo/echo", length), 400],
      [request("POST /demo/echo", ["X-A : b", ...length]), 400],
      [request("POST /demo/echo", [`X-A: ${"b".repeat(70_000)}`, ...length]), 431],
    ];
    for (const [head, status] of heads) {
      const wire = new Wire(open(gateway, nextClient()));
      wire.socket.write(Buffer.concat([Buffer.from(head), Buffer.alloc(3_000_000, "a")]));
      const got = (await wire.answer(false))?.status;
      t.ok(got === status || (status === 431 && got === 414), `${got} instead of ${status}`);
      t.equal(await wire.rest(), "", "and then the end");
    }
    t.strictSame(gateway.demo.requests, []);
  },
);

t.test(
  "an upgrade or CONNECT behind an unfinished answer ends the connection and not the process",
  async (t) => {
    const gateway = await startTestGateway();
    t.teardown(() => gateway.close());
    const upgrade = request("GET /websocket", [
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
      "Origin: https://odoo.test",
    ]);
    for (const second of [upgrade, "CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test\r\n\r\n"]) {
      gateway.demo.forget();
      const answer = await rawTalk(
        gateway.httpsPort,
        `${request("GET /demo/slow?ms=30")}${second}${smuggled}`,
        { socket: open(gateway, nextClient()) },
      );
      t.equal(answer.status, 200);
      t.notMatch(answer.body, "HTTP/1.1", "one answer");
      t.strictSame(
        gateway.demo.requests.map(({ target }) => target),
        ["/demo/slow?ms=30"],
      );
    }
  },
);

t.test("one client's connections are bounded, others' are not", async (t) => {
  const gateway = await startTestGateway({ env: { CONNECTIONS_PER_CLIENT: "3" } });
  t.teardown(() => gateway.close());
  const client = nextClient();
  const held = Array.from({ length: 3 }, () => open(gateway, client));
  t.strictSame(await Promise.all(held.map(opens)), [true, true, true]);
  t.equal(await opens(open(gateway, client)), false, "the fourth is closed without a handshake");
  const other = open(gateway, nextClient());
  t.equal(await opens(other), true, "another client is served");
  held.pop()?.destroy();
  // The place is free once the gateway saw the end; until then it closes.
  let again = open(gateway, client);
  while (!(await opens(again))) again = open(gateway, client);
  held.push(again);
  t.pass("a place that is left can be taken");
  for (const socket of [...held, other]) socket.destroy();
});

/** Does the socket come to a TLS session, or is it closed before. */
function opens(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    socket.on("error", () => resolve(false));
    socket.once("close", () => resolve(false));
    socket.once("secureConnect", () => resolve(true));
  });
}

const quick = {
  ...edgeBounds,
  headerTimeoutMs: 100,
  connectionsCheckMs: 30,
  handshakeTimeoutMs: 100,
  keepAliveTimeoutMs: 100,
};

/** Answers everything with `ok`; a message that cannot be read with its status alone. */
const handlers: EdgeHandlers = {
  clock: systemClock,
  exchange: (down) => down.answer(200, [], Buffer.from("ok"), false),
  broken: (_connection, status) => Buffer.from(`HTTP/1.1 ${status} X\r\nContent-Length: 0\r\n\r\n`),
  malformed: () => {},
  draining: () => false,
  trouble: () => {},
  shutOut() {},
};
const admission = (): Admission => ({
  connectionsPerClientMax: 1_000,
  isExempt: () => false,
  isBanned: () => false,
  isShutTo: () => false,
});
const anywhere = { host: "127.0.0.1", port: 0 };

/** Sends `first`, then one byte of `rest` every 20 ms; what came back until the end. */
async function drip(socket: Socket, first: string, rest: string): Promise<string> {
  let received = "";
  socket.on("error", () => {});
  socket.write(first);
  let at = 0;
  const timer = setInterval(() => {
    if (rest !== "") socket.write(rest[at % rest.length] ?? "");
    at += 1;
  }, 20);
  socket.on("data", (chunk: Buffer) => {
    received += chunk.toString("latin1");
    // A byte into a connection that closes would be answered with a reset.
    if (rest !== "") clearInterval(timer);
  });
  // Not `once`: it fails with the reset of a byte that crossed the close.
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("end", () => socket.destroy());
  await closed;
  clearInterval(timer);
  return received;
}

t.test("slow clients are cut at the bound, on plain HTTP", async (t) => {
  const listener = await mustListen(listenPlain(anywhere, admission, handlers, quick));
  t.teardown(() => close(listener));
  const dial = () => connect({ host: "127.0.0.1", port: listener.port });
  t.match(await drip(dial(), "", ""), /^(?:HTTP\/1.1 408 |$)/, "not a byte");
  t.match(await drip(dial(), "GET / HT", ""), /^HTTP\/1.1 408 /, "half a request line");
  t.match(await drip(dial(), "GET / HTTP/1.1\r\nHost: odoo.test\r\n", ""), /^HTTP\/1.1 408 /, "half a head");
  t.match(await drip(dial(), "GET /", "a"), /^HTTP\/1.1 408 /, "a target a byte at a time");
  t.match(await drip(dial(), "GET / HTTP/1.1\r\nX-A: ", "a"), /^HTTP\/1.1 408 /, "a field a byte at a time");
  t.match(await drip(dial(), "", "\r\n"), /^HTTP\/1.1 40[08] /, "empty lines without end");
  const kept = await drip(dial(), "GET / HTTP/1.1\r\nHost: odoo.test\r\n\r\n", "");
  t.match(kept, /^HTTP\/1.1 200 /, "a kept connection is closed when it is idle");
  const second = await drip(dial(), "GET / HTTP/1.1\r\nHost: odoo.test\r\n\r\nGET / HT", "");
  t.match(second, /^HTTP\/1.1 200 .*HTTP\/1.1 408 /s, "the second head has the same bound");
});

t.test("slow clients are cut at the bound, on TLS", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const { certPem, keyPem } = gateway.running.tls().fallback;
  const listener = await mustListen(
    listenTls(anywhere, { cert: certPem, key: keyPem }, admission, handlers, quick),
  );
  t.teardown(() => close(listener));
  const dial = () => connect({ host: "127.0.0.1", port: listener.port });
  t.equal(await drip(dial(), "", ""), "", "not a byte of a handshake");
  t.equal(await drip(dial(), "\x16\x03\x01\x02\x00\x01", ""), "", "half a hello");
  t.equal(
    await drip(dial(), "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "\x01"),
    "",
    "a hello a byte at a time",
  );
  t.match(await drip(dial(), "GET / HTTP/1.1\r\nHost: odoo.test\r\n\r\n", ""), /^[^H]?/, "plain HTTP");
  // From here on the handshake may take as long as a busy machine lets it.
  const patient = await mustListen(
    listenTls(anywhere, { cert: certPem, key: keyPem }, admission, handlers, {
      ...quick,
      handshakeTimeoutMs: edgeBounds.handshakeTimeoutMs,
    }),
  );
  t.teardown(() => close(patient));
  const dialTls = () =>
    connectTls({
      host: "127.0.0.1",
      port: patient.port,
      servername: "odoo.test",
      rejectUnauthorized: false,
      ALPNProtocols: ["http/1.1"],
    });
  t.match(await drip(dialTls(), "", ""), /^(?:HTTP\/1.1 408 |$)/, "a handshake and nothing behind it");
  t.match(await drip(dialTls(), "GET / HTTP/1.1\r\n", "X"), /^HTTP\/1.1 408 /, "a head a byte at a time");
  const silent = new RawHttp2(patient.port, "127.0.0.1");
  await silent.closed;
  t.ok(
    silent.frames.some(({ type }) => type === frameType.goaway),
    "an HTTP/2 session without a stream",
  );
});

t.test(
  "a client that keeps its side open after a refused handshake does not keep the connection",
  async (t) => {
    const gateway = await startTestGateway();
    t.teardown(() => gateway.close());
    const socket = connect({ host: "127.0.0.1", port: gateway.httpPort, allowHalfOpen: true });
    socket.on("error", () => {});
    socket.write(request("GET /nowhere", ["Upgrade: h2c", "Connection: Upgrade"]));
    socket.resume();
    await once(socket, "end");
    // Only a write finds out that the other side is gone.
    const timer = setInterval(() => socket.write("x"), 50);
    await new Promise((resolve) => socket.once("close", resolve));
    clearInterval(timer);
    t.pass("reset");
  },
);

t.test("a client that says goodbye and then breaks the protocol leaves nothing behind", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const { certPem, keyPem } = gateway.running.tls().fallback;
  const over: Promise<void>[] = [];
  const listener = await mustListen(
    listenTls(
      anywhere,
      { cert: certPem, key: keyPem },
      admission,
      {
        ...handlers,
        exchange: (down) =>
          over.push(
            new Promise((resolve) => down.attend({ gone: resolve, sent: () => {}, broken: () => {} })),
          ),
      },
      quick,
    ),
  );
  t.teardown(() => close(listener));
  const raw = new RawHttp2(listener.port, "127.0.0.1");
  raw.send(get(1, "/"));
  await until(() => over.length === 1);
  raw.send(frame(frameType.goaway, 0, 0, Buffer.alloc(8)), frame(frameType.ping, 0, 0, Buffer.alloc(3)));
  await raw.closed;
  await Promise.all(over);
  t.pass("the exchange is over and the connection closed");
});

async function mustListen(opening: ReturnType<typeof listenPlain>): Promise<Listener> {
  const opened = await opening;
  if (!opened.ok) throw new Error(opened.error);
  return opened.value;
}

function close(listener: Listener): void {
  listener.stop();
  listener.destroy();
}

t.test("bodies that come in single bytes and are broken off leave nothing behind", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const head = request("POST /contactus", ["Transfer-Encoding: chunked"]);
  const large = `${head}${"4000\r\n".concat("x".repeat(0x4000), "\r\n").repeat(20)}`;
  const small = `${head}${"1\r\nX\r\n".repeat(60_000)}`;
  const heap = () => {
    global.gc?.();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const open1 = async (bytes: string) => {
    const socket = open(gateway, nextClient());
    socket.on("error", () => {});
    socket.resume();
    await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
    return socket;
  };
  const before = heap();
  const sockets = await Promise.all(Array.from({ length: 10 }, () => open1(small)));
  await until(() => gateway.running.gateway.exchanges === 10);
  t.ok(heap() - before < 40e6, `${((heap() - before) / 1e6).toFixed(1)} MB for ten bodies of 60 kB`);
  sockets.push(...(await Promise.all(Array.from({ length: 5 }, () => open1(large)))));
  await until(() => gateway.running.spoolBytes() > 5 * 200_000);
  for (const socket of sockets) socket.end();
  await Promise.all(sockets.map((socket) => once(socket, "close")));
  await until(() => gateway.running.spoolBytes() === 0);
  await until(() => gateway.running.gateway.exchanges === 0);
  t.strictSame(gateway.demo.requests, [], "Odoo saw none");
});

t.test("one client's unfinished bodies leave the spool to others", async (t) => {
  const gateway = await startTestGateway({
    env: { SPOOL_MAX: "8MiB", BODY_MAX: "1MiB", TRUSTED_PROXIES: "127.0.0.1" },
  });
  t.teardown(() => gateway.close());
  const head = (from: string) =>
    request("POST /demo/echo", ["Content-Length: 1000000", `X-Forwarded-For: ${from}`]);
  const wires: Wire[] = [];
  for (let i = 0; i < 8; i += 1) {
    const wire = new Wire(open(gateway, "127.0.0.1"));
    wire.socket.write(`${head("203.0.113.1")}${"x".repeat(999_999)}`);
    wires.push(wire);
  }
  await until(() => gateway.records().length === 6);
  t.same(
    gateway.records().map(({ status, failure }) => [status, failure]),
    Array(6).fill([503, "spool-full"]),
    "its part holds two of them",
  );
  const other = new Wire(open(gateway, "127.0.0.1"));
  other.socket.write(`${head("203.0.113.2")}${"x".repeat(1_000_000)}`);
  t.equal((await other.answer(false))?.status, 200);
  for (const { socket } of [...wires, other]) socket.destroy();
  await until(() => gateway.running.spoolBytes() === 0);
});

t.test(
  "who takes nothing of his answer and goes on sending does not hold the connection for ever",
  async (t) => {
    const listener = await listenHttp2(t, (down) => down.answer(200, [], Buffer.alloc(40_000_000), false), {
      sendStuckTimeoutMs: 200,
      connectionsCheckMs: 30,
      http2LookMs: 30,
    });
    const socket = connectTls({
      host: "127.0.0.1",
      port: listener.port,
      servername: "odoo.test",
      ALPNProtocols: ["http/1.1"],
      rejectUnauthorized: false,
    });
    await once(socket, "secureConnect");
    socket.on("error", () => {});
    socket.pause();
    socket.write(request("GET /"));
    const trickle = setInterval(() => socket.write("G"), 20);
    await new Promise((resolve) => socket.once("close", resolve));
    clearInterval(trickle);
    t.pass("HTTP/1.1: cut, though it sent a byte each 20 ms");

    // SETTINGS_INITIAL_WINDOW_SIZE (4): what is shut is the line, not a window.
    const raw = new RawHttp2(listener.port, "127.0.0.1", [[4, 2 ** 31 - 1]]);
    raw.send(frame(frameType.window, 0, 0, uint32(2 ** 30)), get(1, "/"));
    await once(raw.socket, "secureConnect");
    raw.socket.pause();
    const pings = setInterval(() => raw.send(frame(frameType.ping, 0, 0, Buffer.alloc(8))), 200);
    await raw.closed;
    clearInterval(pings);
    t.pass("HTTP/2: cut, though it sent frames");
  },
);
