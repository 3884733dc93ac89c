import { PassThrough } from "node:stream";
import t from "tap";
import { Content } from "../../src/cache/content.ts";
import { Squeeze } from "../../src/cache/squeeze.ts";
import { type Entry, Store } from "../../src/cache/store.ts";
import { Turns } from "../../src/cache/turns.ts";

const kibibyte = 1024;

function entry(key: string, bytes: number): Entry {
  const content = new Content(bytes, true, () => new PassThrough(), new Turns(1));
  content.identity.push(Buffer.alloc(bytes, "x"));
  content.identity.end();
  const times = { bornMs: 0, freshUntilMs: 0, askAgainMs: 0 };
  return { key, fields: [], content, hash: key, etag: null, lastModified: null, ...times };
}

t.test("files that went for others do not stay in memory to be compressed", async (t) => {
  const squeeze = new Squeeze((detail) => t.fail(detail));
  const store = new Store(64 * kibibyte);
  for (let i = 0; i < 200; i += 1) {
    const one = entry(`k${i}`, 10 * kibibyte);
    store.put(one);
    squeeze.add(one.content);
    t.equal(squeeze.waiting, store.entries);
  }
  const large = entry("larger than all", 65 * kibibyte);
  store.put(large);
  squeeze.add(large.content);
  t.equal(squeeze.waiting, store.entries);
  store.clear();
  t.equal(squeeze.waiting, 0);
  squeeze.close();
});
