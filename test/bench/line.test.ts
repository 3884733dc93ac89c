import t from "tap";
import { createSender, createWay, type LineClock } from "../../bench/pageload/line.ts";

/** Time that moves when told. */
function manualClock(): LineClock & { run(): void } {
  let now = 0;
  const waiting: { readonly atMs: number; readonly callback: () => void }[] = [];
  return {
    nowMs: () => now,
    after: (delayMs, callback) => void waiting.push({ atMs: now + delayMs, callback }),
    run() {
      for (;;) {
        waiting.sort((a, b) => a.atMs - b.atMs);
        const next = waiting.shift();
        if (next === undefined) return;
        now = Math.max(now, next.atMs);
        next.callback();
      }
    },
  };
}

t.test("a way lets through its rate and no more, and all arrives later by its delay", async (test) => {
  const clock = manualClock();
  const way = createWay(20_000_000, 20, clock);
  const arrivals: number[] = [];
  // A second's worth in a thousand pieces, all handed over at once.
  for (let piece = 0; piece < 1_000; piece++) way.send(2_500, () => arrivals.push(clock.nowMs()));
  clock.run();
  test.equal(arrivals.length, 1_000);
  test.equal(Math.round(arrivals[0] ?? 0), 21);
  test.equal(Math.round(arrivals[499] ?? 0), 520);
  test.equal(Math.round(arrivals[999] ?? 0), 1_020);
});

/** What a sender delivered: when the last byte came, and the bytes. */
function sent(bytes: number): { readonly lastMs: number; readonly ended: number } {
  const clock = manualClock();
  const pieces: Buffer[] = [];
  let [lastMs, ended] = [0, 0];
  const sender = createSender(createWay(20_000_000, 20, clock), 200_000, 20, clock, {
    deliver(piece) {
      lastMs = clock.nowMs();
      pieces.push(piece);
    },
    end: () => ended++,
    unsent: () => undefined,
  });
  const body = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at++) body[at] = at % 251;
  sender.push(body.subarray(0, bytes >> 1));
  sender.push(body.subarray(bytes >> 1));
  sender.end();
  clock.run();
  sameBytes(body, Buffer.concat(pieces));
  return { lastMs, ended };
}

function sameBytes(given: Buffer, came: Buffer): void {
  if (!given.equals(came)) throw new Error("the line changed the bytes");
}

t.test("a connection starts slowly: ten segments, then doubled with each round trip", async (test) => {
  // Ten segments need no acknowledgement: their own time at 20 Mbit/s, and the way.
  test.equal(Math.round(sent(14_600).lastMs), Math.round(14_600 / 2_500 + 20));
  // The eleventh waits for the first one's, which comes a round trip later.
  test.equal(Math.round(sent(14_601).lastMs), Math.round(1_460 / 2_500 + 40 + 20));
  // 100 KB: windows of 10, 20 and 40 segments; the third is sent two round trips after the first.
  const third = sent(100_000).lastMs;
  test.ok(third > 100 && third < 130, `${third} ms`);
});

t.test("a long answer comes at the line's rate and its end comes last, once", async (test) => {
  const { lastMs, ended } = sent(2_500_000);
  test.equal(ended, 1);
  // A second at the full rate, the way, and what the slow start leaves unused: about 80 ms.
  test.ok(lastMs > 1_020 && lastMs < 1_120, `${lastMs} ms`);
});
