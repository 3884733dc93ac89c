import { deepEqual } from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import type { HostName } from "../../../src/base/brands.ts";
import { HpackDecoder } from "../../../src/edge/http2/hpack-decoder.ts";
import { HpackEncoder } from "../../../src/edge/http2/hpack-encoder.ts";
import {
  decodedBytesMax,
  decodeHuffman,
  encodeHuffman,
  huffmanBytes,
} from "../../../src/edge/http2/huffman.ts";
import { mergeSecurity, securityHeaders } from "../../../src/reply/security.ts";

const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");

/** RFC 7541, Appendix C.3 and C.4: the same three requests, without and with Huffman. */
const requests: readonly (readonly [string, string])[] = [
  ["8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff"],
  ["8286 84be 5808 6e6f 2d63 6163 6865", "8286 84be 5886 a8eb 1064 9cbf"],
  [
    "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
  ],
];
const authority = [":authority", "www.example.com"];
const fields = [
  [":method", "GET", ":scheme", "http", ":path", "/", ...authority],
  [":method", "GET", ":scheme", "http", ":path", "/", ...authority, "cache-control", "no-cache"],
  [
    ...[":method", "GET", ":scheme", "https", ":path", "/index.html", ...authority],
    ...["custom-key", "custom-value"],
  ],
];

t.test("the examples of RFC 7541 are read as they say", async (t) => {
  for (const way of [0, 1] as const) {
    const decoder = new HpackDecoder(10_000);
    for (const [i, request] of requests.entries())
      t.same(decoder.decode(hex(request[way])), { raw: fields[i], isMalformed: false });
  }
  // C.6.1, with a table of 256 bytes.
  const decoder = new HpackDecoder(10_000);
  const answer =
    "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3";
  t.same(decoder.decode(hex(`3fe101 ${answer}`))?.raw, [
    ...[":status", "302", "cache-control", "private", "date", "Mon, 21 Oct 2013 20:13:21 GMT"],
    ...["location", "https://www.example.com"],
  ]);
  t.same(decoder.decode(hex("4883 640e ffc1 c0bf"))?.raw.slice(0, 4), [
    ...[":status", "307", "cache-control", "private"],
  ]);
  t.equal(decoder.decode(hex("c2")), null, "and what was pushed out is there no more");
});

t.test("what is no HPACK ends the connection", async (t) => {
  const cases: readonly (readonly [string, string])[] = [
    ["index 0", "80"],
    ["an index that is not in the table", "be"],
    ["the name of an index that is not in the table", "7e 0161"],
    ["an integer without end", "ff ff ff ff ff ff ff ff ff ff"],
    ["an integer that is cut", "ff ff"],
    ["an integer above the bound", "7f ff ff ff 7f 00"],
    ["a string longer than its block", "40 05 61 62"],
    ["a string without its value", "40 01 61"],
    ["a table above our bound", "3f e2 1f"],
    ["a bound of the table behind a field", "82 20"],
    ["a Huffman string with the end in it", "40 84 ff ff ff ff 01 61"],
    ["a Huffman string padded with zeros", "40 81 18 01 61"],
    ["a Huffman string padded with a whole byte", "40 82 1f ff 01 61"],
  ];
  for (const [what, block] of cases) t.equal(new HpackDecoder(10_000).decode(hex(block)), null, what);
  t.same(
    new HpackDecoder(10_000).decode(hex("20 3fe11f 82"))?.raw,
    [":method", "GET"],
    "two bounds in front",
  );
  t.same(new HpackDecoder(10_000).decode(hex("")), { raw: [], isMalformed: false });
});

/** A literal that goes into the table (`40`), or not (`00`). */
function literal(name: string, value: string, first = 0x40): Buffer {
  const text = (of: string) => Buffer.concat([Buffer.from([of.length]), Buffer.from(of, "latin1")]);
  return Buffer.concat([Buffer.from([first]), text(name), text(value)]);
}

t.test("a malformed name or value is told, each time it is meant again", async (t) => {
  for (const [name, value] of [
    ["X-A", "b"],
    ["x a", "b"],
    ["x:a", "b"],
    ["", "b"],
    ["x\xe4", "b"],
    ["x-a", "b\r\nc: d"],
    ["x-a", "b\0"],
    ["x-a", " b"],
    ["x-a", "b\t"],
    ["x-a", "\x7f"],
  ] as const) {
    const decoder = new HpackDecoder(10_000);
    t.equal(decoder.decode(literal(name, value))?.isMalformed, true, JSON.stringify([name, value]));
    t.equal(decoder.decode(Buffer.from([0xbe]))?.isMalformed, true, "from the table");
    t.equal(decoder.decode(literal("x-b", "\xe9 c"))?.isMalformed, false);
    t.equal(decoder.decode(Buffer.from([0xbe]))?.isMalformed, false);
  }
});

t.test("a list above the bound is told up to the field that passes it, and the table goes on", async (t) => {
  const decoder = new HpackDecoder(200);
  decoder.decode(literal("x-long", "v".repeat(100)));
  const many = decoder.decode(Buffer.concat([Buffer.alloc(1_000, 0xbe), literal("x-new", "w")]));
  t.equal(many?.raw.length, 4, "two fields of 138");
  t.same(decoder.decode(Buffer.from([0xbe]))?.raw, ["x-new", "w"]);
});

const latin1 = fc
  .array(fc.integer({ min: 0, max: 255 }), { maxLength: 60 })
  .map((bytes) => Buffer.from(bytes).toString("latin1"));

