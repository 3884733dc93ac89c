import { readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { createServer as createTls } from "node:tls";
import t from "tap";
import { systemClock } from "../../src/base/clock.ts";
import { AnswerReader } from "../../src/check/answer.ts";
import { Asker } from "../../src/check/ask.ts";
import { checkBounds } from "../../src/check/bounds.ts";
import { Budget } from "../../src/check/budget.ts";
import { clientHello, readServerFirst } from "../../src/check/hello.ts";
import { resolveHost } from "../../src/check/resolve.ts";
import { isManagerPage } from "../../src/policy/guarded.ts";
import { findingOf, textLengthMax } from "../../src/report/finding.ts";
import { findingIn, lookAt, requestsOf } from "../support/look.ts";
import { makeCertificate } from "../support/peers.ts";
import { listen, startSite } from "../support/site.ts";

/** Small bounds, so that the tests end soon; what is held is that the look ends by them at all. */
const bounds = { requestTimeoutMs: 300, wholeTimeoutMs: 2_500 };

interface Wild {
  readonly httpsPort: number;
  readonly plainPort: number;
}

/** A server that does to each connection what a test says, over TLS and in clear. */
async function wild(t: Tap, onConnection: (socket: Socket) => void): Promise<Wild> {
  const folder = t.testdir({});
  const [cert, key] = [join(folder, "c.pem"), join(folder, "k.pem")];
  makeCertificate(cert, key, "DNS:odoo.test");
  const open = new Set<Socket>();
  const greet = (socket: Socket) => {
    socket.on("error", () => socket.destroy());
    onConnection(socket);
  };
  const tls = createTls({ cert: readFileSync(cert), key: readFileSync(key) }, greet);
  tls.on("tlsClientError", (_error, socket) => socket.destroy());
  const plain = createServer(greet);
  for (const server of [tls, plain])
    server.on("connection", (socket: Socket) => {
      open.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => open.delete(socket));
    });
  const ports = { httpsPort: await listen(tls), plainPort: await listen(plain) };
  t.teardown(() => {
    for (const server of [tls, plain]) server.close();
    for (const socket of open) socket.destroy();
  });
  return ports;
}
type Tap = Pick<typeof t, "teardown" | "testdir">;

function askerOf(port: number, budget: Budget): Asker {
  const way = { address: "127.0.0.1", port, from: null, tls: null };
  return new Asker({ budget, way, plainWay: null, authority: "a", plainAuthority: "a", userAgent: "t" });
}

/** What a report says of a text that a site chose. */
function oneOf(seen: string): string {
  return findingOf({ id: "x", title: "X", why: "x.", fix: "x." }, { outcome: "pass", seen }).seen;
}

/** Writes again and again until the socket is gone. */
function flood(socket: Socket, chunk: string | Buffer): void {
  const go = () => {
    while (!socket.destroyed && socket.write(chunk)) {}
  };
  socket.on("drain", go);
  go();
}

