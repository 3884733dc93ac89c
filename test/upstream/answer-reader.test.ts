import fc from "fast-check";
import t from "tap";
import type { FailureKind } from "../../src/observe/events.ts";
import { type AnswerHead, AnswerReader, interimAnswersMax } from "../../src/upstream/answer-reader.ts";
import { answerParts, compareWithNode, oneByteChanges } from "../support/answer-differential.ts";

interface Read {
  head: AnswerHead | null;
  body: string;
  ended: boolean;
  rest: string;
  failure: FailureKind | null;
  detail: string;
}

/** Feeds bytes in pieces of `step`, then EOF when asked. */
function read(
  bytes: string | Buffer,
  options: { method?: string; step?: number; eof?: boolean; tunnel?: boolean } = {},
): Read {
  const result: Read = { head: null, body: "", ended: false, rest: "", failure: null, detail: "" };
  const reader = new AnswerReader(options.method ?? "GET", options.tunnel ?? false, {
    head: (head) => {
      result.head = head;
    },
    data: (chunk) => {
      result.body += chunk.toString("latin1");
    },
    end: (rest) => {
      result.ended = true;
      result.rest = rest.toString("latin1");
    },
    failure: (kind, detail) => {
      result.failure = kind;
      result.detail = detail;
    },
  });
  const buffer = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes;
  const step = options.step ?? Math.max(1, buffer.length);
  for (let at = 0; at < buffer.length && !reader.done; at += step)
    reader.push(buffer.subarray(at, at + step));
  if (options.eof ?? true) reader.eof();
  return result;
}

const ok = "HTTP/1.1 200 OK\r\n";

