import { connect } from "node:http2";
import { connect as connectTls } from "node:tls";
import t from "tap";
import { listenHttp2 } from "../edge/http2/listener.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { judgeUpstream, nextClient } from "./corpus/run.ts";
import {
  block,
  endHeaders,
  endStream,
  frame,
  frameType,
  get,
  pseudo,
  RawHttp2,
  text,
  uint32,
} from "./frames.ts";

type Fields = readonly (readonly [string, string])[];

/** `pseudo` with one of its fields replaced. */
function except(name: string, value: string | null): Fields {
  return pseudo("/demo/echo").flatMap((field): Fields => {
    if (field[0] !== name) return [field];
    return value === null ? [] : [[name, value]];
  });
}

const ordinary = pseudo("/demo/echo");
const withField = (name: string, value: string): Fields => [...ordinary, [name, value]];

/**
 * Fields and what comes of them: a status; `forwarded`; `broken`: the stream or the connection ends without an answer;
 * `refused`: either of a 4xx and that.
 */
const table: readonly (readonly [string, Fields, number | "forwarded" | "broken" | "refused"])[] = [
  ["an ordinary request", ordinary, "forwarded"],
  ["no :method", except(":method", null), "broken"],
  ["no :scheme", except(":scheme", null), "broken"],
  ["no :path", except(":path", null), "broken"],
  ["an empty :path", except(":path", ""), "refused"],
  ["an absolute :path", except(":path", "https://evil.test/demo/echo"), "refused"],
  ["a :path without a slash", except(":path", "demo/echo"), "refused"],
  ["an asterisk as :path", except(":path", "*"), "refused"],
  ["a :path that begins with two slashes", except(":path", "//demo/echo"), "refused"],
  ["a :path with a space", except(":path", "/demo/echo HTTP/1.1"), "refused"],
  ["a :path with a line end", except(":path", "/demo/echo HTTP/1.1\r\nX: evil\r\n\r\n"), "refused"],
  ["a :path with a NUL", except(":path", "/demo/\0echo"), "refused"],
  ["a :path with a fragment", except(":path", "/demo/echo#x"), "refused"],
  ["a :path with a byte above ASCII", except(":path", "/demo/\xe9cho"), "refused"],
  ["a guarded :path", except(":path", "/web/database/manager"), 404],
  ["a guarded :path behind a language", except(":path", "/fr/web/database/manager/"), 404],
  ["a dot segment in :path", except(":path", "/x/../web/database/manager"), 400],
  ["an escaped slash in :path", except(":path", "/web%2fdatabase/manager"), 400],
  ["a :method in small letters", except(":method", "get"), "refused"],
  ["a :method with a space", except(":method", "GET /x"), "refused"],
  ["a :method with a line end", except(":method", "GET / HTTP/1.1\r\nX: evil\r\n\r\nGET"), "refused"],
  ["TRACE", except(":method", "TRACE"), 405],
  [
    "CONNECT",
    [
      [":method", "CONNECT"],
      [":authority", "evil.test:443"],
    ],
    "refused",
  ],
  [
    "an extended CONNECT",
    [[":method", "CONNECT"], [":protocol", "websocket"], ...ordinary.slice(1)],
    "refused",
  ],
  [":scheme http on TLS", except(":scheme", "http"), 400],
  ["an invented :scheme", except(":scheme", "evil"), "refused"],
  [":scheme with a host in it", except(":scheme", "https://evil.test/?"), "refused"],
  ["no :authority and no host", except(":authority", null), "refused"],
  ["a host alone", [...except(":authority", null), ["host", "odoo.test"]], "refused"],
  ["a foreign :authority", except(":authority", "evil.test"), 421],
  ["an empty :authority", except(":authority", ""), "refused"],
  ["userinfo in :authority", except(":authority", "odoo.test@evil.test"), "refused"],
  ["a path in :authority", except(":authority", "odoo.test/evil"), "refused"],
  ["a foreign host beside :authority", withField("host", "evil.test"), 400],
  ["an equal host beside :authority", withField("host", "odoo.test"), "forwarded"],
  ["two hosts", [...ordinary, ["host", "odoo.test"], ["host", "evil.test"]], "refused"],
  ["two :authority", [...ordinary.slice(0, 3), [":authority", "evil.test"], ...ordinary.slice(3)], "broken"],
  ["two :path", [...ordinary, [":path", "/evil"]], "broken"],
  ["two :method", [...ordinary, [":method", "POST"]], "broken"],
  ["a pseudo-field behind a field", [["x-a", "b"], ...ordinary], "broken"],
  ["an invented pseudo-field", [...ordinary, [":evil", "x"]], "broken"],
  ["a response's pseudo-field", [...ordinary, [":status", "200"]], "broken"],
  ["a name in capitals", withField("X-Forwarded-For", "evil"), "broken"],
  ["a name with a space", withField("x a", "b"), "broken"],
  ["a name with a colon", withField("x:a", "b"), "broken"],
  ["a name with a line end", withField("x-a: b\r\nx-forwarded-for", "evil"), "broken"],
  ["an empty name", withField("", "b"), "broken"],
  ["a value with a line end", withField("x-a", "b\r\nX-Forwarded-For: evil"), "broken"],
  ["a value with a bare LF", withField("x-a", "b\nX-Forwarded-For: evil"), "broken"],
  ["a value with a bare CR", withField("x-a", "b\rX-Forwarded-For: evil"), "broken"],
  ["a value with a NUL", withField("x-a", "b\0c"), "broken"],
  ["connection", withField("connection", "x-forwarded-for"), "refused"],
  ["keep-alive", withField("keep-alive", "timeout=5"), "refused"],
  ["proxy-connection", withField("proxy-connection", "close"), "refused"],
  ["upgrade", withField("upgrade", "websocket"), "refused"],
  ["http2-settings", withField("http2-settings", "AAAA"), "refused"],
  ["transfer-encoding", withField("transfer-encoding", "chunked"), "refused"],
  ["te: gzip", withField("te", "gzip"), "refused"],
  ["te: trailers", withField("te", "trailers"), "forwarded"],
  ["trailer", withField("trailer", "x-forwarded-for"), "forwarded"],
  ["a length without a body", withField("content-length", "5"), "refused"],
  ["two lengths", [...ordinary, ["content-length", "0"], ["content-length", "0"]], "refused"],
  ["a length with a sign", withField("content-length", "+0"), "refused"],
  ["x-forwarded-for", withField("x-forwarded-for", "6.6.6.6"), "forwarded"],
  ["x-forwarded-host", withField("x-forwarded-host", "evil.test"), "forwarded"],
  ["forwarded", withField("forwarded", "for=6.6.6.6;host=evil.test"), "forwarded"],
  ["x-odoo-database", withField("x-odoo-database", "evil"), "forwarded"],
  ["an underscore twin of x-forwarded-host", withField("x_forwarded_host", "evil.test"), 400],
  ["an underscore twin of content-length", withField("content_length", "6"), 400],
  ["the name __proto__", withField("__proto__", "evil"), "forwarded"],
  ["cookie crumbs", [...ordinary, ["cookie", "a=b"], ["cookie", "session_id=1"]], "forwarded"],
  ["a cookie crumb with a line end", [...ordinary, ["cookie", "a=b\r\nX: evil"]], "broken"],
  ["an expectation", withField("expect", "200-ok"), 417],
  ["200 fields", [...ordinary, ...Array.from({ length: 100 }, (_, i) => [`x-${i}`, "b"] as const)], 431],
];

