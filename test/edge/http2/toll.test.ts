import t from "tap";
import { edgeBounds } from "../../../src/edge/bounds.ts";
import { frameHeadBytes } from "../../../src/edge/http2/frame.ts";
import { Http2Toll } from "../../../src/edge/http2/toll.ts";

/** A connection of which only the counts are there, and a clock that is set by hand. */
class Line {
  nowMs = 0;
  readonly toll = new Http2Toll(edgeBounds, () => this.nowMs);

  get isOver(): boolean {
    return this.toll.isOver;
  }

  request(frameBytes = 100, fields: readonly string[] = ["user-agent", "x".repeat(100)]): void {
    this.toll.head(fields, frameBytes);
  }

  /** Time passes, with a look at the end of each `http2LookMs`. */
  look(times = 1): void {
    for (let i = 0; i < times; i += 1) {
      this.nowMs += edgeBounds.http2LookMs;
      this.toll.look();
    }
  }

  /** How many times it can be said until a count is used up. */
  until(say: (toll: Http2Toll) => void, most = 10_000): number {
    let times = 0;
    for (; times < most && !this.isOver; times += 1) say(this.toll);
    return times;
  }
}

const { http2IdleBytesMax, http2HeaderListBytesMax } = edgeBounds;

t.test("an upload in small frames is an upload, however fast and however large", async (t) => {
  for (const frameBytes of [512, 4_095, 16_384]) {
    const line = new Line();
    line.request();
    for (let sent = 0; sent < 128 * 1024 * 1024; sent += frameBytes) line.toll.data(frameBytes, frameBytes);
    t.notOk(line.isOver, `${frameBytes} bytes a frame`);
  }
});

t.test("a body of crumbs, of padding, or of nothing is none", async (t) => {
  const crumbs: readonly (readonly [string, number, number])[] = [
    ["nothing", 0, 0],
    ["a byte", 1, 1],
    ["padding", 1, 257],
  ];
  for (const [what, bytes, flowBytes] of crumbs) {
    const line = new Line();
    line.request();
    t.ok(line.until((toll) => toll.data(bytes, flowBytes)) <= 1_000, what);
  }
});

t.test("a large head is a head, a block that says nothing is none", async (t) => {
  const head = new Line();
  for (let i = 0; i < 1_000; i += 1) head.request(20_000, ["cookie", "x".repeat(20_000)]);
  t.notOk(head.isOver);
  const block = new Line();
  block.request(http2HeaderListBytesMax, ["x", "y"]);
  t.ok(block.isOver);
});

t.test("requests of before are no licence for noise", async (t) => {
  const line = new Line();
  for (let i = 0; i < 1_000; i += 1) line.request();
  line.toll.idle(http2IdleBytesMax + 1);
  t.ok(line.isOver);
  const quiet = new Line();
  quiet.look(10_000);
  quiet.toll.idle(http2IdleBytesMax + 1);
  t.ok(quiet.isOver, "nor is an hour of silence");
});

t.test("noise within its rate is borne", async (t) => {
  const line = new Line();
  for (let i = 0; i < 1_000; i += 1) {
    line.toll.idle((edgeBounds.http2IdleBytesPerSecond * edgeBounds.http2LookMs) / 1_000);
    line.look();
  }
  t.notOk(line.isOver);
});

t.test("readers owe window updates, and browsers the rest of what they say", async (t) => {
  // Half a window at a time, for stream and connection: 65 535 as the RFC has it, and smaller ones.
  for (const windowBytes of [1_024, 16_384, 65_535]) {
    const line = new Line();
    line.request();
    for (let sent = 0; sent < 20_000_000; sent += windowBytes / 2) {
      line.toll.sent(windowBytes / 2);
      for (let i = 0; i < 2; i += 1) line.toll.idle(frameHeadBytes + 4);
    }
    t.notOk(line.isOver, `a window of ${windowBytes}`);
  }
  const tiny = new Line();
  tiny.request();
  for (let i = 0; i < 1_000; i += 1) {
    tiny.toll.sent(64);
    tiny.toll.idle(frameHeadBytes + 4);
  }
  t.ok(tiny.isOver, "a window update for each 64 bytes");

  // SETTINGS, their ACK, WINDOW_UPDATE, six PRIORITY of Firefox, and a hundred requests with PRIORITY_UPDATE and RST_STREAM.
  const browser = new Line();
  browser.toll.control(45);
  for (const bytes of [9, 13, 14, 14, 14, 14, 14, 14]) browser.toll.idle(bytes);
  for (let i = 0; i < 100; i += 1) {
    browser.request(60);
    browser.toll.idle(22);
    browser.toll.idle(13);
    browser.toll.reset();
  }
  t.notOk(browser.isOver);
});

t.test("PING, SETTINGS and resets have counts of their own, which fill again", async (t) => {
  const counts: readonly (readonly [string, (toll: Http2Toll) => void, number, number])[] = [
    ["PING", (toll) => toll.control(17), edgeBounds.http2ControlBurst, edgeBounds.http2ControlsPerSecond],
    ["resets", (toll) => toll.reset(), edgeBounds.http2ResetBurst, edgeBounds.http2ResetsPerSecond],
  ];
  for (const [what, say, burst, perSecond] of counts) {
    t.equal(new Line().until(say), burst + 1, what);
    const line = new Line();
    for (let i = 0; i < burst; i += 1) say(line.toll);
    for (let second = 0; second < 100; second += 1) {
      line.look(1_000 / edgeBounds.http2LookMs);
      for (let i = 0; i < perSecond; i += 1) say(line.toll);
    }
    t.notOk(line.isOver, `${perSecond} a second`);
  }
});
