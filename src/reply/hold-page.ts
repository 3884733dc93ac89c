import type { OwnAnswer } from "./pages.ts";
import { pageOf } from "./pages.ts";

/** What a browser is told that asked for a page while Odoo cannot give one. */
export interface HoldPage {
  readonly reason: "restarting" | "busy";
  /** Whole seconds after which the page asks again by itself. */
  readonly retryAfterSeconds: number;
  readonly exchangeId: string;
}

const texts = {
  restarting: {
    title: "Back in a moment",
    sentence: "The application is being restarted or cannot be reached at the moment.",
  },
  busy: {
    title: "Busy at the moment",
    sentence: "The application has more to do than it can at the moment.",
  },
} as const;

/** A page with 503 that loads itself again, without a script: no Content-Security-Policy forbids that. */
export function holdPage({ reason, retryAfterSeconds, exchangeId }: HoldPage): OwnAnswer {
  const { title, sentence } = texts[reason];
  const fields = ["Content-Type", "text/html; charset=utf-8", "Cache-Control", "no-store"];
  fields.push("Retry-After", String(retryAfterSeconds));
  const body = pageOf({
    status: 503,
    title,
    sentence: `${sentence} This page tries again by itself.`,
    exchangeId,
    refreshSeconds: retryAfterSeconds,
  });
  return { status: 503, fields, body };
}
