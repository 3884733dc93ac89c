import { createHash } from "node:crypto";
import { once } from "node:events";
import { queryObjects } from "node:v8";
import t from "tap";
import { Http1Connection } from "../../src/edge/http1-connection.ts";
import { Http1Downstream } from "../../src/edge/http1-downstream.ts";
import { acceptFor } from "../../src/message/handshake.ts";
import { Passage } from "../../src/road/passage.ts";
import { RunningExchange } from "../../src/running.ts";
import { Delivery } from "../../src/upstream/delivery.ts";
import { startTestGateway } from "../support/gateway.ts";
import { valuesOf } from "../support/upstream-raw.ts";
import { startScripted } from "../support/upstream-scripted.ts";
import {
  closedWith,
  h1,
  h2,
  hostOf,
  nextMessage,
  opened,
  openHttp2,
  openTls,
  recordOf,
  refusedWith,
  until,
  webSocket,
} from "./clients.ts";

const gateway = await startTestGateway({ env: { WEBSOCKET_ORIGINS: "https://shop.example" } });

function echoMessage(data: unknown): string {
  return JSON.stringify({ event_name: "demo_echo", data });
}

function payloadOf(text: string): unknown {
  const list: readonly { message: { payload: unknown } }[] = JSON.parse(text);
  return list[0]?.message.payload;
}

t.test("messages go both ways, and the handshake Odoo sees is clean", async (t) => {
  const socket = webSocket(gateway, {
    headers: { "X-Forwarded-For": "6.6.6.6", Cookie: "session_id=abc" },
    path: "/websocket?version=19.0-2&n=1",
  });
  let setCookie: readonly string[] = [];
  socket.once("upgrade", (response) => {
    setCookie = response.headers["set-cookie"] ?? [];
  });
  await opened(socket);
  t.match(setCookie[0], /^session_id=.*Secure/, "the session cookie of a 101 is hardened too");
  const answer = nextMessage(socket);
  socket.send(echoMessage("grüße"));
  t.equal(payloadOf(await answer), "grüße");
  const pushed = nextMessage(socket);
  gateway.demo.notify("from-odoo", 7);
  t.equal(payloadOf(await pushed), 7);
  const [seen] = gateway.demo.requests.filter((one) => one.target.endsWith("&n=1"));
  const lines = (name: string) =>
    (seen?.lines ?? []).filter((line) => line.toLowerCase().startsWith(`${name}:`));
  t.equal(seen?.port, "bus");
  t.same(lines("x-forwarded-for"), ["X-Forwarded-For: 127.0.0.1"]);
  t.same(lines("connection"), ["Connection: Upgrade"]);
  t.same(lines("host"), [`Host: ${hostOf(gateway)}`]);
  t.same(lines("origin").length, 1);
  t.equal(gateway.running.gateway.tunnels, 1);
  const closed = closedWith(socket);
  socket.close(4000, "bye");
  t.same((await closed).code, 4000, "the close code comes back from Odoo");
  const record = await recordOf(gateway, "/websocket?version=19.0-2&n=1");
  t.equal(record.status, 101);
  t.equal(record.rule, "websocket");
  t.ok(record.bytesIn > 0 && record.bytesOut > 0);
  await until(() => gateway.running.gateway.tunnels === 0 && gateway.demo.stats.websockets === 0);
});

t.test("large messages survive a client that reads late", async (t) => {
  const socket = await opened(webSocket(gateway));
  const text = "x".repeat(900_000);
  socket.pause();
  for (let i = 0; i < 8; i += 1) socket.send(echoMessage(`${i}${text}`));
  const got: unknown[] = [];
  const all = new Promise<void>((resolve) => {
    socket.on("message", (data) => {
      got.push(payloadOf(data.toString()));
      if (got.length === 8) resolve();
    });
  });
  await until(() => socket.bufferedAmount === 0);
  socket.resume();
  await all;
  t.ok(got.every((payload, i) => payload === `${i}${text}`));
  socket.terminate();
  await until(() => gateway.demo.stats.websockets === 0);
});

