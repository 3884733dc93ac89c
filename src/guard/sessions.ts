import { hash } from "node:crypto";
import { BoundedMap } from "../base/bounded-map.ts";
import { setCookieName } from "../message/cookies.ts";
import type { Likeness, RawFields, RequestFacts } from "../message/facts.ts";
import { fieldValues, firstField } from "../message/fields.ts";
import { isRoute, ownPath, readLogin } from "./login-outcome.ts";

/** Sessions remembered; past it the ones seen longest ago count by address again. */
export const sessionsMax = 100_000;
/** Odoo 18 and 19 keep this many characters when they rotate an id, every 3 h of use (odoo-wire a). */
const rotationStemChars = 42;
const sessionCharsMin = 40;

/** Routes with auth="user" in Odoo 16 to 19. */
const userCalls = "/web/dataset/call_";
const callBytesMax = 256;
/** `{"jsonrpc": "2.0", "id": 7, "result": …`: a result, and no error before it. */
const resultFirst = /^\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*[^,{}[\]]{1,64},\s*"result"\s*:/;

const none: Uint8Array = new Uint8Array(0);

/** Hears which session keys became known here, and which are known no more. */
export type SessionNews = (key: string, known: boolean) => void;

/**
 * Sessions that were seen to be logged in, so that ten people behind one address can have a limit each. Learnt from Odoo's
 * answers only, never from what a client claims. Ids are kept as SHA-256 with a secret drawn at start:
 * a memory dump of the gateway lends nobody a session.
 */
export class KnownSessions {
  readonly #prefix: string;
  readonly #keys: BoundedMap<string, true>;
  readonly #news: SessionNews | null;
  readonly #hashes = new WeakMap<Likeness, string>();

  /** `secret`: at least 16 random bytes, made at start. `news` hears of each key that is new, and of each that is forgotten. */
  constructor(secret: Uint8Array, max: number = sessionsMax, news: SessionNews | null = null) {
    this.#prefix = Buffer.from(secret).toString("hex");
    this.#keys = new BoundedMap(max);
    this.#news = news;
  }

  /** Takes over what another worker saw; tells no news. */
  mirror(key: string, known: boolean): void {
    if (known) this.#keys.set(key, true);
    else this.#keys.delete(key);
  }

