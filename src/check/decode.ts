import {
  brotliDecompressSync,
  constants,
  gunzipSync,
  inflateRawSync,
  inflateSync,
  zstdDecompressSync,
} from "node:zlib";
import { err, ok, type Result } from "../base/result.ts";
import { type Answer, fieldsOf } from "./answer.ts";
import { checkBounds } from "./bounds.ts";

/** What a body may become before its beginning is taken: a small bomb is no reason to know nothing of a page. */
const decodedBytesMax = checkBounds.bodyBytesMax * 8;

/**
 * The answer with its body in plain bytes. We ask for `identity`, but some sites compress whoever asks: what cannot be read must
 * not pass as "nothing found". The error says why the body cannot be read.
 */
export function plainAnswer(answer: Answer): Result<Answer, string> {
  const codings = fieldsOf(answer.fields, "content-encoding")
    .flatMap((value) => value.split(","))
    .map((one) => one.trim().toLowerCase())
    .filter((one) => one !== "" && one !== "identity");
  if (codings.length === 0 || answer.body.length === 0) return ok(answer);
  const [coding = ""] = codings;
  if (codings.length > 1) return err(`the body is encoded ${codings.length} times`);
  try {
    const body = decode(answer.body, coding);
    return body === null
      ? err(`the body is encoded as "${coding}", which cannot be read`)
      : ok({ ...answer, body: body.subarray(0, checkBounds.bodyBytesMax) });
  } catch (error) {
    return err(`the body cannot be read as ${coding}: ${error instanceof Error ? error.message : "?"}`);
  }
}

function decode(body: Buffer, coding: string): Buffer | null {
  const maxOutputLength = decodedBytesMax;
  // A body that was cut at our bound is read as far as it goes.
  const deflated = { maxOutputLength, finishFlush: constants.Z_SYNC_FLUSH };
  switch (coding) {
    case "gzip":
    case "x-gzip":
      return gunzipSync(body, deflated);
    case "deflate":
      // RFC 9110 §8.4.1.2 means zlib's format; some send it bare. The first byte's low half is 8 in zlib's.
      return ((body[0] ?? 0) & 15) === 8 ? inflateSync(body, deflated) : inflateRawSync(body, deflated);
    case "br":
      return brotliDecompressSync(body, {
        maxOutputLength,
        finishFlush: constants.BROTLI_OPERATION_FLUSH,
      });
    case "zstd":
      return zstdDecompressSync(body, { maxOutputLength, finishFlush: constants.ZSTD_e_flush });
    default:
      return null;
  }
}
