/** Door to the services that take messages: Node's own client, loaded with the first message. */
import type { ClientRequest, IncomingMessage } from "node:http";
import { request as requestTls } from "node:https";
import { http } from "../base/node-http.ts";
import type { AlertBody } from "./forms.ts";
import { boundedLookup } from "./lookup.ts";
import { retryAfterMs } from "./retry-after.ts";

/** From asking for the name to the head of the answer. */
export const postTimeoutMs = 10_000;

/** What came of one try, in words without a secret. */
export type PostOutcome =
  | { readonly kind: "taken"; readonly words: string }
  /** It is of no use to try it again as it is. */
  | { readonly kind: "refused"; readonly words: string }
  /** `afterMs`: when the service wants to be asked again; null: it says nothing. */
  | { readonly kind: "later"; readonly words: string; readonly afterMs: number | null };

export type Post = (
  url: string,
  body: AlertBody,
  signal: AbortSignal,
  wallMs: () => number,
) => Promise<PostOutcome>;

/**
 * Sends one message. TLS is verified, redirects are not followed, of the answer only the head is read, and nothing is waited for
 * longer than `postTimeoutMs`. Never rejects.
 */
export const post: Post = createPost(postTimeoutMs);

/** The same with another bound. */
export function createPost(timeoutMs: number): Post {
  return (url, body, signal, wallMs) =>
    new Promise((resolve) => {
      const target = URL.parse(url);
      if (target === null) return resolve({ kind: "refused", words: "is no URL" });
      const ends = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
      const begin = target.protocol === "https:" ? requestTls : http.request;
      let request: ClientRequest;
      const done = (outcome: PostOutcome) => {
        resolve(outcome);
        // Nothing of the answer's body is wanted, however much there is.
        request.destroy();
      };
      try {
        request = begin(target, optionsFor(body, ends), (answer) => done(outcomeOf(answer, wallMs())));
      } catch (error) {
        // A user or password in the address that is no percent-encoding.
        return resolve({ kind: "refused", words: `cannot be asked (${codeOf(error)})` });
      }
      request.on("error", (error) => {
        const late = `did not answer within ${timeoutMs / 1_000} s`;
        const words = signal.aborted ? "was not waited for" : ends.aborted ? late : troubleWords(error);
        done({ kind: "later", words, afterMs: null });
      });
      request.on("close", () =>
        done({ kind: "later", words: "closed the connection without an answer", afterMs: null }),
      );
      request.end(body.text);
    });
}

function optionsFor(body: AlertBody, signal: AbortSignal) {
  return {
    method: "POST",
    agent: false,
    // Whatever the environment says.
    rejectUnauthorized: true,
    minVersion: "TLSv1.2",
    signal,
    lookup: boundedLookup,
    headers: {
      "User-Agent": "odoo-gateway",
      Accept: "*/*",
      Connection: "close",
      ...body.headers,
      "Content-Length": Buffer.byteLength(body.text),
    },
  } as const;
}

function outcomeOf(answer: IncomingMessage, nowWallMs: number): PostOutcome {
  answer.on("error", () => {});
  const status = answer.statusCode ?? 0;
  const words = `answered with status ${status}`;
  if (status >= 200 && status < 300) return { kind: "taken", words };
  if (status >= 300 && status < 400) {
    const advice = "which is not followed: write the address it leads to";
    return { kind: "refused", words: `answered with a redirect (${status}), ${advice}` };
  }
  const retryAfter = answer.headers["retry-after"];
  if (status === 429 || status === 503 || status === 408 || status === 425) {
    return { kind: "later", words, afterMs: retryAfterMs(retryAfter, nowWallMs) };
  }
  if (status >= 400 && status < 500) return { kind: "refused", words: `${words}${advice(status)}` };
  return { kind: "later", words, afterMs: null };
}

function advice(status: number): string {
  switch (status) {
    case 400:
    case 415:
    case 422:
      return ": it does not understand this form, see ALERT_FORMAT";
    case 401:
    case 403:
      return ": the token or password in the address is not right any more";
    case 404:
    case 410:
      return ": there is no such hook any more, make a new one";
    default:
      return "";
  }
}

/** What went wrong below HTTP. Messages of errors are not used: they may quote the address. */
function troubleWords(error: unknown): string {
  const code = codeOf(error);
  switch (code) {
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "EAI_FAIL":
      return `cannot be found in DNS (${code})`;
    case "ECONNREFUSED":
      return "refuses connections";
    case "ECONNRESET":
    case "EPIPE":
      return "closed the connection without an answer";
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "ETIMEDOUT":
      return `cannot be reached (${code})`;
    default:
  }
  if (/CERT|SIGNED|ISSUER|ALTNAME|CHAIN|VERIFY/.test(code)) {
    return `shows a certificate that is not trusted (${code}); NODE_EXTRA_CA_CERTS names authorities of your own`;
  }
  return code.startsWith("HPE_")
    ? `answered with something that is no HTTP (${code})`
    : `cannot be asked (${code})`;
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  // Several addresses were tried: the first one's trouble says it.
  if (code === "" && error instanceof AggregateError) return codeOf(error.errors[0]);
  return /^[A-Z0-9_]{1,60}$/.test(code) ? code : "unknown error";
}
