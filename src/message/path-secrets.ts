/** What may be a token by its length; shorter segments are names, ids and slugs. */
export const namedCharsMax = 21;
const longSegment = new RegExp(`/[^/?#&]{${namedCharsMax + 1},}`, "g");
/** Surveys, portal links, signatures, webhooks: `uuid4()`. Programs that find links in mails may leave a stop or a bracket behind it. */
const uuid = /[0-9a-f]{8}(?:(?:-|%2d)[0-9a-f]{4}){3}(?:-|%2d)[0-9a-f]{12}/gi;
/** Video calls, ratings, kiosks (`uuid4().hex`), mail tracking (HMAC); not a file's name that is a hash. */
const hex = /^\/[0-9a-f]{32,}(?![0-9a-z]|\.[0-9a-z])/i;
/** The hash of a bundle's content is no secret, whatever its length. */
const behindAssets = /\/web\/assets(?:\/\d+)?$/;
/** The Documents app: 22 characters of base64url, and an id. */
const behindDocuments = /\/documents(?:\/[a-z_]+)?$/;
const documentToken = /^\/[\w-]+/;
/** Invitations to a channel (10 letters), and coupons: of any shape, so by their place. A number is an id. */
const behindName =
  /^((?:https?:\/\/[^/]+)?(?:\/[a-z]{2,3}(?:[-_@][\w@-]+)?)?\/+(?:chat|meet|coupon)\/+(?:\d+\/+)?)(?!\d+(?:[/?#]|$))[^/?#]+/;
/** So much before a segment says what it is. */
const beforeCharsMax = 48;
const mark = "***";

/** A path for logs: what lets in whoever has the link becomes `***`; ids, slugs, names of files and hashes of files stay. */
export function maskPath(path: string): string {
  const masked = hasLongSegment(path) ? path.replace(longSegment, maskSegment) : path;
  return behindName.test(masked) ? masked.replace(behindName, `$1${mark}`) : masked;
}

/** Most paths have none, and this is known sooner than by a pattern. */
function hasLongSegment(path: string): boolean {
  let from = 0;
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", from)) {
    if (at - from > namedCharsMax) return true;
    from = at + 1;
  }
  return path.length - from > namedCharsMax;
}

/** `segment` with the slash before it. */
function maskSegment(segment: string, at: number, path: string): string {
  const masked = segment.replace(uuid, mark);
  if (masked !== segment) return masked;
  const before = path.slice(Math.max(0, at - beforeCharsMax), at);
  if (hex.test(segment)) return behindAssets.test(before) ? segment : segment.replace(hex, `/${mark}`);
  return behindDocuments.test(before) ? segment.replace(documentToken, `/${mark}`) : segment;
}
