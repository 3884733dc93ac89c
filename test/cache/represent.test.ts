import { brotliCompressSync, zstdDecompressSync } from "node:zlib";
import t from "tap";
import { Content } from "../../src/cache/content.ts";
import { represent } from "../../src/cache/represent.ts";
import type { Entry } from "../../src/cache/store.ts";
import { Turns } from "../../src/cache/turns.ts";
import { pseudoScript } from "../../src/demo/pseudo-code.ts";
import { fileEncoder } from "../../src/reply/encode.ts";
import { factsFor } from "../support/facts.ts";

t.test("who comes first gets what is quick to make, who comes later what is smallest", async (t) => {
  const script = pseudoScript(1, 100_000);
  const content = new Content(script.length, true, fileEncoder, new Turns(1));
  content.identity.push(script);
  content.identity.end();
  const entry: Entry = {
    key: "k",
    fields: ["Content-Type", "text/javascript"],
    content,
    hash: "h",
    etag: null,
    lastModified: null,
    bornMs: 0,
    freshUntilMs: 1,
    askAgainMs: 0,
  };
  const ask = (accept: string) => {
    const facts = { ...factsFor({ path: "/web/assets/1/a.js" }), fields: ["Accept-Encoding", accept] };
    const { fields, body } = represent(entry, facts, 0, true);
    const at = fields.indexOf("Content-Encoding");
    return { coding: at < 0 ? null : fields[at + 1], bytes: body.kind === "bytes" ? body.bytes : null };
  };
  const first = ask("gzip, deflate, br, zstd");
  t.equal(first.coding, "zstd");
  await new Promise<void>((resolve) => {
    first.bytes?.read({ write: () => true, end: resolve, fail: resolve });
  });
  t.ok(zstdDecompressSync(first.bytes?.buffer ?? Buffer.alloc(0)).equals(script));
  t.equal(ask("gzip, deflate, br, zstd").coding, "zstd", "nobody makes it a second time");
  const heldBefore = content.memoryBytes;
  content.replace("br", brotliCompressSync(script));
  t.equal(ask("gzip, deflate, br, zstd").coding, "br");
  t.equal(ask("zstd;q=1, br;q=0.5").coding, "zstd", "a client's own preference comes first");
  t.ok(content.memoryBytes < heldBefore + brotliCompressSync(script).length, "the quick form was given up");
});

t.test("a browser without zstd gets brotli at once", async (t) => {
  const script = pseudoScript(2, 50_000);
  const content = new Content(script.length, true, fileEncoder, new Turns(1));
  content.identity.push(script);
  content.identity.end();
  const entry = { key: "k", fields: [], content, hash: "h", etag: null, lastModified: null } as const;
  const facts = { ...factsFor({ path: "/web/assets/1/a.js" }), fields: ["Accept-Encoding", "gzip, br"] };
  const { fields } = represent({ ...entry, bornMs: 0, freshUntilMs: 1, askAgainMs: 0 }, facts, 0, true);
  t.ok(fields.includes("br"));
});
