import { PassThrough } from "node:stream";
import t from "tap";
import { Content } from "../../src/cache/content.ts";
import { GrowingBytes } from "../../src/cache/growing.ts";
import { type Entry, entriesMax, Store } from "../../src/cache/store.ts";
import { Turns } from "../../src/cache/turns.ts";

const mebibyte = 1024 * 1024;

function entry(key: string, bytes: number, hash = key): Entry {
  const content = new Content(bytes, true, () => new PassThrough(), new Turns(1));
  content.identity.push(Buffer.alloc(bytes, "x"));
  content.identity.end();
  const times = { bornMs: 0, freshUntilMs: 0, askAgainMs: 0 };
  return { key, fields: [], content, hash, etag: null, lastModified: null, ...times };
}

t.test("never more than the bound, whatever comes in", async (t) => {
  const store = new Store(4 * mebibyte);
  for (let i = 0; i < 200; i += 1) {
    store.put(entry(`k${i}`, (1 + (i % 7)) * 100_000));
    if (i % 3 === 0) store.use(`k${i}`);
    t.ok(store.bytes <= 4 * mebibyte);
  }
  t.ok(store.entries > 3);
  store.put(entry("larger than all", 5 * mebibyte));
  t.equal(store.use("larger than all"), null);
  t.ok(store.bytes <= 4 * mebibyte);
  t.equal(store.clear() >= 0, true);
  t.equal(store.bytes, 0);
});

t.test("what was asked for again stays when strangers pass, and strangers still get in", async (t) => {
  const store = new Store(4 * mebibyte);
  for (const key of ["a", "b", "c"]) {
    store.put(entry(key, mebibyte));
    store.use(key);
  }
  for (let i = 0; i < 50; i += 1) store.put(entry(`junk${i}`, mebibyte / 4));
  for (const key of ["a", "b", "c"]) t.ok(store.use(key), key);
  for (let i = 0; i < 4; i += 1) {
    store.put(entry(`new${i}`, mebibyte));
    t.ok(store.use(`new${i}`), "room is made for it, and it is proven now");
  }
  t.equal(store.use("a"), null, "the one unused longest went");
});

t.test(
  "strangers' small files use up the places of strangers, not those of what everybody loads",
  async (t) => {
    const store = new Store(1_024 * mebibyte);
    for (const key of ["a", "b", "c"]) {
      store.put(entry(key, 1_000));
      store.use(key);
    }
    for (let i = 0; i < entriesMax * 1.2; i += 1) store.put(entry(`junk${i}`, 1));
    t.equal(store.entries, entriesMax);
    for (const key of ["a", "b", "c"]) t.ok(store.peek(key), key);
  },
);

t.test("one body under many keys is counted once and freed with the last", async (t) => {
  const store = new Store(4 * mebibyte);
  const first = entry("a", mebibyte, "same");
  store.put(first);
  const before = store.bytes;
  store.put({ ...entry("b", 10, "same"), content: store.contentOf("same") ?? first.content });
  t.ok(store.bytes - before < 4_096);
  store.delete("a");
  t.equal(store.contentOf("same"), first.content);
  store.delete("b");
  t.equal(store.contentOf("same"), null);
  t.equal(store.bytes, 0);
});

t.test("a body that is given up counts as long as somebody reads it", async (t) => {
  const store = new Store(4 * mebibyte);
  const one = entry("a", mebibyte, "same");
  store.put(one);
  const leave = one.content.enter();
  const leaveToo = one.content.enter();
  store.put({ ...entry("a", 10, "same"), content: one.content });
  t.equal(store.lingeringBytes, 0, "the same body came again");
  store.delete("a");
  t.equal(store.bytes, 0);
  t.equal(store.lingeringBytes, mebibyte);
  leave();
  t.equal(store.lingeringBytes, mebibyte);
  leaveToo();
  t.equal(store.lingeringBytes, 0);
  store.put(entry("b", mebibyte));
  store.clear();
  t.equal(store.lingeringBytes, 0, "nobody read that one");
});

t.test("a compressed form counts when it is there", async (t) => {
  const store = new Store(4 * mebibyte);
  const one = entry("a", mebibyte);
  store.put(one);
  const before = store.bytes;
  const coded = one.content.in("gzip");
  await new Promise<void>((resolve) => coded.onSettled(resolve));
  t.equal(store.bytes, before + mebibyte);
  t.equal(one.content.in("gzip"), coded, "made once");
  one.content.replace("gzip", Buffer.alloc(1_000));
  t.equal(store.bytes, before + 1_000);
  one.content.replace("gzip", Buffer.alloc(2_000));
  t.equal(store.bytes, before + 1_000, "a worse form is not taken");
});

t.test("so many entries and no more", async (t) => {
  const store = new Store(1_024 * mebibyte);
  for (let i = 0; i < entriesMax + 10; i += 1) store.put(entry(`k${i}`, 1));
  t.equal(store.entries, entriesMax);
});

t.test("bytes that come in are read by many at their own pace, each from the beginning", async (t) => {
  const bytes = new GrowingBytes(4);
  const reader = (takes: number) => {
    const got = { text: "", over: "", left: takes };
    const reading = bytes.read({
      write: (piece) => {
        got.text += String(piece);
        got.left -= 1;
        return got.left > 0;
      },
      end: () => {
        got.over = "end";
      },
      fail: () => {
        got.over = "fail";
      },
    });
    return { got, reading };
  };
  const quick = reader(100);
  const slow = reader(1);
  const leaves = reader(100);
  bytes.push(Buffer.from("one "));
  bytes.push(Buffer.from("two "));
  leaves.reading.close();
  bytes.push(Buffer.from("three"));
  const late = reader(100);
  bytes.end();
  t.same([quick.got.text, quick.got.over], ["one two three", "end"]);
  t.same([slow.got.text, slow.got.over], ["one ", ""]);
  slow.got.left = 100;
  slow.reading.drained();
  t.same([slow.got.text, slow.got.over], ["one two three", "end"]);
  t.same([leaves.got.text, leaves.got.over], ["one two ", ""]);
  t.same([late.got.text, late.got.over], ["one two three", "end"]);
  t.equal(String(bytes.buffer), "one two three");
});

t.test("bytes that fail are never told to be whole", async (t) => {
  const bytes = new GrowingBytes(4);
  const said: string[] = [];
  const taker = { write: () => true, end: () => said.push("end"), fail: () => said.push("fail") };
  bytes.read(taker);
  bytes.push(Buffer.from("half"));
  bytes.fail();
  bytes.read(taker);
  bytes.push(Buffer.from("more"));
  bytes.end();
  t.same(said, ["fail", "fail"]);
  t.equal(bytes.buffer, null);
});
