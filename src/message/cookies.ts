import { trimOws } from "./fields.ts";

const secureAttribute = /;[ \t]*secure[ \t]*(?:;|$|=)/i;
const sameSiteAttribute = /;[ \t]*samesite[ \t]*(?:;|$|=)/i;

/** The cookie Odoo keeps its session in. */
export const odooSessionCookie = "session_id";
/** Marks a browser that has logged in before; ours, never sent to Odoo. */
export const deviceCookie = "__Host-device";
/** Lets a browser in while the site is closed; ours, never sent to Odoo. */
export const maintenanceCookie = "__Host-maintenance";

/**
 * The value of one cookie in a Cookie line; null when absent. The first of equal names wins, as in Odoo
 * (odoo-wire h). Surrounding double quotes are taken off, as Werkzeug does.
 */
export function readCookie(header: string, name: string): string | null {
  for (const pair of header.split(";")) {
    const cookie = splitPair(pair);
    if (cookie.name !== name) continue;
    const quoted = cookie.value.length > 1 && cookie.value.startsWith('"') && cookie.value.endsWith('"');
    return quoted ? cookie.value.slice(1, -1) : cookie.value;
  }
  return null;
}

/**
 * One Cookie value out of several lines: RFC 9113 §8.2.3 joins with `; `. Odoo's 8069 would join lines with
 * a comma and lose the session.
 */
export function joinCookies(lines: readonly string[]): string {
  return lines
    .map(trimOws)
    .filter((line) => line !== "")
    .join("; ");
}

/**
 * Renames one cookie in a Cookie line: `from` becomes `to`, and what the client itself sent as `to` is
 * dropped, so that a production session never reaches a staging Odoo. All else is kept as it is.
 */
export function renameCookie(header: string, from: string, to: string): string {
  if (from === to) return header;
  const kept: string[] = [];
  for (const pair of header.split(";")) {
    const cookie = splitPair(pair);
    if (cookie.name === to) continue;
    const text = cookie.name === from ? `${to}=${cookie.value}` : trimOws(pair);
    if (text !== "") kept.push(text);
  }
  return kept.join("; ");
}

/** Renames the cookie a Set-Cookie line sets when it is `from`; any other line comes back byte for byte. */
export function renameSetCookie(line: string, from: string, to: string): string {
  if (setCookieName(line) !== from) return line;
  return to + line.slice(line.indexOf("="));
}

/**
 * Gives Odoo's session cookie what Odoo 16–19 leave out behind a proxy: `Secure`, and `SameSite=Lax` when
 * there is no SameSite. Everything else of the line, and every other cookie, is kept byte for byte.
 */
export function hardenSetCookie(line: string, name: string = odooSessionCookie, secure = true): string {
  if (setCookieName(line) !== name) return line;
  let hardened = line;
  if (secure && !secureAttribute.test(line)) hardened += "; Secure";
  if (!sameSiteAttribute.test(line)) hardened += "; SameSite=Lax";
  return hardened;
}

/** The name a Set-Cookie line sets; empty when the line has no `=` before its first `;` (RFC 6265 §5.2). */
export function setCookieName(line: string): string {
  const end = line.indexOf(";");
  const pair = end === -1 ? line : line.slice(0, end);
  return pair.includes("=") ? splitPair(pair).name : "";
}

function splitPair(pair: string): { readonly name: string; readonly value: string } {
  const equals = pair.indexOf("=");
  if (equals === -1) return { name: trimOws(pair), value: "" };
  return { name: trimOws(pair.slice(0, equals)), value: trimOws(pair.slice(equals + 1)) };
}
