import { Script } from "node:vm";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import t from "tap";
import { pseudoScript, pseudoStyle } from "../../src/demo/pseudo-code.ts";

/** How many times smaller. */
function ratios(text: Buffer): { readonly gzip6: number; readonly brotli5: number } {
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: 5,
    [constants.BROTLI_PARAM_SIZE_HINT]: text.length,
  };
  return {
    gzip6: text.length / gzipSync(text, { level: 6 }).length,
    brotli5: text.length / brotliCompressSync(text, { params }).length,
  };
}

/** The stand-in's text against Odoo 19's own bundle of the same size; 5 % either way. */
function compressesLike(
  test: { ok(value: boolean, message: string): unknown },
  text: Buffer,
  odoo: { readonly gzip6: number; readonly brotli5: number },
): void {
  const own = ratios(text);
  for (const coding of ["gzip6", "brotli5"] as const) {
    const apart = own[coding] / odoo[coding];
    test.ok(
      apart > 0.95 && apart < 1.05,
      `${coding} ${own[coding].toFixed(2)} : 1, Odoo's ${odoo[coding]} : 1`,
    );
  }
}

t.test("the script compresses as Odoo's web.assets_web.min.js does", async (test) => {
  compressesLike(test, pseudoScript(6, 6_029_716), { gzip6: 4.56, brotli5: 5.16 });
});

t.test("the style sheet compresses as Odoo's web.assets_web.min.css does", async (test) => {
  compressesLike(test, pseudoStyle(7, 1_049_177), { gzip6: 6.99, brotli5: 8.21 });
});

t.test(
  "the script is one a browser takes: it parses, has the size asked for, and its tail runs",
  async (test) => {
    const text = pseudoScript(3, 400_000, "", "answer = 42;");
    test.equal(text.length, 400_000);
    const world = { answer: 0 };
    new Script(text.toString("utf8")).runInNewContext(world);
    test.equal(world.answer, 42);
    test.ok(pseudoScript(3, 400_000, "", "answer = 42;").equals(text), "the same on every machine");
    test.notOk(pseudoScript(4, 400_000, "", "answer = 42;").equals(text), "another seed is another text");
  },
);

t.test("small scripts keep their size", async (test) => {
  for (const bytes of [1_024, 2_848, 31_663]) test.equal(pseudoScript(1, bytes).length, bytes);
});
