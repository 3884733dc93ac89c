import { escapeMarkup } from "../base/markup.ts";
import { formatBytes } from "../base/units.ts";
import type { RequestFacts } from "../message/facts.ts";
import { wantsHtml, wantsJsonRpc } from "../message/json-caller.ts";
import { json2Error, wantsJson2 } from "./json2-error.ts";

/** An answer the gateway makes itself. Content-Length and `Connection` are the edge's. */
export interface OwnAnswer {
  readonly status: number;
  /** Without the security fields: `SecurityClass.own`. */
  readonly fields: string[];
  /** The edge sends no body to HEAD. */
  readonly body: Buffer;
}

export interface ErrorAnswerInput {
  readonly status: number;
  /** null when the message could not be read: the answer is plain text then. */
  readonly facts: RequestFacts | null;
  /** Shown so that an operator finds the exchange in the log. */
  readonly exchangeId: string;
  /** One sentence of ours; empty takes the one for the status. Never text of the client's. */
  readonly detail: string;
  /** The heading; left out: the one for the status. */
  readonly title?: string;
  /** Whole seconds; null when there is no point in coming back. */
  readonly retryAfterSeconds: number | null;
  /** Largest body allowed, for 413; null otherwise. */
  readonly bodyBytesMax?: number | null;
  /** Name and value alternating: WWW-Authenticate, Allow, Sec-WebSocket-Version. */
  readonly extraFields?: readonly string[];
  /** The caller is a JSON-RPC client whatever its method and Content-Type say; left out: those decide. */
  readonly jsonRpc?: boolean;
}

interface StatusText {
  readonly title: string;
  readonly sentence: string;
}

const texts: ReadonlyMap<number, StatusText> = new Map([
  [
    400,
    {
      title: "Request not understood",
      sentence: "The request was not sent on because it can be read in more than one way.",
    },
  ],
  [
    401,
    {
      title: "Password needed",
      sentence: "This site asks for a user name and a password before it shows anything.",
    },
  ],
  [403, { title: "Not allowed", sentence: "This address may not be opened from here." }],
  [404, { title: "Not found", sentence: "There is nothing at this address." }],
  [405, { title: "Method not allowed", sentence: "This kind of request is not accepted." }],
  [408, { title: "Too slow", sentence: "The request did not arrive in time." }],
  [413, { title: "Too large", sentence: "What was sent is larger than this gateway accepts." }],
  [414, { title: "Address too long", sentence: "The address of this request is too long." }],
  [415, { title: "Not understood", sentence: "The body is written in a way that is not accepted here." }],
  [421, { title: "Not served here", sentence: "This name is not served here." }],
  [426, { title: "Upgrade needed", sentence: "This address speaks another protocol." }],
  [
    429,
    {
      title: "Too many requests",
      sentence: "There were too many requests from this address in a short time.",
    },
  ],
  [431, { title: "Request head too large", sentence: "The request's header fields are too large." }],
  [500, { title: "Internal error", sentence: "The gateway made a mistake." }],
  [501, { title: "Not implemented", sentence: "This kind of request is not known here." }],
  [502, { title: "No answer", sentence: "The application behind this gateway did not answer properly." }],
  [
    503,
    {
      title: "Not available now",
      sentence: "The application behind this gateway cannot be reached at the moment.",
    },
  ],
  [
    504,
    { title: "No answer in time", sentence: "The application behind this gateway did not answer in time." },
  ],
  [505, { title: "Version not supported", sentence: "This version of HTTP is not spoken here." }],
]);
const otherText: StatusText = { title: "Refused", sentence: "The request was refused." };

/**
 * The page, JSON-RPC or JSON-2 error or line of text for a status of ours. It names the status, one sentence, when to come back, and
 * the exchange's id; nothing of the request is repeated in it.
 */
