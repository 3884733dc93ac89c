import { EventEmitter } from "node:events";
import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import { PassThrough } from "node:stream";
import t from "tap";
import { edgeBounds } from "../../src/edge/bounds.ts";
import { Http2Toll } from "../../src/edge/http2-toll.ts";

/** A session of which only the bytes and what Node tells of it are there. */
class Line {
  readonly socket = { bytesRead: 0, bytesWritten: 0, destroySoon: () => {} };
  readonly session = Object.assign(new EventEmitter(), {
    destroyed: false,
    destroy: () => {
      this.session.destroyed = true;
    },
  });
  readonly toll = new Http2Toll(
    this.session as unknown as ServerHttp2Session,
    this.socket as unknown as Socket,
    edgeBounds,
    0,
  );
  #nowMs = 0;

  get isEnded(): boolean {
    return this.session.destroyed;
  }

  request(wireBytes = 100, fields: readonly string[] = ["user-agent", "x".repeat(100)]): void {
    this.socket.bytesRead += wireBytes;
    this.toll.head(fields);
  }

  /** Time passes, with a look at the end of each `http2LookMs`. */
  look(times = 1): void {
    for (let i = 0; i < times; i += 1) {
      this.#nowMs += edgeBounds.http2LookMs;
      this.toll.look(this.#nowMs);
    }
  }
}

const { http2IdleBytesMax, http2StreamWindowBytes } = edgeBounds;

t.test("an upload in small frames is an upload, however fast and however large", async (t) => {
  // 9 bytes of head each: in 128 MiB of Firefox's frames as much as 295 kB.
  for (const frameBytes of [512, 4_095, 16_384]) {
    const line = new Line();
    line.request();
    const body = new PassThrough();
    line.toll.openBody(body);
    for (let sent = 0; sent < 128 * 1024 * 1024; sent += frameBytes) {
      line.socket.bytesRead += frameBytes + 9;
      line.toll.body(frameBytes);
      if (sent % (frameBytes * 1_000) === 0) line.look();
    }
    line.look();
    t.notOk(line.isEnded, `${frameBytes} bytes a frame`);
  }
});

t.test("a body that waits to be taken is a body", async (t) => {
  const line = new Line();
  const body = new PassThrough({ highWaterMark: http2StreamWindowBytes });
  line.request();
  line.toll.openBody(body);
  body.write(Buffer.alloc(200_000));
  line.socket.bytesRead += 200_000 + 13 * 9;
  line.look(10);
  t.notOk(line.isEnded);
  body.on("data", (chunk: Buffer) => line.toll.body(chunk.length));
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(body.readableLength, 0);
  line.look(10);
  t.notOk(line.isEnded);
  // What is refused may still come, as much as the window lets through, and no more.
  line.toll.closeBody(body, false);
  line.socket.bytesRead += http2StreamWindowBytes;
  line.look(4);
  t.notOk(line.isEnded);
  line.socket.bytesRead += http2IdleBytesMax * 2;
  line.look(4);
  t.ok(line.isEnded);
});

t.test("a large head that comes in pieces is waited for, noise of its size is not", async (t) => {
  const cookie = ["cookie", "x".repeat(20_000)];
  const head = new Line();
  head.socket.bytesRead += 18_000;
  head.look();
  t.notOk(head.isEnded);
  head.request(2_000, cookie);
  head.look(10);
  t.notOk(head.isEnded);
  const noise = new Line();
  noise.socket.bytesRead += 18_000;
  noise.look(3);
  t.ok(noise.isEnded);
  const much = new Line();
  much.socket.bytesRead += 60_000;
  much.look();
  t.ok(much.isEnded, "more than any head: at the first look");
});

t.test("requests of before are no licence for noise", async (t) => {
  const line = new Line();
  for (let i = 0; i < 1_000; i += 1) line.request();
  line.look();
  line.socket.bytesRead += http2IdleBytesMax + 2_000;
  line.look(3);
  t.ok(line.isEnded);
});

t.test("readers owe window updates, and browsers the rest of what they say", async (t) => {
  // Half a window at a time, for stream and connection: 65 535 as the RFC has it, and smaller ones.
  for (const windowBytes of [1_024, 16_384, 65_535]) {
    const line = new Line();
    line.request();
    for (let sent = 0; sent < 20_000_000; sent += windowBytes / 2) {
      line.socket.bytesWritten += windowBytes / 2;
      line.socket.bytesRead += 26;
      if (sent % (windowBytes * 500) === 0) line.look();
    }
    line.look(3);
    t.notOk(line.isEnded, `a window of ${windowBytes}`);
  }
  const tiny = new Line();
  tiny.request();
  tiny.socket.bytesWritten += 64_000;
  tiny.socket.bytesRead += 13_000;
  tiny.look(4);
  t.ok(tiny.isEnded, "a window update for each 64 bytes");

  // Preface, SETTINGS, their ACK, WINDOW_UPDATE, six PRIORITY of Firefox, and a hundred requests with PRIORITY_UPDATE, RST_STREAM.
  const browser = new Line();
  browser.socket.bytesRead += 24 + 45 + 9 + 13 + 6 * 14;
  browser.look();
  for (let i = 0; i < 100; i += 1) {
    browser.request(60);
    browser.socket.bytesRead += 22 + 13;
  }
  browser.look(3);
  t.notOk(browser.isEnded);
});

t.test("a PING shows what stood before it: twice too much is enough", async (t) => {
  const line = new Line();
  const ping = async (noiseBytes: number) => {
    line.socket.bytesRead += noiseBytes + 17;
    line.session.emit("ping");
    await new Promise((resolve) => setImmediate(resolve));
  };
  await ping(http2IdleBytesMax + 1_000);
  t.notOk(line.isEnded, "a head may have come in part behind it");
  line.request(100, ["cookie", "x".repeat(http2IdleBytesMax)]);
  await ping(0);
  t.notOk(line.isEnded, "and it did");
  await ping(http2IdleBytesMax + 1_000);
  await ping(0);
  t.ok(line.isEnded);
});