function isGood(expected: (typeof table)[number][2], status: number): boolean {
  const refused = status === 0 || (status >= 400 && status <= 501 && status !== 500);
  switch (expected) {
    case "forwarded":
      return status === 200;
    case "broken":
      return status === 0;
    case "refused":
      return refused;
    default:
      return status === expected;
  }
}

t.test(`no HTTP/2 head has two meanings (${table.length} attacks)`, async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  for (const [what, fields, expected] of table) {
    const client = nextClient();
    gateway.demo.forget();
    const raw = new RawHttp2(gateway.httpsPort, client);
    raw.send(frame(frameType.headers, endStream | endHeaders, 1, block(fields)));
    const outcome = await raw.outcome();
    let status = 0;
    if (outcome === "answered") {
      const record = await gateway.event((event) => event.type === "access" && event.peer === client);
      status = record.type === "access" ? record.status : 0;
    }
    const good = isGood(expected, status);
    if (!good) t.fail(`${what}: ${outcome} ${status} instead of ${expected}`);
    const reaches = status === 200 ? ["GET /demo/echo"] : [];
    const problems = judgeUpstream(gateway.demo.requests, reaches, ["6.6.6.6"], client);
    t.strictSame(problems, [], what);
    raw.socket.destroy();
  }
  t.strictSame(
    gateway.events.filter((event) => event.type === "error"),
    [],
  );
});