t.test("every text survives the Huffman code, and no other bytes make it", async (t) => {
  fc.assert(
    fc.property(latin1, (text) => {
      const coded = Buffer.alloc(text.length * 4 + 4);
      const end = encodeHuffman(text, coded, 1);
      deepEqual(end - 1, huffmanBytes(text));
      const out = Buffer.alloc(decodedBytesMax(end - 1));
      const length = decodeHuffman(coded, 1, end, out);
      deepEqual(out.toString("latin1", 0, length), text);
    }),
    { numRuns: 5_000 },
  );
  // A code that is read in two ways would be a text that is two texts.
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
      const input = Buffer.from(bytes);
      const out = Buffer.alloc(decodedBytesMax(input.length));
      const length = decodeHuffman(input, 0, input.length, out);
      if (length < 0) return;
      const again = Buffer.alloc(input.length + 4);
      const end = encodeHuffman(out.toString("latin1", 0, length), again, 0);
      deepEqual(again.subarray(0, end), input);
    }),
    { numRuns: 20_000 },
  );
  t.pass("25,000 texts");
});

const answerField = fc.oneof(
  fc.constantFrom(
    ["content-type", "text/html; charset=utf-8"],
    ["content-type", "application/json"],
    ["cache-control", "no-store"],
    ["x-frame-options", "DENY"],
    ["accept-encoding", "gzip, deflate"],
    ["etag", '"a"'],
    ["set-cookie", "session_id=secret"],
    ["x-long", "y".repeat(1_500)],
  ),
  fc.tuple(fc.constantFrom("x-a", "x-b", "server"), fc.constantFrom("1", "2", "3", "ä", "")),
);
const answer = fc.record({
  status: fc.constantFrom(200, 304, 404, 418, 503),
  fields: fc.array(answerField, { maxLength: 12 }).map((fields) => Object.freeze(fields.flat())),
  more: fc.constantFrom([], ["content-length", "12", "date", "now"]),
  tableBytesMax: fc.option(fc.constantFrom(0, 100, 200, 4_096, 65_536)),
});

t.test("what the encoder writes, the decoder reads, whatever was sent before", async (t) => {
  fc.assert(
    fc.property(
      fc
        .array(answer, { minLength: 1, maxLength: 6 })
        .chain((answers) => fc.array(fc.constantFrom(...answers), { minLength: 1, maxLength: 20 })),
      (answers) => {
        const encoder = new HpackEncoder();
        const decoder = new HpackDecoder(1_000_000);
        for (const { status, fields, more, tableBytesMax } of answers) {
          if (tableBytesMax !== null) encoder.resize(tableBytesMax);
          const block = encoder.encode(status, fields, more, 9).subarray(9);
          deepEqual(decoder.decode(block)?.raw, [":status", String(status), ...fields, ...more]);
        }
      },
    ),
    { numRuns: 2_000 },
  );
  t.pass("2,000 connections");
});

t.test("a head that is sent again takes a byte a field, and a cookie is never kept on the way", async (t) => {
  const encoder = new HpackEncoder();
  const fields = Object.freeze(["content-type", "text/html", "x-frame-options", "DENY", "x-own", "1"]);
  encoder.encode(200, fields, [], 0);
  t.same([...encoder.encode(200, fields, [], 0)], [0x88, 0xc0, 0xbf, 0xbe]);
  t.same([...encoder.encode(200, fields, [], 0)], [0x88, 0xc0, 0xbf, 0xbe], "from memory");
  const cookie = encoder.encode(200, ["set-cookie", "session_id=a"], [], 0);
  t.equal((cookie[1] ?? 0) & 0xf0, 0x10, "never indexed (RFC 7541 §6.2.3)");
  t.same(
    [...encoder.encode(200, fields, [], 0)],
    [0x88, 0xc0, 0xbf, 0xbe],
    "nor has it a place in the table",
  );
});

t.test("a name or value that HTTP has not is our mistake, and does not go out", async (t) => {
  const encoder = new HpackEncoder();
  for (const [name, value] of [
    ["X-A", "b"],
    ["x a", "b"],
    ["x-a", "b\r\nc: d"],
    ["x-a", "\u010a"],
  ] as const)
    t.throws(() => encoder.encode(200, [name, value], [], 0), `${name}: ${value}`);
});

t.test("the gateway's own security fields cost some bytes each from the second answer on", async (t) => {
  const served = [1, 2, 3, 4, 5].map((n) => ({
    host: `site-number-${n}.example.com` as HostName,
    port: null,
  }));
  const security = securityHeaders({
    preset: "standard",
    domains: served,
    hstsMaxAgeSeconds: 31_536_000,
    hstsSubdomains: true,
    hstsPreload: false,
    cspScriptSources: [],
    cspReports: true,
    upgradeInsecure: false,
  });
  const out: string[] = [];
  mergeSecurity(security.classFor("site-number-1.example.com", true), [], out);
  const lower = out.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text));
  const twice = (tableBytes: number) => {
    const encoder = new HpackEncoder();
    encoder.resize(tableBytes);
    return [1, 2].map(() => encoder.encode(200, lower, [], 0).length);
  };
  const [first = 0, second = 0] = twice(4_096);
  t.ok(first > 1_000 && second <= 1 + lower.length, `${first} bytes, then ${second}`);
  const longest = lower.reduce((most, { length }) => Math.max(most, length), 0);
  const [, again = 0] = twice(1_024);
  t.ok(again <= longest + 2 * lower.length, `${again} bytes: a small table keeps all but the longest`);
});
