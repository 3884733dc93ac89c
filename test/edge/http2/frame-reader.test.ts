import { deepEqual } from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { edgeBounds } from "../../../src/edge/bounds.ts";
import { http2Error, payloadBytesMax } from "../../../src/edge/http2/frame.ts";
import { FrameReader, type FrameSink } from "../../../src/edge/http2/frame-reader.ts";
import { endHeaders, endStream, frame, frameType, uint32 } from "../../attack/frames.ts";

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const settings = frame(frameType.settings, 0, 0);
const padded = 8;
const withPriority = 32;

/** Everything a reader says, in words. */
function heard(pieces: readonly Buffer[]): string[] {
  const log: string[] = [];
  const hex = (bytes: Buffer) => bytes.toString("hex");
  const sink: FrameSink = {
    data: (stream, bytes, ends, flow) => log.push(`data ${stream} ${hex(bytes)} ${ends} ${flow}`),
    headers: (stream, block, ends, bytes) => log.push(`headers ${stream} ${hex(block)} ${ends} ${bytes}`),
    reset: (stream, code) => log.push(`reset ${stream} ${code}`),
    settings: (payload) => log.push(`settings ${hex(payload)}`),
    settingsAck: () => log.push("settings ack"),
    ping: (payload) => log.push(`ping ${hex(payload)}`),
    pingAck: () => log.push("ping ack"),
    goaway: () => log.push("goaway"),
    window: (stream, bytes) => log.push(`window ${stream} ${bytes}`),
    priorityUpdate: (stream, value) => log.push(`priority ${stream} ${value}`),
    other: (bytes) => log.push(`other ${bytes}`),
    streamError: (stream, code) => log.push(`stream ${stream} ${code}`),
    connectionError: (code) => log.push(`error ${code}`),
  };
  const reader = new FrameReader(sink, edgeBounds);
  for (const piece of pieces) reader.push(piece);
  return log;
}

const behind = (...frames: readonly Buffer[]) =>
  heard([Buffer.concat([preface, settings, ...frames])]).slice(1);

t.test("frames are told in RFC 9113's terms", async (t) => {
  const body = Buffer.from("ab");
  t.same(behind(frame(frameType.data, endStream, 1, body)), ["data 1 6162 true 2"]);
  const pad = Buffer.concat([Buffer.from([3]), body, Buffer.alloc(3)]);
  t.same(behind(frame(frameType.data, padded, 1, pad)), ["data 1 6162 false 6"]);
  t.same(behind(frame(frameType.headers, endHeaders | endStream, 3, body)), ["headers 3 6162 true 11"]);
  const priority = Buffer.concat([Buffer.from([1]), uint32(1), Buffer.from([9]), body, Buffer.alloc(1)]);
  t.same(behind(frame(frameType.headers, endHeaders | padded | withPriority, 3, priority)), [
    "headers 3 6162 false 18",
  ]);
  t.same(
    behind(
      frame(frameType.headers, endStream, 3, body),
      frame(frameType.continuation, 0, 3, body),
      frame(frameType.continuation, endHeaders, 3, body),
    ),
    ["headers 3 616261626162 true 33"],
  );
  t.same(behind(frame(frameType.reset, 0, 3, uint32(8))), ["reset 3 8"]);
  t.same(behind(frame(frameType.settings, 1, 0)), ["settings ack"]);
  t.same(behind(frame(frameType.ping, 0, 0, Buffer.alloc(8, 1))), ["ping 0101010101010101"]);
  t.same(behind(frame(frameType.ping, 1, 0, Buffer.alloc(8))), ["ping ack"]);
  t.same(behind(frame(frameType.goaway, 0, 0, Buffer.alloc(20))), ["goaway"]);
  // The reserved bit means nothing (§4.1, §6.9).
  t.same(behind(frame(frameType.window, 0, 0x80000003, uint32(0x80000005))), ["window 3 5"]);
  t.same(behind(frame(frameType.priority, 0, 3, Buffer.concat([uint32(1), Buffer.from([9])]))), ["other 14"]);
  t.same(behind(frame(16, 0, 0, Buffer.concat([uint32(5), Buffer.from("u=1, i")]))), ["priority 5 u=1, i"]);
  t.same(behind(frame(0xee, 0xff, 7, Buffer.alloc(3))), ["other 12"]);
  t.same(behind(frame(frameType.data, 0xf6, 1, body)), ["data 1 6162 false 2"], "flags nobody defined");
});