t.test(
  "a client that does not read holds Odoo back instead of filling our memory, and loses nothing",
  async (t) => {
    const piece = Buffer.alloc(64 * 1024, "p");
    const frame = Buffer.concat([Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]), piece]);
    const frames = 800;
    let sent = 0;
    const bus = await startScripted((upstream, head) => {
      const key = /sec-websocket-key: *(\S+)/i.exec(head.toString("latin1"))?.[1] ?? "";
      upstream.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptFor(key)}\r\n\r\n`,
      );
      const push = () => {
        while (sent < frames) {
          sent += 1;
          if (!upstream.write(frame)) return;
        }
      };
      upstream.on("drain", push);
      upstream.on("end", () => upstream.end());
      push();
    });
    const flooded = await startTestGateway({ upstream: { webPort: bus.port, busPort: bus.port } });
    t.teardown(async () => {
      await flooded.close();
      await bus.close();
    });
    const socket = webSocket(flooded);
    let received = 0;
    const all = new Promise<void>((resolve) => {
      socket.on("message", (data: Buffer) => {
        if (data.length === piece.length) received += 1;
        if (received === frames) resolve();
      });
    });
    // `ws` pauses open sockets only.
    socket.once("open", () => socket.pause());
    await opened(socket);
    // Odoo's side comes to a stand: the number of frames it could hand over stays the same for many turns.
    let still = 0;
    let last = -1;
    await until(() => {
      still = sent === last ? still + 1 : 0;
      last = sent;
      return still > 60;
    });
    t.ok(sent < frames, `${sent} of ${frames} frames were taken from Odoo while the client read ${received}`);
    socket.resume();
    await all;
    t.equal(received, frames);
    socket.terminate();
  },
);

t.test(
  "close codes of Odoo reach the client: outdated version, ended session, a bus that is killed",
  async (t) => {
    const old = webSocket(gateway, {
      path: "/websocket?version=18.0-1",
      headers: { "User-Agent": "browser" },
    });
    const outdated = closedWith(old);
    await opened(old);
    t.same(await outdated, { code: 1000, reason: "OUTDATED_VERSION" });
    const visit = await h1(gateway, "GET /web/login");
    const session =
      valuesOf(visit, "set-cookie")
        .find((line) => line.startsWith("session_id="))
        ?.split(";")[0] ?? "";
    const socket = await opened(webSocket(gateway, { headers: { Cookie: session } }));
    const ended = closedWith(socket);
    await h1(gateway, "GET /web/session/logout", [`Cookie: ${session}`]);
    t.same(await ended, { code: 4001, reason: "SESSION_EXPIRED" });
  },
);

t.test("a page of another site cannot open a websocket on a visitor's session", async (t) => {
  for (const origin of [
    null,
    "null",
    "https://evil.example",
    `http://${hostOf(gateway)}`,
    "https://odoo.test.evil.example",
    "https://odoo.test:1",
    "https://shop.example.evil.example",
  ]) {
    const before = gateway.demo.requests.length;
    const answer = await refusedWith(webSocket(gateway, { origin }));
    t.equal(answer.status, 403, String(origin));
    t.equal(gateway.demo.requests.length, before, "Odoo is not asked");
  }
  for (const origin of ["https://shop.example", "https://odoo.test", `https://${hostOf(gateway)}`]) {
    const socket = await opened(webSocket(gateway, { origin }));
    t.pass(origin);
    socket.terminate();
  }
  await until(() => gateway.running.gateway.tunnels === 0);
});

t.test(
  "websockets elsewhere are refused, and a plain request to the websocket route is Odoo's to answer",
  async (t) => {
    for (const path of ["/odoo", "/web/login", "/websocket/health"]) {
      const answer = await refusedWith(webSocket(gateway, { path }));
      t.equal(answer.status, 400, path);
    }
    const french = await opened(webSocket(gateway, { path: "/fr/websocket?version=19.0-2" }));
    french.terminate();
    const session = await openHttp2(gateway);
    t.equal((await h2(session, gateway, { ":path": "/websocket" })).status, 400);
    session.close();
  },
);

t.test("what Odoo answers to a handshake is relayed, and a 101 with a wrong key is a failure", async (t) => {
  const answers = [
    "HTTP/1.1 403 FORBIDDEN\r\nServer: gevent\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno",
    "HTTP/1.1 303 SEE OTHER\r\nLocation: /web/login\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n",
    "",
  ];
  const expected = [403, 303, 502, 502, 502];
  let turn = 0;
  const bus = await startScripted((socket) => {
    socket.end(answers[turn] ?? "");
  });
  const web = await startScripted(() => {});
  const odd = await startTestGateway({ upstream: { webPort: web.port, busPort: bus.port } });
  t.teardown(async () => {
    await odd.close();
    await bus.close();
    await web.close();
  });
  for (turn = 0; turn < answers.length; turn += 1) {
    const answer = await refusedWith(webSocket(odd, { path: `/websocket?turn=${turn}` }));
    t.equal(answer.status, expected[turn]);
    if (turn === 0) {
      t.equal(answer.body, "no");
      t.equal(answer.headers["server"], undefined);
      t.equal(answer.headers["x-content-type-options"], "nosniff");
    }
    t.equal((await recordOf(odd, `/websocket?turn=${turn}`)).status, expected[turn]);
  }
  t.equal(odd.running.gateway.tunnels, 0);
});

