import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mock } from "node:test";
import t from "tap";
import { manualClock, systemClock } from "../../src/base/clock.ts";
import { ok } from "../../src/base/result.ts";
import { Http2Body } from "../../src/edge/http2/body.ts";
import { AnswerBuffer } from "../../src/upstream/answer-buffer.ts";
import { closeGoingAway, FrameBoundary } from "../../src/upstream/frames.ts";
import { bodyMemoryBytesMax, collectBody } from "../../src/upstream/request-body.ts";
import { Spool } from "../../src/upstream/spool.ts";

function folder(): string {
  return mkdtempSync(join(tmpdir(), "gateway-spool-"));
}

/** A body that comes as the test says. */
function newBody(): Http2Body {
  return new Http2Body(() => {});
}

async function readAll(
  file: { read(into: Buffer, at: number): Promise<{ ok: boolean; value?: number }> },
  bytes: number,
): Promise<Buffer> {
  const into = Buffer.alloc(bytes);
  let at = 0;
  while (at < bytes) {
    const piece = Buffer.alloc(Math.min(50_000, bytes - at));
    const read = await file.read(piece, at);
    if (!read.ok || read.value === undefined || read.value === 0) break;
    piece.copy(into, at, 0, read.value);
    at += read.value;
  }
  return into.subarray(0, at);
}

t.test("a small body stays in memory, a large one goes to a file without a name", async (t) => {
  const directory = folder();
  const spool = new Spool(directory, 1e9);
  const options = { bytesMax: 10_000_000, spool, clock: systemClock };
  const small = newBody();
  const wantSmall = collectBody(small, options);
  small.data(Buffer.from("hello"));
  small.end();
  const gotSmall = await wantSmall;
  if (!gotSmall.ok) throw new Error(gotSmall.error);
  t.equal(gotSmall.value.memory.toString(), "hello");
  t.equal(gotSmall.value.file, null);
  gotSmall.value.release();

  const bytes = randomBytes(3_000_000);
  const large = newBody();
  const wantLarge = collectBody(large, options);
  for (let at = 0; at < bytes.length; at += 100_003) large.data(bytes.subarray(at, at + 100_003));
  large.end();
  const gotLarge = await wantLarge;
  if (!gotLarge.ok) throw new Error(gotLarge.error);
  t.equal(gotLarge.value.bytes, bytes.length);
  t.ok(gotLarge.value.memory.length <= bodyMemoryBytesMax);
  const file = gotLarge.value.file;
  if (file === null) throw new Error("no file");
  const rest = await readAll(file, bytes.length - gotLarge.value.memory.length);
  t.ok(Buffer.concat([gotLarge.value.memory, rest]).equals(bytes), "every byte in order");
  t.same(readdirSync(directory), [], "nothing to find on disk");
  t.equal(spool.bytes, rest.length);
  gotLarge.value.release();
  t.equal(spool.bytes, 0, "the room is free again");
});

t.test(
  "a body larger than allowed, one that finds no room, and one that breaks off are told apart",
  async (t) => {
    const spool = new Spool(folder(), 200_000);
    const large = newBody();
    const wantLarge = collectBody(large, { bytesMax: 1_000, spool, clock: systemClock });
    large.data(Buffer.alloc(1_001));
    t.same(await wantLarge, { ok: false, error: "too-large" });

    const full = newBody();
    const wantFull = collectBody(full, { bytesMax: 1e9, spool, clock: systemClock });
    full.data(Buffer.alloc(400_000));
    full.end();
    t.same(await wantFull, { ok: false, error: "no-room" });
    t.equal(spool.bytes, 0);

    const gone = newBody();
    const wantGone = collectBody(gone, { bytesMax: 1e9, spool, clock: systemClock });
    gone.data(Buffer.from("half"));
    gone.gone();
    t.same(await wantGone, { ok: false, error: "client-left" });

    const noDisk = new Spool("/proc/no-such-folder/spool", 1e9);
    const body = newBody();
    const wantNoDisk = collectBody(body, {
      bytesMax: 1e9,
      spool: noDisk,
      clock: systemClock,
    });
    body.data(Buffer.alloc(400_000));
    body.end();
    t.same(await wantNoDisk, { ok: false, error: "no-room" });
  },
);

t.test(
  "pieces are written whole and in order, also when the system takes a part of them at a time",
  async (t) => {
    const directory = folder();
    const probe = await open(join(directory, "probe"), "wx+");
    const prototype = Object.getPrototypeOf(probe);
    await probe.close();
    const { writev } = prototype;
    t.teardown(() => {
      prototype.writev = writev;
    });
    const spool = new Spool(directory, 1e9);
    const made = await spool.create();
    if (!made.ok) return void t.fail(made.error.kind);
    const pieces = [70_000, 1, 0, 9_999, 30_000].map((length) => randomBytes(length));
    const whole = Buffer.concat(pieces);
    for (const most of [7_001, 70_000, 70_001, 1e6]) {
      let calls = 0;
      prototype.writev = function (buffers: readonly Buffer[], position: number) {
        calls += 1;
        return writev.call(this, [Buffer.concat(buffers).subarray(0, most)], position);
      };
      t.same(await made.value.write(pieces, 5), { ok: true, value: undefined });
      t.equal(calls, Math.ceil(whole.length / most));
      prototype.writev = writev;
      t.ok((await readAll(made.value, 5 + whole.length)).subarray(5).equals(whole), `${most} at a time`);
    }
    made.value.close();
  },
);

