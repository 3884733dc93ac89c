import { cleanText } from "../base/clean.ts";
import { unreachable } from "../base/result.ts";
import type { AccessRecord, GatewayEvent } from "./events.ts";

export type LineLevel = "debug" | "info" | "warn" | "error";
/** `access`: one line an exchange. `security`: what a ban tool reads. `gateway`: our own life. */
export type LineStream = "access" | "security" | "gateway";

/** Longest cleaned target and other client texts in a line. */
export const targetLengthMax = 2_048;
export const agentLengthMax = 256;
export const methodLengthMax = 32;
/** Most entries of a list in a line. */
const listMax = 50;

type FieldValue = string | number | null | readonly string[];

/** An event as it stands in a log: stable names, values made harmless. */
export interface Line {
  readonly level: LineLevel;
  /** `event` (its type) and `stream` first, then the event's own. */
  readonly fields: LineFields;
}

export type LineFields = {
  readonly event: GatewayEvent["type"];
  readonly stream: LineStream;
  readonly [name: string]: FieldValue;
};

/** Level of an event; what LOG_LEVEL is compared with before a line is built. */
export function levelOf(event: GatewayEvent): LineLevel {
  switch (event.type) {
    case "access":
    case "listening":
    case "plan-loaded":
    case "self-checked":
    case "certificate-loaded":
    case "certificate-ordered":
    case "certificate-renewed":
    case "ban-lifted":
    case "csp-report":
    case "bus-restored":
    case "member-up":
    case "odoo-back":
    case "maintenance":
    case "hsts-ramp":
    case "draining":
    case "stopped":
      return "info";
    case "crawler-checked":
      return event.verdict === "false" ? "warn" : event.verdict === "verified" ? "info" : "debug";
    case "alert":
      return event.state === "firing" ? "warn" : "info";
    case "login":
      if (event.outcome === "failure") return "warn";
      return event.eachCall && event.outcome === "success" ? "debug" : "info";
    case "refused":
    case "denied":
    case "limited":
    case "strike":
    case "ban":
    case "session-moved":
    case "payment-failed":
    case "untrusted-forwarding":
    case "unknown-host":
    case "upstream-failed":
    case "shed":
    case "member-down":
    case "odoo-away":
    case "odoo-full":
    case "bus-fallback":
    case "certificate-expiring":
    case "certificate-missing":
    case "warning":
      return "warn";
    case "certificate-failed":
    case "reload-refused":
    case "error":
      return "error";
    default:
      return unreachable(event);
  }
}

/** The line of an event. Nothing is hidden here: secrets were taken out before the event was emitted. */
export function lineOf(event: GatewayEvent): Line {
  const level = levelOf(event);
  if (event.type === "access") return { level, fields: accessFields(event) };
  const { type, ...rest } = event;
  const fields: { event: GatewayEvent["type"]; stream: LineStream; [name: string]: FieldValue } = {
    event: type,
    stream: streamOf(event),
  };
  for (const [name, value] of Object.entries<FieldValue | boolean>(rest)) {
    // A yes or no chose the level; a reader of the line has the door.
    if (typeof value !== "boolean") fields[name] = clean(value);
  }
  return { level, fields };
}

function streamOf(event: GatewayEvent): LineStream {
  switch (event.type) {
    case "refused":
    case "denied":
    case "limited":
    case "login":
    case "strike":
    case "ban":
    case "ban-lifted":
    case "session-moved":
    case "payment-failed":
    case "crawler-checked":
    case "untrusted-forwarding":
    case "unknown-host":
      return "security";
    default:
      return "gateway";
  }
}

/** Only what a client chose is cleaned; the rest is ours. The hot path of the log: no loop, no copy but this one. */
export function accessFields(record: AccessRecord) {
  return {
    event: "access",
    stream: "access",
    id: record.id,
    client: record.client,
    peer: record.peer,
    protocol: record.protocol,
    method: cleanText(record.method, methodLengthMax),
    host: cleanText(record.host, agentLengthMax),
    target: cleanText(record.target, targetLengthMax),
    status: record.status,
    bytesIn: record.bytesIn,
    bytesOut: record.bytesOut,
    rule: record.rule,
    verdict: record.verdict,
    limit: record.limit,
    failure: record.failure,
    cache: record.cache,
    totalMs: tenth(record.totalMs),
    gatewayMs: tenth(record.totalMs - record.queueMs - (record.upstreamMs ?? 0)),
    upstreamMs: record.upstreamMs === null ? null : tenth(record.upstreamMs),
    queueMs: record.queueMs === 0 ? null : tenth(record.queueMs),
    lane: record.lane,
    userAgent: cleanText(record.userAgent, agentLengthMax),
  } as const satisfies LineFields;
}

function clean(value: FieldValue): FieldValue {
  if (typeof value === "string") return cleanText(value);
  if (typeof value === "number" || value === null) return value;
  const kept = value.slice(0, listMax).map((text) => cleanText(text));
  return value.length > listMax ? [...kept, `… and ${value.length - listMax} more`] : kept;
}

/** Milliseconds with one digit behind the point: finer is noise. */
function tenth(ms: number): number {
  return Math.round(ms * 10) / 10;
}