t.test("a body that differs from its length never reaches Odoo", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const post = (length: string): Buffer =>
    frame(
      frameType.headers,
      endHeaders,
      1,
      block([...pseudo("/demo/echo", "POST"), ["content-length", length]]),
    );
  const data = (bytes: string, flags = endStream): Buffer =>
    frame(frameType.data, flags, 1, Buffer.from(bytes));
  const attacks: readonly (readonly [string, readonly Buffer[]])[] = [
    ["longer", [post("3"), data("a=bcdef")]],
    ["shorter", [post("30"), data("a=b")]],
    ["longer in two frames", [post("3"), data("a=b", 0), data("GET /smuggled HTTP/1.1\r\n\r\n")]],
    ["none", [post("3"), data("")]],
    [
      "shorter, ended by trailers",
      [
        post("30"),
        data("a=b", 0),
        frame(frameType.headers, endHeaders | endStream, 1, block([["x-t", "evil"]])),
      ],
    ],
  ];
  for (const [what, bytes] of attacks) {
    const client = nextClient();
    gateway.demo.forget();
    const raw = new RawHttp2(gateway.httpsPort, client);
    raw.send(...bytes);
    t.not(await raw.outcome(), "answered", what);
    t.strictSame(judgeUpstream(gateway.demo.requests, [], [], client), [], what);
    raw.socket.destroy();
  }
  const client = nextClient();
  const raw = new RawHttp2(gateway.httpsPort, client);
  gateway.demo.forget();
  raw.send(
    post("3"),
    data("a=b", 0),
    frame(frameType.headers, endHeaders | endStream, 1, block([["x-forwarded-for", "evil"]])),
  );
  t.equal(await raw.outcome(), "answered", "trailers behind a whole body are ignored");
  t.strictSame(judgeUpstream(gateway.demo.requests, ["POST /demo/echo"], [], client), []);
  raw.socket.destroy();
});

/** A normal client's request; what came of it. */
function served(gateway: TestGateway): Promise<unknown> {
  const at = { host: "127.0.0.1", port: gateway.httpsPort, localAddress: nextClient() };
  const session = connect("https://odoo.test", {
    createConnection: () =>
      connectTls({
        ...at,
        servername: "odoo.test",
        rejectUnauthorized: false,
        ALPNProtocols: ["h2"],
      }),
  });
  session.on("error", () => {});
  return new Promise((resolve) => {
    const stream = session.request({ ":path": "/web/health" });
    stream.on("response", (head) => resolve(head[":status"]));
    stream.on("error", (error) => resolve(error.message));
    stream.resume();
    stream.end();
  }).finally(() => session.destroy());
}

/** Sends `piece(i)` until all went out or the gateway said enough; answers how many it may have taken. */
async function flood(raw: RawHttp2, one: Flood): Promise<number> {
  const batch = 100;
  for (let sent = 0; sent < one.count; sent += batch) {
    raw.send(Buffer.concat(Array.from({ length: batch }, (_, i) => one.piece(sent + i))));
    // Inside a field block a PING is an error by itself (RFC 9113 §6.10): there only the end can be waited for.
    const goesOn = one.insideBlock === true ? !raw.isClosed : await raw.isTaken();
    if (!goesOn) return sent + batch;
  }
  return one.count;
}

interface Flood {
  readonly harm: string;
  readonly insideBlock?: boolean;
  readonly before?: Buffer;
  readonly count: number;
  readonly piece: (serial: number) => Buffer;
  /** Most frames that may be taken before the session is closed. */
  readonly piecesMax: number;
}

