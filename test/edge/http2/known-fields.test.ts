import { deepEqual } from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { type Http2Head, readHead } from "../../../src/edge/http2/fields.ts";
import { KnownHttp2Fields } from "../../../src/edge/http2/known-fields.ts";

const pseudo = fc.tuple(
  fc.constantFrom("GET", "POST", "CONNECT"),
  fc.constantFrom("/a", "/b?c=1", ""),
  fc.constantFrom("odoo.test", "other.test"),
  fc.constantFrom("https", "http"),
);
const field = fc.oneof(
  fc
    .constantFrom("0", "1", "7", "10", "007", "12345", "+1", "", "1, 1")
    .map((value) => ["content-length", value]),
  fc.constantFrom(
    ["cookie", "session_id=a"],
    ["cookie", "session_id=b"],
    ["cookie", "tz=UTC"],
    ["expect", "100-continue"],
    ["accept", "*/*"],
    ["x-forwarded-for", "198.51.100.1"],
  ),
);
const section = fc
  .tuple(pseudo, fc.array(field, { maxLength: 4 }))
  .map(([[method, path, authority, scheme], fields]) => [
    ":method",
    method,
    ":authority",
    authority,
    ":scheme",
    scheme,
    ":path",
    path,
    ...fields.flat(),
  ]);
const session = fc
  .array(section, { minLength: 1, maxLength: 6 })
  .chain((sections) => fc.array(fc.constantFrom(...sections), { minLength: 2, maxLength: 12 }));

const withoutLikeness = (head: Http2Head | null) => head && { ...head, likeness: null };

t.test("a field section means the same whatever was asked before on its session", async (t) => {
  let remembered = 0;
  fc.assert(
    fc.property(session, (sections) => {
      const known = new KnownHttp2Fields();
      for (const raw of sections) {
        const got = known.read(raw);
        deepEqual(withoutLikeness(got), withoutLikeness(readHead(raw)));
        if (got !== null && got.likeness !== null) remembered += 1;
      }
    }),
    { numRuns: 4_000 },
  );
  t.ok(remembered > 1_000, `${remembered} sections were known again`);
});

t.test("a field whose value says content-length is not taken for the length", async (t) => {
  const known = new KnownHttp2Fields();
  const raw = (length: string) =>
    [":method", "POST", ":authority", "odoo.test", ":scheme", "https", ":path", "/a"].concat([
      "x-a",
      "content-length",
      "7",
      "b",
      "content-length",
      length,
    ]);
  for (const length of ["7", "7", "7", "8"])
    t.same(withoutLikeness(known.read(raw(length))), withoutLikeness(readHead(raw(length))));
});

t.test(
  "sections are alike when path, method and Content-Length alone differ, until the client is quiet",
  async (t) => {
    const known = new KnownHttp2Fields();
    const raw = (path: string, length: string, cookie: string) =>
      [":method", "POST", ":authority", "odoo.test", ":scheme", "https", ":path", path].concat([
        "content-length",
        length,
        "cookie",
        `session_id=${cookie}`,
      ]);
    t.equal(known.read(raw("/a", "1", "a"))?.likeness, null, "a session's only request is not remembered");
    known.read(raw("/a", "1", "a"));
    const likeness = known.read(raw("/a", "1", "a"))?.likeness;
    t.type(likeness, "object");
    const other = known.read(raw("/b", "20", "a"));
    t.equal(other?.likeness, likeness);
    t.match(other, { target: "/b", bodyBytes: 20, fields: ["content-length", "20"] });
    t.not(known.read(raw("/b", "20", "b"))?.likeness, likeness, "another cookie is another visitor");
    t.equal(known.read(raw("/c", "3", "a"))?.likeness, likeness);
    known.forget();
    t.not(known.read(raw("/c", "3", "a"))?.likeness, likeness);
  },
);
