import { unreachable } from "../base/result.ts";
import type { FailureKind } from "../observe/events.ts";

/** What a client is told when the upstream leg fails before any byte of the answer went out. */
export interface FailureAnswer {
  readonly status: 502 | 503 | 504;
  readonly sentence: string;
  readonly retryAfterSeconds: number | null;
}

/** The closed list: every failure has one status. After the head went out the answer is cut instead. */
export function failureAnswer(kind: FailureKind): FailureAnswer {
  switch (kind) {
    case "connect-refused":
    case "connect-failed":
      return {
        status: 502,
        sentence: "Odoo is not running or cannot be reached at the moment.",
        retryAfterSeconds: 5,
      };
    case "closed-without-answer":
      return { status: 502, sentence: "Odoo ended the request without an answer.", retryAfterSeconds: 5 };
    case "answer-malformed":
    case "answer-cut":
      return { status: 502, sentence: "Odoo's answer could not be understood.", retryAfterSeconds: null };
    case "connect-timeout":
      return { status: 504, sentence: "Odoo did not accept a connection in time.", retryAfterSeconds: 10 };
    case "answer-timeout":
    case "body-stalled":
      return { status: 504, sentence: "Odoo did not answer in time.", retryAfterSeconds: 30 };
    case "spool-full":
      return {
        status: 503,
        sentence: "The gateway has no room for this request at the moment.",
        retryAfterSeconds: 30,
      };
    case "file-unreadable":
      return {
        status: 502,
        sentence: "The file cannot be read at the moment.",
        retryAfterSeconds: null,
      };
    case "no-worker":
      return {
        status: 503,
        sentence: "The application has more to do than it can at the moment.",
        retryAfterSeconds: 10,
      };
    default:
      return unreachable(kind);
  }
}
