import { BoundedMap } from "../base/bounded-map.ts";
import { cleanText } from "../base/clean.ts";
import { ownCopy } from "../base/flat.ts";
import type { AccessRecord } from "./events.ts";
import { agentLengthMax, methodLengthMax, targetLengthMax } from "./line.ts";

/** Texts of ours, and texts that clients send again and again (a browser's name, a path, a host), as they stand in a line. */
const quotedBefore = new BoundedMap<string, string>(1_024);
const cleanedBefore = new BoundedMap<string, string>(1_024);
const keptCharsMax = 256;

let timeMs = Number.NaN;
let time = "";

/**
 * The JSON line of an access record, with its line feed: the same text that pino makes of `accessFields`, without its loop over fields whose
 * names and types are known. Every exchange writes one, so it is the one line that is made by hand.
 */
export function accessLine(record: AccessRecord): string {
  if (record.wallMs !== timeMs) {
    timeMs = record.wallMs;
    time = new Date(timeMs).toISOString();
  }
  const { queueMs, upstreamMs, totalMs } = record;
  const client = quoted(record.client);
  return (
    `{"level":"info","time":"${time}","event":"access","stream":"access","id":"${record.id}"` +
    `,"client":${client},"peer":${record.peer === record.client ? client : quoted(record.peer)}` +
    `,"protocol":${quoted(record.protocol)},"method":${cleaned(record.method, methodLengthMax)}` +
    `,"host":${cleaned(record.host, agentLengthMax)},"target":${cleaned(record.target, targetLengthMax)}` +
    `,"status":${record.status},"bytesIn":${record.bytesIn},"bytesOut":${record.bytesOut}` +
    `,"rule":${quoted(record.rule)},"verdict":${quoted(record.verdict)},"limit":${quoted(record.limit)}` +
    `,"failure":${quoted(record.failure)},"cache":${quoted(record.cache)},"totalMs":${tenth(totalMs)}` +
    `,"gatewayMs":${tenth(totalMs - queueMs - (upstreamMs ?? 0))}` +
    `,"upstreamMs":${upstreamMs === null ? "null" : tenth(upstreamMs)}` +
    `,"queueMs":${queueMs === 0 ? "null" : tenth(queueMs)}` +
    `,"lane":${quoted(record.lane)},"userAgent":${cleaned(record.userAgent, agentLengthMax)}}\n`
  );
}

/** Text of ours. */
function quoted(text: string | null): string {
  if (text === null) return "null";
  const before = quotedBefore.get(text);
  if (before !== undefined) return before;
  const made = JSON.stringify(text);
  quotedBefore.set(text, made);
  return made;
}

/** Text that a client chose. A query is another one each time, and may hold a secret. */
function cleaned(text: string, lengthMax: number): string {
  if (text.length > lengthMax) return JSON.stringify(cleanText(text, lengthMax));
  const before = cleanedBefore.get(text);
  if (before !== undefined) return before;
  const made = JSON.stringify(cleanText(text));
  if (text.length <= keptCharsMax && !text.includes("?")) cleanedBefore.set(ownCopy(text), made);
  return made;
}

/** Milliseconds as `line` has them. Most are small: a whole number and a digit are written sooner than a fraction. */
function tenth(ms: number): string {
  const tenths = Math.round(ms * 10);
  if (tenths < 0 || tenths >= 2 ** 30) return String(tenths / 10);
  const rest = tenths % 10;
  const whole = (tenths - rest) / 10;
  return rest === 0 ? `${whole}` : `${whole}.${rest}`;
}
