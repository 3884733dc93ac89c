import t from "tap";
import { dataBytesMax, frameHeadBytes } from "../../../src/edge/http2/frame.ts";
import {
  Outflow,
  Outlet,
  overtakingBytes,
  passedBytesMax,
  patientBytesMax,
} from "../../../src/edge/http2/outflow.ts";
import { readPriority } from "../../../src/message/priority.ts";

const wide = 2 ** 30;

/** A connection whose windows are wide open, and what went out on it. */
class Line {
  readonly outflow = new Outflow();
  /** Stream, bytes of DATA, and whether it ended, of each frame. */
  readonly frames: { stream: number; bytes: number; ended: boolean }[] = [];

  constructor(windowBytes = wide) {
    this.outflow.windowBytes = windowBytes;
  }

  /** An answer of so many full frames, or bytes. */
  answer(stream: number, priority: string | null, frames: number, windowBytes = wide): Outlet {
    const outlet = new Outlet({ sending: () => {} }, stream, windowBytes, readPriority(priority));
    this.outflow.enter(outlet);
    outlet.push(Buffer.alloc(Math.round(frames * dataBytesMax), stream));
    outlet.end();
    return outlet;
  }

  /** The connection takes so many frames, one write each. */
  take(frames: number): string {
    const from = this.frames.length;
    for (let i = 0; i < frames; i += 1) {
      const out = Buffer.alloc(frameHeadBytes + dataBytesMax);
      const end = this.outflow.fill(out, 0);
      for (let at = 0; at < end; ) {
        const bytes = out.readUIntBE(at, 3);
        const stream = out.readUInt32BE(at + 5);
        const body = out.subarray(at + frameHeadBytes, at + frameHeadBytes + bytes);
        if (!body.every((byte) => byte === stream % 256)) throw new Error("another stream's bytes");
        this.frames.push({ stream, bytes, ended: (out[at + 4] ?? 0) === 1 });
        at += frameHeadBytes + bytes;
      }
    }
    return this.frames
      .slice(from)
      .map(({ stream }) => stream)
      .join("");
  }
}

t.test("what blocks the page is sent before what was asked for earlier", async (t) => {
  const line = new Line();
  line.answer(1, "u=5", 4);
  t.equal(line.take(1), "1");
  line.answer(3, "u=0", 3);
  t.equal(line.take(6), "333111");
  t.same(
    line.frames.filter(({ ended }) => ended).map(({ stream }) => stream),
    [3, 1],
  );
});

t.test("of the same urgency one after the other, but for what is of use in parts", async (t) => {
  for (const [priority, expected] of [
    ["u=1", "111333555"],
    ["u=1, i", "135135135"],
    [null, "135135135"],
  ] as const) {
    const line = new Line();
    for (const stream of [1, 3, 5]) line.answer(stream, priority, 3);
    t.equal(line.take(9), expected, String(priority));
  }
  const mixed = new Line();
  mixed.answer(1, "u=1, i", 3);
  mixed.answer(3, "u=1", 2);
  mixed.answer(5, "u=1", 2);
  t.equal(mixed.take(7), "1313515", "the first of the others shares");
});

t.test("an answer that has nothing to send, or may not, holds nobody back", async (t) => {
  const line = new Line();
  const idle = new Outlet({ sending: () => {} }, 1, wide, readPriority("u=0"));
  line.outflow.enter(idle);
  line.answer(3, "u=0", 2, 10);
  line.answer(5, "u=3", 2);
  t.equal(line.take(4), "3555", "ten bytes of it, then the other");
  idle.push(Buffer.alloc(100, 1));
  t.equal(line.take(2), "1", "and what it has then goes out");
  idle.end();
  t.equal(line.take(1), "1", "its end needs no window");
  t.same(line.frames.at(-1), { stream: 1, bytes: 0, ended: true });
});

t.test("no more goes out than the windows let through", async (t) => {
  const line = new Line(40_000);
  const outlet = line.answer(1, "u=3", 3, 20_000);
  line.take(5);
  const sent = () => line.frames.reduce((sum, { bytes }) => sum + bytes, 0);
  t.equal(sent(), 20_000, "of the stream");
  outlet.windowBytes += 1_000_000;
  line.take(5);
  t.equal(sent(), 40_000, "of the connection");
  t.equal(line.outflow.readyBytes(1_000_000), 0);
  outlet.windowBytes -= 2_000_000;
  line.outflow.windowBytes += 1_000_000;
  line.take(5);
  t.equal(sent(), 40_000, "a window below zero is shut (RFC 9113 §6.9.2)");
});

t.test("an urgent download without end keeps nobody from working", async (t) => {
  const line = new Line();
  line.answer(1, "u=0, i", 1_000);
  line.answer(3, "u=1, i", 4);
  const order = line.take(100);
  const before = order.indexOf("3");
  t.ok(before * dataBytesMax <= passedBytesMax + dataBytesMax, `${before} frames before it`);
  const piece = order.slice(before).search(/[^3]/);
  t.equal(piece, overtakingBytes / dataBytesMax, "then a piece");
});

t.test(
  "who may wait, as his server says, lets a whole script pass, and still is not kept from all",
  async (t) => {
    const line = new Line();
    line.answer(1, "u=1", 1_000);
    const style = line.answer(3, "u=3", 4);
    style.isPatient = true;
    const order = line.take(400);
    const before = order.indexOf("3");
    t.ok(before * dataBytesMax > passedBytesMax * 8, `${before} frames before it`);
    t.ok(before * dataBytesMax <= patientBytesMax + dataBytesMax);
  },
);

t.test("a write is filled with frames of everybody, and never past its room", async (t) => {
  const line = new Line();
  for (const stream of [1, 3, 5]) line.answer(stream, null, 0.01);
  const ready = line.outflow.readyBytes(64 * 1024);
  const out = Buffer.alloc(ready);
  t.equal(line.outflow.fill(out, 0), ready, "what was said to be ready is what is sent");
  t.equal(line.outflow.readyBytes(64 * 1024), 0);
  line.answer(7, null, 2);
  const narrow = Buffer.alloc(frameHeadBytes + 5);
  t.equal(line.outflow.fill(narrow, 0), narrow.length);
  t.equal(line.outflow.fill(Buffer.alloc(frameHeadBytes), 0), 0, "no frame without a byte");
});
