import { BoundedMap } from "../base/bounded-map.ts";
import type { CanonicalPath } from "../base/brands.ts";
import { ok, type Result } from "../base/result.ts";
import { targetBytesMax } from "./bounds.ts";
import type { Refusal } from "./facts.ts";
import { type RefusalCode, refuse } from "./refusals.ts";

/** What a request target says. */
export interface TargetReading {
  readonly path: CanonicalPath;
  /** `path`, and when its first segment could be a language code, the rest behind it. */
  readonly paths: readonly CanonicalPath[];
  /** `paths` in lower case; the same array when nothing differs. */
  readonly pathsLower: readonly CanonicalPath[];
  /** Raw, without `?`. */
  readonly query: string;
}

const visibleAscii = /^[!-~]*$/;
const brokenEscape = /%(?![0-9A-Fa-f]{2})/;
const anyEscape = /%[0-9A-Fa-f]{2}/;
const encodedSeparator = /%(?:2f|5c)/i;
const control = /[\0-\x1f\x7f]/;
// `..;x` is a dot segment to servers that cut path parameters off first.
const dotSegment = /\/\.{1,2}(?:;[^/]*)?(?:\/|$)/;
const edgeSpace = /\/ | (?:\/|$)/;
const slashes = /\/{2,}/g;
// `c:` alone in any segment; below a static folder `c:file` too, which Windows reads as a path of drive c.
const drive = /\/[A-Za-z]:(?:\/|$)/;
const driveStart = /\/[A-Za-z]:/;
const languageCode = /^[a-z]{2,3}(?:[_@-][a-z0-9]+)*$/i;

/**
 * Reads an origin-form request target (RFC 9112 §3.2.1) the way Odoo 16–19 would, and refuses what Odoo, a
 * proxy or a browser could read differently. Percent escapes of the path are decoded once, as UTF-8; inner
 * and trailing slashes are dropped for the decision only, the target itself goes to Odoo as it came. The
 * query stays raw; broken escapes in it are Odoo's affair, an encoded NUL is refused.
 */
export function readTarget(target: string): Result<TargetReading, Refusal> {
  const known = readBefore.get(target);
  if (known !== undefined) return known;
  const read = readAnew(target);
  if (read.ok && target.length <= rememberedCharsMax) readBefore.set(target, read);
  return read;
}

/** Browsers ask for the same few targets again and again; what strangers invent drives out what was asked longest ago. */
const readBefore = new BoundedMap<string, Result<TargetReading, Refusal>>(4_096);
const rememberedCharsMax = 256;

function readAnew(target: string): Result<TargetReading, Refusal> {
  const shape = shapeRefusal(target);
  if (shape !== null) return refuse(shape);
  const mark = target.indexOf("?");
  const rawPath = mark === -1 ? target : target.slice(0, mark);
  const query = mark === -1 ? "" : target.slice(mark + 1);
  // Browsers leave a backslash in a query as it is (WHATWG URL, query percent-encode set): only paths matter.
  if (rawPath.includes("\\")) return refuse("target-backslash");
  if (query.includes("%00")) return refuse("target-query-nul");
  const decoded = decodeOnce(rawPath);
  if (!decoded.ok) return refuse(decoded.error);
  const meaning = meaningRefusal(decoded.value);
  if (meaning !== null) return refuse(meaning);
  const path = canonical(decoded.value);
  const paths = readings(path);
  return ok({ path, paths, pathsLower: lowered(paths), query });
}

/** What is wrong with the target before anything is decoded. */
function shapeRefusal(target: string): RefusalCode | null {
  if (target.length > targetBytesMax) return "target-too-long";
  if (target === "") return "target-empty";
  if (!visibleAscii.test(target)) return "target-character";
  if (!target.startsWith("/")) return "target-form";
  // Odoo glues `//web/x` to the path `/web/x`; a URL parser sees the host `web` (RFC 3986 §4.2).
  if (target.startsWith("//")) return "target-double-slash";
  if (target.includes("#")) return "target-fragment";
  return null;
}

/** Decodes percent escapes once; a path without one comes back as it is. */
function decodeOnce(rawPath: string): Result<string, RefusalCode> {
  if (!rawPath.includes("%")) return ok(rawPath);
  if (brokenEscape.test(rawPath)) return { ok: false, error: "target-escape-broken" };
  // Odoo takes %2f for a slash, everyone else does not.
  if (encodedSeparator.test(rawPath)) return { ok: false, error: "target-encoded-separator" };
  try {
    return ok(decodeURIComponent(rawPath));
  } catch {
    // Only URIError is thrown: overlong forms, lone continuation bytes, surrogates.
    return { ok: false, error: "target-utf8" };
  }
}

/** What is wrong with the decoded path. */
function meaningRefusal(decoded: string): RefusalCode | null {
  if (control.test(decoded)) return "target-control";
  if (anyEscape.test(decoded)) return "target-escape-nested";
  if (dotSegment.test(decoded)) return "target-dot-segment";
  if (edgeSpace.test(decoded)) return "target-space";
  if (decoded.includes(":") && namesDrive(decoded)) return "target-drive";
  return null;
}

function namesDrive(decoded: string): boolean {
  return drive.test(decoded) || (decoded.includes("/static/") && driveStart.test(decoded));
}

/** One leading slash, no doubled and no trailing one: Odoo's router is not strict about either. */
function canonical(decoded: string): CanonicalPath {
  let path = decoded.includes("//") ? decoded.replace(slashes, "/") : decoded;
  if (path.length > 1 && path.endsWith("/")) path = path.slice(0, -1);
  return path as CanonicalPath;
}

/** Odoo's website module strips a leading language and routes the rest (http_routing, `_match`). */
function readings(path: CanonicalPath): readonly CanonicalPath[] {
  const end = path.indexOf("/", 1);
  const first = end === -1 ? path.slice(1) : path.slice(1, end);
  if (!languageCode.test(first)) return [path];
  return [path, (end === -1 ? "/" : path.slice(end)) as CanonicalPath];
}

function lowered(paths: readonly CanonicalPath[]): readonly CanonicalPath[] {
  const [first, second] = paths;
  if (first === undefined || first === first.toLowerCase()) return paths;
  const low = first.toLowerCase() as CanonicalPath;
  return second === undefined ? [low] : [low, second.toLowerCase() as CanonicalPath];
}
