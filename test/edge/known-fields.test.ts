import { deepEqual } from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { edgeBounds } from "../../src/edge/bounds.ts";
import { type RequestHead, RequestReader } from "../../src/edge/request-reader.ts";

/** What a reader makes of heads that come one after the other on one connection. */
function read(
  heads: readonly string[],
  cut = 0,
): { readonly heads: RequestHead[]; readonly broken: string | null } {
  const got: RequestHead[] = [];
  let broken: string | null = null;
  const bodyless = { data: () => {}, end: () => {} };
  const reader = new RequestReader(
    {
      ...bodyless,
      head: (head) => got.push(head),
      broken: (status, code) => {
        broken = `${status} ${code}`;
      },
    },
    edgeBounds,
  );
  for (const head of heads) {
    const bytes = Buffer.from(head, "latin1");
    // In two pieces, as a network may bring it.
    const at = Math.floor(cut * bytes.length);
    if (at > 0) reader.push(bytes.subarray(0, at));
    reader.push(bytes.subarray(at));
    const { framing } = got.at(-1) ?? { framing: { kind: "none" } };
    if (framing.kind === "length" && framing.bytes > 0) reader.push(Buffer.alloc(framing.bytes));
    else if (framing.kind === "chunked") reader.push(Buffer.from("0\r\n\r\n"));
    reader.next();
  }
  return { heads: got, broken };
}

const start = fc.constantFrom(
  "GET /a HTTP/1.1",
  "GET /a?b=1 HTTP/1.1",
  "POST /b HTTP/1.1",
  "POST /b HTTP/1.0",
  "CONNECT /a HTTP/1.1",
  "GET /a HTTP/2.0",
);
const line = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom("Host: odoo.test", "Cookie: session_id=a", "Cookie: session_id=b"),
  },
  {
    weight: 4,
    arbitrary: fc
      .constantFrom("0", "1", "7", "10", "007", "12345", "9007199254740993", "+1", "", "1, 1")
      .map((value) => `Content-Length: ${value}`),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      "content-length: 5",
      "Content-Length:5",
      "CONTENT-LENGTH:  5 ",
      "X-Content-Length: 5",
      "X: Content-Length: 5",
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "Transfer-Encoding: chunked",
      "Connection: close",
      "Connection: keep-alive",
      "Expect: 100-continue",
      "Upgrade: websocket",
      "Accept:\t*/*",
      "Bad Name: x",
      "Null: \u0000",
    ),
  },
);
const head = fc
  .tuple(start, fc.array(line, { maxLength: 4 }))
  .map(([first, lines]) => [first, ...lines, "", ""].join("\r\n"));

/** A few heads, asked again and again in any order: what a reader remembers is put to use. */
const connection = fc
  .array(head, { minLength: 1, maxLength: 3 })
  .chain((heads) => fc.array(fc.constantFrom(...heads), { minLength: 2, maxLength: 8 }));

const withoutLikeness = ({ likeness: _, ...rest }: RequestHead) => rest;

t.test("a head means the same whatever was asked before on its connection", async (t) => {
  let remembered = 0;
  fc.assert(
    fc.property(connection, fc.double({ min: 0, max: 0.99, noNaN: true }), (heads, cut) => {
      const together = read(heads, cut);
      for (const [i, got] of together.heads.entries()) {
        const alone = read([heads[i] ?? ""]).heads[0];
        deepEqual(withoutLikeness(got), alone === undefined ? undefined : withoutLikeness(alone));
        if (got.likeness !== null && got.likeness === together.heads[i - 1]?.likeness) remembered += 1;
      }
    }),
    { numRuns: 4_000 },
  );
  t.ok(remembered > 1_000, `${remembered} heads were known again`);
});

t.test("fields are alike when only the number in Content-Length differs, and never else", async (t) => {
  const post = (length: string, more = "Cookie: session_id=a") =>
    `POST /b HTTP/1.1\r\nHost: odoo.test\r\nContent-Length: ${length}\r\n${more}\r\n\r\n`;
  const { heads } = read([
    post("1"),
    post("1"),
    post("20"),
    post("3"),
    post("3", "Cookie: session_id=b"),
    post("3", "Cookie: session_id=b"),
    post("03", "Cookie: session_id=b"),
  ]);
  const [first, second, longer, third, other, again, zero] = heads;
  t.equal(first?.likeness, null, "a connection's only request is not remembered");
  t.equal(longer?.likeness, second?.likeness);
  t.equal(third?.likeness, second?.likeness);
  t.same(longer?.framing, { kind: "length", bytes: 20 });
  t.same(longer?.fields, ["Host", "odoo.test", "Content-Length", "20", "Cookie", "session_id=a"]);
  t.not(other?.likeness, second?.likeness);
  t.equal(again?.likeness, other?.likeness);
  t.equal(zero?.framing.kind, "refused");
  t.not(zero?.likeness, other?.likeness);
});