export function errorAnswer(input: ErrorAnswerInput): OwnAnswer {
  const { facts } = input;
  const text = texts.get(input.status) ?? otherText;
  const title = input.title ?? text.title;
  const sentences = [input.detail === "" ? text.sentence : input.detail];
  if (input.status === 413 && input.bodyBytesMax != null) {
    sentences.push(`The gateway's limit is ${formatBytes(input.bodyBytesMax)}.`);
  }
  if (input.retryAfterSeconds !== null)
    sentences.push(`Please try again in ${waitText(input.retryAfterSeconds)}.`);
  const sentence = sentences.join(" ");
  const fields = ["Content-Type", "", "Cache-Control", "no-store"];
  if (input.retryAfterSeconds !== null) fields.push("Retry-After", String(input.retryAfterSeconds));
  for (const part of input.extraFields ?? []) fields.push(part);
  if (facts !== null && (input.jsonRpc === true || wantsJsonRpc(facts))) {
    fields[1] = "application/json; charset=utf-8";
    return { status: input.status, fields, body: jsonRpcError(input.status, sentence, input.exchangeId) };
  }
  if (facts !== null && wantsHtml(facts)) {
    fields[1] = "text/html; charset=utf-8";
    return {
      status: input.status,
      fields,
      body: pageOf({ status: input.status, title, sentence, exchangeId: input.exchangeId }),
    };
  }
  if (facts !== null && wantsJson2(facts)) {
    fields[1] = "application/json; charset=utf-8";
    return { status: input.status, fields, body: json2Error(input.status, sentence, input.exchangeId) };
  }
  fields[1] = "text/plain; charset=utf-8";
  const line = `${input.status} ${title}\n${sentence}\nExchange ${input.exchangeId}\n`;
  return { status: input.status, fields, body: Buffer.from(line) };
}

/**
 * What the web client (16 to 19, `core/network/rpc.js`, `core/errors`) makes of it: 502 is "connection lost,
 * trying to reconnect" and 413 its own dialog, whatever the body; on every other status the body is read, and a
 * `UserError` is a calm warning that shows `data.arguments[0]`. `werkzeug.exceptions.Forbidden` and `AccessDenied` would
 * be shown as an ended session or a wrong password, so they are not used. `code` is 200, the server error of 16 to 18; 19 does not look.
 */
function jsonRpcError(status: number, sentence: string, exchangeId: string): Buffer {
  const message = `${sentence} (exchange ${exchangeId})`;
  return Buffer.from(
    JSON.stringify({
      jsonrpc: "2.0",
      id: null,
      error: {
        code: 200,
        message: `Gateway: ${status}`,
        data: { name: "odoo.exceptions.UserError", message, arguments: [message], debug: "", context: {} },
      },
    }),
  );
}

export interface PageText {
  readonly status: number;
  readonly title: string;
  /** A paragraph for each line. */
  readonly sentence: string;
  readonly exchangeId: string;
  /** The page loads itself again after so many whole seconds. */
  readonly refreshSeconds?: number;
}

/** A page of ours. */
export function pageOf({ status, title, sentence, exchangeId, refreshSeconds }: PageText): Buffer {
  const refresh =
    refreshSeconds === undefined ? "" : `<meta http-equiv="refresh" content="${refreshSeconds}">\n`;
  return Buffer.from(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
${refresh}<title>${status} ${escapeMarkup(title)}</title>
<style>${pageStyle}</style>
</head>
<body>
<main>
<p class="status">${status}</p>
<h1>${escapeMarkup(title)}</h1>
${sentence
  .split("\n")
  .map((line) => `<p>${escapeMarkup(line)}</p>`)
  .join("\n")}
<p class="id">Exchange <code>${escapeMarkup(exchangeId)}</code></p>
</main>
</body>
</html>
`);
}

export const pageStyle =
  ":root{color-scheme:light dark;--ink:#1f2328;--soft:#59636e;--paper:#fff}" +
  "@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9198a1;--paper:#15191f}}" +
  "body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}" +
  "main{max-width:34rem;padding:2rem}h1{margin:0 0 .5rem;font-size:1.5rem}.status{margin:0;color:var(--soft);font-weight:600}.id{color:var(--soft);font-size:.875rem}";

/** How long in words, rounded up; `seconds` is whole and at least 1. */
export function waitText(seconds: number): string {
  if (seconds < 120) return seconds === 1 ? "1 second" : `${seconds} seconds`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 120) return `${minutes} minutes`;
  const hours = Math.ceil(minutes / 60);
  return hours < 48 ? `${hours} hours` : `${Math.ceil(hours / 24)} days`;
}
