import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Clock } from "../base/clock.ts";
import { deviceCookie, joinCookies, readCookie } from "../message/cookies.ts";
import type { RequestFacts } from "../message/facts.ts";
import { fieldValues } from "../message/fields.ts";

/** A browser that has not logged in for so long is a stranger again. */
export const deviceSeconds = 180 * 24 * 3_600;

const form = /^([0-9]{1,12})\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]{43})$/;

/**
 * The cookie of a browser that has logged in to an account before (OWASP "Slow Down Online Guessing Attacks with Device
 * Cookies"): while the account is attacked from everywhere, its owner still gets in. It proves nothing else, is good for that
 * account only, and never reaches Odoo.
 */
export interface DeviceCookies {
  /** The device's id when the request carries a good cookie for this account; null otherwise. */
  read(facts: Pick<RequestFacts, "fields">, account: string): string | null;
  /** A Set-Cookie line for a browser that just logged in. */
  issue(account: string): string;
}

/** `secret`: the local secret, so that a restart forgets no device. */
export function deviceCookies(secret: Uint8Array, clock: Clock): DeviceCookies {
  const sign = (account: string, expiry: string, id: string) =>
    createHmac("sha256", secret).update(`device ${account} ${expiry} ${id}`).digest("base64url");
  return {
    read(facts, account) {
      const line = joinCookies(fieldValues(facts.fields, "cookie"));
      const value = line === "" ? null : readCookie(line, deviceCookie);
      const [, expiry, id, signature] = value === null ? [] : (form.exec(value) ?? []);
      if (expiry === undefined || id === undefined || signature === undefined) return null;
      if (!timingSafeEqual(Buffer.from(sign(account, expiry, id)), Buffer.from(signature))) return null;
      return Number(expiry) * 1000 > clock.wallMs() ? id : null;
    },
    issue(account) {
      const expiry = String(Math.floor(clock.wallMs() / 1000) + deviceSeconds);
      const id = randomBytes(12).toString("base64url");
      const attributes = `Path=/; Max-Age=${deviceSeconds}; Secure; HttpOnly; SameSite=Lax`;
      return `${deviceCookie}=${expiry}.${id}.${sign(account, expiry, id)}; ${attributes}`;
    },
  };
}
