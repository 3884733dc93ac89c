import { connect, constants } from "node:http2";
import { connect as connectTls } from "node:tls";
import fc from "fast-check";
import t from "tap";
import { edgeBounds } from "../../../src/edge/bounds.ts";
import type { Downstream } from "../../../src/exchange.ts";
import {
  block,
  endHeaders,
  endStream,
  type Frame,
  frame,
  frameType,
  get,
  pseudo,
  RawHttp2,
  uint32,
} from "../../attack/frames.ts";
import { until } from "../../exchange/clients.ts";
import { listenHttp2 } from "./listener.ts";

const ok = (down: Downstream) => down.answer(200, [], Buffer.from("ok"), false);
const post = (stream: number, fields: readonly (readonly [string, string])[] = []) =>
  frame(frameType.headers, endHeaders, stream, block([...pseudo("/", "POST"), ...fields]));
const isGoaway = ({ type }: Frame) => type === frameType.goaway;
const codeOf = (bye: Frame | null) => bye?.payload.readUInt32BE(4);
const isReset =
  (stream: number) =>
  ({ type, stream: of }: Frame) =>
    type === frameType.reset && of === stream;

/** A client of Node's own nghttp2. */
function nodeClient(port: number, options: object = {}) {
  const session = connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false, ...options });
  session.on("error", () => {});
  return session;
}

