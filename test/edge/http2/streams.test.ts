import t from "tap";
import { systemClock } from "../../../src/base/clock.ts";
import type { Downstream } from "../../../src/exchange.ts";
import { collectBody } from "../../../src/upstream/request-body.ts";
import { Spool } from "../../../src/upstream/spool.ts";
import {
  block,
  endHeaders,
  endStream,
  frame,
  frameType,
  get,
  pseudo,
  RawHttp2,
  uint32,
} from "../../attack/frames.ts";
import { listenHttp2 } from "./listener.ts";

/** A client of a listener of which every request is answered by `exchange`. */
async function listen(t: { teardown(end: () => unknown): unknown }, exchange: (down: Downstream) => void) {
  const listener = await listenHttp2(t, exchange, { keepAliveTimeoutMs: 200, http2LookMs: 30 });
  return new RawHttp2(listener.port, "127.0.0.1");
}

const post = (stream: number, fields: readonly (readonly [string, string])[]) =>
  frame(frameType.headers, endHeaders, stream, block([...pseudo("/", "POST"), ...fields]));

t.test("what is reset in the packet it came in begins no exchange", async (t) => {
  const begun: string[] = [];
  const raw = await listen(t, (down) => {
    begun.push(down.target);
    down.answer(200, [], Buffer.from("ok"), false);
  });
  const reset = (stream: number) => frame(frameType.reset, 0, stream, uint32(8));
  raw.send(get(1, "/a"), reset(1), get(3, "/b"), get(5, "/c"), reset(5));
  t.equal(await raw.outcome(3), "answered");
  t.same(begun, ["/b"]);
});

t.test("a body that came with its head is whole at once, in as many frames as it likes", async (t) => {
  const spool = new Spool("/nonexistent", 0);
  const seen: (string | null)[] = [];
  const raw = await listen(t, (down) => {
    const { body } = down;
    seen.push(body === null ? "none" : (body.whole?.toString() ?? null));
    if (body === null) return;
    void Promise.resolve(collectBody(body, { bytesMax: 100, spool, clock: systemClock })).then((taken) => {
      const text = taken.ok ? taken.value.memory : Buffer.from(taken.error);
      down.answer(200, [], text, false);
    });
  });
  const data = (stream: number, text: string, flags = 0) =>
    frame(frameType.data, flags, stream, Buffer.from(text));
  raw.send(post(1, [["content-length", "4"]]), data(1, "ab"), data(1, "cd"), data(1, "", endStream));
  t.equal(await raw.outcome(1), "answered");
  raw.send(post(3, [["content-length", "4"]]), data(3, "ef"));
  // PING is answered behind what stood before it: the request has begun with half of its body.
  raw.send(frame(frameType.ping, 0, 0, Buffer.alloc(8)));
  await raw.frame(({ type }) => type === frameType.ping);
  raw.send(data(3, "gh", endStream));
  t.equal(await raw.outcome(3), "answered");
  raw.send(post(5, []), data(5, "ij", endStream));
  t.equal(await raw.outcome(5), "answered");
  t.same(seen, ["abcd", null, "ij"], "whole, in part, whole without a length");
  const bodies = [1, 3, 5].map((stream) =>
    Buffer.concat(
      raw.frames
        .filter((frame) => frame.type === frameType.data && frame.stream === stream)
        .map((frame) => frame.payload),
    ).toString(),
  );
  t.same(bodies, ["abcd", "efgh", "ij"]);
});

t.test("who never says that its whole body ends is answered, and its stream and session end", async (t) => {
  const raw = await listen(t, (down) => down.answer(200, [], Buffer.from("ok"), false));
  raw.send(post(1, [["content-length", "2"]]), frame(frameType.data, 0, 1, Buffer.from("ab")));
  t.equal(await raw.outcome(1), "answered");
  const reset = await raw.frame(({ type, stream }) => type === frameType.reset && stream === 1);
  t.same(reset?.payload, uint32(0), "without an error (RFC 9113 §8.1)");
  await raw.closed;
});
