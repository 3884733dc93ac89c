import type { Transform } from "node:stream";
import {
  brotliCompressSync,
  constants,
  createBrotliCompress,
  createGzip,
  createZstdCompress,
  gzipSync,
  zstdCompressSync,
} from "node:zlib";
import { type Coding, chooseCoding } from "../message/accept-encoding.ts";
import type { Likeness, RawFields, RequestFacts } from "../message/facts.ts";
import { lowerName } from "../message/field-names.ts";
import { firstField, listElements } from "../message/fields.ts";
import { digestFields, isCompressible } from "../message/media.ts";

/** Answers below this many bytes are not compressed: they fit one packet as they are. */
export const encodedBytesMin = 1_024;
/** Answers compressed at the same time as they pass; a further one goes out as it is. */
export const encodersMax = 64;

/** In order of preference among equals: answers are compressed for one reader, so the cheapest wins. */
const passingCodings: readonly Coding[] = ["zstd", "br", "gzip"];

/** Cookies that are no secret: all other answers that set one are left as they are. */
const plainCookie = /^frontend_lang=/;

/**
 * May an answer be compressed on its way: text of a type that shrinks, whole (no range), not coded or signed already, not marked
 * no-transform, and without a secret beside what the request can choose (docs/threat-model, BREACH): none that sets a
 * session, none to an attempt to log in, none that another site's page asked for with a session. `bytes`: its length,
 * null when it is not known. `fields` are Odoo's.
 */
export function mayEncode(facts: RequestFacts, answer: CodedAnswer, isAttempt: boolean): boolean {
  const { bytes } = answer;
  if (bytes !== null && bytes < encodedBytesMin) return false;
  if (isAttempt || facts.protocol === "HTTP/1.0" || !mayShrink(answer)) return false;
  return facts.sessionId === null || firstField(facts.fields, "sec-fetch-site") !== "cross-site";
}

/** An answer that may be compressed. */
export interface CodedAnswer {
  readonly status: number;
  /** Odoo's. */
  readonly fields: RawFields;
  /** Null: not known. */
  readonly bytes: number | null;
  /** What its head has in common with others; the same holds for them all then. */
  readonly likeness?: Likeness | null;
}

const shrinks = new WeakMap<Likeness, boolean>();

function mayShrink({ status, fields, likeness }: CodedAnswer): boolean {
  if (likeness == null) return headAllows(status, fields);
  const before = shrinks.get(likeness);
  if (before !== undefined) return before;
  const found = headAllows(status, fields);
  shrinks.set(likeness, found);
  return found;
}

function headAllows(status: number, fields: RawFields): boolean {
  if (status < 200 || status === 204 || status === 205 || status === 206 || status === 304) return false;
  let type: string | null = null;
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const value = fields[i + 1] ?? "";
    const lower = lowerName(fields[i] ?? "");
    switch (lower) {
      case "content-type":
        if (type !== null) return false;
        type = value;
        break;
      case "content-encoding":
      case "content-range":
        return false;
      case "cache-control":
        if (/\bno-transform\b/i.test(value)) return false;
        break;
      case "set-cookie":
        if (!plainCookie.test(value)) return false;
        break;
      default:
        if (digestFields.has(lower)) return false;
    }
  }
  return isCompressible(type);
}

/** The coding for an answer that may be compressed; null: as it is. */
export function passingCoding(facts: RequestFacts): Coding | null {
  return chooseCoding(facts.fields, passingCodings);
}

/**
 * The fields of an answer that may be compressed, after `inboundFields`: Vary in any case, so that no cache between gives one form to
 * all; with a coding the strong tag becomes weak (RFC 9110 §8.8.1), and what spoke of the uncompressed bytes goes.
 */
export function encodedFields(fields: readonly string[], coding: Coding | null): string[] {
  const out: string[] = [];
  const vary = listElements(fields, "vary");
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? "";
    const value = fields[i + 1] ?? "";
    const lower = lowerName(name);
    if (lower === "vary") continue;
    if (coding === null) out.push(name, value);
    else if (lower === "etag") out.push(name, value.startsWith('"') ? `W/${value}` : value);
    else if (lower !== "accept-ranges" && lower !== "content-length") out.push(name, value);
  }
  const named = vary.some((name) => name === "*" || name.toLowerCase() === "accept-encoding");
  out.push("Vary", (named ? vary : [...vary, "Accept-Encoding"]).join(", "));
  if (coding !== null) out.push("Content-Encoding", coding);
  return out;
}

// An answer that passes is compressed for one reader: small windows, so that many at a time take little memory.
const brotliPassing = {
  params: { [constants.BROTLI_PARAM_QUALITY]: 3, [constants.BROTLI_PARAM_LGWIN]: 18 },
};
const zstdPassing = {
  params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_windowLog]: 18 },
};
const gzipPassing = { level: 4 };

/** Compresses a small answer at once: a few tenths of a millisecond, less than a way to another thread is worth. */
export function encodeWhole(coding: Coding, body: Buffer): Buffer {
  switch (coding) {
    case "br":
      return brotliCompressSync(body, brotliPassing);
    case "zstd":
      return zstdCompressSync(body, zstdPassing);
    case "gzip":
      return gzipSync(body, gzipPassing);
  }
}

/** A compressor for an answer that comes in pieces, and the word that makes it give out what it has. */
export function passingEncoder(coding: Coding): { readonly encoder: Transform; flush(): void } {
  switch (coding) {
    case "br": {
      const encoder = createBrotliCompress(brotliPassing);
      return { encoder, flush: () => encoder.flush(constants.BROTLI_OPERATION_FLUSH) };
    }
    case "zstd": {
      const encoder = createZstdCompress(zstdPassing);
      return { encoder, flush: () => encoder.flush(constants.ZSTD_e_flush) };
    }
    case "gzip": {
      const encoder = createGzip(gzipPassing);
      return { encoder, flush: () => encoder.flush(constants.Z_SYNC_FLUSH) };
    }
  }
}

/** Room for what a compressor gives out at once, and for what waits to be compressed next, bytes: each further turn is a way between threads. */
const fileEncoderRoom = { chunkSize: 128 * 1024, writableHighWaterMark: 512 * 1024 };

/**
 * A compressor for a file that is kept: `bytes` long, compressed once for everybody, while the first visitor waits for it. It gives out
 * what it has with every piece it is given.
 */
export function fileEncoder(coding: Coding, bytes: number): Transform {
  switch (coding) {
    case "br":
      return createBrotliCompress({
        ...fileEncoderRoom,
        flush: constants.BROTLI_OPERATION_FLUSH,
        params: { [constants.BROTLI_PARAM_QUALITY]: 5, [constants.BROTLI_PARAM_SIZE_HINT]: bytes },
      });
    case "zstd":
      return createZstdCompress({
        ...fileEncoderRoom,
        flush: constants.ZSTD_e_flush,
        params: { [constants.ZSTD_c_compressionLevel]: 8 },
      });
    case "gzip":
      return createGzip({ ...fileEncoderRoom, flush: constants.Z_SYNC_FLUSH, level: 6 });
  }
}