const openPost = frame(frameType.headers, endHeaders, 1, block(pseudo("/demo/echo", "POST")));
const big = text("b".repeat(3_000));
const floods: readonly Flood[] = [
  {
    harm: "streams opened and reset at once (CVE-2023-44487)",
    count: 20_000,
    piece: (i) =>
      Buffer.concat([get(2 * i + 1, "/demo/echo"), frame(frameType.reset, 0, 2 * i + 1, uint32(8))]),
    piecesMax: 1_000,
  },
  {
    harm: "streams that we are made to reset by a window of zero (CVE-2025-8671)",
    count: 20_000,
    piece: (i) =>
      Buffer.concat([get(2 * i + 1, "/demo/echo"), frame(frameType.window, 0, 2 * i + 1, uint32(0))]),
    piecesMax: 1_000,
  },
  {
    harm: "streams that we are made to reset by data behind their end (CVE-2025-8671)",
    count: 20_000,
    piece: (i) =>
      Buffer.concat([get(2 * i + 1, "/demo/echo"), frame(frameType.data, 0, 2 * i + 1, Buffer.from("x"))]),
    piecesMax: 1_000,
  },
  {
    harm: "streams that we are made to reset by a malformed head",
    count: 20_000,
    piece: (i) =>
      frame(
        frameType.headers,
        endStream | endHeaders,
        2 * i + 1,
        block([...pseudo("/"), ["connection", "x"]]),
      ),
    piecesMax: 1_000,
  },
  {
    harm: "streams above the limit",
    before: Buffer.concat(
      Array.from({ length: 100 }, (_, i) =>
        frame(frameType.headers, endHeaders, 2 * i + 1, block(pseudo("/demo/echo", "POST"))),
      ),
    ),
    count: 20_000,
    piece: (i) => get(2 * i + 201, "/demo/echo"),
    piecesMax: 1_000,
  },
  {
    harm: "CONTINUATION without end",
    insideBlock: true,
    before: frame(frameType.headers, endStream, 1, block(pseudo("/demo/echo"))),
    count: 1_000,
    piece: (i) => frame(frameType.continuation, 0, 1, block([[`x-${i}`, "b".repeat(100)]])),
    piecesMax: 1_000,
  },
  {
    harm: "empty CONTINUATION without end",
    insideBlock: true,
    before: frame(frameType.headers, endStream, 1, block(pseudo("/demo/echo"))),
    count: 1_000,
    piece: () => frame(frameType.continuation, 0, 1),
    piecesMax: 1_000,
  },
  { harm: "SETTINGS", count: 4_000, piece: () => frame(frameType.settings, 0, 0), piecesMax: 500 },
  { harm: "PING", count: 4_000, piece: () => frame(frameType.ping, 0, 0, Buffer.alloc(8)), piecesMax: 500 },
  {
    harm: "PRIORITY",
    count: 20_000,
    piece: (i) => frame(frameType.priority, 0, 2 * i + 1, Buffer.alloc(5)),
    piecesMax: 1_000,
  },
  {
    harm: "PRIORITY on itself",
    count: 20_000,
    piece: () => frame(frameType.priority, 0, 1, Buffer.from([0, 0, 0, 1, 0])),
    piecesMax: 1_000,
  },
  {
    harm: "empty DATA",
    before: openPost,
    count: 4_000,
    piece: () => frame(frameType.data, 0, 1),
    piecesMax: 1_000,
  },
  {
    harm: "padding without data",
    before: openPost,
    count: 20_000,
    piece: () => frame(frameType.data, 8, 1, Buffer.from([3, 0, 0, 0])),
    piecesMax: 1_000,
  },
  {
    harm: "windows opened by one byte, for nobody",
    count: 20_000,
    piece: () => frame(frameType.window, 0, 0, uint32(1)),
    piecesMax: 1_000,
  },
  {
    harm: "windows that overflow (CVE-2026-21714)",
    count: 2_000,
    piece: () => frame(frameType.window, 0, 0, uint32(0x7fffffff)),
    piecesMax: 1_000,
  },
  {
    harm: "unknown frames",
    count: 20_000,
    piece: () => frame(0xee, 0, 0, Buffer.alloc(16)),
    piecesMax: 1_000,
  },
  {
    harm: "a header list that unpacks to megabytes",
    before: Buffer.concat([
      frame(
        frameType.headers,
        endStream | endHeaders,
        1,
        Buffer.concat([block(pseudo("/demo/echo")), Buffer.from([0x40]), text("x-b"), big]),
      ),
    ]),
    count: 500,
    piece: (i) =>
      frame(
        frameType.headers,
        endStream | endHeaders,
        2 * i + 3,
        Buffer.concat([block(pseudo("/demo/echo")), Buffer.alloc(8_000, 0xbe)]),
      ),
    piecesMax: 500,
  },
];

