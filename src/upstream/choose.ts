import type { PoolMember } from "./pool-member.ts";

/** Odoo 18 and 19 keep this many characters of a session's id when they change it, every 3 h of use (odoo-wire a). */
const sessionStemChars = 42;

/** Where the next of several equally busy members is looked for, so that not all go to the first. */
export interface Turn {
  next: number;
}

/**
 * The member for a request: of those not tried yet, those that are up before those that are marked, members before backups; then the
 * one this session belongs to, or without a key the least busy for its weight. Null: every member was tried.
 */
export function choose(
  members: readonly PoolMember[],
  key: string | null,
  tried: readonly PoolMember[],
  nowMs: number,
  turn: Turn,
): PoolMember | null {
  let best: PoolMember | null = null;
  let bestTier = 0;
  let bestScore = 0;
  turn.next = (turn.next + 1) % members.length;
  for (let i = 0; i < members.length; i += 1) {
    const member = members[(turn.next + i) % members.length];
    if (member === undefined || tried.includes(member)) continue;
    const tier = (member.health.isUp(nowMs) ? 0 : 2) + (member.isBackup ? 1 : 0);
    if (best !== null && tier > bestTier) continue;
    const score =
      key === null ? (member.inFlight + 1) / member.health.weight(nowMs) : -belonging(key, member.name);
    if (best === null || tier < bestTier || score < bestScore) {
      best = member;
      bestTier = tier;
      bestScore = score;
    }
  }
  return best;
}

/** What stays the same of a session's id as long as somebody is logged in. */
export function stickyKey(sessionId: string | null): string | null {
  return sessionId === null ? null : sessionId.slice(0, sessionStemChars);
}

/**
 * How much a session belongs to a member: the highest wins (rendezvous hashing), so that one member less or more moves
 * only that member's sessions. FNV-1a with a final mix; nothing is kept secret by it.
 */
function belonging(key: string, name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i += 1) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  for (let i = 0; i < key.length; i += 1) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