t.test("every framing ends where RFC 9112 §6.3 says, whatever the pieces", async (t) => {
  const cases: [string, string, string, string][] = [
    ["length", `${ok}Content-Length: 5\r\n\r\nhello`, "GET", "hello"],
    ["length zero", `${ok}Content-Length: 0\r\n\r\n`, "GET", ""],
    [
      "Odoo's page until EOF",
      "HTTP/1.0 200 OK\r\nServer: W\r\nConnection: close\r\n\r\n<html>",
      "GET",
      "<html>",
    ],
    [
      "chunked",
      `${ok}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\n`,
      "GET",
      "abc0123456789",
    ],
    ["HEAD keeps its length to itself", `${ok}Content-Length: 5\r\n\r\n`, "HEAD", ""],
    ["304 has no body", "HTTP/1.1 304 NOT MODIFIED\r\nContent-Length: 5\r\n\r\n", "GET", ""],
    [
      "interim answers are dropped",
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${ok}Content-Length: 2\r\n\r\nok`,
      "POST",
      "ok",
    ],
    ["no reason phrase", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "GET", "ok"],
  ];
  for (const [name, bytes, method, body] of cases) {
    for (const step of [1, 2, 7, 10_000]) {
      const got = read(bytes, { method, step });
      t.equal(got.failure, null, `${name} in steps of ${step}: ${got.detail}`);
      t.equal(got.ended, true, `${name} ends`);
      t.equal(got.body, body, `${name} body`);
    }
  }
});

t.test("an answer cut by Odoo never looks complete", async (t) => {
  for (const [bytes, kind] of [
    ["", "closed-without-answer"],
    ["HTTP/1.1 200 OK\r\nCont", "answer-malformed"],
    [`${ok}Content-Length: 5\r\n\r\nhell`, "answer-cut"],
    [`${ok}Transfer-Encoding: chunked\r\n\r\n3\r\nab`, "answer-cut"],
    [`${ok}Transfer-Encoding: chunked\r\n\r\n3\r\nabc`, "answer-cut"],
    [`${ok}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`, "answer-cut"],
    [`${ok}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n`, "answer-cut"],
  ] as const) {
    const got = read(bytes);
    t.equal(got.failure, kind, JSON.stringify(bytes));
    t.equal(got.ended, false);
  }
});

t.test("a file that Odoo leaves to its proxy is no empty file", async (t) => {
  const path = "/var/lib/odoo/filestore/prod/aa/aab";
  for (const bytes of [
    `${ok}X-Sendfile: ${path}\r\nContent-Length: 0\r\n\r\n`,
    `${ok}Content-Length: 0\r\nx-accel-redirect: ${path}\r\n\r\n`,
    `HTTP/1.0 206 PARTIAL CONTENT\r\nX-Accel-Redirect: ${path}\r\nContent-Length: 0\r\n\r\n`,
  ]) {
    for (const method of ["GET", "HEAD"])
      t.match(read(bytes, { method, eof: false }), { head: { namesFile: true }, ended: true }, bytes);
  }
  for (const bytes of [
    `${ok}X-Sendfile: ${path}\r\nContent-Length: 2\r\n\r\nok`,
    `HTTP/1.1 304 Not Modified\r\nX-Sendfile: ${path}\r\nContent-Length: 0\r\n\r\n`,
    `${ok}Content-Length: 0\r\n\r\n`,
  ])
    t.match(read(bytes), { head: { namesFile: undefined }, failure: null }, bytes);
  // A head that is known by its bytes but for the length.
  const known = (bytes: number) =>
    read(`${ok}X-Accel-Redirect: ${path}\r\nContent-Length: ${bytes}\r\n\r\n${"x".repeat(bytes)}`);
  for (let i = 0; i < 4; i += 1) t.match(known(5), { body: "xxxxx", head: { namesFile: undefined } });
  t.match(known(0), { body: "", head: { namesFile: true } });
});

t.test("an answer with two readings is malformed", async (t) => {
  for (const bytes of [
    `${ok}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`,
    `${ok}Content-Length: 5, 5\r\n\r\nhello`,
    `${ok}Content-Length: +5\r\n\r\nhello`,
    `${ok}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    `${ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    `${ok}X : v\r\n\r\n`,
    `${ok}X: a\r\n b\r\n\r\n`,
    `${ok}X: a\nY: b\r\n\r\n`,
    `${ok}X: a\rY: b\r\n\r\n`,
    `${ok}X: a\0b\r\n\r\n`,
    `${ok}no colon\r\n\r\n`,
    `${ok}: v\r\n\r\n`,
    "HTTP/1.1 200 OK\nX: y\n\n",
    "HTTP/2.0 200 OK\r\n\r\n",
    "HTTP/1.1 2000 OK\r\n\r\n",
    "HTTP/1.1 099 OK\r\n\r\n",
    "ICY 200 OK\r\n\r\n",
    "<html>no head</html>\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    `${ok}Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n`,
    `${ok}Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n`,
    `${ok}Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n`,
    `${ok}Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\nabcd\r\n0\r\n\r\n`,
    `${ok}Transfer-Encoding: chunked\r\n\r\n0\r\nT : v\r\n\r\n`,
    `${ok}Transfer-Encoding: chunked\r\n\r\n3;]=b\r\nabc\r\n0\r\n\r\n`,
    `${ok}Transfer-Encoding: chunked\r\n\r\n3 ;a=b\r\nabc\r\n0\r\n\r\n`,
    "HTTP/1.0 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n".repeat(interimAnswersMax + 1),
    `${ok}${"X: y\r\n".repeat(300)}\r\n`,
    `${ok}X: ${"y".repeat(70_000)}\r\n\r\n`,
  ]) {
    const got = read(bytes, { eof: false });
    t.equal(got.failure, "answer-malformed", JSON.stringify(bytes.slice(0, 80)));
    t.equal(got.ended, false);
  }
});

t.test("bytes behind an answer are handed over, so that the connection is not trusted again", async (t) => {
  t.equal(read(`${ok}Content-Length: 2\r\n\r\nokHTTP/1.1 200 poisoned`).rest, "HTTP/1.1 200 poisoned");
  const tunnel = read("HTTP/1.1 101 SWITCHING PROTOCOLS\r\nUpgrade: websocket\r\n\r\n\x81\x00", {
    tunnel: true,
  });
  t.equal(tunnel.head?.status, 101);
  t.equal(tunnel.rest, "\x81\x00");
});

t.test("a connection is kept only after an answer that says so", async (t) => {
  t.equal(read(`${ok}Content-Length: 0\r\n\r\n`).head?.reusable, true);
  t.equal(read(`${ok}Content-Length: 0\r\nConnection: foo, Close\r\n\r\n`).head?.reusable, false);
  t.equal(read("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").head?.reusable, false);
  t.equal(read(`${ok}\r\n`).head?.reusable, false, "close-delimited");
});

const { starts, fields, bodies } = answerParts;
/** Cuts, doubles or replaces one byte. */
const mutation = fc.record({
  at: fc.nat(400),
  kind: fc.constantFrom("none", "none", "drop", "double", "set"),
  byte: fc.nat(255),
});

function mutate(text: string, m: { at: number; kind: string; byte: number }): string {
  const at = text.length === 0 ? 0 : m.at % text.length;
  if (m.kind === "drop") return text.slice(0, at) + text.slice(at + 1);
  if (m.kind === "double") return text.slice(0, at) + text.slice(at, at + 1) + text.slice(at);
  if (m.kind === "set") return text.slice(0, at) + String.fromCharCode(m.byte) + text.slice(at + 1);
  return text;
}

t.test(
  "it never accepts what Node's parser refuses, and never reads another body (differential, generated and mutated answers)",
  async (t) => {
    const answers = fc.tuple(
      fc
        .tuple(
          fc.constantFrom(...starts),
          fc.array(fc.constantFrom(...fields), { maxLength: 3 }),
          fc.array(fc.constantFrom(...bodies), { maxLength: 3 }),
          mutation,
        )
        .map(([start, lines, body, m]) => mutate(`${start}${lines.join("")}\r\n${body.join("")}`, m)),
      fc.constantFrom("GET", "HEAD"),
    );
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(answers, async ([text, method]) => {
        const compared = await compareWithNode(text, method);
        if (compared === "same") accepted += 1;
        else if (compared !== "refused") throw new Error(compared.difference);
      }),
      { numRuns: 100_000 },
    );
    t.ok(accepted > 10_000, `${accepted} answers were accepted by both`);
  },
);

t.test("nor after any change of one byte, in its framing and chunks", async (t) => {
  const differences: string[] = [];
  let accepted = 0;
  for (const text of [
    "HTTP/1.1 100 X\r\n\r\nHTTP/1.1 200 X\r\nContent-Length: 1\r\n\r\na",
    'HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b;c="d\\e"\r\na\r\n0\r\nT:v\r\n\r\n',
    "HTTP/1.0 200 X\r\nConnection: close\r\n\r\na",
  ])
    for (const changed of oneByteChanges(text)) {
      const compared = await compareWithNode(changed, "GET");
      if (compared === "same") accepted += 1;
      else if (compared !== "refused") differences.push(compared.difference);
    }
  t.same(differences.slice(0, 5), []);
  t.ok(accepted > 2_000, `${accepted} answers were accepted by both`);
});
