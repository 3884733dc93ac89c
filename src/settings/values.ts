import { type IpSet, parseIpSet } from "../base/ip-set.ts";
import { nearestName } from "../base/nearest.ts";
import { http } from "../base/node-http.ts";
import { err, ok, type Result } from "../base/result.ts";
import { formatBytes, parseBytes, parseDurationMs } from "../base/units.ts";
import { complain, type Read, shown } from "./complaint.ts";

/** Reads one of a closed list of words; letter case is not told apart. */
export function readChoice<T extends string>(text: string, choices: readonly T[]): Read<T> {
  const lower = text.toLowerCase();
  const found = choices.find((choice) => choice === lower);
  if (found !== undefined) {
    return ok(found);
  }
  const near = nearestName(text, choices);
  const list = choices.join(", ");
  return complain(`${shown(text)} must be one of ${list}`, near === null ? "" : `did you mean ${near}?`);
}

/** Reads `true` or `false` (also yes, no, on, off, 1, 0). */
export function readYesNo(text: string): Read<boolean> {
  switch (text.toLowerCase()) {
    case "true":
    case "yes":
    case "on":
    case "1":
      return ok(true);
    case "false":
    case "no":
    case "off":
    case "0":
      return ok(false);
    default:
      return complain(`${shown(text)} must be true or false`);
  }
}

/** Reads an amount of bytes with its least value. */
export function readBytes(text: string, least: number): Read<number> {
  const bytes = parseBytes(text);
  if (bytes === null) {
    return complain(`${shown(text)} is no size`, "write 64MiB, 128MB or a number of bytes");
  }
  return bytes < least ? complain(`${shown(text)} must be at least ${formatBytes(least)}`) : ok(bytes);
}

/** Reads a duration with its largest value, in milliseconds. */
export function readDurationMs(text: string, mostMs: number, mostWords: string): Read<number> {
  const ms = parseDurationMs(text);
  if (ms === null) {
    return complain(`${shown(text)} is no duration`, "write 500ms, 30s, 5m or 2h");
  }
  return ms > mostMs ? complain(`${shown(text)} must be at most ${mostWords}`) : ok(ms);
}

/** Reads a duration of whole seconds, or a bare number of seconds. RFC 6797 §6.1.1 bounds nothing; ten years do. */
export function readSeconds(text: string): Read<number> {
  const ms = /^[0-9]{1,10}$/.test(text) ? Number(text) * 1_000 : parseDurationMs(text);
  if (ms === null || ms % 1_000 !== 0) {
    return complain(`${shown(text)} is no number of seconds`, "write 31536000, 365d or 1y");
  }
  return ms > 10 * 31_536_000_000 ? complain(`${shown(text)} must be at most 10y`) : ok(ms / 1_000);
}

/** Reads a whole number from 1 to `most`. */
export function readCount(text: string, most: number): Read<number> {
  const count = /^[1-9][0-9]{0,8}$/.test(text) ? Number(text) : 0;
  return count >= 1 && count <= most
    ? ok(count)
    : complain(`${shown(text)} must be a whole number from 1 to ${most}`);
}

/** Reads any text of one line. */
export function readLine(text: string): Read<string> {
  return /[\u0000-\u001f\u007f]/.test(text) ? complain("must not have control characters") : ok(text);
}

/**
 * Reads a user name or password of HTTP's basic authentication. Never quotes it. RFC 7617 §2: a user has no colon.
 */
export function readCredential(text: string, what: "user" | "password"): Read<string> {
  if (/[\u0000-\u001f\u007f]/.test(text)) {
    return complain("must not have control characters or line breaks");
  }
  if (what === "user" && text.includes(":")) {
    return complain("must not have a colon", "browsers end the user name at the first one");
  }
  if (what === "password" && [...text].length < 8) {
    return complain("must have at least 8 characters");
  }
  return text.length > 256 ? complain("must not be longer than 256 characters") : ok(text);
}

/** Reads networks; `none` alone is the empty set. */
export function readNetworks(
  texts: readonly string[],
): Result<IpSet, readonly (readonly [number, string])[]> {
  const none = texts.length === 1 && texts[0]?.toLowerCase() === "none";
  const set = parseIpSet(none ? [] : texts);
  if (set.ok) {
    return set;
  }
  const mistakes: (readonly [number, string])[] = [];
  for (const [index, text] of texts.entries()) {
    const one = parseIpSet([text]);
    if (!one.ok) {
      mistakes.push([index, one.error.join("; ")]);
    }
  }
  return err(mistakes);
}

/**
 * Reads a method, in upper case. Only those Node's parser reads can ever arrive. TRACE shows a page the cookies it
 * must not see, CONNECT is for forward proxies: RFC 9110 §9.3.6, §9.3.8.
 */
export function readMethod(text: string): Read<string> {
  const method = text.toUpperCase();
  if (method === "TRACE" || method === "CONNECT") {
    return complain(`${shown(text)} is never let through`, "take it out of the list");
  }
  if (http.METHODS.includes(method)) {
    return ok(method);
  }
  const near = nearestName(text, http.METHODS);
  return complain(`${shown(text)} is no HTTP method`, near === null ? "" : `did you mean ${near}?`);
}

/** Reads the log-in name of an account, or `uid:` with its number. */
export function readAccount(text: string): Read<string> {
  const isName = text.length <= 254 && !/[\u0000-\u001f\u007f]/.test(text);
  const isNumber = !/^uid:/i.test(text) || /^uid:[1-9][0-9]{0,9}$/.test(text);
  if (isName && isNumber) return ok(text);
  return complain(`${shown(text)} is no account`, "write the log-in name as Odoo has it, or uid:2");
}

/** Most segments of a path pattern, and its longest text: not more than the policy's own patterns bear. */
const patternSegmentsMax = 32;
const patternCharsMax = 512;

/** Reads a path pattern: `/x/y`, `/x/*`, `/x/**`. The policy room compiles it; what passes here passes there. */
export function readPathPattern(text: string): Read<string> {
  if (!text.startsWith("/")) {
    return complain(`${shown(text)} must begin with "/"`);
  }
  const segments = text.slice(1).split("/");
  const below = segments.at(-1) === "**";
  const named = below ? segments.slice(0, -1) : segments;
  const good = named.every(
    (one) => /^[^*?#%\\\u0000-\u0020\u007f]*\*?$/.test(one) && one !== "" && one !== "." && one !== "..",
  );
  if (text !== "/" && !good) {
    return complain(`${shown(text)} is no path pattern`, 'write "/x/y", "/x/*" or "/x/**"');
  }
  return segments.length > patternSegmentsMax || text.length > patternCharsMax
    ? complain(
        `${shown(text)} is longer than ${patternSegmentsMax} segments or ${patternCharsMax} characters`,
      )
    : ok(text);
}