t.test("a flood ends its own session and costs nobody else anything", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  for (const one of floods) {
    await t.test(one.harm, async (t) => {
      const client = nextClient();
      const before = gateway.demo.stats.connections;
      const raw = new RawHttp2(gateway.httpsPort, client);
      await raw.frame(({ type }) => type === frameType.settings);
      if (one.before !== undefined) raw.send(one.before);
      const beside = served(gateway);
      const taken = await flood(raw, one);
      if (one.insideBlock === true) await raw.frame(({ type }) => type === frameType.goaway);
      t.equal(await beside, 200, "a normal client is served beside it");
      t.equal(await served(gateway), 200, "and after it");
      const caused = gateway.demo.stats.connections - before - 2;
      t.comment(`${taken} taken, ${caused} requests upstream, closed ${raw.isClosed}`);
      t.ok(caused <= 100, `${caused} requests reached Odoo`);
      t.ok(taken <= one.piecesMax, `closed after at most ${taken} pieces`);
      raw.socket.destroy();
      await raw.closed;
    });
  }
  t.strictSame(
    gateway.events.filter((event) => event.type === "error"),
    [],
  );
});

t.test("a client that opens no window holds its own stream and nothing else", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const client = nextClient();
  // SETTINGS_INITIAL_WINDOW_SIZE (4) of one byte.
  const raw = new RawHttp2(gateway.httpsPort, client, [[4, 1]]);
  raw.send(get(1, "/demo/big?bytes=20000000"), get(3, "/demo/big?bytes=20000000"));
  await raw.frame(({ type, stream }) => type === frameType.data && stream === 1);
  await raw.frame(({ type, stream }) => type === frameType.data && stream === 3);
  t.equal(await served(gateway), 200, "a normal client is served beside it");
  t.equal(raw.frames.filter(({ type }) => type === frameType.data).length, 2, "one byte a stream went out");
  raw.socket.destroy();
  const left = await gateway.event((event) => event.type === "access" && event.peer === client);
  t.equal(left.type === "access" ? left.status : 0, 499);
});

t.test(
  "a session is not kept by frames that ask for nothing, and one with work is not ended by its own",
  async (t) => {
    const gateway = await startTestGateway();
    t.teardown(() => gateway.close());
    // Neither PING nor SETTINGS behind which it would be looked at: the check by the clock has to see it.
    const raw = new RawHttp2(gateway.httpsPort, nextClient());
    await raw.frame(({ type }) => type === frameType.settings);
    const noise = Buffer.concat(Array.from({ length: 2_000 }, () => frame(0xee, 0, 0, Buffer.alloc(64))));
    const timer = setInterval(() => raw.send(noise), 20);
    await raw.closed;
    clearInterval(timer);
    const bye = raw.frames.find(({ type }) => type === frameType.goaway);
    t.equal(bye?.payload.readUInt32BE(4), 11, "ENHANCE_YOUR_CALM");

    const session = connect(`https://127.0.0.1:${gateway.httpsPort}`, {
      servername: "odoo.test",
      rejectUnauthorized: false,
    });
    const ask = (path: string, body: Buffer | null) =>
      new Promise<{ readonly status: number; readonly bytes: number }>((resolve, reject) => {
        const stream = session.request({
          ":method": body === null ? "GET" : "POST",
          ":path": path,
          ":authority": "odoo.test",
        });
        let status = 0;
        let bytes = 0;
        stream.on("response", (head) => {
          status = Number(head[":status"]);
        });
        stream.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
        });
        stream.on("error", reject);
        stream.on("end", () => resolve({ status, bytes }));
        stream.end(body ?? undefined);
      });
    // An upload, a download by a client with Node's small windows, and many small requests, one session.
    t.equal((await ask("/demo/echo", Buffer.alloc(3_000_000, 1))).status, 200);
    t.equal((await ask("/demo/big?bytes=20000000", null)).bytes, 20_000_000);
    for (let i = 0; i < 200; i++) t.equal((await ask("/nowhere/at/all", null)).status > 0, true);
    t.notOk(session.destroyed);
    session.destroy();
  },
);

t.test("a window that stays shut does not keep a short answer, nor its session", async (t) => {
  const listener = await listenHttp2(t, (down) => down.answer(200, [], Buffer.from("ok"), false), {
    sendTimeoutMs: 100,
    keepAliveTimeoutMs: 200,
    connectionsCheckMs: 30,
    http2LookMs: 30,
  });
  // SETTINGS_INITIAL_WINDOW_SIZE (4) of nothing.
  const raw = new RawHttp2(listener.port, "127.0.0.1", [[4, 0]]);
  raw.send(get(1, "/"));
  t.match(await raw.outcome(), /^reset /);
  await raw.closed;
});