t.test("each client has so many tunnels, and a closed one makes room", async (t) => {
  const few = await startTestGateway({ env: { TUNNELS_PER_CLIENT: "2" } });
  t.teardown(() => few.close());
  const first = await opened(webSocket(few));
  const second = await opened(webSocket(few));
  const third = await refusedWith(webSocket(few));
  t.equal(third.status, 429);
  t.ok(Number(third.headers["retry-after"]) > 0);
  first.close();
  await until(() => few.running.gateway.tunnels === 1);
  const again = await opened(webSocket(few));
  again.terminate();
  second.terminate();
  await until(() => few.running.gateway.tunnels === 0);
});

t.test("handshakes that cross do not slip past the number of tunnels", async (t) => {
  const few = await startTestGateway({ env: { TUNNELS_PER_CLIENT: "2" } });
  t.teardown(() => few.close());
  const sockets = Array.from({ length: 8 }, () => webSocket(few));
  const results = await Promise.all(
    sockets.map(async (socket) => {
      socket.on("error", () => {});
      return Promise.race([
        once(socket, "open").then(() => "open"),
        once(socket, "unexpected-response").then(() => "refused"),
      ]);
    }),
  );
  t.equal(results.filter((result) => result === "open").length, 2, "two of eight at once");
  for (const socket of sockets) socket.terminate();
});

t.test("either side that vanishes takes the other with it", async (t) => {
  const socket = await opened(webSocket(gateway, { path: "/websocket?version=19.0-2&gone=1" }));
  await until(() => gateway.demo.stats.websockets === 1);
  socket.terminate();
  await until(() => gateway.demo.stats.websockets === 0);
  t.equal((await recordOf(gateway, "/websocket?version=19.0-2&gone=1")).status, 101);
  const doomed = await startTestGateway();
  const other = await opened(webSocket(doomed));
  const closed = closedWith(other);
  await doomed.demo.close();
  t.equal((await closed).code, 1006);
  await doomed.running.stop();
});

t.test("a stopping gateway says 1001 between two messages", async (t) => {
  const stopping = await startTestGateway();
  const socket = await opened(webSocket(stopping));
  const closed = closedWith(socket);
  const stopped = stopping.running.stop();
  t.equal((await closed).code, 1001);
  t.equal(await stopped, 0, "nothing had to be cut");
  await stopping.demo.close();
});

