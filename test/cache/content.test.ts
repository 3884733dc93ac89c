import { Transform } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import t from "tap";
import { Content } from "../../src/cache/content.ts";
import { Turns } from "../../src/cache/turns.ts";
import { pseudoScript } from "../../src/demo/pseudo-code.ts";
import { fileEncoder } from "../../src/reply/encode.ts";

const script = pseudoScript(1, 1_500_000);
const decoders = { br: brotliDecompressSync, zstd: zstdDecompressSync, gzip: gunzipSync };

for (const coding of ["br", "zstd", "gzip"] as const) {
  t.test(`the first visitor's bytes leave while Odoo still sends the rest: ${coding}`, async (test) => {
    const content = new Content(script.length, true, fileEncoder, new Turns(1));
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

t.test("what breaks while it is compressed, or is cut off by Odoo, holds up no other file", async (t) => {
  const turns = new Turns(1);
  const breaking = () =>
    new Transform({
      transform(_piece, _encoding, done) {
        done(new Error("out of memory"));
      },
    });
  const state = (content: Content) => {
    const bytes = content.in("br");
    return new Promise<string>((resolve) => bytes.onSettled(() => resolve(bytes.state)));
  };
  const broken = new Content(script.length, true, breaking, turns);
  const brokenState = state(broken);
  broken.identity.push(script);
  t.equal(await brokenState, "failed");

  const cut = new Content(script.length, true, fileEncoder, turns);
  const waiting = new Content(script.length, true, fileEncoder, turns);
  const cutWhileWaiting = new Content(script.length, true, fileEncoder, turns);
  const states = [cut, waiting, cutWhileWaiting].map(state);
  for (const content of [cut, waiting, cutWhileWaiting]) content.identity.push(script.subarray(0, 700_000));
  cut.identity.fail();
  cutWhileWaiting.identity.fail();
  waiting.identity.push(script.subarray(700_000));
  waiting.identity.end();
  t.same(await Promise.all(states), ["failed", "whole", "failed"]);
  const whole = waiting.in("br").buffer ?? Buffer.alloc(0);
  t.ok(brotliDecompressSync(whole).equals(script));
});