  /** Every key, for a worker that starts. */
  keys(): readonly string[] {
    return Array.from(this.#keys.entries(), ([key]) => key);
  }

  /** Was this session seen to be logged in. */
  isKnown(sessionId: string): boolean {
    return this.keyOf(sessionId) !== null;
  }

  /**
   * The key limits count a known session by; null for one that is not known, or no session. `likeness`: what the request's fields have in common
   * with others, which is then hashed once for all.
   */
  keyOf(sessionId: string | null, likeness: Likeness | null = null): string | null {
    if (sessionId === null || sessionId.length < sessionCharsMin || this.#keys.size === 0) return null;
    const key = likeness === null ? this.#hash(sessionId) : this.#hashOf(sessionId, likeness);
    return this.#keys.get(key) === true ? key : null;
  }

  /** Hashed once for all requests with equal fields, and so with an equal cookie. */
  #hashOf(sessionId: string, likeness: Likeness): string {
    const before = this.#hashes.get(likeness);
    if (before !== undefined) return before;
    const key = this.#hash(sessionId);
    this.#hashes.set(likeness, key);
    return key;
  }

  /** Remembers a session that just logged in, e.g. by a JSON answer read with `readLogin`. */
  learn(sessionId: string): void {
    if (sessionId.length < sessionCharsMin) return;
    const key = this.#hash(sessionId);
    const isNews = this.#news !== null && !this.#keys.has(key);
    this.#keys.set(key, true);
    if (isNews) this.#news?.(key, true);
  }

  #forget(sessionId: string): void {
    const key = this.#hash(sessionId);
    if (this.#keys.delete(key)) this.#news?.(key, false);
  }

  /**
   * Learns and forgets by one answer of Odoo. `fields` are Odoo's own, before cookies are renamed;
   * `loggedIn` is what `readLogin` said when the caller had read a log-in answer's body.
   */
  observe(
    facts: Pick<RequestFacts, "method" | "paths" | "host" | "query" | "fields" | "sessionId">,
    status: number,
    fields: RawFields,
    loggedIn = false,
  ): void {
    const asked = facts.sessionId;
    if (isRoute(facts, "/web/session/logout") || isRoute(facts, "/web/session/destroy")) {
      if (asked !== null && status < 400) this.#forget(asked);
      return;
    }
    if (loggedIn || (status === 303 && readLogin(facts, { status, fields, body: none }).loggedIn)) {
      const fresh = newSession(fields);
      if (fresh !== null) this.learn(fresh);
      return;
    }
    if (asked === null) return;
    if (status === 303 && isClientPage(facts)) {
      // Odoo sends a session that has ended to the log-in page.
      const to = ownPath(firstField(fields, "location"), facts.host);
      if (to?.includes("/web/login") === true) this.#forget(asked);
      return;
    }
    if (status === 200 && facts.method === "GET" && showsLoggedIn(facts, fields)) {
      this.learn(asked);
      const fresh = newSession(fields);
      if (fresh !== null) this.learn(fresh);
      return;
    }
    const fresh = newSession(fields);
    if (fresh !== null && fresh !== asked && isRotation(asked, fresh) && this.isKnown(asked))
      this.learn(fresh);
  }

  /** Must the beginning of this answer be kept for `observeCall`: a session nobody saw yet, on a route for users only. */
  wantsCall(facts: Pick<RequestFacts, "paths" | "sessionId">, sessionKey: string | null): boolean {
    return (
      sessionKey === null &&
      facts.sessionId !== null &&
      facts.paths.some((path) => path.startsWith(userCalls))
    );
  }

  /**
   * Learns from the answer to a web client's call: Odoo gives a result there to users who are logged in and to nobody
   * else. This is how open web clients are known again after the gateway restarted.
   */
  observeCall(facts: Pick<RequestFacts, "sessionId">, status: number, beginning: Uint8Array): void {
    if (status !== 200 || facts.sessionId === null) return;
    const text = Buffer.from(beginning.subarray(0, callBytesMax)).toString("latin1");
    if (resultFirst.test(text)) this.learn(facts.sessionId);
  }

  #hash(sessionId: string): string {
    // One call, a fifth of an HMAC's cost. The secret has a fixed length and stands first, and the result leaves
    // the process in no form, so there is nothing to extend.
    return hash("sha256", this.#prefix + sessionId, "base64url");
  }
}

/** Only a rotated id keeps its stem; a fresh anonymous session in place of an ended one does not, and is not known. */
function isRotation(before: string, after: string): boolean {
  return (
    before.length === after.length &&
    before.length > rotationStemChars &&
    before.startsWith(after.slice(0, rotationStemChars))
  );
}

function isClientPage(facts: Pick<RequestFacts, "paths">): boolean {
  return facts.paths.some((path) => path === "/web" || path === "/odoo" || path.startsWith("/odoo/"));
}

/** The web client comes with X-Frame-Options DENY, its anonymous neighbours do not; the portal's home only to those logged in. */
function showsLoggedIn(facts: Pick<RequestFacts, "paths">, fields: RawFields): boolean {
  if (isRoute(facts, "/my") || isRoute(facts, "/my/home")) return true;
  return isClientPage(facts) && firstField(fields, "x-frame-options")?.toUpperCase() === "DENY";
}

/** The session id an answer of Odoo sets; null: none. */
export function newSession(fields: RawFields): string | null {
  for (const line of fieldValues(fields, "set-cookie")) {
    if (setCookieName(line) !== "session_id") continue;
    const value = /=[ \t]*([A-Za-z0-9_-]{40,128})[ \t]*(?:;|$)/.exec(line)?.[1];
    if (value !== undefined) return value;
  }
  return null;
}