const name = fc.stringMatching(/^x-[a-z0-9!#$%&'*+.^_`|~-]{1,20}$/);
const value = fc
  .array(fc.oneof(fc.integer({ min: 0x21, max: 0x7e }), fc.integer({ min: 0x80, max: 0xff })), {
    maxLength: 40,
  })
  .map((codes) => String.fromCharCode(...codes));
const fieldList = fc.array(fc.tuple(name, value), { maxLength: 12 });

t.test("field sections mean the same to us and to nghttp2, both ways", async (t) => {
  const asked: (readonly string[])[] = [];
  let answers: readonly string[] = [];
  const listener = await listenHttp2(t, (down) => {
    asked.push(down.fields);
    down.answer(200, answers, Buffer.from("ok"), false);
  });
  const session = nodeClient(listener.port, { maxSessionMemory: 100, settings: { headerTableSize: 300 } });
  const runs = 600;
  await fc.assert(
    fc.asyncProperty(fieldList, fieldList, async (request, answer) => {
      answers = answer.flat();
      // Names are written once each: Node joins what comes twice.
      const unique = new Map(request);
      const stream = session.request({
        ":path": "/",
        ":authority": "odoo.test",
        ...Object.fromEntries(unique),
      });
      const head = new Promise<readonly string[]>((resolve, reject) => {
        stream.on("response", (_head, _flags, raw) => resolve(raw as unknown as string[]));
        stream.on("error", reject);
      });
      stream.resume();
      stream.end();
      const raw = await head;
      const date = raw[raw.lastIndexOf("date") + 1] ?? "";
      t.same(raw, [":status", "200", ...answers, "content-length", "2", "date", date]);
      t.same(asked.at(-1), [...unique].flat());
      await new Promise((resolve) => stream.once("close", resolve));
    }),
    { numRuns: runs, endOnFailure: true },
  );
  t.equal(asked.length, runs);
  session.destroy();
});

t.test(
  "an upload goes at its taker's pace, and one that nobody takes holds its own window only",
  async (t) => {
    const bodies: Downstream[] = [];
    const listener = await listenHttp2(t, (down) => void bodies.push(down));
    const raw = new RawHttp2(listener.port, "127.0.0.1");
    const piece = (stream: number) => frame(frameType.data, 0, stream, Buffer.alloc(16_384, stream));
    raw.send(post(1), post(3));
    await until(() => bodies.length === 2);
    for (let sent = 0; sent < edgeBounds.http2StreamWindowBytes; sent += 16_384) raw.send(piece(1), piece(3));
    t.ok(await raw.isTaken(), "so much the windows let through");
    const windows = () => raw.frames.filter(({ type, stream }) => type === frameType.window && stream > 0);
    t.same(windows(), [], "and no more");
    let taken = 0;
    bodies[1]?.body?.take({ data: (chunk) => (taken += chunk.length), end: () => {}, gone: () => {} });
    await raw.frame(({ type, stream }) => type === frameType.window && stream === 3);
    t.equal(taken, edgeBounds.http2StreamWindowBytes);
    t.ok(windows().every(({ stream }) => stream === 3));
    raw.send(piece(3));
    t.ok(await raw.isTaken());
    t.equal(taken, edgeBounds.http2StreamWindowBytes + 16_384);
    raw.send(piece(1));
    t.equal((await raw.frame(isReset(1)))?.payload.readUInt32BE(0), constants.NGHTTP2_FLOW_CONTROL_ERROR);
    raw.socket.destroy();
  },
);

t.test("the connection's window is opened again for whatever is not kept", async (t) => {
  const seen: Downstream[] = [];
  const listener = await listenHttp2(t, (down) => {
    seen.push(down);
    down.answer(413, [], Buffer.from("no"), true);
  });
  const raw = new RawHttp2(listener.port, "127.0.0.1");
  // Each body is refused with its head, and comes all the same.
  const rounds = 40;
  for (let i = 0; i < rounds; i += 1) {
    const stream = 2 * i + 1;
    raw.send(post(stream));
    await raw.frame(isReset(stream));
    for (let sent = 0; sent < 65_536; sent += 16_384)
      raw.send(frame(frameType.data, 0, stream, Buffer.alloc(16_384)));
    t.ok(await raw.isTaken());
  }
  t.equal(seen.length, rounds);
  const opened = raw.frames
    .filter(({ type, stream }) => type === frameType.window && stream === 0)
    .reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 65_535);
  t.ok(opened >= rounds * 65_536, `${opened} bytes let through`);
  t.ok(
    opened - rounds * 65_536 <= edgeBounds.http2SessionWindowBytes,
    "and never more than the bound at once",
  );
  raw.socket.destroy();
});

t.test("who asks and takes no answer is not read any more, and goes on when he does", async (t) => {
  let asked = 0;
  const bounds = { http2StreamsMax: 100_000, http2StreamsPerTurn: 100_000 };
  const listener = await listenHttp2(
    t,
    (down) => {
      asked += 1;
      down.answer(404, ["x-long", "y".repeat(3_000)], null, false);
    },
    bounds,
  );
  const raw = new RawHttp2(listener.port, "127.0.0.1");
  await raw.frame(({ type }) => type === frameType.settings);
  raw.socket.pause();
  const requests = 10_000;
  const all = Buffer.concat(Array.from({ length: requests }, (_, i) => get(2 * i + 1, "/")));
  raw.send(all);
  let before = -1;
  // Nothing moves any more when the answers fill all buffers of the system.
  for (let looks = 0; looks < 20; looks += 1) {
    if (asked !== before) looks = 0;
    before = asked;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  t.ok(asked < requests, `${asked} of ${requests} were read`);
  raw.socket.resume();
  t.equal(await raw.outcome(2 * requests - 1), "answered");
  t.equal(asked, requests);
  raw.socket.destroy();
});

t.test("a window that the client takes back is obeyed, and one that it opens is used", async (t) => {
  const listener = await listenHttp2(t, (down) => down.answer(200, [], Buffer.alloc(100_000), false));
  const raw = new RawHttp2(listener.port, "127.0.0.1", [[4, 1_000]]);
  raw.send(get(1, "/"));
  const bytes = () =>
    raw.frames
      .filter(({ type }) => type === frameType.data)
      .reduce((sum, { payload }) => sum + payload.length, 0);
  await until(() => bytes() === 1_000);
  const settings = (window: number) => {
    const payload = Buffer.alloc(6);
    payload.writeUInt16BE(4, 0);
    payload.writeUInt32BE(window, 2);
    return frame(frameType.settings, 0, 0, payload);
  };
  // 1,000 were sent of a window of 10 now: it is at -990 (RFC 9113 §6.9.2).
  raw.send(settings(10), frame(frameType.window, 0, 1, uint32(990)));
  t.ok(await raw.isTaken());
  t.equal(bytes(), 1_000);
  raw.send(frame(frameType.window, 0, 1, uint32(1)));
  await until(() => bytes() === 1_001);
  raw.send(settings(100_000));
  await until(() => bytes() === 65_535);
  t.ok(await raw.isTaken());
  t.equal(bytes(), 65_535, "as much as the connection lets through");
  raw.send(frame(frameType.window, 0, 0, uint32(1_000_000)));
  t.equal(await raw.outcome(), "answered");
  t.equal(bytes(), 100_000);
  raw.socket.destroy();
});

t.test("what is said of a stream that has ended is late, or a fault", async (t) => {
  const held: Downstream[] = [];
  const listener = await listenHttp2(t, (down) => (down.target === "/held" ? held.push(down) : ok(down)));
  const raw = () => new RawHttp2(listener.port, "127.0.0.1");
  // A stream that we reset: what was on its way is read and forgotten, its fields with it.
  const late = raw();
  late.send(post(1, [["content-length", "1"]]), frame(frameType.data, 0, 1, Buffer.from("ab")));
  t.equal(await late.outcome(), "reset 1");
  late.send(
    frame(frameType.data, 0, 1, Buffer.from("c")),
    frame(frameType.headers, endHeaders | endStream, 1, block([["x-trailer", "t"]])),
    frame(frameType.window, 0, 1, uint32(5)),
    frame(frameType.reset, 0, 1, uint32(8)),
    get(3, "/"),
  );
  t.equal(await late.outcome(3), "answered");
  late.socket.destroy();
  const faults: readonly (readonly [string, Buffer, "reset 5" | "goaway 5" | "goaway 1"])[] = [
    ["DATA behind its end", frame(frameType.data, 0, 1, Buffer.from("x")), "reset 5"],
    ["HEADERS behind its end", frame(frameType.headers, endHeaders | endStream, 1, block([])), "reset 5"],
    ["DATA of a stream that is over", frame(frameType.data, 0, 3, Buffer.from("x")), "goaway 5"],
    ["HEADERS of a stream that is over", get(3, "/"), "goaway 5"],
    ["DATA of a stream to come", frame(frameType.data, 0, 9, Buffer.from("x")), "goaway 1"],
    ["WINDOW_UPDATE of a stream to come", frame(frameType.window, 0, 9, uint32(1)), "goaway 1"],
    ["RST_STREAM of a stream to come", frame(frameType.reset, 0, 9, uint32(8)), "goaway 1"],
    ["a stream of ours", get(4, "/"), "goaway 1"],
    ["PRIORITY of four bytes for a stream to come", frame(frameType.priority, 0, 9, uint32(1)), "goaway 5"],
  ];
  for (const [what, bytes, expected] of faults) {
    const client = raw();
    const before = held.length;
    client.send(get(1, "/held"), get(3, "/"));
    t.equal(await client.outcome(3), "answered");
    await until(() => held.length > before);
    client.send(bytes);
    if (expected === "reset 5") {
      t.equal((await client.frame(isReset(1)))?.payload.readUInt32BE(0), 5, what);
    } else {
      const bye = await client.frame(isGoaway);
      const code = what.startsWith("PRIORITY") ? 6 : Number(expected.slice(-1));
      t.equal(codeOf(bye), code, what);
      await client.closed;
    }
    client.socket.destroy();
  }
});

t.test("a malformed head is reset, counted, and recorded", async (t) => {
  const listener = await listenHttp2(t, ok);
  const raw = new RawHttp2(listener.port, "127.0.0.1");
  raw.send(frame(frameType.headers, endHeaders | endStream, 1, block([...pseudo("/"), ["X-A", "b"]])));
  t.equal(await raw.outcome(), "reset 1");
  t.equal(listener.malformed, 1);
  raw.send(get(3, "/"));
  t.equal(await raw.outcome(3), "answered");
  raw.socket.destroy();
});

t.test("interim answers, HEAD, and heads larger than a frame arrive as they should", async (t) => {
  const long = "y".repeat(40_000);
  const listener = await listenHttp2(t, (down) => {
    if (down.expectsContinue) {
      down.sendContinue();
      down.body?.take({ data: () => {}, end: () => ok(down), gone: () => {} });
    } else down.answer(200, ["x-long", long], Buffer.from("body"), false);
  });
  const session = nodeClient(listener.port, { maxHeaderListSize: 100_000 });
  const ask = (fields: object, body: string | null) =>
    new Promise<{ head: Record<string, unknown>; body: string; continued: boolean }>((resolve, reject) => {
      const stream = session.request(
        { ":path": "/", ":authority": "odoo.test", ...fields },
        { endStream: body === null },
      );
      let head = {};
      let text = "";
      let continued = false;
      stream.setEncoding("utf8");
      stream.on("continue", () => {
        continued = true;
        stream.end(body);
      });
      stream.on("response", (found) => {
        head = found;
      });
      stream.on("data", (chunk: string) => {
        text += chunk;
      });
      stream.on("error", reject);
      stream.on("end", () => resolve({ head, body: text, continued }));
    });
  const interim = await ask({ ":method": "POST", expect: "100-continue" }, "hello");
  t.match(interim, { continued: true, body: "ok", head: { ":status": 200 } });
  const head = await ask({ ":method": "HEAD" }, null);
  t.match(head, { body: "", head: { "content-length": "4", "x-long": long } });
  t.match(await ask({}, null), { body: "body", head: { "content-length": "4", "x-long": long } });
  session.destroy();
});

t.test("leaving takes two steps, and loses nothing that was on its way", async (t) => {
  const held: Downstream[] = [];
  const listener = await listenHttp2(t, (down) =>
    down.target === "/held" ? void held.push(down) : ok(down),
  );
  const raw = new RawHttp2(listener.port, "127.0.0.1");
  raw.send(get(1, "/held"));
  await until(() => held.length === 1);
  listener.retire();
  const first = await raw.frame(isGoaway);
  t.equal(first?.payload.readUInt32BE(0), 0x7fffffff, "open no more");
  // It was under way when that was said.
  raw.send(get(3, "/"));
  t.equal(await raw.outcome(1).then(() => "ended"), "ended");
  await raw.frame(({ type, stream, flags }) => type === frameType.data && stream === 3 && flags === 1);
  listener.stop();
  await until(() => raw.frames.filter(isGoaway).length === 2);
  const second = raw.frames.filter(isGoaway)[1];
  t.same([second?.payload.readUInt32BE(0), codeOf(second ?? null)], [3, 0], "what was served");
  t.notOk(raw.isClosed);
  raw.send(get(5, "/"));
  t.ok(await raw.frame(({ type }) => type === frameType.goaway));
  if (held[0] !== undefined) ok(held[0]);
  await raw.closed;
  t.ok(
    raw.frames.some(({ type, stream }) => type === frameType.data && stream === 1),
    "it was finished",
  );
  t.notOk(
    raw.frames.some(({ stream }) => stream === 5),
    "what came after is not served",
  );
});

t.test("who begins something and does not finish it is closed", async (t) => {
  const quick = { headerTimeoutMs: 100, keepAliveTimeoutMs: 100, http2LookMs: 20 };
  const held: Downstream[] = [];
  const listener = await listenHttp2(t, (down) => void held.push(down), quick);
  // A block without its end, on a connection that has work to do.
  const raw = new RawHttp2(listener.port, "127.0.0.1");
  // Its acknowledgement of our SETTINGS must not stand inside the block.
  await raw.isTaken();
  raw.send(get(1, "/"), frame(frameType.headers, endStream, 3, block(pseudo("/"))));
  t.equal(codeOf(await raw.frame(isGoaway)), constants.NGHTTP2_ENHANCE_YOUR_CALM);
  await raw.closed;
  // One that says nothing, and one that only shook hands.
  const idle = new RawHttp2(listener.port, "127.0.0.1");
  t.equal(codeOf(await idle.frame(isGoaway)), constants.NGHTTP2_NO_ERROR);
  await idle.closed;
  const silent = connectTls({
    host: "127.0.0.1",
    port: listener.port,
    rejectUnauthorized: false,
    ALPNProtocols: ["h2"],
  });
  silent.resume();
  silent.on("error", () => {});
  await new Promise((resolve) => silent.once("close", resolve));
  t.pass("closed too");
});

t.test("PRIORITY_UPDATE changes the order of what is being sent", async (t) => {
  const listener = await listenHttp2(t, (down) =>
    down.answer(200, [], Buffer.alloc(400_000, down.target === "/a" ? 1 : 3), false),
  );
  const raw = new RawHttp2(listener.port, "127.0.0.1", [[4, 1_000_000]]);
  const ask = (stream: number, path: string) =>
    frame(frameType.headers, endHeaders | endStream, stream, block([...pseudo(path), ["priority", "u=3"]]));
  // The connection's window holds both back behind their first bytes.
  raw.send(ask(1, "/a"), ask(3, "/b"));
  const data = () => raw.frames.filter(({ type }) => type === frameType.data);
  const bytes = () => data().reduce((sum, { payload }) => sum + payload.length, 0);
  await until(() => bytes() === 65_535);
  t.ok(
    data().every(({ stream }) => stream === 1),
    "in the order of asking",
  );
  raw.send(frame(16, 0, 0, Buffer.concat([uint32(3), Buffer.from("u=1")])));
  raw.send(frame(frameType.window, 0, 0, uint32(200_000)));
  await until(() => bytes() === 265_535);
  const before = data().length;
  t.equal(data()[before - 1]?.stream, 3, "the other comes first now");
  raw.send(frame(frameType.window, 0, 0, uint32(1_000_000)));
  t.equal(await raw.outcome(1), "answered");
  raw.socket.destroy();
});

t.test("a download that the client takes back sends nothing more, and holds nobody up", async (t) => {
  const gone: string[] = [];
  const listener = await listenHttp2(t, (down) => {
    down.attend({ gone: () => void gone.push(down.target), sent: () => {}, broken: () => {} });
    down.answer(200, [], Buffer.alloc(down.target === "/a" ? 10_000_000 : 100), false);
  });
  const raw = new RawHttp2(listener.port, "127.0.0.1", [[4, 20_000_000]]);
  raw.send(get(1, "/a"));
  await raw.frame(({ type }) => type === frameType.data);
  raw.send(frame(frameType.reset, 0, 1, uint32(8)), frame(frameType.window, 0, 0, uint32(20_000_000)));
  t.ok(await raw.isTaken());
  const before = raw.frames.filter(({ stream }) => stream === 1).length;
  raw.send(get(3, "/b"));
  t.equal(await raw.outcome(3), "answered");
  t.same(gone, ["/a"]);
  t.equal(raw.frames.filter(({ stream }) => stream === 1).length, before);
  raw.socket.destroy();
});
