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

t.test(
  "what went out of memory and nobody reads is not compressed, and its turn goes to the others",
  async (t) => {
    const made: Transform[] = [];
    const makeEncoder = () => {
      const encoder = new Transform({
        transform: (piece, _coding, done) => void setImmediate().then(() => done(null, piece)),
      });
      made.push(encoder);
      return encoder;
    };
    const turns = new Turns(1);
    const contents = [1, 2, 3].map(() => {
      const content = new Content(script.length, true, makeEncoder, turns);
      content.identity.push(script);
      content.identity.end();
      return content;
    });
    const [unread, read, held] = contents;
    if (unread === undefined || read === undefined || held === undefined) return;
    const leave = read.enter();
    const [ofUnread, ofRead, ofHeld] = contents.map((content) => content.in("gzip"));
    unread.giveUp();
    read.giveUp();
    t.equal(ofUnread?.state, "failed");
    t.equal(ofRead?.state, "growing", "somebody reads it");
    leave();
    t.equal(ofRead?.state, "failed", "nobody does any more");
    await new Promise<void>((resolve) => ofHeld?.onSettled(resolve));
    t.equal(ofHeld?.state, "whole");
    t.strictSame(
      made.map(({ destroyed }) => destroyed),
      [true, true, true],
    );
    t.equal(unread.in("gzip").state, "growing", "who comes all the same gets it made");
  },
);