t.test("a client that is quicker than the disk waits, and goes on when there is room again", async (t) => {
  let letWrite = () => {};
  class SlowDisk extends Spool {
    override async create() {
      const made = await super.create();
      if (!made.ok) return made;
      const { write, ...rest } = made.value;
      const slowly: typeof write = async (...args) => {
        await new Promise<void>((resolve) => {
          letWrite = resolve;
        });
        return write(...args);
      };
      return ok({ ...rest, write: slowly });
    }
  }
  const bytes = randomBytes(1_000_000);
  const body = newBody();
  let isPaused = false;
  const { pause, resume } = body;
  body.pause = () => {
    isPaused = true;
    pause.call(body);
  };
  body.resume = () => {
    isPaused = false;
    resume.call(body);
  };
  const spool = new SlowDisk(folder(), 1e9);
  const wanted = collectBody(body, { bytesMax: 1e9, spool, clock: systemClock });
  let at = 0;
  let waits = 0;
  const send = () => {
    for (; at < bytes.length && !isPaused; at += 10_000) body.data(bytes.subarray(at, at + 10_000));
  };
  send();
  t.ok(at <= 64 * 1024 + 3 * 128 * 1024, `${at} bytes in memory`);
  while (at < bytes.length) {
    waits += 1;
    await new Promise(setImmediate);
    letWrite();
    send();
  }
  t.ok(waits > 3);
  body.end();
  let isWhole = false;
  const whole = Promise.resolve(wanted).finally(() => {
    isWhole = true;
  });
  while (!isWhole) {
    await new Promise(setImmediate);
    letWrite();
  }
  const got = await whole;
  if (!got.ok) throw new Error(got.error);
  const { memory, file } = got.value;
  if (file === null) throw new Error("no file");
  const rest = await readAll(file, bytes.length - memory.length);
  t.ok(Buffer.concat([memory, rest]).equals(bytes), "every byte in order");
  got.value.release();
});

t.test("a file counts as large as it ever was, and an owner has a part and no more", async (t) => {
  const spool = new Spool(folder(), 1_000, () => 400);
  const mine = await spool.create("me");
  const also = await spool.create("me");
  const nobodys = await spool.create();
  if (!mine.ok || !also.ok || !nobodys.ok) return void t.fail("no file");
  const bytes = (length: number) => [Buffer.alloc(length)];
  t.ok((await mine.value.write(bytes(300), 0)).ok);
  t.ok((await mine.value.write(bytes(200), 0)).ok, "over what is there");
  t.equal(spool.bytes, 300);
  t.same(await also.value.write(bytes(101), 0), { ok: false, error: { kind: "part" } });
  t.ok((await also.value.write(bytes(100), 0)).ok);
  t.ok((await nobodys.value.write(bytes(600), 0)).ok);
  t.same(await nobodys.value.write(bytes(1), 600), { ok: false, error: { kind: "full" } });
  mine.value.close();
  mine.value.close();
  t.equal(spool.bytes, 700);
  t.ok((await also.value.write(bytes(300), 100)).ok, "its part is free again");
  also.value.close();
  nobodys.value.close();
  t.equal(spool.bytes, 0);
});

t.test(
  "a body that was quick at first and drips then is too slow, and one that keeps its pace is not",
  async (t) => {
    mock.timers.enable({ apis: ["setInterval"] });
    t.teardown(() => mock.timers.reset());
    const spool = new Spool(folder(), 1e9);
    for (const [bytesASecond, seconds, outcome] of [
      [1, 120, "too-slow"],
      [300, 300, "whole"],
    ] as const) {
      const clock = manualClock();
      const body = newBody();
      const collected = collectBody(body, { bytesMax: 1e9, spool, clock });
      if (!(collected instanceof Promise)) return void t.fail("it is open");
      let settled: string | null = null;
      void collected.then((result) => {
        settled = result.ok ? "whole" : result.error;
      });
      body.data(Buffer.alloc(50_000));
      for (let second = 0; second < seconds && settled === null; second += 1) {
        clock.advance(1_000);
        mock.timers.tick(1_000);
        body.data(Buffer.alloc(bytesASecond));
        await Promise.resolve();
      }
      if (outcome === "whole") body.end();
      const result = await collected;
      t.equal(result.ok ? "whole" : result.error, outcome, `${bytesASecond} bytes a second`);
      if (result.ok) result.value.release();
    }
  },
);

