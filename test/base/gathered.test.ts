import { randomBytes } from "node:crypto";
import t from "tap";
import { Gathered } from "../../src/base/gathered.ts";

t.test("bytes come back in order, whatever the pieces", async (t) => {
  for (const sizes of [[1, 2, 3], [0, 5_000, 1], [64 * 1024, 1, 70_000], Array(3_000).fill(7)]) {
    const pieces: Buffer[] = sizes.map((size: number) => randomBytes(size));
    const gathered = new Gathered();
    for (const piece of pieces) gathered.push(piece);
    const whole = Buffer.concat(pieces);
    t.equal(gathered.bytes, whole.length);
    t.ok(gathered.take().equals(whole));
    t.equal(gathered.bytes, 0);
    t.equal(gathered.take().length, 0);
    gathered.push(Buffer.from("again"));
    t.equal(gathered.take().toString(), "again");
  }
});

t.test(
  "what is handed in is not written to, and a small piece does not keep what was read with it",
  async (t) => {
    const read = Buffer.alloc(64 * 1024, "a");
    const gathered = new Gathered();
    gathered.push(read);
    gathered.push(Buffer.from("b"));
    t.ok(read.every((byte) => byte === 97));
    t.equal(gathered.take().length, read.length + 1);
    const few = new Gathered();
    few.push(read.subarray(100, 101));
    t.ok(few.take().buffer.byteLength <= 2_048);
    const part = new Gathered();
    part.push(read.subarray(0, 20_000));
    t.ok(part.take().buffer.byteLength <= 40_000);
  },
);
