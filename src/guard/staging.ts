import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { BoundedMap } from "../base/bounded-map.ts";
import type { Clock } from "../base/clock.ts";
import { joinCookies, readCookie } from "../message/cookies.ts";
import type { RequestFacts } from "../message/facts.ts";
import { fieldValues } from "../message/fields.ts";
import type { Limit } from "../policy/decision.ts";
import { LeakyBucket } from "./limit-store.ts";

/** The cookie that stands in for the password where a browser sends none: websockets, service workers. */
export const stagingCookie = "__Host-staging";
/** How long it is good, in seconds (12 h). */
export const stagingCookieSeconds = 43_200;
/** Wrong passwords per address: five a minute, five more at once. */
const wrongPerSecond = 5 / 60;
const wrongBurst = 5;
/** The longest Authorization value that is looked at. */
const credentialCharsMax = 1_024;
/** Addresses whose last wrong password is known; past it the one that tried longest ago is forgotten, and its next one counts. */
const lastWrongMax = 10_000;

/** One try at the password. */
export type Try =
  | { readonly ok: true; end(wasRight: boolean): void }
  | { readonly ok: false; readonly retryAfterMs: number };

/** Who counts wrong passwords of an address: this process, or one for several. */
export type StagingTries = (addressKey: string) => Try | Promise<Try>;

/** The limit on wrong passwords, for whoever counts them elsewhere. */
export const stagingLimit: Limit = Object.freeze({
  name: "staging-password",
  ratePerSecond: wrongPerSecond,
  burst: wrongBurst,
  key: "client",
  refund: true,
});

export interface StagingOptions {
  readonly user: string;
  readonly password: string;
  /** Routes without the question (webhooks), beside what a rule exempts. */
  readonly exempt: (facts: RequestFacts) => boolean;
  /** At least 16 random bytes, made at start: a restart asks again. */
  readonly secret: Uint8Array;
  readonly clock: Clock;
  /** Left out: counted here. */
  readonly tries?: StagingTries;
}

export type StagingVerdict =
  | {
      readonly kind: "pass";
      /** A Set-Cookie line to add to the answer; null when the client has a good one or needs none. */
      readonly setCookie: string | null;
      /** The Authorization field is ours and must not reach Odoo. */
      readonly dropAuthorization: boolean;
      /** The right password of an address that sent wrong ones before. */
      readonly afterGuess?: true;
    }
  | {
      readonly kind: "ask";
      readonly status: 401;
      readonly fields: readonly string[];
      /** A wrong password came, and not the one that this address sent last. */
      readonly isGuess: boolean;
    }
  | { readonly kind: "exhausted"; readonly status: 429; readonly retryAfterSeconds: number };

export interface StagingGate {
  /** `addressKey` is `ipKey64` of the client; `withoutPassword` what the decision says of the route. */
  check(
    facts: RequestFacts,
    addressKey: string,
    withoutPassword: boolean,
  ): StagingVerdict | Promise<StagingVerdict>;
}

const freePass: StagingVerdict = Object.freeze({ kind: "pass", setCookie: null, dropAuthorization: false });
const freePassWithoutOurs: StagingVerdict = Object.freeze({
  kind: "pass",
  setCookie: null,
  dropAuthorization: true,
});
const ask: StagingVerdict = Object.freeze({
  kind: "ask",
  status: 401,
  fields: Object.freeze(["WWW-Authenticate", 'Basic realm="staging", charset="UTF-8"']),
  isGuess: false,
});
const askAfterGuess: StagingVerdict = Object.freeze({ ...ask, isGuess: true });

