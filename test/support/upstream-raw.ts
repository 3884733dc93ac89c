import { connect, type Socket } from "node:net";

/** What came back over a raw socket until its end. */
export interface RawAnswer {
  readonly bytes: Buffer;
  /** Latin-1. */
  readonly text: string;
  /** 0 when there is no status line. */
  readonly status: number;
  /** The first line. */
  readonly statusLine: string;
  /** Field lines of the (first) head. */
  readonly lines: readonly string[];
  /** Everything behind the first empty line. */
  readonly body: string;
  /** Error code of the socket (`ECONNRESET`), or null for a clean end. */
  readonly error: string | null;
}

/** All values of a field, by case-insensitive name. */
export function valuesOf(answer: RawAnswer, name: string): string[] {
  const prefix = `${name.toLowerCase()}:`;
  return answer.lines
    .filter((line) => line.toLowerCase().startsWith(prefix))
    .map((line) => line.slice(prefix.length).trim());
}

/** Splits received bytes into head and body. */
export function readRaw(bytes: Buffer, error: string | null = null): RawAnswer {
  const text = bytes.toString("latin1");
  const end = text.indexOf("\r\n\r\n");
  const [statusLine = "", ...lines] = (end < 0 ? "" : text.slice(0, end)).split("\r\n");
  const status = Number(/^HTTP\/\d\.\d (\d{3})/.exec(statusLine)?.[1] ?? 0);
  return { bytes, text, status, statusLine, lines, body: end < 0 ? text : text.slice(end + 4), error };
}

/** Options of one raw talk. */
export interface RawOptions {
  readonly host?: string;
  /** Send FIN after the bytes; false. */
  readonly end?: boolean;
  /** Stop when this text was received, instead of waiting for the end. */
  readonly until?: string;
  /** Give up after this long; 10 s. */
  readonly timeoutMs?: number;
  /** Use this socket (TLS for example) instead of connecting. */
  readonly socket?: Socket;
}

/** Sends bytes as they are (strings as latin-1) and collects the answer until the peer closes. */
export function rawTalk(port: number, bytes: string | Buffer, options: RawOptions = {}): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const socket = options.socket ?? connect({ port, host: options.host ?? "127.0.0.1" });
    const parts: Buffer[] = [];
    let error: string | null = null;
    const timer = setTimeout(() => {
      socket.destroy();
      reject(
        new Error(
          `no end after ${options.timeoutMs ?? 10_000} ms; received: ${Buffer.concat(parts).toString("latin1").slice(0, 300)}`,
        ),
      );
    }, options.timeoutMs ?? 10_000);
    socket.on("data", (chunk: Buffer) => {
      parts.push(chunk);
      if (options.until !== undefined && Buffer.concat(parts).includes(options.until)) socket.destroy();
    });
    socket.on("error", (problem: NodeJS.ErrnoException) => {
      error = problem.code ?? problem.message;
    });
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(readRaw(Buffer.concat(parts), error));
    });
    socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
    if (options.end === true) socket.end();
  });
}

/** A request as text: method and target, extra field lines, body with its Content-Length. */
export function rawRequest(start: string, lines: readonly string[] = [], body = ""): string {
  const length = body === "" ? [] : [`Content-Length: ${Buffer.byteLength(body, "latin1")}`];
  return [`${start} HTTP/1.1`, "Host: odoo.test", ...lines, ...length, "", body].join("\r\n");
}

/** The cookie pair `session_id=…` an answer sets; empty when it sets none. */
export function sessionPair(answer: RawAnswer): string {
  const line = valuesOf(answer, "set-cookie").find((value) => value.startsWith("session_id="));
  return line?.split(";")[0] ?? "";
}
