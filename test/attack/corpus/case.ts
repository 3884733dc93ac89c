/** One attack: bytes that a client sends, and what must come of them. */
export interface RawCase {
  /** The harm that would be done. */
  readonly name: string;
  /** What is sent; a string is latin-1. */
  readonly bytes: string | Buffer;
  /**
   * Statuses of which the (first) answer must have one; `forwarded`: Odoo answers; `either`: refused with 400, or Odoo gets
   * the one clean request of `reaches`. When nothing but a closed connection is a good answer too, 0 is among them.
   */
  readonly expect: readonly number[] | "forwarded" | "either";
  /** Statuses of further answers of our own, behind those to what `reaches` Odoo. */
  readonly answers?: readonly number[];
  /** Must the gateway close behind the answer; when left out, a refusal by the screen or the parser closes. */
  readonly closed?: boolean;
  /** What Odoo gets, `METHOD target` in order; when left out, the first line of `bytes` when forwarded, else nothing. */
  readonly reaches?: readonly string[];
  /** Text that no line of what Odoo gets may hold, in any letter case. */
  readonly never?: readonly string[];
  /** Text that the head of the (first) answer must not hold. */
  readonly notInAnswer?: readonly string[];
  /** Over plain HTTP instead of TLS. */
  readonly plain?: boolean;
}

/** What may follow a message with two readings: 400, and the connection is closed. */
export const twoReadings: readonly number[] = [400];

/** A request: start line without version, field lines between Host and the empty line, body as it is. */
export function request(start: string, lines: readonly string[] = [], body = ""): string {
  return [`${start} HTTP/1.1`, "Host: odoo.test", ...lines, "", body].join("\r\n");
}

/** The request that smuggling tries to slip in; wherever it is seen upstream, the attack worked. */
export const smuggled = "GET /demo/echo?smuggled HTTP/1.1\r\nHost: odoo.test\r\n\r\n";

/** The same as one chunk of a chunked body, with its last chunk. */
export function chunked(body: string): string {
  return `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
}
