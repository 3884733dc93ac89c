import {
  type Answer,
  type AnswerPieces,
  bytes,
  json,
  plainError,
  type RawAnswer,
  reasonPhrase,
} from "./answer.ts";
import type { DemoContext, DemoRequest, Handler } from "./context.ts";
import type { Wire } from "./wire.ts";

/** Bounds of what a query may ask for. */
const DELAY_MS_MAX = 120_000;
const BYTES_MAX = 1024 * 1024 * 1024;
const PIECE_BYTES = 64 * 1024;

function number(request: DemoRequest, name: string, fallback: number, max: number): number {
  const text = request.params.get(name) ?? "";
  return /^\d{1,12}$/.test(text) ? Math.min(Number(text), max) : fallback;
}

const LETTERS = Buffer.alloc(PIECE_BYTES, "stand-in ");

function repeated(total: number): AnswerPieces {
  return async function* () {
    for (let left = total; left > 0; left -= PIECE_BYTES)
      yield LETTERS.subarray(0, Math.min(left, PIECE_BYTES));
  };
}

function plain(request: DemoRequest, body: Buffer | AnswerPieces, length: number | null): Answer {
  const type = request.params.get("type") ?? "application/octet-stream";
  const safe = /^[\w./+-]{1,80}(?:; charset=[\w-]{1,20})?$/.test(type) ? type : "application/octet-stream";
  return { kind: "plain", status: 200, headers: [["Content-Type", safe]], body, length, website: false };
}

function raw(write: (wire: Wire) => Promise<void>): RawAnswer {
  return { kind: "raw", write };
}

/** A raw answer that is one text, then the end. */
function rawText(text: string): RawAnswer {
  return raw(async (wire) => {
    await wire.write(text);
    await wire.end();
  });
}

/** `/demo/echo`: exactly what Odoo would have seen. */
const echo: Handler = (request, context) =>
  json({
    port: request.port,
    method: request.method,
    target: request.target,
    version: request.version,
    path: request.path,
    query: request.query,
    headers: request.lines,
    fields: Object.fromEntries(request.fields),
    client: request.effective.client,
    host: request.effective.host,
    scheme: request.effective.scheme,
    web_base_url: context.settings.webBaseUrl,
    body: { length: request.body.byteLength, sha256: request.body.sha256 },
  });

/** `/demo/slow?ms=`: the first byte comes late. */
const slow: Handler = async (request, context) => {
  await context.delays.wait(number(request, "ms", 1_000, DELAY_MS_MAX));
  return plain(request, Buffer.from("slow but whole\n"), 15);
};

/** `/demo/drip?bytes=&ms=&eof=1`: one byte every `ms`, with a length, or without when `eof`. */
const drip: Handler = (request, context) => {
  const total = number(request, "bytes", 10, 100_000);
  const pauseMs = number(request, "ms", 10, DELAY_MS_MAX);
  return plain(
    request,
    dripping(context, total, pauseMs, () => Buffer.from("d")),
    request.params.has("eof") ? null : total,
  );
};

function dripping(
  context: DemoContext,
  total: number,
  pauseMs: number,
  piece: (serial: number) => Buffer,
): AnswerPieces {
  return async function* () {
    for (let serial = 0; serial < total; serial += 1) {
      if (serial > 0) await context.delays.wait(pauseMs);
      yield piece(serial);
    }
  };
}

/** `/demo/sse?events=&ms=`: an event stream, one event every `ms`. */
const sse: Handler = (request, context) => {
  const events = number(request, "events", 3, 10_000);
  const body = dripping(context, events, number(request, "ms", 50, DELAY_MS_MAX), (serial) =>
    Buffer.from(`data: ${serial}\n\n`),
  );
  const headers = [
    ["Content-Type", "text/event-stream"],
    ["Cache-Control", "no-cache"],
  ] as const;
  return { kind: "plain", status: 200, headers, body, length: null, website: false };
};

/** `/demo/big?bytes=` with a length, `/demo/stream?bytes=` without. */
const big: Handler = (request) => {
  const total = number(request, "bytes", 1_000_000, BYTES_MAX);
  return plain(request, repeated(total), total);
};

