import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { Wire } from "./wire.ts";

export type AnswerHeader = readonly [name: string, value: string];
export type AnswerPieces = () => AsyncGenerator<Buffer>;

/** An ordinary answer. */
export interface PlainAnswer {
  readonly kind: "plain";
  readonly status: number;
  readonly headers: readonly AnswerHeader[];
  readonly body: Buffer | AnswerPieces;
  /** Content-Length to declare; null: the end of the body is the end of the connection (or chunked). */
  readonly length: number | null;
  /** Rendered by the website's templates, which fail on the bus port (500: no REQUEST_URI there). */
  readonly website: boolean;
}

/** An answer that writes its own bytes, for faults; the connection ends after it. */
export interface RawAnswer {
  readonly kind: "raw";
  readonly write: (wire: Wire) => Promise<void>;
}

/** A WebSocket: 101 with these fields, then the socket belongs to `take`. */
export interface UpgradeAnswer {
  readonly kind: "upgrade";
  readonly headers: readonly AnswerHeader[];
  readonly take: (socket: Socket, received: Buffer) => void;
}

export type Answer = PlainAnswer | RawAnswer | UpgradeAnswer;

const REASONS = new Map<number, string>();
for (const [code, phrase] of Object.entries(STATUS_CODES))
  REASONS.set(Number(code), (phrase ?? "").toUpperCase());

/** The application's reason phrases are upper case: `404 NOT FOUND`. */
export function reasonPhrase(status: number): string {
  return REASONS.get(status) ?? "UNKNOWN";
}

/** An answer with a declared length. */
export function bytes(
  status: number,
  type: string,
  body: Buffer | string,
  headers: readonly AnswerHeader[] = [],
): PlainAnswer {
  const buffer = typeof body === "string" ? Buffer.from(body) : body;
  const all: readonly AnswerHeader[] = type === "" ? headers : [["Content-Type", type], ...headers];
  return { kind: "plain", status, headers: all, body: buffer, length: buffer.length, website: false };
}

/** A page of the website: no Content-Length, ends with the connection. */
export function websitePage(
  status: number,
  html: string,
  headers: readonly AnswerHeader[] = [],
): PlainAnswer {
  // Measured: the 404 page's type is written without a space.
  const type = status === 404 ? "text/html;charset=utf-8" : "text/html; charset=utf-8";
  return {
    kind: "plain",
    status,
    headers: [["Content-Type", type], ...headers],
    body: Buffer.from(html),
    length: null,
    website: true,
  };
}

/** A page with a length (web client, database manager, error pages of Werkzeug). */
export function page(status: number, html: string, headers: readonly AnswerHeader[] = []): PlainAnswer {
  return bytes(status, "text/html; charset=utf-8", html, headers);
}

/** JSON with Python's spacing, so that sizes are Odoo's. */
export function json(value: unknown, headers: readonly AnswerHeader[] = [], status = 200): PlainAnswer {
  return bytes(status, "application/json; charset=utf-8", pythonJson(value), headers);
}

/** A redirect with Werkzeug's little page. */
export function redirect(
  status: number,
  location: string,
  headers: readonly AnswerHeader[] = [],
): PlainAnswer {
  const shown = location.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
  const html = `<!doctype html>\n<html lang=en>\n<title>Redirecting...</title>\n<h1>Redirecting...</h1>\n<p>You should be redirected automatically to the target URL: <a href="${shown}">${shown}</a>. If not, click the link.\n`;
  return page(status, html, [["Location", location], ...headers]);
}

/** Werkzeug's plain error page. */
export function plainError(status: number, text: string, headers: readonly AnswerHeader[] = []): PlainAnswer {
  const title = `${status} ${STATUS_CODES[status] ?? "Error"}`;
  return page(
    status,
    `<!doctype html>\n<html lang=en>\n<title>${title}</title>\n<h1>${title}</h1>\n<p>${text}</p>\n`,
    headers,
  );
}

/** `json.dumps` with its default separators. */
export function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    return `{${Object.entries(value)
      .map(([key, item]) => `${JSON.stringify(key)}: ${pythonJson(item)}`)
      .join(", ")}}`;
  }
  return JSON.stringify(value) ?? "null";
}