const hostile: readonly [name: string, (socket: Socket) => void][] = [
  ["never answers", () => undefined],
  ["closes at once", (socket) => socket.destroy()],
  ["answers with bytes that are no HTTP", (socket) => socket.end(Buffer.alloc(5_000, 0x07))],
  [
    "sends fields without end",
    (socket) => {
      socket.write("HTTP/1.1 200 OK\r\n");
      flood(socket, `X-Endless: ${"a".repeat(1_000)}\r\n`);
    },
  ],
  [
    "sends one field line without end",
    (socket) => {
      socket.write("HTTP/1.1 200 OK\r\nX: ");
      flood(socket, "a".repeat(10_000));
    },
  ],
  ["sends interim answers without end", (socket) => flood(socket, "HTTP/1.1 103 Early Hints\r\n\r\n")],
  [
    "sends a body without end",
    (socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n");
      flood(socket, Buffer.alloc(65_536, 0x41));
    },
  ],
  [
    "sends chunks without end",
    (socket) => {
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      flood(socket, `1000\r\n${"a".repeat(4_096)}\r\n`);
    },
  ],
  [
    "promises a body it never sends",
    (socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n"),
  ],
  [
    "drips a byte at a time",
    (socket) => {
      const timer = setInterval(() => socket.write("H"), 50);
      socket.on("close", () => clearInterval(timer));
    },
  ],
  [
    "redirects to itself",
    (socket) =>
      socket.on("data", () =>
        socket.end("HTTP/1.1 302 x\r\nLocation: /web/login\r\nContent-Length: 0\r\n\r\n"),
      ),
  ],
];

/** Of these the log-in page comes, or as much of one as is wanted. */
const answersLogin = new Set(["sends a body without end", "sends chunks without end", "redirects to itself"]);
/** What says of itself "not reached" or "not told": of a site that says nothing that is not known. */
const needsAnAnswer = [
  "database-manager",
  "database-manager-spellings",
  "database-service",
  "database-list",
  "version-leaks",
  "forwarded-host",
  "foreign-host",
  "cache-private",
];

for (const [name, behaviour] of hostile) {
  t.test(`a site that ${name} is left within the bounds`, async (t) => {
    const { httpsPort, plainPort } = await wild(t, behaviour);
    const before = process.memoryUsage().rss;
    const report = await lookAt(`https://odoo.test:${httpsPort}`, {
      bounds,
      httpPort: plainPort,
      loginCanary: true,
    });
    t.ok(requestsOf(report) <= checkBounds.requestsMax, `${requestsOf(report)} requests`);
    t.ok(process.memoryUsage().rss - before < 256 * 1024 * 1024, "and little is held");
    t.ok(report.findings.every(({ seen }) => seen.length <= textLengthMax + 1));
    if (!answersLogin.has(name))
      for (const id of needsAnAnswer)
        t.not(findingIn(report, id).outcome, "pass", `${id} passes nothing unseen`);
  });
}

t.test("the time of a question holds for its connection and its answer together", async (t) => {
  const { plainPort } = await wild(t, () => undefined);
  // Each glance at this clock costs a minute, so the connection alone takes all the time there is.
  let nowMs = 0;
  const clock = {
    ...systemClock,
    nowMs: () => {
      nowMs += 60_000;
      return nowMs;
    },
  };
  const bounds = { requestsMax: 10, wholeTimeoutMs: 6_000_000, requestTimeoutMs: 60_000 };
  const asker = askerOf(plainPort, new Budget(clock, bounds));
  t.teardown(() => asker.close());
  t.match(await asker.ask({ method: "GET", target: "/" }), {
    ok: false,
    error: { kind: "timeout", detail: "no whole answer within 60 s" },
  });
});

t.test("bodies and fields that are made to be slow to read are read at once", (t) => {
  // Megabytes: what takes time by their square would not end within the time of a test.
  const times = 500_000;
  t.notOk(isManagerPage('"jsonrpc"'.repeat(times)));
  t.ok(isManagerPage('{"jsonrpc": "2.0", "id": null, "result": ["prod"]}'));
  t.equal(oneOf("a".concat(" ".repeat(4_000_000), "b\nc")).length, textLengthMax + 1);
  t.equal(oneOf("a  \r\n\t  b\n"), "a b");
  t.end();
});

t.test("a page that is made to be slow to read does not hold up a look", async (t) => {
  for (const piece of ["<html ", '"result":[', '"jsonrpc"', 'hreflang="en-', 'src="/web/assets/']) {
    const { httpsPort } = await wild(t, (socket) =>
      socket.on("data", () => {
        const body = piece.repeat(checkBounds.bodyBytesMax / piece.length);
        socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`);
      }),
    );
    const ids = ["database-manager-spellings", "database-list", "header-csp", "compression"];
    const report = await lookAt(`https://odoo.test:${httpsPort}`, { ids });
    t.ok(
      report.findings.every(({ seen }) => !seen.includes("time of one look")),
      piece,
    );
  }
});

t.test("a name that is not resolved in time is left, with the process that asked", async (t) => {
  t.match(await resolveHost("localhost", 30_000), { ok: true });
  // A label has 63 letters at most (RFC 1035 §2.3.4): the resolver says so by itself, and no name server is asked.
  t.match(await resolveHost(`${"a".repeat(64)}.test`, 30_000), {
    ok: false,
    error: /cannot be resolved/,
  });
  t.match(await resolveHost("localhost", 50, "setInterval(() => {}, 1000)"), {
    ok: false,
    error: "the name localhost was not resolved in time",
  });
});

t.test("a port that speaks no TLS, or garbage for TLS, is told and left", async (t) => {
  const { plainPort } = await wild(t, (socket) =>
    socket.on("data", () => socket.end(Buffer.alloc(40_000, 0x16))),
  );
  const report = await lookAt(`https://odoo.test:${plainPort}`, { bounds });
  t.equal(findingIn(report, "odoo-answers").outcome, "fail");
  t.match(findingIn(report, "https"), { outcome: "fail", seen: /no TLS connection comes about/ });
  t.equal(findingIn(report, "tls-versions").outcome, "skipped");
  t.ok(requestsOf(report) < 20, "a site that does not answer is not asked 80 times");
});

t.test("a site that answers 80 times is asked no more", async (t) => {
  const site = await startSite();
  t.teardown(() => site.close());
  const report = await lookAt(site.url, { authorities: site.authority, bounds: { requestsMax: 10 } });
  t.equal(requestsOf(report), 10);
  t.equal(findingIn(report, "cache-private").outcome, "skipped");
  t.match(findingIn(report, "cache-private").seen, "the 10 requests of one look are used up");
  t.equal(findingIn(report, "database-manager-spellings").outcome, "skipped", "half a look is no pass");
});

t.test("a site's text cannot write to the terminal", async (t) => {
  const site = await startSite({
    change: (_request, good) => ({ ...good, fields: [...good.fields, "Server", "a\u0007b\u001b[2J/1.0"] }),
  });
  t.teardown(() => site.close());
  const { seen } = findingIn(
    await lookAt(site.url, { authorities: site.authority, ids: ["banner"] }),
    "banner",
  );
  t.match(seen, "a\\x07b\\x1b[2J/1.0");
  // What would move a cursor is written out.
  t.notMatch(seen, /[\u0000-\u001f]/);
});

t.test("an answer is read the same however it is cut", (t) => {
  const chunked =
    "HTTP/1.1 103 x\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nT: r\r\n\r\n";
  const plain = "HTTP/1.1 404 x\nContent-Length: 3\nX: 1\nX: 2\n\nabcdef";
  for (const [text, status, body] of [
    [chunked, 200, "hello world"],
    [plain, 404, "abc"],
  ] as const) {
    for (const size of [1, 2, 7, 1_000]) {
      const reader = new AnswerReader(1_000, false);
      const bytes = Buffer.from(text);
      let state = "more";
      for (let at = 0; at < bytes.length && state === "more"; at += size)
        state = reader.push(bytes.subarray(at, at + size));
      t.equal(state, "done");
      const answer = reader.answer();
      t.same(
        [answer?.status, answer?.body.toString(), answer?.whole],
        [status, body, true],
        `${size} bytes at a time`,
      );
    }
  }
  const cut = new AnswerReader(4, false);
  t.equal(cut.push(Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabcdefghij")), "done");
  t.same([cut.answer()?.body.toString(), cut.answer()?.whole, cut.keepsConnection], ["abcd", false, false]);
  for (const bad of ["SSH-2.0-OpenSSH\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 OK\r\n\r\n"])
    t.equal(new AnswerReader(10, false).push(Buffer.from(bad)), "garbage", bad);
  t.end();
});

t.test("a hello by hand is read by what servers say to it", (t) => {
  const hello = clientHello({ version: "TLS 1.3", suites: [0x1301], host: "odoo.test" });
  t.equal(hello.readUInt16BE(3), hello.length - 5, "the record's length fits");
  t.ok(hello.includes("odoo.test"));
  t.notOk(
    clientHello({ version: "SSL 3.0", suites: [4], host: "odoo.test" }).includes("odoo.test"),
    "SSL 3 has no names",
  );
  t.notOk(
    clientHello({ version: "TLS 1.2", suites: [4], host: "127.0.0.1" }).includes("127.0.0.1"),
    "an address is no name",
  );
  t.same(readServerFirst(Buffer.from([21, 3, 3, 0, 2, 2, 40])), { kind: "alert", code: 40 });
  t.same(readServerFirst(Buffer.from("HTTP/1.1 400")), { kind: "garbage" });
  t.same(readServerFirst(Buffer.alloc(0)), { kind: "more" });
  t.same(readServerFirst(Buffer.from([22, 3, 3, 255, 255, 2, 0])), { kind: "more" });
  for (let length = 0; length < 200; length += 1) {
    const kind = readServerFirst(
      Buffer.concat([Buffer.from([22, 3, 3, 0, length, 2]), Buffer.alloc(length, 0xff)]),
    ).kind;
    t.ok(["hello", "more", "garbage"].includes(kind), `${length} bytes of nonsense end in ${kind}`);
  }
  t.end();
});

t.test("a kept connection that the site closed is no lost question", async (t) => {
  let connections = 0;
  const { plainPort } = await wild(t, (socket) => {
    connections += 1;
    // Says that it keeps the connection, and does not.
    socket.once("data", () => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      socket.once("data", () => socket.destroy());
    });
  });
  const budget = new Budget(systemClock, { requestsMax: 10, wholeTimeoutMs: 5_000, requestTimeoutMs: 2_000 });
  const asker = askerOf(plainPort, budget);
  t.teardown(() => asker.close());
  for (let i = 0; i < 2; i += 1) {
    const asked = await asker.ask({ method: "GET", target: "/" });
    t.equal(asked.ok && asked.value.body.toString(), "ok");
  }
  t.equal(connections, 2);
  t.equal(budget.used, 3, "the lost one counts too");
});