t.test("what breaks the form ends the connection, and nothing behind it is read", async (t) => {
  const { protocol, frameSize, enhanceYourCalm } = http2Error;
  const headers = (stream = 1) => frame(frameType.headers, endStream, stream, Buffer.from([0x82]));
  const cases: readonly (readonly [string, number, ...Buffer[]])[] = [
    ["DATA without a stream", protocol, frame(frameType.data, 0, 0)],
    ["DATA that is all padding and more", protocol, frame(frameType.data, padded, 1, Buffer.from([3, 0, 0]))],
    ["padded DATA without a length of it", protocol, frame(frameType.data, padded, 1)],
    ["HEADERS without a stream", protocol, frame(frameType.headers, endHeaders, 0)],
    [
      "HEADERS with more padding than payload",
      protocol,
      frame(frameType.headers, padded, 1, Buffer.from([9])),
    ],
    ["HEADERS cut in their priority", frameSize, frame(frameType.headers, withPriority, 1, Buffer.alloc(4))],
    [
      "HEADERS on themselves",
      protocol,
      frame(frameType.headers, withPriority | endHeaders, 5, Buffer.concat([uint32(5), Buffer.alloc(1)])),
    ],
    ["PRIORITY without a stream", protocol, frame(frameType.priority, 0, 0, Buffer.alloc(5))],
    ["RST_STREAM without a stream", protocol, frame(frameType.reset, 0, 0, uint32(8))],
    ["RST_STREAM of three bytes", frameSize, frame(frameType.reset, 0, 1, Buffer.alloc(3))],
    ["SETTINGS of a stream", protocol, frame(frameType.settings, 0, 1)],
    ["SETTINGS of five bytes", frameSize, frame(frameType.settings, 0, 0, Buffer.alloc(5))],
    ["an ACK with something in it", frameSize, frame(frameType.settings, 1, 0, Buffer.alloc(6))],
    ["PUSH_PROMISE", protocol, frame(frameType.push, endHeaders, 1, uint32(2))],
    ["PING of a stream", protocol, frame(frameType.ping, 0, 1, Buffer.alloc(8))],
    ["PING of seven bytes", frameSize, frame(frameType.ping, 0, 0, Buffer.alloc(7))],
    ["GOAWAY of a stream", protocol, frame(frameType.goaway, 0, 1, Buffer.alloc(8))],
    ["GOAWAY of seven bytes", frameSize, frame(frameType.goaway, 0, 0, Buffer.alloc(7))],
    ["WINDOW_UPDATE of five bytes", frameSize, frame(frameType.window, 0, 0, Buffer.alloc(5))],
    ["CONTINUATION of nothing", protocol, frame(frameType.continuation, endHeaders, 1)],
    ["PRIORITY_UPDATE of a stream", protocol, frame(16, 0, 1, uint32(1))],
    ["PRIORITY_UPDATE for nobody", protocol, frame(16, 0, 0, uint32(0))],
    ["PRIORITY_UPDATE of three bytes", frameSize, frame(16, 0, 0, Buffer.alloc(3))],
    ["another frame inside a block", protocol, headers(), frame(frameType.ping, 0, 0, Buffer.alloc(8))],
    ["an unknown frame inside a block", protocol, headers(), frame(0xee, 0, 1)],
    ["another stream's CONTINUATION", protocol, headers(), frame(frameType.continuation, endHeaders, 3)],
    ["a frame above the bound", frameSize, frame(0xee, 0, 0, Buffer.alloc(payloadBytesMax + 1))],
    [
      "a block of many frames",
      enhanceYourCalm,
      headers(),
      ...Array.from({ length: 30 }, () => frame(frameType.continuation, 0, 1, Buffer.from([0x82]))),
    ],
    [
      "a block of many bytes",
      enhanceYourCalm,
      headers(),
      ...Array.from({ length: 5 }, () => frame(frameType.continuation, 0, 1, Buffer.alloc(16_000))),
    ],
  ];
  for (const [what, code, ...frames] of cases)
    t.same(behind(...frames, frame(frameType.ping, 0, 0, Buffer.alloc(8))), [`error ${code}`], what);
  t.same(behind(frame(frameType.priority, 0, 3, Buffer.alloc(4))), ["other 13", `stream 3 ${frameSize}`]);
});

t.test("a connection begins with preface and SETTINGS, or not at all", async (t) => {
  const error = [`error ${http2Error.protocol}`];
  t.same(heard([Buffer.from("GET / HTTP/1.1\r\n\r\n")]), error);
  t.same(heard([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\rX")]), error);
  t.same(heard([Buffer.from("PRI * HTT"), Buffer.from("Q")]), error, "found out as soon as it can be");
  t.same(heard([preface, frame(frameType.ping, 0, 0, Buffer.alloc(8))]), error);
  t.same(heard([preface, frame(frameType.settings, 1, 0)]), error);
  t.same(heard([preface, settings]), ["settings "]);
});

const anyFrame = fc
  .record({
    type: fc.constantFrom(0, 1, 2, 3, 4, 6, 7, 8, 9, 16, 0xee),
    flags: fc.constantFrom(0, 1, 4, 5, 8, 13, 0x24, 0x2d),
    stream: fc.constantFrom(0, 1, 3),
    payload: fc.uint8Array({ maxLength: 40 }),
  })
  .map(({ type, flags, stream, payload }) => frame(type, flags, stream, Buffer.from(payload)));

t.test("it makes no difference in which pieces the bytes come", async (t) => {
  fc.assert(
    fc.property(
      fc.array(anyFrame, { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 20 }),
      (frames, cuts) => {
        const whole = Buffer.concat([preface, settings, ...frames]);
        const pieces: Buffer[] = [];
        for (let at = 0, i = 0; at < whole.length; i += 1) {
          const length = cuts[i % cuts.length] ?? 1;
          pieces.push(whole.subarray(at, at + length));
          at += length;
        }
        deepEqual(heard(pieces), heard([whole]));
      },
    ),
    { numRuns: 5_000 },
  );
  t.pass("5,000 connections");
});