const stream: Handler = (request) =>
  plain(request, repeated(number(request, "bytes", 1_000_000, BYTES_MAX)), null);

/** `/demo/cut?declared=&sent=`: the connection ends before the declared length. */
const cut: Handler = (request) => {
  const declared = number(request, "declared", 1_000, BYTES_MAX);
  const sent = number(request, "sent", 100, declared);
  return plain(request, repeated(sent), declared);
};

/** `/demo/reset?after=`: RST, after a head and that many body bytes when given. */
const reset: Handler = (request) => {
  const after = request.params.has("after") ? number(request, "after", 0, 1_000_000) : null;
  return raw(async (wire) => {
    if (after !== null) {
      await wire.write(
        `HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${after + 1000}\r\nConnection: close\r\n\r\n`,
      );
      await wire.write(Buffer.alloc(after, "r"));
      // Lets the bytes leave before the RST overtakes them.
      await wire.wait(20);
    }
    wire.reset();
  });
};

const nobyte: Handler = () => raw((wire) => wire.end());

const MALFORMED: Readonly<Record<string, string>> = {
  "status-line": "HTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
  "status-code": "HTTP/1.0 20x OK\r\nContent-Length: 2\r\n\r\nok",
  "status-99": "HTTP/1.0 99 LOW\r\nContent-Length: 2\r\n\r\nok",
  "http-2": "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
  "http-0.9": "<html>no head at all</html>",
  "space-before-colon": "HTTP/1.0 200 OK\r\nX-A : v\r\nContent-Length: 2\r\n\r\nok",
  "no-colon": "HTTP/1.0 200 OK\r\nthis is no field\r\nContent-Length: 2\r\n\r\nok",
  "empty-name": "HTTP/1.0 200 OK\r\n: v\r\nContent-Length: 2\r\n\r\nok",
  "two-lengths": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nokok!",
  "same-lengths": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
  "list-length": "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
  "negative-length": "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
  "hex-length": "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok",
  "plus-length": "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
  "length-and-chunked":
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
  "unknown-coding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
  "chunked-on-1.0": "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
  "chunk-size": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
  "chunk-end": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokXX0\r\n\r\n",
  "bare-lf": "HTTP/1.0 200 OK\nX-A: v\nContent-Length: 2\n\nok",
  "bare-cr": "HTTP/1.0 200 OK\r\nX-A: a\rX-B: b\r\nContent-Length: 2\r\n\r\nok",
  nul: "HTTP/1.0 200 OK\r\nX-A: a\0b\r\nContent-Length: 2\r\n\r\nok",
  "obs-fold": "HTTP/1.0 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
  extra: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nextra",
  "huge-header": `HTTP/1.0 200 OK\r\nX-Huge: ${"h".repeat(300_000)}\r\nContent-Length: 2\r\n\r\nok`,
  "many-headers": `HTTP/1.0 200 OK\r\n${"X-Many: 1\r\n".repeat(5_000)}Content-Length: 2\r\n\r\nok`,
  "head-cut": "HTTP/1.0 200 OK\r\nX-A: a\r\nContent-Le",
};

/** Kinds that `/demo/malformed?kind=` knows (tests walk through them). */
export const MALFORMED_KINDS: readonly string[] = Object.keys(MALFORMED);

const malformed: Handler = (request) => {
  const kind = request.params.get("kind") ?? "";
  const text = Object.hasOwn(MALFORMED, kind) ? MALFORMED[kind] : undefined;
  return text === undefined
    ? plainError(404, `kind is one of: ${MALFORMED_KINDS.join(", ")}`)
    : rawText(text);
};

