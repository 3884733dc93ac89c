import { chunked, type RawCase, request, smuggled, twoReadings } from "./case.ts";

/** RFC 9112 §6, §7: where does the body end, and is what follows a request of its own. */

const post = (lines: readonly string[], body: string): string => request("POST /demo/echo", lines, body);

/** Names and values that some read as `Transfer-Encoding: chunked` and others do not. */
const codings: readonly (readonly [string, readonly string[]])[] = [
  ["plain", ["Transfer-Encoding: chunked"]],
  ["in capitals", ["TRANSFER-ENCODING: CHUNKED"]],
  ["in small letters", ["transfer-encoding: chunked"]],
  ["with a tab", ["Transfer-Encoding:\tchunked"]],
  ["with spaces", ["Transfer-Encoding:    chunked   "]],
  ["with a vertical tab", ["Transfer-Encoding: \x0bchunked"]],
  ["with a form feed", ["Transfer-Encoding: chunked\x0c"]],
  ["space before the colon", ["Transfer-Encoding : chunked"]],
  ["tab before the colon", ["Transfer-Encoding\t: chunked"]],
  ["in quotes", ['Transfer-Encoding: "chunked"']],
  ["in single quotes", ["Transfer-Encoding: 'chunked'"]],
  ["with a comma before", ["Transfer-Encoding: ,chunked"]],
  ["with a comma behind", ["Transfer-Encoding: chunked,"]],
  ["with a parameter", ["Transfer-Encoding: chunked;q=1"]],
  ["twice in a list", ["Transfer-Encoding: chunked, chunked"]],
  ["twice in lines", ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"]],
  ["before identity", ["Transfer-Encoding: chunked, identity"]],
  ["behind identity", ["Transfer-Encoding: identity, chunked"]],
  ["identity alone", ["Transfer-Encoding: identity"]],
  ["identity and chunked in lines", ["Transfer-Encoding: identity", "Transfer-Encoding: chunked"]],
  ["chunked and identity in lines", ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"]],
  ["behind gzip", ["Transfer-Encoding: gzip, chunked"]],
  ["gzip alone", ["Transfer-Encoding: gzip"]],
  ["an unknown coding", ["Transfer-Encoding: cow"]],
  ["chunked and an unknown coding", ["Transfer-Encoding: chunked", "Transfer-Encoding: cow"]],
  ["misspelt", ["Transfer-Encoding: xchunked"]],
  ["cut", ["Transfer-Encoding: chunke"]],
  ["empty", ["Transfer-Encoding:"]],
  ["empty, then chunked", ["Transfer-Encoding:", "Transfer-Encoding: chunked"]],
  ["folded", ["Transfer-Encoding:", " chunked"]],
  ["folded with a tab", ["Transfer-Encoding:", "\tchunked"]],
  ["behind a bare LF", ["X-A: b\nTransfer-Encoding: chunked"]],
  ["behind a bare CR", ["X-A: b\rTransfer-Encoding: chunked"]],
  ["with a NUL", ["Transfer-Encoding: chunked\0"]],
  ["a byte above ASCII", ["Transfer-Encoding: chunked\xff"]],
  ["a full-width letter", ["Transfer-Encoding: \xef\xbd\x83hunked"]],
  ["an underscore for the hyphen", ["Transfer_Encoding: chunked"]],
  ["a space before the name", [" Transfer-Encoding: chunked"]],
  ["a sign before the name", ["+Transfer-Encoding: chunked"]],
  ["a dot behind the name", ["Transfer-Encoding.: chunked"]],
  ["no colon", ["Transfer-Encoding chunked"]],
];

/** Codings that are no transfer coding at all: the name is another field's, and Content-Length alone counts. */
const harmless: ReadonlySet<string> = new Set(["a sign before the name", "a dot behind the name"]);

const codingWithLength: readonly RawCase[] = codings
  .filter(([what]) => !harmless.has(what))
  .flatMap(([what, lines]) => {
    const body = `0\r\n\r\n${smuggled}`;
    const before = {
      name: `a request hides behind Content-Length and a transfer coding ${what}`,
      bytes: post([`Content-Length: ${body.length}`, ...lines], body),
      expect: [400, 501],
    };
    const behind = {
      name: `a request hides behind a transfer coding ${what} and Content-Length`,
      bytes: post([...lines, "Content-Length: 4"], chunked(smuggled)),
      expect: [400, 501],
    };
    return [before, behind];
  });

const codingAlone: readonly RawCase[] = codings
  .filter(([what]) => !harmless.has(what))
  .map(([what, lines]) => {
    const fine = ["plain", "in capitals", "in small letters", "with a tab", "with spaces"].includes(what);
    return fine
      ? {
          name: `a chunked body (coding ${what}) reaches Odoo with one length`,
          bytes: post(lines, chunked("a=b")),
          expect: "forwarded",
        }
      : {
          name: `a request hides in a body whose transfer coding is ${what}`,
          bytes: post(lines, chunked(smuggled)),
          expect: [400, 501],
        };
  });

const foreignNames: readonly RawCase[] = codings
  .filter(([what]) => harmless.has(what))
  .map(([what, lines]) => ({
    name: `a field that only looks like Transfer-Encoding (${what}) changes nothing`,
    bytes: post([...lines, "Content-Length: 3"], "a=b"),
    expect: "forwarded",
  }));

const lengths: readonly RawCase[] = (
  [
    ["+3", 3],
    ["-3", 3],
    ["-0", 0],
    ["0x3", 3],
    ["3 ", 3],
    ["\t3", 3],
    ["03", 3],
    ["003", 3],
    ["3.0", 3],
    ["3e0", 3],
    ["3,3", 3],
    ["3, 3", 3],
    ["3,4", 3],
    ["3;q=1", 3],
    ["3 4", 3],
    ['"3"', 3],
    ["", 0],
    ["abc", 0],
    ["1_0", 10],
    ["\xb3", 3],
    ["\xd9\xa3", 3],
    ["18446744073709551619", 3],
    ["4294967299", 3],
    ["9223372036854775808", 3],
    ["99999999999999999999999999", 3],
    ["3\0", 3],
    ["3\x0b", 3],
    ["\xa03", 3],
    ["infinity", 3],
    ["0b11", 3],
    ["0o3", 3],
    [`${"0".repeat(300)}3`, 3],
  ] as const
).map(([value, bytes]) => {
  const fine = value === "3 " || value === "\t3";
  const huge = value === "4294967299";
  return {
    name: `a length written ${JSON.stringify(value.slice(0, 30))} is read in one way only`,
    bytes: post([`Content-Length: ${value}`], `${"a=b".slice(0, bytes)}${fine ? "" : smuggled}`),
    expect: fine ? "forwarded" : huge ? [413] : twoReadings,
  };
});

const lengthLines: readonly RawCase[] = [
  ["two equal lengths", ["Content-Length: 3", "Content-Length: 3"]],
  ["two lengths, the longer last", ["Content-Length: 3", "Content-Length: 60"]],
  ["two lengths, the longer first", ["Content-Length: 60", "Content-Length: 3"]],
  ["a length and zero", ["Content-Length: 3", "Content-Length: 0"]],
  ["two spellings", ["Content-Length: 3", "content-length: 60"]],
  ["an empty second length", ["Content-Length: 3", "Content-Length:"]],
  ["a length and its underscore twin", ["Content-Length: 3", "Content_Length: 60"]],
  ["the underscore twin alone", ["Content_Length: 3"]],
  ["the underscore twin in capitals", ["CONTENT_LENGTH: 60", "Content-Length: 3"]],
  ["a space before the colon", ["Content-Length : 3"]],
  ["a space before the colon beside a plain one", ["Content-Length: 3", "Content-Length : 60"]],
  ["a folded length", ["Content-Length:", " 3"]],
  ["a folded second digit", ["Content-Length: 3", " 0"]],
  ["a length behind a bare LF", ["X-A: b\nContent-Length: 60", "Content-Length: 3"]],
  ["a length behind a bare CR", ["X-A: b\rContent-Length: 60", "Content-Length: 3"]],
  ["a name with a NUL", ["Content-Length\0: 60", "Content-Length: 3"]],
  ["a name with a tab", ["\tContent-Length: 60", "Content-Length: 3"]],
  ["a name above ASCII", ["Content-Length\xff: 60", "Content-Length: 3"]],
].map(([what, lines]) => ({
  name: `a request hides behind ${what as string}`,
  bytes: post(lines as string[], `a=b${smuggled}`),
  expect: twoReadings,
}));

const chunkBody = (bytes: string): string => post(["Transfer-Encoding: chunked"], bytes);

const badChunks: readonly RawCase[] = (
  [
    ["a size with a sign", `+3\r\na=b\r\n0\r\n\r\n`],
    ["a negative size", `-1\r\na=b\r\n0\r\n\r\n`],
    ["a size with 0x", `0x3\r\na=b\r\n0\r\n\r\n`],
    ["a size with h", `3h\r\na=b\r\n0\r\n\r\n`],
    ["a size of no digits", `\r\na=b\r\n0\r\n\r\n`],
    ["a size of letters", `zz\r\na=b\r\n0\r\n\r\n`],
    ["a size with a space before", ` 3\r\na=b\r\n0\r\n\r\n`],
    ["a size with a tab before", `\t3\r\na=b\r\n0\r\n\r\n`],
    ["a size with a NUL", `3\0\r\na=b\r\n0\r\n\r\n`],
    ["a size with an underscore", `0_3\r\na=b\r\n0\r\n\r\n`],
    ["a size with a comma", `3,3\r\na=b\r\n0\r\n\r\n`],
    ["a size with a dot", `3.0\r\na=b\r\n0\r\n\r\n`],
    ["a size beyond 64 bits", `10000000000000003\r\na=b\r\n0\r\n\r\n`],
    ["a size of twenty f", `ffffffffffffffffffff\r\na=b\r\n0\r\n\r\n`],
    ["a size line that ends in LF", `3\na=b\r\n0\r\n\r\n`],
    ["a size line that ends in CR", `3\ra=b\r\n0\r\n\r\n`],
    ["a size line that ends in CR CR LF", `3\r\r\na=b\r\n0\r\n\r\n`],
    ["data that ends in LF", `3\r\na=b\n0\r\n\r\n`],
    ["data that ends in CR", `3\r\na=b\r0\r\n\r\n`],
    ["data that ends in nothing", `3\r\na=b0\r\n\r\n`],
    ["data longer than its size", `3\r\na=bXX\r\n0\r\n\r\n`],
    ["data that ends in other bytes", `3\r\na=bXX0\r\n\r\n`],
    ["an extension with a bare LF", `3;a\nb=c\r\na=b\r\n0\r\n\r\n`],
    ["an extension with a bare CR", `3;a\rb\r\na=b\r\n0\r\n\r\n`],
    ["an extension with a NUL", `3;a\0b\r\na=b\r\n0\r\n\r\n`],
    [
      "an extension that is a line of a second request",
      `3;\nGET /demo/echo?smuggled HTTP/1.1\r\na=b\r\n0\r\n\r\n`,
    ],
    ["a quoted extension with a line end", `3;a="\r\nb"\r\na=b\r\n0\r\n\r\n`],
    ["a last chunk that ends in LF", `3\r\na=b\r\n0\n\n`],
    ["a last chunk that ends in CR", `3\r\na=b\r\n0\r\r`],
    ["trailers with a bare LF", `3\r\na=b\r\n0\r\nX: y\nContent-Length: 60\r\n\r\n`],
    ["trailers with a space before the colon", `3\r\na=b\r\n0\r\nX : y\r\n\r\n`],
    ["trailers without a colon", `3\r\na=b\r\n0\r\nthis is no field\r\n\r\n`],
    ["a trailer that is a length", `3\r\na=b\r\n0\r\nContent-Length: 60\r\n\r\n`],
    ["trailers that fold", `3\r\na=b\r\n0\r\nX: y\r\n z\r\n\r\n`],
    ["trailers with a NUL", `3\r\na=b\r\n0\r\nX: \0\r\n\r\n`],
  ] as const
).map(([what, body]) => ({
  name: `a request hides behind a chunk with ${what}`,
  bytes: chunkBody(`${body}${smuggled}`),
  expect: [400, 413],
  closed: true,
}));

const longExtensions: readonly RawCase[] = [
  {
    name: "an endless chunk extension is cut",
    bytes: chunkBody(`3;${"a".repeat(40_000)}\r\na=b\r\n0\r\n\r\n`),
    expect: [400, 413],
  },
  {
    name: "chunk extensions reach nobody, however many",
    bytes: chunkBody(`${`1;evil${"a".repeat(4_000)}\r\na\r\n`.repeat(20)}0\r\n\r\n`),
    expect: "either",
  },
  {
    name: "zeros without end before a chunk size change nothing",
    bytes: chunkBody(`${"0".repeat(200_000)}3\r\na=b\r\n0\r\n\r\n`),
    expect: "either",
  },
  {
    name: "endless trailers are cut",
    bytes: chunkBody(`3\r\na=b\r\n0\r\n${`X-T: ${"y".repeat(2_000)}\r\n`.repeat(60)}\r\n`),
    expect: [400, 413, 431],
    closed: true,
  },
];

const fineChunks: readonly RawCase[] = [
  ["one byte a chunk", "1\r\na\r\n1\r\n=\r\n1\r\nb\r\n0\r\n\r\n"],
  ["leading zeros", "0003\r\na=b\r\n0\r\n\r\n"],
  ["capitals", "A\r\na=bcdefghi\r\n0\r\n\r\n"],
  ["a short extension", "3;name=value\r\na=b\r\n0\r\n\r\n"],
  ["several zeros as the last chunk", "3\r\na=b\r\n000\r\n\r\n"],
  ["a trailer that imitates an address", "3\r\na=b\r\n0\r\nX-Forwarded-For: evil\r\n\r\n"],
  ["a trailer that imitates a host", "3\r\na=b\r\n0\r\nHost: evil\r\n\r\n"],
  ["an empty body", "0\r\n\r\n"],
].map(([what, body]) => ({
  name: `a chunked body with ${what} reaches Odoo with one length and nothing else`,
  bytes: chunkBody(body as string),
  expect: "forwarded",
}));

/** Odoo reads no body where it expects none: what is left in the connection must never be a request. */
const bodiesWhereNoneIs: readonly RawCase[] = ["GET", "HEAD", "DELETE", "OPTIONS", "PROPFIND"].flatMap(
  (method) => [
    {
      name: `a second request travels as the chunked body of ${method}`,
      bytes: request(`${method} /demo/echo`, ["Transfer-Encoding: chunked"], chunked(smuggled)),
      expect: "forwarded",
      reaches: [`${method} /demo/echo`],
    },
    {
      name: `a second request travels as the body of ${method}`,
      bytes: request(`${method} /demo/echo`, [`Content-Length: ${smuggled.length}`], smuggled),
      expect: "forwarded",
      reaches: [`${method} /demo/echo`],
    },
    {
      name: `a guarded request travels as the body of ${method} on the bus port, which keeps connections`,
      bytes: request(
        `${method} /websocket/health`,
        ["Transfer-Encoding: chunked"],
        chunked("POST /web/database/drop HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"),
      ),
      expect: "forwarded",
      reaches: [`${method} /websocket/health`],
    },
  ],
);

const pipelining: readonly RawCase[] = [
  {
    name: "pipelined requests keep their order and their answers",
    bytes: `${request("GET /demo/echo?1")}${request("GET /demo/echo?2")}${request("GET /demo/echo?3")}`,
    expect: "forwarded",
    reaches: ["GET /demo/echo?1", "GET /demo/echo?2", "GET /demo/echo?3"],
  },
  {
    name: "a guarded route behind an innocent one in a pipeline is refused all the same",
    bytes: `${request("GET /demo/echo?1")}${request("GET /web/database/manager")}`,
    expect: "forwarded",
    answers: [404],
  },
  {
    name: "nothing behind a refused request is run",
    bytes: `${request("GET //demo/echo")}${smuggled}`,
    expect: twoReadings,
  },
  {
    name: "nothing behind a broken message is run",
    bytes: `GET /demo/echo HTTP/1.1\r\nHost : odoo.test\r\n\r\n${smuggled}`,
    expect: twoReadings,
  },
  {
    name: "bytes behind a whole message that are no request close the connection, after the answer",
    bytes: `${request("GET /demo/echo?1")}\0\0\0\0`,
    expect: "forwarded",
    closed: true,
  },
  {
    name: "a TLS hello behind a whole message closes the connection, after the answer",
    bytes: `${request("GET /demo/echo?1")}\x16\x03\x01\x02\x00\x01\x00\x01\xfc`,
    expect: "forwarded",
    closed: true,
  },
  {
    name: "nothing behind Connection: close is run",
    bytes: `${request("GET /demo/echo?1", ["Connection: close"])}${smuggled}`,
    expect: "forwarded",
    closed: true,
  },
  {
    name: "nothing behind an HTTP/1.0 request is run",
    bytes: `GET /demo/echo?1 HTTP/1.0\r\nHost: odoo.test\r\n\r\n${smuggled}`,
    expect: "forwarded",
    closed: true,
  },
  {
    name: "a body longer than its length is a request of its own, and a broken one",
    bytes: `${request("POST /demo/echo", ["Content-Length: 3"], "a=b")}XXXX\r\n\r\n`,
    expect: "forwarded",
    closed: true,
  },
  {
    name: "transfer coding in HTTP/1.0 hides a request",
    bytes: `POST /demo/echo HTTP/1.0\r\nHost: odoo.test\r\nTransfer-Encoding: chunked\r\n\r\n${chunked(smuggled)}`,
    expect: twoReadings,
  },
  {
    name: "transfer coding and keep-alive in HTTP/1.0 hide a request",
    bytes: `POST /demo/echo HTTP/1.0\r\nHost: odoo.test\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n${chunked(smuggled)}`,
    expect: twoReadings,
  },
];

export const framing: readonly RawCase[] = [
  ...codingWithLength,
  ...codingAlone,
  ...foreignNames,
  ...lengths,
  ...lengthLines,
  ...badChunks,
  ...longExtensions,
  ...fineChunks,
  ...bodiesWhereNoneIs,
  ...pipelining,
] as readonly RawCase[];
