import { BoundedMap } from "../base/bounded-map.ts";
import { ownCopy } from "../base/flat.ts";
import { redactedCharsMax, targetBytesMax } from "./bounds.ts";
import { maskPath, namedCharsMax } from "./path-secrets.ts";

/**
 * Names that other programs give to secrets; Odoo's `hash` lets whoever has a portal's link write in somebody's name, `tickets_hash` have
 * tickets, `invite_hash` join a course.
 */
const namesElsewhere = [
  ...["pass", "pin", "otp", "totp", "sid", "session", "auth", "jwt", "sig"],
  ...["hash", "_hash", "tickets_hash", "invite_hash", "assertion", "samlresponse"],
];
const secretNames: ReadonlySet<string> = new Set(["db", "login", "code", "state", "key", ...namesElsewhere]);
const secretPart =
  /token|secret|passw|pwd|api[_-]?key|csrf|sess(?:ion)?[_-]?id|authoriz|bearer|credential|signature|e-?mail/;
/** A person's address, whatever the parameter is called: who was invited, looked for or unsubscribed; decoded. */
const mailAddress = /[^\s@/?&=]@[^\s@/?&=]*\.[^\s@/?&=.]/;
// A secret parameter inside a value, as in ?redirect=%2Fweb%2Freset_password%3Ftoken%3D…; decoded, lower case.
const secretWithin = new RegExp(
  `(?:${secretPart.source})[^=&]{0,32}=|(?:^|[?&;#])(?:db|login|code|state|key|${namesElsewhere.join("|")})=`,
);
/** A path that is shown as it is: most of them. Longer segments and those three names are looked at (message/path-secrets). */
const plainPath = new RegExp(
  `^(?!//)(?:/(?!(?:chat|meet|coupon)/)[!"$-.0->@-~]{0,${namedCharsMax}}(?![^/])){1,48}$`,
);
/** One with longer segments. */
const visiblePath = /^\/(?!\/)[!"$->@-~]{0,1023}$/;
/** Those in which nothing is secret: the same few bundles and calls. */
const shownBefore = new BoundedMap<string, true>(512);
const keptCharsMax = 256;
const percentEscape = /%([0-9a-f]{2})/gi;
const invisible = /[^!-~]/g;
const mark = "***";

/**
 * A request target for logs: values of secret parameters and e-mail addresses become `***`, also where a whole parameter value
 * carries one inside (a redirect to a link with a token). Names are compared percent-decoded and in lower
 * case. The path stays, but for tokens in it and user information of an absolute form; characters outside
 * visible ASCII become `?`. At most 2,048 characters come back, the last of them `…` when something was cut.
 */
export function redactTarget(target: string): string {
  if (plainPath.test(target)) return target;
  if (shownBefore.get(target) === true) return target;
  if (visiblePath.test(target)) return maskedPath(target);
  const bounded = target.length > targetBytesMax ? target.slice(0, targetBytesMax) : target;
  const visible = bounded.replace(invisible, "?");
  const start = visible.search(/[?#]/);
  const path = start === -1 ? visible : visible.slice(0, start);
  const shown = maskPath(path.startsWith("/") && !path.startsWith("//") ? path : withoutUserInfo(path));
  const whole = start === -1 ? shown : shown + visible.charAt(start) + redactQuery(visible.slice(start + 1));
  const cut = whole.length > redactedCharsMax || bounded.length < target.length;
  return cut ? `${whole.slice(0, redactedCharsMax - 1)}…` : whole;
}

function maskedPath(path: string): string {
  const shown = maskPath(path);
  if (shown === path && path.length <= keptCharsMax) shownBefore.set(ownCopy(path), true);
  return shown;
}

/** Absolute and authority form may carry `user:password@`; they are refused, and the refusal is logged. */
function withoutUserInfo(path: string): string {
  const at = path.lastIndexOf("@");
  return at === -1 ? path : mark + path.slice(at);
}

function redactQuery(query: string): string {
  if (query === "") return query;
  return query.split("&").map(redactParameter).join("&");
}

function redactParameter(parameter: string): string {
  const equals = parameter.indexOf("=");
  if (equals === -1) return mailAddress.test(decodeLoosely(parameter)) ? mark : maskPath(parameter);
  const name = parameter.slice(0, equals);
  if (isSecretName(decodeLoosely(name))) return `${name}=${mark}`;
  const value = parameter.slice(equals + 1);
  // Twice: a link inside a link is encoded twice.
  const inner = decodeLoosely(decodeLoosely(value));
  const isSecret =
    secretWithin.test(inner) || mailAddress.test(inner) || (inner.includes("/") && maskPath(inner) !== inner);
  return isSecret ? `${name}=${mark}` : parameter;
}

function isSecretName(name: string): boolean {
  // `a;code=…`: to whoever splits at `;` the name is code.
  const bare = name.slice(Math.max(name.lastIndexOf(";"), name.lastIndexOf("?")) + 1).trim();
  return secretNames.has(bare) || secretPart.test(name);
}

/** Lower case, `+` as a space, escapes as single bytes; never fails, since nothing but names depends on it. */
function decodeLoosely(text: string): string {
  const lower = text.toLowerCase();
  const spaced = lower.includes("+") ? lower.replaceAll("+", " ") : lower;
  if (!spaced.includes("%")) return spaced;
  return spaced
    .replace(percentEscape, (_whole, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    .toLowerCase();
}
