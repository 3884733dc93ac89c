import { hash } from "node:crypto";
import { BoundedMap } from "../base/bounded-map.ts";
import type { RawFields } from "../message/facts.ts";
import { newSession } from "./sessions.ts";

/** Half-open sessions remembered; past it the oldest one's codes count by address alone. */
export const pendingMax = 10_000;

/** Hears which session, hashed, asks for a code of which account. */
export type PendingNews = (key: string, account: string) => void;

/**
 * Whose second factor a half-open session asks for. The request with the code names nobody, so that wrong codes would count by
 * address only: an office whose people mistype would be one guesser, and a guesser who knows a password would have all
 * tries of an address. Learnt when Odoo answered that the password was right; sessions are kept hashed.
 */
export class PendingAccounts {
  readonly #accounts: BoundedMap<string, string>;
  readonly #news: PendingNews | null;

  /** `news` hears of each session that is learnt. */
  constructor(max: number = pendingMax, news: PendingNews | null = null) {
    this.#accounts = new BoundedMap(max);
    this.#news = news;
  }

  /** Takes over what another worker saw. */
  mirror(key: string, account: string): void {
    this.#accounts.set(key, account);
  }

  /** Everything, for a worker that starts. */
  entries(): readonly (readonly [key: string, account: string])[] {
    return [...this.#accounts.entries()];
  }

  /** Odoo's answer to a right password: `fields` set the half-open session, `account` is the hash of its account. */
  learn(fields: RawFields, account: string): void {
    const session = newSession(fields);
    if (session === null) return;
    const key = keyOf(session);
    this.#accounts.set(key, account);
    this.#news?.(key, account);
  }

  /** The account a code in this session is for; null: not known. */
  accountOf(sessionId: string | null): string | null {
    return sessionId === null ? null : (this.#accounts.get(keyOf(sessionId)) ?? null);
  }
}

function keyOf(sessionId: string): string {
  return hash("sha256", sessionId, "base64url");
}