t.test("a stopping gateway does not break a message that is half out", async (t) => {
  const whole = Buffer.alloc(100, "m");
  let finish: () => void = () => {};
  const bus = await startScripted((upstream, head) => {
    const key = /sec-websocket-key: *(\S+)/i.exec(head.toString("latin1"))?.[1] ?? "";
    upstream.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptFor(key)}\r\n\r\n`,
    );
    upstream.write(Buffer.concat([Buffer.from([0x82, 100]), whole.subarray(0, 40)]));
    finish = () => upstream.write(whole.subarray(40));
  });
  const stopping = await startTestGateway({ upstream: { webPort: bus.port, busPort: bus.port } });
  const socket = webSocket(stopping);
  const message = once(socket, "message");
  const closed = closedWith(socket);
  await opened(socket);
  await until(() => stopping.running.gateway.tunnels === 1);
  const stopped = stopping.running.stop();
  finish();
  const [data] = await message;
  t.ok(whole.equals(data));
  t.equal((await closed).code, 1001);
  t.equal(await stopped, 0);
  await bus.close();
  await stopping.demo.close();
});

t.test("Odoo without workers serves the bus on its web port: fall back, with a warning", async (t) => {
  const single = await startTestGateway({ demo: { workers: 0 } });
  t.teardown(() => single.close());
  const event = await single.event((one) => one.type === "bus-fallback");
  t.match(event, { bus: `127.0.0.1:${single.demo.busPort}`, web: `127.0.0.1:${single.demo.webPort}` });
  const socket = await opened(webSocket(single));
  const answer = nextMessage(socket);
  socket.send(echoMessage("there"));
  t.equal(payloadOf(await answer), "there");
  socket.terminate();
  t.equal((await h1(single, "GET /websocket/health")).status, 200);
});

t.test("a bus port that refuses is 502, and the rest of Odoo goes on", async (t) => {
  const gone = await startScripted(() => {});
  await gone.close();
  const half = await startTestGateway({
    upstream: { webPort: gateway.demo.webPort, busPort: gone.port },
  });
  t.teardown(() => half.close());
  t.equal((await refusedWith(webSocket(half))).status, 502);
  t.equal((await h1(half, "GET /web/login")).status, 200);
  t.notOk(half.running.busFallback());
  const warning = await half.event((one) => one.type === "warning" && one.what === "bus");
  t.match(warning, {
    detail: new RegExp(`^nothing takes connections on 127\\.0\\.0\\.1:${gone.port},.*ODOO_BUS_URL$`),
  });
});

t.test("bytes that come with the handshake are not lost", async (t) => {
  const socket = await openTls(gateway);
  const key = createHash("md5").update("k").digest("base64");
  const mask = Buffer.from([0, 0, 0, 0]);
  const text = Buffer.from(echoMessage("early"));
  const frame = Buffer.concat([Buffer.from([0x81, 0x80 | text.length]), mask, text]);
  const head = `GET /websocket?version=19.0-2 HTTP/1.1\r\nHost: ${hostOf(gateway)}\r\nOrigin: https://${hostOf(gateway)}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`;
  let got = "";
  socket.on("data", (chunk) => {
    got += chunk.toString("latin1");
  });
  socket.write(Buffer.concat([Buffer.from(head), frame]));
  await until(() => got.includes("early"));
  t.match(got, /^HTTP\/1\.1 101 /);
  t.ok(got.includes(`Sec-WebSocket-Accept: ${acceptFor(key)}`));
  socket.destroy();
  await until(() => gateway.running.gateway.tunnels === 0);
});

t.test("an open tunnel keeps nothing of its request but what its record says", async (t) => {
  await until(() => gateway.running.gateway.exchanges === 0);
  const path = "/websocket?version=19.0-2&kept=1";
  const headers = { "User-Agent": "kept/1.0", Cookie: "session_id=abc" };
  const sockets = await Promise.all(
    Array.from({ length: 5 }, () => opened(webSocket(gateway, { path, headers }))),
  );
  // Counted after a full collection; what has just passed may be held for a moment.
  for (const held of [RunningExchange, Http1Downstream, Http1Connection, Passage, Delivery])
    await until(() => queryObjects(held, { format: "count" }) === 0);
  t.equal(gateway.running.gateway.exchanges, 5, "they are under way all the same");
  const before = gateway.records().length;
  for (const socket of sockets) socket.close();
  await until(() => gateway.records().length === before + 5 && gateway.demo.stats.websockets === 0);
  for (const record of gateway.records().slice(before))
    t.match(record, {
      status: 101,
      verdict: "tunnel",
      rule: "websocket",
      method: "GET",
      target: path,
      host: hostOf(gateway),
      client: "127.0.0.1",
      userAgent: "kept/1.0",
      limit: null,
    });
  t.equal(gateway.running.gateway.exchanges, 0);
});

t.test("nothing is left behind", async (t) => {
  await until(() => gateway.running.gateway.exchanges === 0);
  t.equal(gateway.demo.stats.websockets, 0);
  await gateway.close();
});

t.test("a ban ends the websockets of that client, and of no other", async (t) => {
  const own = await startTestGateway({ env: { TRUSTED_PROXIES: "127.0.0.1" } });
  t.teardown(() => own.close());
  const from = (address: string) => ({ headers: { "X-Forwarded-For": address } });
  const guesser = webSocket(own, from("203.0.113.9"));
  const other = webSocket(own, from("203.0.113.10"));
  await Promise.all([opened(guesser), opened(other)]);
  const closed = closedWith(guesser);
  const body = JSON.stringify({ params: { db: "prod", login: "admin", password: "x" } });
  const lines = ["Content-Type: application/json", "X-Forwarded-For: 203.0.113.9"];
  for (let i = 0; i < 5; i += 1) await h1(own, "POST /web/session/authenticate", lines, body);
  t.match(await closed, { code: 1008 });
  const answer = nextMessage(other);
  other.send(echoMessage("still here"));
  t.equal(payloadOf(await answer), "still here");
  other.terminate();
});
