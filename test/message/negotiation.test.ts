import fc from "fast-check";
import t from "tap";
import { chooseCoding } from "../../src/message/accept-encoding.ts";
import { isCompressible } from "../../src/message/media.ts";
import {
  parseHttpDate,
  parseTag,
  rangeHolds,
  readNoneMatch,
  readRange,
} from "../../src/message/validators.ts";

const all = ["br", "zstd", "gzip"] as const;

t.test("Accept-Encoding is read by weight, and refusal is refusal", async (t) => {
  const cases: readonly (readonly [string, string | null])[] = [
    ["gzip, deflate, br, zstd", "br"],
    ["GZIP", "gzip"],
    ["gzip;q=0.8, br;q=0.2", "gzip"],
    ["br;q=0.001", "br"],
    ["br;q=0", null],
    ["br;q=0.000, gzip", "gzip"],
    ["*", "br"],
    ["*;q=0", null],
    ["*;q=0, gzip;q=0.1", "gzip"],
    ["br;q=0, *;q=0.5", "zstd"],
    ["identity;q=0.5, gzip;q=0.5", "gzip"],
    ["identity;q=0.6, gzip;q=0.5", null],
    ["identity", null],
    ["identity;q=0", null],
    ["br;q=1.5", null],
    ["br;q=0.1234", null],
    ["br;q=", null],
    ["br q=1", null],
    ["br;level=5", null],
    ["br, br;q=0", null],
    ["br \t;\t Q=1", "br"],
    ["", null],
    [",,br,,", "br"],
    [`${"x,".repeat(40)}br`, null],
  ];
  for (const [text, coding] of cases) t.equal(chooseCoding(["Accept-Encoding", text], all), coding, text);
  t.equal(chooseCoding([], all), null);
  t.equal(
    chooseCoding(["accept-encoding", "gzip;q=0.5", "Accept-Encoding", "zstd"], all),
    "zstd",
    "two lines",
  );
});

t.test("no Accept-Encoding, however broken, throws or brings a coding that was refused", async (t) => {
  const piece = fc.constantFrom(
    "br",
    "gzip",
    "zstd",
    "*",
    "identity",
    ";q=0",
    ";q=1",
    ";q=.5",
    ",",
    " ",
    '"',
    ";",
    "=",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const text = pieces.join("");
      const chosen = chooseCoding(["Accept-Encoding", text], all);
      const elements = text.split(",").map((one) => one.trim());
      if (chosen !== null && elements.includes(`${chosen};q=0`)) return false;
      return chosen === null || elements.some((one) => one.startsWith(chosen) || one.startsWith("*"));
    }),
    { numRuns: 2_000 },
  );
  t.pass();
});

t.test("what shrinks is compressed, an event stream never", async (t) => {
  for (const type of [
    "text/html; charset=utf-8",
    "TEXT/CSS",
    "application/json",
    "image/svg+xml",
    "application/x+json",
    "font/ttf",
  ])
    t.equal(isCompressible(type), true, type);
  for (const type of [
    "text/event-stream",
    "TEXT/EVENT-STREAM; x=y",
    "image/png",
    "font/woff2",
    "application/zip",
    "application/pdf",
    "",
    "video/mp4",
    "application/octet-stream",
  ])
    t.equal(isCompressible(type), false, type);
  t.equal(isCompressible(null), false);
});