/** A client that takes `takes` chunks and then needs to be told to go on. */
class SlowClient {
  readonly got: Buffer[] = [];
  ended = false;
  failed = false;
  budget = 1;
  write(chunk: Buffer): boolean {
    this.got.push(Buffer.from(chunk));
    this.budget -= 1;
    return this.budget > 0;
  }
  end(): void {
    this.ended = true;
  }
  fail(): void {
    this.failed = true;
  }
}

/** Drains until the client saw the end, giving the disk its turns. */
async function drainAll(buffer: AnswerBuffer, client: SlowClient): Promise<void> {
  for (let turns = 0; turns < 100_000 && !client.ended && !client.failed; turns += 1) {
    client.budget = 1;
    buffer.drained();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

t.test(
  "a slow client gets every byte in order, from memory and from the file, and Odoo is not held",
  async (t) => {
    for (const [total, fileMax, mayPause] of [
      [50_000, 1e9, false],
      [3_000_000, 1e9, null],
      [3_000_000, 200_000, true],
    ] as const) {
      const spool = new Spool(folder(), 1e9);
      const client = new SlowClient();
      let paused = false;
      let pauses = 0;
      const flow = {
        pause: () => {
          paused = true;
          pauses += 1;
        },
        resume: () => {
          paused = false;
        },
      };
      const buffer = new AnswerBuffer(client, flow, spool, fileMax);
      const bytes = randomBytes(total);
      let at = 0;
      while (at < total) {
        if (paused) {
          client.budget = 1;
          buffer.drained();
          await new Promise((resolve) => setImmediate(resolve));
          continue;
        }
        buffer.push(bytes.subarray(at, at + 16_000));
        at += 16_000;
        await new Promise((resolve) => setImmediate(resolve));
      }
      buffer.finish();
      await drainAll(buffer, client);
      t.equal(client.ended, true, "ended");
      t.ok(Buffer.concat(client.got).equals(bytes), `${total} bytes in order`);
      if (mayPause !== null)
        t.equal(pauses > 0, mayPause, mayPause ? "past the bound Odoo waits" : "Odoo never waited");
      buffer.close();
      t.equal(spool.bytes, 0);
    }
  },
);

t.test(
  "what a client takes in the turn in which it came is not set aside, and the rest is at its end",
  async (t) => {
    const spool = new Spool(folder(), 1e9);
    let files = 0;
    const counted = Object.assign(Object.create(spool), {
      create: () => {
        files += 1;
        return spool.create();
      },
    });
    const client = new SlowClient();
    const flow = { pause: () => {}, resume: () => {} };
    const buffer = new AnswerBuffer(client, flow, counted);
    const bytes = randomBytes(640_000);
    const pushHalf = (from: number) => {
      for (let at = from; at < from + 320_000; at += 64_000) buffer.push(bytes.subarray(at, at + 64_000));
    };
    pushHalf(0);
    client.budget = 100;
    process.nextTick(() => buffer.drained());
    await new Promise((resolve) => setImmediate(resolve));
    t.ok(Buffer.concat(client.got).equals(bytes.subarray(0, 320_000)));
    t.equal(files, 0, "no file");
    client.budget = 1;
    pushHalf(320_000);
    await new Promise((resolve) => setImmediate(resolve));
    t.equal(files, 1, "a client that is slow");
    buffer.finish();
    await drainAll(buffer, client);
    t.ok(Buffer.concat(client.got).equals(bytes));
    buffer.close();
  },
);

t.test("without room for the spool nothing is lost: Odoo waits for the client", async (t) => {
  const client = new SlowClient();
  let paused = false;
  const flow = {
    pause: () => {
      paused = true;
    },
    resume: () => {
      paused = false;
    },
  };
  const buffer = new AnswerBuffer(client, flow, new Spool("/proc/no-such-folder/spool", 1e9));
  const bytes = randomBytes(400_000);
  let at = 0;
  for (let turns = 0; at < bytes.length && turns < 100_000; turns += 1) {
    if (paused) {
      client.budget = 1;
      buffer.drained();
    } else {
      buffer.push(bytes.subarray(at, at + 20_000));
      at += 20_000;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  buffer.finish();
  await drainAll(buffer, client);
  t.ok(Buffer.concat(client.got).equals(bytes));
});

t.test("frame boundaries are found whatever the pieces", async (t) => {
  const frames = Buffer.concat([
    Buffer.from([0x81, 0x00]),
    Buffer.from([0x81, 0x05, ...Buffer.from("hello")]),
    Buffer.concat([Buffer.from([0x82, 126, 0x01, 0x00]), Buffer.alloc(256)]),
    Buffer.concat([Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]), Buffer.alloc(65_536)]),
    Buffer.concat([Buffer.from([0x81, 0x83, 1, 2, 3, 4]), Buffer.from("abc")]),
  ]);
  for (const step of [1, 3, 1_000, frames.length]) {
    const boundary = new FrameBoundary();
    for (let at = 0; at < frames.length; at += step) boundary.feed(frames.subarray(at, at + step));
    t.equal(boundary.atBoundary, true, `steps of ${step}`);
    boundary.feed(closeGoingAway.subarray(0, 3));
    t.equal(boundary.atBoundary, false, "inside a frame");
  }
});
