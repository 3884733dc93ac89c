import type { RequestFacts } from "../message/facts.ts";
import { lowerName } from "../message/field-names.ts";
import { fieldValues, firstField, listElements } from "../message/fields.ts";
import { digestFields, isCompressible } from "../message/media.ts";
import { type EntityTag, parseTag } from "../message/validators.ts";
import type { AnswerHead } from "../upstream/answer-reader.ts";

/** The largest file that is kept. */
export const objectBytesMax = 32 * 1024 * 1024;
/** The longest key; addresses of files are short, invented queries are long. */
export const keyCharsMax = 1_024;
/** A file is called fresh for at most this long, whatever Odoo says. */
export const freshMsMax = 365 * 24 * 3_600_000;

/** `/web/assets/…` and `/<module>/static/…`, as written; never anything by its extension. */
const filePath = /^\/(?:web\/assets\/(?!debug\/)|[a-z][a-z0-9_]*\/static\/)[^/]/;
/** The bundle's hash in its path: another content has another address. `any`, `%` and the id alone are no hash. */
const hashedPath = /^\/web\/assets\/(?:[0-9]+\/)?(?:[0-9]+-)?[0-9a-f]{7,64}\/[^/]/;

/**
 * The key under which an answer to this request may be kept; null: the request goes past the cache. Scheme, host and target stand in
 * it, and nothing else of the request reaches Odoo when it is fetched. A spelling of a path other than the canonical one
 * is somebody's experiment, and goes to Odoo. `ownAuthorization`: the Authorization field was meant for us.
 */
export function keyOf(facts: RequestFacts, ownAuthorization: boolean): string | null {
  const { method, target, path } = facts;
  if (method !== "GET" && method !== "HEAD") return null;
  const end = facts.query === "" ? target.length : target.length - facts.query.length - 1;
  if (target.length > keyCharsMax || end !== path.length || !target.startsWith(path)) return null;
  if (!filePath.test(path) || facts.upgrade !== null) return null;
  const origin = `${facts.secure ? "https" : "http"}://${facts.authority}`;
  for (let i = 0; i + 1 < facts.fields.length; i += 2) {
    const name = lowerName(facts.fields[i] ?? "");
    // Another site's page asks: what Odoo, or what stands before it, says to that site is that site's alone.
    if (name === "origin" && facts.fields[i + 1] !== origin) return null;
    if (goesPast.has(name) && !(ownAuthorization && name === "authorization")) return null;
  }
  return `${origin}${target}`;
}

/** What makes an answer somebody's own, or asks a question that memory does not answer. */
const goesPast: ReadonlySet<string> = new Set([
  "authorization",
  "x-odoo-database",
  "content-length",
  "transfer-encoding",
  "if-match",
  "if-unmodified-since",
]);

/** Why an answer is not kept; a word of our own for the counters. */
export type PassReason =
  | "status"
  | "size"
  | "cache-control"
  | "vary"
  | "coding"
  | "digest"
  | "partial"
  | "type"
  | "empty";

/** What is known of an answer that may be kept. */
export interface Storable {
  readonly kind: "store";
  readonly bytes: number;
  /** Since it was made; 0 for what comes from Odoo itself. */
  readonly ageMs: number;
  readonly freshMs: number;
  readonly etag: EntityTag | null;
  readonly lastModified: string | null;
  readonly compressible: boolean;
}

/**
 * May this answer, fetched without cookies, be kept. Only a whole 200 of declared length that Odoo itself calls public and fresh;
 * everything unusual is not. `staticFreshMs`: how long a file without a hash in its path is not asked for again.
 */
export function judge(
  facts: Pick<RequestFacts, "path">,
  head: AnswerHead,
  staticFreshMs: number,
): Storable | { readonly kind: "pass"; readonly why: PassReason } {
  const { status, fields, framing } = head;
  if (status !== 200) return { kind: "pass", why: "status" };
  if (firstField(fields, "content-range") !== null) return { kind: "pass", why: "partial" };
  if (framing.kind !== "length" || framing.bytes > objectBytesMax) return { kind: "pass", why: "size" };
  if (framing.bytes === 0) return { kind: "pass", why: "empty" };
  const codings = listElements(fields, "content-encoding");
  if (codings.some((coding) => coding.toLowerCase() !== "identity")) return { kind: "pass", why: "coding" };
  // RFC 9111 §4.1: what else the answer depends on, we did not send.
  if (listElements(fields, "vary").some((name) => name.toLowerCase() !== "accept-encoding"))
    return { kind: "pass", why: "vary" };
  // It would stand beside other bytes: those of a coding, or of a range.
  if (fields.some((name, i) => i % 2 === 0 && digestFields.has(lowerName(name))))
    return { kind: "pass", why: "digest" };
  const types = fieldValues(fields, "content-type");
  if (types.length !== 1) return { kind: "pass", why: "type" };
  const lifetime = readLifetime(fields);
  if (lifetime === null) return { kind: "pass", why: "cache-control" };
  const hashed = lifetime.immutable && hashedPath.test(facts.path);
  const ageMs = readAge(fields);
  return {
    kind: "store",
    bytes: framing.bytes,
    ageMs,
    freshMs: Math.max(0, Math.min(lifetime.maxAgeMs - ageMs, hashed ? freshMsMax : staticFreshMs)),
    etag: parseTag(firstField(fields, "etag")),
    lastModified: firstField(fields, "last-modified"),
    compressible: isCompressible(types[0] ?? null) && !lifetime.noTransform,
  };
}

interface Lifetime {
  readonly maxAgeMs: number;
  readonly immutable: boolean;
  readonly noTransform: boolean;
}

/** RFC 9111 §5.2.2, read strictly: `public` with one max-age, and no directive that asks for care. */
function readLifetime(fields: readonly string[]): Lifetime | null {
  const said = listElements(fields, "cache-control").map((directive) => directive.toLowerCase());
  // Directives with arguments in quotes could hold commas; Odoo writes none.
  if (said.some((directive) => directive.includes('"'))) return null;
  if (firstField(fields, "pragma")?.toLowerCase().includes("no-cache") === true) return null;
  const names = said.map((directive) => directive.split("=", 1)[0]?.trim() ?? "");
  if (!names.includes("public") || names.some((name) => careful.has(name))) return null;
  const ages = said.filter((_, i) => names[i] === "max-age");
  const seconds = /^max-age=([0-9]{1,10})$/.exec(ages[0] ?? "")?.[1];
  if (ages.length !== 1 || seconds === undefined || Number(seconds) === 0) return null;
  return {
    maxAgeMs: Math.min(Number(seconds) * 1_000, freshMsMax),
    immutable: names.includes("immutable"),
    noTransform: names.includes("no-transform"),
  };
}

const careful: ReadonlySet<string> = new Set([
  "private",
  "no-store",
  "no-cache",
  "must-revalidate",
  "proxy-revalidate",
  "must-understand",
  "s-maxage",
]);

function readAge(fields: readonly string[]): number {
  const age = firstField(fields, "age");
  return age !== null && /^[0-9]{1,10}$/.test(age) ? Number(age) * 1_000 : 0;
}
