import { cleanText } from "../base/clean.ts";
import { unreachable } from "../base/result.ts";
import type { AlertFormat } from "../settings/settings.ts";
import type { AlertMessage, AlertSender } from "./message.ts";

/** A message as one service takes it, with POST. */
export interface AlertBody {
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** Longest sentence of a message, in UTF-16 units: all of it stays below what the strictest of the services takes (Discord: 2,000). */
const sentenceLengthMax = 400;

/** Writes a message in this form. */
export function bodyOf(message: AlertMessage, sender: AlertSender, format: AlertFormat): AlertBody {
  switch (format) {
    case "json":
      return json(genericOf(message, sender));
    case "slack":
      // https://docs.slack.dev/messaging/formatting-message-text: these three alone; a text of ours holds none of them.
      return json({ text: plainText(message, sender).replace(/[&<>]/g, (one) => slackEscapes[one] ?? one) });
    case "discord":
      // No name in a text may call people.
      return json({ content: plainText(message, sender), allowed_mentions: { parse: [] } });
    case "teams":
      return json(cardOf(message, sender));
    case "ntfy":
      return noteOf(message, sender);
    default:
      return unreachable(format);
  }
}

const slackEscapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

/** The generic form; docs/operations describes it, and fields are only ever added. */
function genericOf(message: AlertMessage, { site, instance, version }: AlertSender) {
  const { name, state, severity, sinceWallMs, endedWallMs, times } = message;
  return {
    name,
    state,
    severity,
    since: new Date(sinceWallMs).toISOString(),
    ended: endedWallMs === null ? null : new Date(endedWallMs).toISOString(),
    times,
    summary: short(message.summary),
    meaning: short(message.meaning),
    remedy: short(message.remedy),
    site,
    instance,
    version,
  };
}

/** The title's words: state and site first, for a screen that shows half a line. */
function titleOf({ state, severity, summary, isReminder }: AlertMessage, { site }: AlertSender): string {
  const word =
    state === "firing" ? `${isReminder ? "STILL " : ""}${severity.toUpperCase()}` : state.toUpperCase();
  return `${word} ${site}: ${short(summary)}`;
}

function linesOf(message: AlertMessage, { instance, version }: AlertSender): readonly string[] {
  const { state, name, times, sinceWallMs, endedWallMs } = message;
  const again = times > 1 ? `, ${times} times since the last message` : "";
  const when =
    endedWallMs === null
      ? `Since ${momentWords(sinceWallMs)}${again}.`
      : `From ${momentWords(sinceWallMs)} to ${momentWords(endedWallMs)} (${lengthWords(endedWallMs - sinceWallMs)}).`;
  const from = `${name}, odoo-gateway ${version} on ${instance}`;
  if (state === "resolved") return [when, short(message.meaning), from];
  return [when, short(message.meaning), `First: ${short(message.remedy)}`, from];
}

function plainText(message: AlertMessage, sender: AlertSender): string {
  return [titleOf(message, sender), ...linesOf(message, sender)].join("\n");
}

/** An adaptive card in an envelope, which Workflows and the older connectors of Teams take alike. */
function cardOf(message: AlertMessage, sender: AlertSender) {
  const title = { type: "TextBlock", text: titleOf(message, sender), weight: "Bolder", wrap: true };
  const lines = linesOf(message, sender).map((text) => ({ type: "TextBlock", text, wrap: true }));
  const content = {
    $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
    type: "AdaptiveCard",
    version: "1.4",
    body: [title, ...lines],
  };
  const contentType = "application/vnd.microsoft.card.adaptive";
  return { type: "message", attachments: [{ contentType, contentUrl: null, content }] };
}

/** https://docs.ntfy.sh/publish: the text is the body, all else are fields. */
function noteOf(message: AlertMessage, sender: AlertSender): AlertBody {
  const { state, severity } = message;
  const isLoud = state === "firing" && severity === "critical";
  const priority = isLoud ? "urgent" : state === "firing" ? "high" : "default";
  const tag = state === "resolved" ? "white_check_mark" : isLoud ? "rotating_light" : "warning";
  return {
    headers: {
      "Content-Type": "text/plain; charset=utf-8",
      // A field's value is ASCII: what is not could not be sent.
      Title: titleOf(message, sender).replace(/[^\u0020-\u007e]/g, "?"),
      Priority: priority,
      Tags: tag,
    },
    text: linesOf(message, sender).join("\n"),
  };
}

function json(value: object): AlertBody {
  return { headers: { "Content-Type": "application/json; charset=utf-8" }, text: JSON.stringify(value) };
}

function short(text: string): string {
  return cleanText(text, sentenceLengthMax);
}

/** `2026-12-01 03:00:12 UTC`. */
function momentWords(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** `40 s`, `5 min`, `3 h 20 min`, `2 days`. */
function lengthWords(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}
