import { escapeMarkup } from "../base/markup.ts";
import { fillTemplate, type Template } from "../base/template.ts";
import type { RequestFacts } from "../message/facts.ts";
import { wantsHtml } from "../message/json-caller.ts";
import { programAnswer } from "./caller-shape.ts";
import { errorAnswer, type OwnAnswer, pageStyle } from "./pages.ts";

export interface MaintenanceInput {
  readonly facts: RequestFacts;
  readonly exchangeId: string;
  /** The operator's; empty: ours. Escaped here. */
  readonly message: string;
  readonly untilWallMs: number | null;
  readonly wallMs: number;
  /** The operator's page; null: ours. */
  readonly page: Template | null;
}

const ownSentence = "This site is closed for maintenance.";
/** Whoever is told no end comes back after this; and nobody later than the second, since ends move. */
const retryAfterSecondsUsual = 60;
const retryAfterSecondsMax = 3_600;

/** 503 with Retry-After, in the shape the caller reads: a page, a JSON-RPC error, an XML-RPC fault, JSON-2's error, or text. */
export function maintenanceAnswer(input: MaintenanceInput): OwnAnswer {
  const { facts, exchangeId, untilWallMs, wallMs } = input;
  const message = input.message === "" ? ownSentence : input.message;
  const retryAfterSeconds =
    untilWallMs === null
      ? retryAfterSecondsUsual
      : Math.min(retryAfterSecondsMax, Math.max(1, Math.ceil((untilWallMs - wallMs) / 1000)));
  const retryAfter = ["Retry-After", String(retryAfterSeconds)];
  const plain = errorAnswer({ status: 503, facts, exchangeId, detail: message, retryAfterSeconds });
  const program = programAnswer(503, facts, message, exchangeId, retryAfter);
  if (program !== null) return program;
  if (facts.upgrade !== null || !wantsHtml(facts)) return plain;
  // A page of the operator's has words of its own around the moment; ours would show a bare time.
  const untilLabel = input.page === null ? "Expected end: " : "";
  const page = fillTemplate(input.page ?? ownPage, {
    message: escapeMarkup(message),
    until: untilWallMs === null ? "" : escapeMarkup(`${untilLabel}${untilText(untilWallMs)}`),
    retry_after: String(retryAfterSeconds),
    exchange: escapeMarkup(exchangeId),
  });
  return {
    status: 503,
    fields: ["Content-Type", "text/html; charset=utf-8", "Cache-Control", "no-store", ...retryAfter],
    body: Buffer.from(page),
  };
}

function untilText(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

/** Asks again by itself, so that people come back to the site when it is open. */
const ownPage: Template = {
  texts: [
    `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta http-equiv="refresh" content="`,
    `">
<title>Maintenance</title>
<style>${pageStyle}</style>
</head>
<body>
<main>
<p class="status">503</p>
<h1>Maintenance</h1>
<p>`,
    `</p>
<p>`,
    `</p>
<p class="id">Exchange <code>`,
    `</code></p>
</main>
</body>
</html>
`,
  ],
  names: ["retry_after", "message", "until", "exchange"],
};
