import { request as httpRequest } from "node:http";
import { Duplex } from "node:stream";
import { type AnswerHead, AnswerReader } from "../../src/upstream/answer-reader.ts";

/** What Node's own parser makes of an answer's bytes, followed by EOF; null: it refuses them. */
function nodeReads(
  bytes: Buffer,
  method: string,
): Promise<{ readonly status: number; readonly body: string; readonly whole: boolean } | null> {
  return new Promise((resolve) => {
    let sent = false;
    const wire = new Duplex({
      read() {},
      write(_chunk, _encoding, done) {
        done();
        if (sent) return;
        sent = true;
        this.push(bytes);
        this.push(null);
      },
    });
    const req = httpRequest({ method, path: "/", createConnection: () => wire, headers: { host: "x" } });
    req.on("error", () => resolve(null));
    req.on("upgrade", () => resolve(null));
    req.on("response", (res) => {
      let body = "";
      res.on("data", (chunk: Buffer) => {
        body += chunk.toString("latin1");
      });
      res.on("error", () => resolve({ status: res.statusCode ?? 0, body, whole: false }));
      res.on("end", () => resolve({ status: res.statusCode ?? 0, body, whole: res.complete }));
    });
    req.end();
  });
}

interface OwnReading {
  readonly head: AnswerHead;
  readonly body: string;
}

/** Our reader's whole answer with nothing behind it; null: refused, or not comparable. */
function weRead(bytes: Buffer, method: string): OwnReading | null {
  let head: AnswerHead | null = null;
  let body = "";
  let isWhole = false;
  const reader = new AnswerReader(method, false, {
    head: (one) => {
      head = one;
    },
    data: (chunk) => {
      body += chunk.toString("latin1");
    },
    // Node answers a body behind a complete message with a parse error of its own; we hand it over as `rest` instead.
    end: (rest) => {
      isWhole = rest.length === 0;
    },
    failure: () => {},
  });
  reader.push(bytes);
  reader.eof();
  return isWhole && head !== null ? { head, body } : null;
}

export type Compared = "refused" | "same" | { readonly difference: string };

/**
 * Compares our reader with Node's: what we take, Node must take too, with the same status and body. What only we refuse is no
 * difference: ours is the stricter one.
 */
export async function compareWithNode(text: string, method: string): Promise<Compared> {
  const bytes = Buffer.from(text, "latin1");
  const ours = weRead(bytes, method);
  if (ours === null) return "refused";
  const theirs = await nodeReads(bytes, method);
  const differs = (what: string): Compared => ({
    difference: `${what}: ${method} answered by ${JSON.stringify(text)}`,
  });
  if (theirs === null) return differs("accepted what Node refuses");
  if (theirs.status !== ours.head.status) return differs("another status");
  if (theirs.body !== ours.body) return differs("another body");
  return theirs.whole ? "same" : differs("Node calls it cut");
}

/** Every text that is one byte away: one byte left out, doubled, or any other in its place. */
export function* oneByteChanges(text: string): Generator<string> {
  for (let at = 0; at < text.length; at += 1) {
    const [before, byte, behind] = [text.slice(0, at), text.slice(at, at + 1), text.slice(at + 1)];
    yield before + behind;
    yield before + byte + byte + behind;
    for (let other = 0; other < 256; other += 1) yield before + String.fromCharCode(other) + behind;
  }
}

/** Status lines, field lines and bodies that answers are put together from. */
export const answerParts = {
  starts: [
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 404 NOT FOUND\r\n",
    "HTTP/1.1 304 X\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
  ],
  fields: [
    "Content-Length: 3\r\n",
    "Content-Length: 0\r\n",
    "content-length:3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Connection: close\r\n",
    "X: y\r\n",
    "Set-Cookie: a=b; Path=/\r\n",
    "X:\r\n",
    " folded\r\n",
    "X : y\r\n",
    "X: a\nY: b\r\n",
    "Content-Length: 3\r\n",
  ],
  bodies: [
    "3\r\nabc\r\n",
    "0\r\n\r\n",
    "0\r\nT: v\r\n\r\n",
    "abc",
    "3;a=b\r\nabc\r\n",
    '3;a="b c"\r\nabc\r\n',
    "A\r\n0123456789\r\n",
    "0\r\n",
    "\r\n",
  ],
} as const;
