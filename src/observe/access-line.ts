import { BoundedMap } from "../base/bounded-map.ts";
import type { AccessRecord } from "./events.ts";
import { accessFields } from "./line.ts";

/** Texts that clients send again and again (a browser's name, a path, a host), as they stand in a line. */
const quotedBefore = new BoundedMap<string, string>(1_024);
const quotedCharsMax = 256;

let timeMs = Number.NaN;
let time = "";

/**
 * The JSON line of an access record, with its line feed: the same text that pino makes of `accessFields`, without its loop over fields whose
 * names and types are known. Every exchange writes one, so it is the one line that is made by hand.
 */
export function accessLine(record: AccessRecord): string {
  const fields = accessFields(record);
  if (record.wallMs !== timeMs) {
    timeMs = record.wallMs;
    time = new Date(timeMs).toISOString();
  }
  return (
    `{"level":"info","time":"${time}","event":"access","stream":"access","id":"${fields.id}"` +
    `,"client":${quoted(fields.client)},"peer":${quoted(fields.peer)},"protocol":${quoted(fields.protocol)}` +
    `,"method":${quoted(fields.method)},"host":${quoted(fields.host)},"target":${quoted(fields.target)}` +
    `,"status":${fields.status},"bytesIn":${fields.bytesIn},"bytesOut":${fields.bytesOut}` +
    `,"rule":${quoted(fields.rule)},"verdict":${quoted(fields.verdict)},"limit":${quoted(fields.limit)}` +
    `,"failure":${quoted(fields.failure)},"cache":${quoted(fields.cache)},"totalMs":${fields.totalMs}` +
    `,"gatewayMs":${fields.gatewayMs},"upstreamMs":${fields.upstreamMs},"queueMs":${fields.queueMs}` +
    `,"lane":${quoted(fields.lane)},"userAgent":${quoted(fields.userAgent)}}\n`
  );
}

function quoted(text: string | null): string {
  if (text === null) return "null";
  const before = quotedBefore.get(text);
  if (before !== undefined) return before;
  const made = JSON.stringify(text);
  // A query is another one each time.
  if (text.length <= quotedCharsMax && !text.includes("?")) quotedBefore.set(text, made);
  return made;
}