/** `/demo/chunked?chunks=&size=&ms=&cut=1&trailer=1`: chunked; `cut` ends in the middle of a chunk. */
const chunked: Handler = (request) => {
  const chunks = number(request, "chunks", 3, 10_000);
  const size = number(request, "size", 5, 1_000_000);
  const pauseMs = number(request, "ms", 0, DELAY_MS_MAX);
  return raw(async (wire) => {
    await wire.write(
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
    );
    const chunk = Buffer.concat([
      Buffer.from(`${size.toString(16)}\r\n`),
      Buffer.alloc(size, "c"),
      Buffer.from("\r\n"),
    ]);
    for (let serial = 0; serial < chunks; serial += 1) {
      if (serial > 0) await wire.wait(pauseMs);
      if (!(await wire.write(chunk))) return;
    }
    if (request.params.has("cut"))
      await wire.write(`${size.toString(16)}\r\n${"c".repeat(Math.floor(size / 2))}`);
    else await wire.write(request.params.has("trailer") ? "0\r\nX-Trailer: t\r\n\r\n" : "0\r\n\r\n");
    await wire.end();
  });
};

/** `/demo/status?code=`: that status with a small body (none where RFC 9110 allows none). */
const status: Handler = (request) => {
  const code = Math.max(200, number(request, "code", 200, 599));
  if (code !== 204 && code !== 304) return bytes(code, "text/plain", `${code} ${reasonPhrase(code)}\n`);
  return { kind: "plain", status: code, headers: [], body: Buffer.alloc(0), length: null, website: false };
};

/** `/demo/headers`: repeated, hop-by-hop and Connection-named fields, banners, cookies, framing policies. */
const headers: Handler = () =>
  rawText(
    [
      "HTTP/1.1 200 OK",
      "Server: Werkzeug/2.2.2 Python/3.11.2",
      "X-Powered-By: stand-in",
      "Content-Type: text/plain",
      "Connection: close, X-Nominated",
      "X-Nominated: must not travel",
      "Keep-Alive: timeout=5",
      "Proxy-Authenticate: Basic",
      "Proxy-Connection: keep-alive",
      "TE: trailers",
      "Trailer: X-T",
      "Upgrade: h2c",
      "X-Frame-Options: DENY",
      "Content-Security-Policy: frame-ancestors 'self'",
      "Link: </a>; rel=preload",
      "Link: </b>; rel=preload",
      "Set-Cookie: session_id=abc; Expires=Sat, 20 Nov 2027 00:00:00 GMT; Max-Age=604800; HttpOnly; Path=/",
      "Set-Cookie: frontend_lang=en_US; Path=/",
      "Set-Cookie: tz=UTC; Secure; SameSite=Strict",
      "X-Accel-Redirect: /web/filestore/prod/aa/aabb",
      "Strict-Transport-Security: max-age=1",
      "Content-Length: 3",
      "",
      "ok\n",
    ].join("\r\n"),
  );

const earlyHints: Handler = () =>
  rawText(
    "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 3\r\n\r\nok\n",
  );

/** `/demo/204` and `/demo/304` with a body that must not be passed on. */
const noContent: Handler = () => rawText("HTTP/1.1 204 NO CONTENT\r\nContent-Length: 5\r\n\r\nextra");
const notModified: Handler = () =>
  rawText('HTTP/1.1 304 NOT MODIFIED\r\nETag: "x"\r\nContent-Length: 5\r\n\r\nextra');

/** `/demo/101`: switches although nobody asked, then talks nonsense. */
const switching: Handler = () =>
  rawText(
    "HTTP/1.1 101 SWITCHING PROTOCOLS\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\nnot http any more",
  );

export const FAULT_ROUTES: readonly (readonly [path: string, handler: Handler])[] = [
  ["/demo/echo", echo],
  ["/demo/slow", slow],
  ["/demo/drip", drip],
  ["/demo/sse", sse],
  ["/demo/big", big],
  ["/demo/stream", stream],
  ["/demo/cut", cut],
  ["/demo/reset", reset],
  ["/demo/nobyte", nobyte],
  ["/demo/malformed", malformed],
  ["/demo/chunked", chunked],
  ["/demo/status", status],
  ["/demo/headers", headers],
  ["/demo/103", earlyHints],
  ["/demo/204", noContent],
  ["/demo/304", notModified],
  ["/demo/101", switching],
];
