import { equal } from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { type AnswerHead, AnswerReader } from "../../src/upstream/answer-reader.ts";
import { KnownHeads } from "../../src/upstream/known-heads.ts";

function read(bytes: Buffer, method: string): { readonly head: AnswerHead | null; readonly failed: boolean } {
  let head: AnswerHead | null = null;
  let failed = false;
  const reader = new AnswerReader(method, false, {
    head: (got) => {
      head = got;
    },
    data: () => {},
    end: () => {},
    failure: () => {
      failed = true;
    },
  });
  reader.push(bytes);
  return { head, failed };
}

const line = fc.constantFrom(
  "Content-Type: application/json",
  "Date: Sat, 21 Nov 2026 19:00:00 GMT",
  "Date: Sat, 21 Nov 2026 19:00:01 GMT",
  "Content-Length: 5",
  "Content-Length: 50",
  "Content-Length: 005",
  "content-length: 7",
  "Content-Length:7",
  "Content-Length: x",
  "X-Content-Length: 8",
  "Connection: close",
  "Transfer-Encoding: chunked",
  "Set-Cookie: session_id=a",
  "Location: /web",
);
const answer = fc
  .tuple(
    fc.constantFrom("HTTP/1.0 200 OK", "HTTP/1.1 200 OK", "HTTP/1.1 204 No Content", "HTTP/1.1 500 Oops"),
    fc.array(line, { maxLength: 4 }),
  )
  .map(([status, lines]) => Buffer.from([status, ...lines, "", ""].join("\r\n")));

t.test("a head of Odoo's is read the same whichever were read before", async (t) => {
  const seen = new Map<string, string>();
  let alike = 0;
  fc.assert(
    fc.property(answer, fc.constantFrom("GET", "HEAD", "POST"), (bytes, method) => {
      const { head, failed } = read(bytes, method);
      const { likeness = null, ...rest } = head ?? { likeness: null };
      if (likeness !== null) alike += 1;
      const key = `${method === "HEAD"} ${bytes.toString("latin1")}`;
      const told = JSON.stringify([rest, failed]);
      equal(seen.get(key) ?? told, told, key);
      seen.set(key, told);
      // Worked out by hand: what is told does not come from memory alone.
      const lengths = [...bytes.toString("latin1").matchAll(/\r\ncontent-length: ?([0-9]+)/gi)];
      if (head?.framing.kind === "length") equal(head.framing.bytes, Number(lengths[0]?.[1]), key);
    }),
    { numRuns: 20_000 },
  );
  t.ok(alike > 1_000, `${alike} heads were alike to others`);
});

t.test(
  "heads with a cookie, a redirect or a tag are not remembered, and those of HEAD neither",
  async (t) => {
    const known = new KnownHeads();
    const plain = { status: 200, framing: { kind: "length", bytes: 5 }, reusable: true } as const;
    const learn = (fields: readonly string[]) => {
      const head = [...fields, "Content-Length", "5"];
      const bytes = Buffer.from(`HTTP/1.1 200 OK\r\n${fields[0]}: ${fields[1]}\r\nContent-Length: 5`);
      const learnt = known.learn({ ...plain, fields: head }, bytes);
      return { learnt, again: known.match(bytes) };
    };
    for (const name of ["Set-Cookie", "location", "ETag", "Last-Modified", "Content-Disposition"]) {
      const { learnt, again } = learn([name, "x"]);
      t.equal(learnt.likeness ?? null, null, name);
      t.equal(again, null, name);
    }
    t.equal(learn(["Content-Type", "text/html"]).again, null, "the first may be the only one");
    const { learnt, again } = learn(["Content-Type", "text/html"]);
    t.type(learnt.likeness, "object");
    t.equal(again?.likeness, learnt.likeness);
    const bytes = Buffer.from("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5");
    t.equal(read(Buffer.concat([bytes, Buffer.from("\r\n\r\n")]), "HEAD").head?.likeness ?? null, null);
  },
);