/** The question for a password that keeps strangers and search engines off a staging site (RFC 7617). */
export function createStagingGate(options: StagingOptions): StagingGate {
  const { clock, secret } = options;
  // Both sides are hashed, so the comparison takes the same time whatever the lengths are.
  const digest = (text: string) => createHmac("sha256", secret).update(text).digest();
  const expected = digest(`${options.user}:${options.password}`);
  const cookieKey = createHash("sha256").update(secret).update(expected).digest();
  const tries = options.tries ?? ownTries(clock);
  /** Hashes of passwords, by address. */
  const lastWrong = new BoundedMap<string, Buffer>(lastWrongMax);

  const sign = (expiry: string) => createHmac("sha256", cookieKey).update(expiry).digest("base64url");

  const cookieIsGood = (facts: RequestFacts): boolean => {
    const line = joinCookies(fieldValues(facts.fields, "cookie"));
    const value = line === "" ? null : readCookie(line, stagingCookie);
    const parts = value === null ? null : /^([0-9]{1,12})\.([A-Za-z0-9_-]{43})$/.exec(value);
    const [, expiry, signature] = parts ?? [];
    if (expiry === undefined || signature === undefined) return false;
    if (!timingSafeEqual(Buffer.from(sign(expiry)), Buffer.from(signature))) return false;
    return Number(expiry) * 1000 > clock.wallMs();
  };

  const newCookie = (): string => {
    const expiry = String(Math.floor(clock.wallMs() / 1000) + stagingCookieSeconds);
    const attributes = `Path=/; Max-Age=${stagingCookieSeconds}; Secure; HttpOnly; SameSite=Lax`;
    return `${stagingCookie}=${expiry}.${sign(expiry)}; ${attributes}`;
  };

  /** A browser repeats what it was told once with every file of a page, also after the password was changed: no guess, whoever guesses does not repeat himself. */
  const isGuess = (addressKey: string, tried: Buffer): boolean => {
    const before = lastWrong.get(addressKey);
    lastWrong.set(addressKey, tried);
    return before === undefined || !timingSafeEqual(before, tried);
  };

  const judge = (taken: Try, addressKey: string, credentials: string): StagingVerdict => {
    if (!taken.ok) {
      const retryAfterSeconds = Math.max(1, Math.ceil(taken.retryAfterMs / 1000));
      return { kind: "exhausted", status: 429, retryAfterSeconds };
    }
    const tried = digest(credentials);
    const isRight = timingSafeEqual(tried, expected);
    taken.end(isRight);
    if (isRight) {
      const pass = { kind: "pass", setCookie: newCookie(), dropAuthorization: true } as const;
      return lastWrong.delete(addressKey) ? { ...pass, afterGuess: true } : pass;
    }
    return isGuess(addressKey, tried) ? askAfterGuess : ask;
  };

  return {
    check(facts, addressKey, withoutPassword) {
      const credentials = basicCredentials(facts);
      if (withoutPassword || options.exempt(facts)) {
        // A webhook may bring credentials of its own; a browser that knows ours sends them everywhere.
        const ours = credentials !== null && timingSafeEqual(digest(credentials), expected);
        return ours ? freePassWithoutOurs : freePass;
      }
      const dropAuthorization = credentials !== null;
      if (cookieIsGood(facts)) return { kind: "pass", setCookie: null, dropAuthorization };
      if (credentials === null) return ask;
      // The point is taken before the comparison: over the limit a right password is told from a wrong one no more.
      const taken = tries(addressKey);
      return taken instanceof Promise
        ? taken.then((one) => judge(one, addressKey, credentials))
        : judge(taken, addressKey, credentials);
    },
  };
}

function ownTries(clock: Clock): (addressKey: string) => Try {
  const wrong = new LeakyBucket({
    clock,
    ratePerSecond: wrongPerSecond,
    burst: wrongBurst,
    keysMax: 100_000,
  });
  return (addressKey) => {
    const taken = wrong.take(addressKey);
    if (!taken.ok) return taken;
    return {
      ok: true,
      end: (wasRight) => {
        if (wasRight) wrong.giveBack(addressKey);
      },
    };
  };
}

/** `user:password` of the only Authorization field; null when there is none of scheme Basic. */
function basicCredentials(facts: RequestFacts): string | null {
  const values = fieldValues(facts.fields, "authorization");
  const value = values[0];
  if (value === undefined || values.length > 1 || value.length > credentialCharsMax) return null;
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(value)?.[1];
  return encoded === undefined ? null : Buffer.from(encoded, "base64").toString("utf8");
}
