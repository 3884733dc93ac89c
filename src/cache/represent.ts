import { type Coding, chooseCoding } from "../message/accept-encoding.ts";
import type { RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import { plainUrgency } from "../message/priority.ts";
import { parseHttpDate, rangeHolds, readNoneMatch, readRange } from "../message/validators.ts";
import type { GrowingBytes } from "./growing.ts";
import type { Entry } from "./store.ts";

/** In order of preference among equals: files are compressed once, so the smallest wins. */
export const fileCodings: readonly Coding[] = ["br", "zstd", "gzip"];
/**
 * While brotli has not been at it: zstd gives fewer bytes than the brotli that a visitor can wait for, and sooner
 * (6 MB of Odoo's script: zstd 8 1.17 MB in 145 ms of one core, brotli 5 1.19 MB in 174).
 */
const quickCodings: readonly Coding[] = ["zstd", "br", "gzip"];

/** An answer made of an entry. `fields` lack the security fields and what frames the body. */
export interface StoredAnswer {
  readonly status: 200 | 206 | 304 | 416;
  readonly fields: string[];
  readonly body:
    | { readonly kind: "none" }
    /** As many as there are; of unknown length while they are still coming in. */
    | { readonly kind: "bytes"; readonly bytes: GrowingBytes }
    | { readonly kind: "part"; readonly part: Buffer };
}

/**
 * The answer for one request: 304 when the client has it (RFC 9110 §13.2.2, If-None-Match before If-Modified-Since), 206 or
 * 416 for one range of the uncompressed file, else the file in the best coding the client takes. `compress`: may we compress;
 * `urgency`: what has yet to be compressed goes behind the more urgent (RFC 9218).
 */
export function represent(
  entry: Entry,
  facts: RequestFacts,
  nowMs: number,
  compress: boolean,
  urgency = plainUrgency,
): StoredAnswer {
  const { content } = entry;
  const codes = compress && content.isCompressible;
  const coding = codes ? chooseCoding(facts.fields, content.has("br") ? fileCodings : quickCodings) : null;
  const held = notModified(entry, facts, coding, codes);
  if (held !== null) {
    const fields = fieldsFor(entry, held, codes, nowMs, false);
    return { status: 304, fields, body: { kind: "none" } };
  }
  const whole = content.identity.buffer;
  if (whole !== null && facts.method === "GET" && firstField(facts.fields, "range") !== null) {
    const ranged = partial(entry, facts, whole, codes, nowMs);
    if (ranged !== null) return ranged;
  }
  const fields = fieldsFor(entry, tagText(entry, coding), codes, nowMs, true);
  if (coding !== null) fields.push("Content-Encoding", coding);
  else fields.push("Accept-Ranges", "bytes");
  return { status: 200, fields, body: { kind: "bytes", bytes: content.in(coding, urgency) } };
}

/**
 * The tag the client holds the file under, as it has to stand in a 304; null: it has no copy that is still right. Each coding of a
 * file has a tag of its own, and all of them stand for the one file.
 */
function notModified(
  entry: Entry,
  facts: RequestFacts,
  coding: Coding | null,
  codes: boolean,
): string | "" | null {
  const asked = readNoneMatch(facts.fields);
  if (asked !== null) {
    if (asked === "any") return tagText(entry, coding);
    const tag = entry.etag;
    if (tag === null) return null;
    if (asked.includes(tag.opaque)) return tagText(entry, null);
    if (!codes) return null;
    const form = fileCodings.find((one) => asked.includes(`${tag.opaque}-${one}`));
    return form === undefined ? null : tagText(entry, form);
  }
  if (firstField(facts.fields, "if-none-match") !== null) return null;
  const since = parseHttpDate(firstField(facts.fields, "if-modified-since"));
  const modified = parseHttpDate(entry.lastModified);
  return since !== null && modified !== null && modified <= since ? tagText(entry, coding) : null;
}

function partial(
  entry: Entry,
  facts: RequestFacts,
  whole: Buffer,
  codes: boolean,
  nowMs: number,
): StoredAnswer | null {
  if (!rangeHolds(facts.fields, entry.etag, entry.lastModified)) return null;
  const range = readRange(facts.fields, whole.length);
  if (range === "whole") return null;
  if (range === "unsatisfiable") return beyond(whole.length);
  const fields = fieldsFor(entry, tagText(entry, null), codes, nowMs, true);
  fields.push("Accept-Ranges", "bytes");
  fields.push("Content-Range", `bytes ${range.first}-${range.last}/${whole.length}`);
  return {
    status: 206,
    fields,
    body: { kind: "part", part: whole.subarray(range.first, range.last + 1) },
  };
}

/**
 * RFC 9110 §15.5.17. Without the file's own fields: under its `public, immutable` a cache in front may keep this for everybody who asks for the
 * file (RFC 9111 §3), and one stranger's range would take it from them.
 */
function beyond(size: number): StoredAnswer {
  const fields = ["Content-Range", `bytes */${size}`, "Accept-Ranges", "bytes", "Cache-Control", "no-store"];
  return { status: 416, fields, body: { kind: "none" } };
}

/** Weak in a coding: the better compressed form that comes later has other bytes (RFC 9110 §8.8.1). Empty: there is no tag. */
function tagText({ etag }: Entry, coding: Coding | null): string {
  if (etag === null) return "";
  if (coding === null) return `${etag.weak ? "W/" : ""}"${etag.opaque}"`;
  return `W/"${etag.opaque}-${coding}"`;
}

function fieldsFor(entry: Entry, tag: string, codes: boolean, nowMs: number, withBody: boolean): string[] {
  const fields: string[] = [];
  for (let i = 0; i + 1 < entry.fields.length; i += 2) {
    const name = entry.fields[i] ?? "";
    // What describes a body has no place in an answer without one.
    if (withBody || !name.toLowerCase().startsWith("content-") || name.toLowerCase() === policyField)
      fields.push(name, entry.fields[i + 1] ?? "");
  }
  if (tag !== "") fields.push("ETag", tag);
  if (codes) fields.push("Vary", "Accept-Encoding");
  fields.push("Age", String(Math.max(0, Math.floor((nowMs - entry.bornMs) / 1_000))));
  return fields;
}

const policyField = "content-security-policy";
