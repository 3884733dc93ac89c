import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Clock } from "../base/clock.ts";
import { joinCookies, maintenanceCookie, readCookie } from "../message/cookies.ts";
import type { RequestFacts } from "../message/facts.ts";
import { fieldValues } from "../message/fields.ts";
import type { Closed } from "./maintenance.ts";

/** Its value is a secret by its name: it stands in no log (message/redact). */
export const passParameter = "maintenance_token";
/** How long a browser keeps it where no end was announced; the key itself ends with the maintenance. */
const cookieSecondsMax = 86_400;

/** A new key, of 192 bits: nobody guesses one, so nobody is counted. */
export function newPassKey(): string {
  return randomBytes(24).toString("base64url");
}

export function isPassKey(value: unknown): value is string {
  return typeof value === "string" && /^[A-Za-z0-9_-]{32}$/.test(value);
}

/** What the key of this maintenance does for a request. `location`: it came in the link, and goes on without it. */
export type Passing =
  | { readonly kind: "closed" }
  | { readonly kind: "pass" }
  | { readonly kind: "enter"; readonly location: string; readonly setCookie: string };

/** Does this browser have the pass that was given out when the site was closed. */
export function passingOf(
  closed: Pick<Closed, "passKey" | "untilWallMs">,
  facts: RequestFacts,
  clock: Clock,
): Passing {
  const key = closed.passKey;
  if (key === null) return { kind: "closed" };
  const line = joinCookies(fieldValues(facts.fields, "cookie"));
  if (line !== "" && isSame(readCookie(line, maintenanceCookie) ?? "", key)) return { kind: "pass" };
  if (facts.method !== "GET" || !facts.query.includes(passParameter)) return { kind: "closed" };
  const pieces = facts.query.split("&");
  const isOurs = (piece: string) => piece.startsWith(`${passParameter}=`);
  const shown = pieces.find(isOurs)?.slice(passParameter.length + 1) ?? "";
  if (!isSame(shown, key)) return { kind: "closed" };
  const rest = pieces.filter((piece) => !isOurs(piece)).join("&");
  const path = facts.target.slice(0, facts.target.length - facts.query.length - 1);
  const leftSeconds =
    closed.untilWallMs === null ? cookieSecondsMax : Math.ceil((closed.untilWallMs - clock.wallMs()) / 1000);
  const attributes = `Path=/; Max-Age=${Math.max(1, leftSeconds)}; Secure; HttpOnly; SameSite=Lax`;
  return {
    kind: "enter",
    location: rest === "" ? path : `${path}?${rest}`,
    setCookie: `${maintenanceCookie}=${key}; ${attributes}`,
  };
}

/** In the same time whatever was sent. */
function isSame(one: string, other: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