t.test("entity tags, dates and ranges are read strictly", async (t) => {
  t.same(parseTag('W/"a,b"'), { opaque: "a,b", weak: true });
  t.same(parseTag('""'), { opaque: "", weak: false });
  for (const bad of ["a", 'w/"a"', '"a" ', '"a', '"a"b"', null]) t.equal(parseTag(bad), null, String(bad));
  const none = (...values: string[]) => readNoneMatch(values.flatMap((value) => ["If-None-Match", value]));
  t.same(none('"a"', 'W/"b"'), ["a", "b"]);
  t.same(none('"a,b" , ,"c"'), ["a,b", "c"]);
  t.same(none(',, "a" ,\t, W/"" ,'), ["a", ""]);
  for (const bad of [
    '"a" "b"',
    '"a',
    'w/"a"',
    'W/ "a"',
    '"a", b',
    '"a\u00ff\u0100"',
    '"a b"',
    " , ",
    "W/",
    '"a"W/"b"',
  ])
    t.equal(none(bad), null, bad);
  t.equal(none("*"), "any");
  t.equal(none('*, "a"'), null);
  t.equal(none("a"), null);
  t.equal(none(), null);
  t.equal(parseHttpDate("Fri, 20 Nov 2026 08:00:00 GMT"), Date.UTC(2026, 10, 20, 8));
  // The three forms of RFC 9110 §5.6.7.
  const example = Date.UTC(1994, 10, 6, 8, 49, 37);
  t.equal(parseHttpDate("Sun, 06 Nov 1994 08:49:37 GMT"), example);
  t.equal(parseHttpDate("Sunday, 06-Nov-94 08:49:37 GMT"), example);
  t.equal(parseHttpDate("Sun Nov  6 08:49:37 1994"), example);
  t.equal(parseHttpDate("Friday, 20-Nov-26 08:00:00 GMT"), Date.UTC(2026, 10, 20, 8));
  t.equal(parseHttpDate("Wednesday, 20-Nov-69 08:00:00 GMT"), Date.UTC(2069, 10, 20, 8));
  t.equal(parseHttpDate("Friday, 20-Nov-70 08:00:00 GMT"), Date.UTC(1970, 10, 20, 8));
  for (const bad of [
    "20 Nov 2026",
    "Fri, 20-Nov-26 08:00:00 GMT",
    "Sun Nov 06 08:49:37 1994 GMT",
    "Sun Nov 6 08:49:37 1994",
    "Fri, 20 Nov 2026 08:00:00 +0100",
    "Fri, 99 Nov 2026 08:00:00 GMT",
  ])
    t.equal(parseHttpDate(bad), null, bad);
  const range = (value: string, size = 10) => readRange(["Range", value], size);
  t.same(range("bytes=2-4"), { first: 2, last: 4 });
  t.same(range("BYTES=-4"), { first: 6, last: 9 });
  t.same(range("bytes=-40"), { first: 0, last: 9 });
  t.equal(range("bytes=10-"), "unsatisfiable");
  t.equal(range("bytes=99999999999999-"), "unsatisfiable");
  for (const odd of [
    "bytes=4-2",
    "bytes= 0-1",
    "bytes=0-1,3-4",
    "bytes=0x1-2",
    "bytes=+1-2",
    "items=0-1",
    "0-1",
    "bytes=99999999999999999-",
  ])
    t.equal(range(odd), "whole", odd);
  t.equal(readRange(["Range", "bytes=0-1", "range", "bytes=2-3"], 10), "whole", "two lines");
  const strong = parseTag('"a"');
  t.equal(rangeHolds(["If-Range", '"a"'], strong, null), true);
  t.equal(rangeHolds(["If-Range", '"a"'], parseTag('W/"a"'), null), false);
  t.equal(rangeHolds(["If-Range", "garbage"], strong, "Fri, 20 Nov 2026 08:00:00 GMT"), false);
});

t.test("a patient attacker's lists take no quadratic time", async (t) => {
  const long = `${'"a",'.repeat(4_000)}x`;
  t.equal(readNoneMatch(["If-None-Match", long]), null);
  t.equal(readNoneMatch(["If-None-Match", `${", ".repeat(8_000)}x`]), null);
  // Thirty of them were enough to keep the process busy for a minute and a half.
  for (const gap of [", ", " ,", " ,  ", "\t,\t", ","])
    t.equal(readNoneMatch(["If-None-Match", `"a"${gap.repeat(8_000)}x`]), null, gap);
  t.equal(readNoneMatch(["If-None-Match", `"a"${" ".repeat(30_000)}x`]), null);
  t.equal(chooseCoding(["Accept-Encoding", `${" ".repeat(16_000)}x`], all), null);
});
