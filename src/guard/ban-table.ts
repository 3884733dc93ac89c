/** Why an address is banned: guessing one account, guessing many, scanning, or an operator's word. */
export type BanReason = "pair" | "address" | "scanner" | "operator";

/** Refusal of an address until a deadline. */
export interface Ban {
  /** `ipKey64`: an IPv4 address, or an IPv6 /64. */
  readonly address: string;
  readonly untilWallMs: number;
  readonly reason: BanReason;
  /** How many bans this address has had, this one included. */
  readonly times: number;
}

/** Most bans held. Past it those that end soonest are lifted, a hundredth at a time. */
export const bansMax = 100_000;
/** A ban that ended so long ago no longer makes the next one longer. */
export const banMemoryMs = 7 * 24 * 3_600_000;

/**
 * Who is banned. Entries outlive their deadline by `banMemoryMs`, to know repetition; when room is needed those go first.
 * One look at a map for each exchange.
 */
export class BanTable {
  readonly #bans = new Map<string, Ban>();
  readonly #max: number;

  constructor(max: number = bansMax) {
    this.#max = max;
  }

  get size(): number {
    return this.#bans.size;
  }

  /** The ban that holds now; null when none does. */
  holds(address: string, wallMs: number): Ban | null {
    if (this.#bans.size === 0) return null;
    const ban = this.#bans.get(address);
    return ban !== undefined && ban.untilWallMs > wallMs ? ban : null;
  }

  /** How many bans it had that still count. */
  times(address: string, wallMs: number): number {
    const ban = this.#bans.get(address);
    return ban === undefined || ban.untilWallMs + banMemoryMs < wallMs ? 0 : ban.times;
  }

  set(ban: Ban): void {
    if (this.#bans.size >= this.#max && !this.#bans.has(ban.address)) this.#makeRoom();
    this.#bans.set(ban.address, ban);
  }

  /** Answers whether there was an entry. */
  delete(address: string): boolean {
    return this.#bans.delete(address);
  }

  /** Bans that hold now, the one that ends last first. */
  list(wallMs: number): readonly Ban[] {
    return [...this.#bans.values()]
      .filter((ban) => ban.untilWallMs > wallMs)
      .sort((a, b) => b.untilWallMs - a.untilWallMs);
  }

  /** How many bans hold now. */
  held(wallMs: number): number {
    let held = 0;
    for (const ban of this.#bans.values()) if (ban.untilWallMs > wallMs) held += 1;
    return held;
  }

  /** Everything that is worth keeping over a restart. */
  kept(wallMs: number): readonly Ban[] {
    return [...this.#bans.values()].filter((ban) => ban.untilWallMs + banMemoryMs > wallMs);
  }

  /** Numbers are sorted in a tenth of the time that bans take, for which everybody waits. */
  #makeRoom(): void {
    const deadlines = new Float64Array(this.#bans.size);
    let at = 0;
    for (const { untilWallMs } of this.#bans.values()) {
      deadlines[at] = untilWallMs;
      at += 1;
    }
    deadlines.sort();
    let left = Math.max(1, Math.floor(this.#max / 100));
    const last = deadlines[left - 1] ?? 0;
    // Those before the last deadline that goes all go; of those at it, as many as are asked for.
    let atLast = left - deadlines.findIndex((deadline) => deadline >= last);
    for (const { address, untilWallMs } of this.#bans.values()) {
      if (untilWallMs > last || (untilWallMs === last && atLast <= 0)) continue;
      if (untilWallMs === last) atLast -= 1;
      this.#bans.delete(address);
      left -= 1;
      if (left === 0) return;
    }
  }
}
