import { setImmediate } from "node:timers/promises";
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import t from "tap";
import { Content } from "../../src/cache/content.ts";
import { pseudoScript } from "../../src/demo/pseudo-code.ts";
import { fileEncoder } from "../../src/reply/encode.ts";

const script = pseudoScript(1, 1_500_000);
const decoders = { br: brotliDecompressSync, zstd: zstdDecompressSync, gzip: gunzipSync };

for (const coding of ["br", "zstd", "gzip"] as const) {
  t.test(`the first visitor's bytes leave while Odoo still sends the rest: ${coding}`, async (test) => {
    const content = new Content(script.length, true, fileEncoder);
    const pieces: Buffer[] = [];
    let given = 0;
    let ended = false;
    content.in(coding).read({
      write(piece) {
        pieces.push(Buffer.from(piece));
        given += piece.length;
        return true;
      },
      end() {
        ended = true;
      },
      fail: () => test.fail("the body was not whole"),
    });
    content.identity.push(script.subarray(0, 600_000));
    // Nothing more comes from Odoo until much has gone out; with a compressor that waits for the end this never ends.
    while (given < 50_000) await setImmediate();
    test.notOk(ended);
    content.identity.push(script.subarray(600_000));
    content.identity.end();
    while (!ended) await setImmediate();
    test.ok(decoders[coding](Buffer.concat(pieces)).equals(script), "and the whole is the file");
  });
}
