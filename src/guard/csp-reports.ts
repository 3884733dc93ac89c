import { createHmac } from "node:crypto";
import type { Clock } from "../base/clock.ts";
import { ownCopy } from "../base/flat.ts";
import type { CspFinding, CspReading } from "./csp-report.ts";

/** Different pairs of directive and source. Past it the one that a single client reported goes that was seen longest ago. */
export const cspEntriesMax = 500;
/**
 * Pairs that one client was the first to report. Past it the oldest of them that nobody else has reported goes, and without such a one the newcomer is turned
 * away: two addresses that vouch for each other do not fill the table.
 */
export const cspEntriesOfOneClientMax = 50;
/** Clients of a pair that are told apart; further ones are no news. */
export const cspClientsMax = 16;
/** What several clients reported makes room when nobody has for so long; until then newcomers are turned away. */
export const cspForgottenMs = 7 * 24 * 3_600_000;

/** What is known of one directive and source. */
export interface CspEntry {
  readonly directive: string;
  readonly source: string;
  readonly count: number;
  /** Different addresses (IPv6: /64), at most `cspClientsMax`. */
  readonly clients: number;
  readonly firstWallMs: number;
  readonly lastWallMs: number;
  /** Where it was first seen. */
  readonly page: string;
}

/** Where reports are counted: here, or in the process that does so for all. */
export interface CspReportDoor {
  /** `client`: `ipKey64`. */
  take(client: string, reading: CspReading): void;
}

interface Kept {
  count: number;
  readonly first: number;
  readonly clients: Set<number>;
  readonly firstWallMs: number;
  lastWallMs: number;
  readonly page: string;
  readonly directive: string;
  readonly source: string;
}

export interface CspReportsOptions {
  readonly clock: Pick<Clock, "wallMs">;
  /** Random bytes of this process: what is kept of an address means nothing without them. */
  readonly secret: Uint8Array;
  /** Told once of an entry, when a second client has reported it. */
  readonly news: (finding: CspFinding) => void;
}

/**
 * What browsers report of the content security policy, summed up in memory. Anybody can send anything here: each number is a claim, and the bounds
 * say who may displace whom.
 */
export class CspReports implements CspReportDoor {
  readonly #options: CspReportsOptions;
  readonly #entries = new Map<string, Kept>();
  readonly #byDirective = new Map<string, number>();
  #ignored = 0;
  #turnedAway = 0;

  constructor(options: CspReportsOptions) {
    this.#options = options;
  }

  take(client: string, { findings, ignored }: CspReading): void {
    this.#ignored += ignored;
    if (findings.length === 0) return;
    const mark = this.#markOf(client);
    for (const finding of findings) this.#count(mark, finding);
  }

  /** Those of most clients first, among equals those of most reports. */
  list(): readonly CspEntry[] {
    return [...this.#entries.values()]
      .map(({ clients, first: _first, ...rest }) => ({ ...rest, clients: clients.size }))
      .sort((a, b) => b.clients - a.clients || b.count - a.count);
  }

  /** Answers how many entries there were. Totals for metrics go on. */
  clear(): number {
    const { size } = this.#entries;
    this.#entries.clear();
    return size;
  }

  /** Reports that were counted, by directive, since the start. */
  get byDirective(): ReadonlyMap<string, number> {
    return this.#byDirective;
  }

  /** Reports that were noise. */
  get ignored(): number {
    return this.#ignored;
  }

  /** Reports of new pairs for which there was no room. */
  get turnedAway(): number {
    return this.#turnedAway;
  }

  #count(mark: number, finding: CspFinding): void {
    const { directive, source, page } = finding;
    this.#byDirective.set(directive, (this.#byDirective.get(directive) ?? 0) + 1);
    const wallMs = this.#options.clock.wallMs();
    const key = `${directive} ${source}`;
    const known = this.#entries.get(key);
    if (known === undefined) {
      if (!this.#hasRoom(mark, wallMs)) {
        this.#turnedAway += 1;
        return;
      }
      // Their own: a piece of a text would keep the whole report.
      const texts = { directive: ownCopy(directive), source: ownCopy(source), page: ownCopy(page) };
      const times = { count: 1, firstWallMs: wallMs, lastWallMs: wallMs };
      this.#entries.set(ownCopy(key), { ...texts, first: mark, clients: new Set([mark]), ...times });
      return;
    }
    known.count += 1;
    known.lastWallMs = wallMs;
    const before = known.clients.size;
    if (before < cspClientsMax) known.clients.add(mark);
    if (before === 1 && known.clients.size === 2) this.#options.news({ directive, source, page: known.page });
  }

  /** Makes room for one more entry, of this client; false: there is none. One pass over all, for new pairs only. */
  #hasRoom(mark: number, wallMs: number): boolean {
    let ownCount = 0;
    let own: string | null = null;
    let single: string | null = null;
    let oldest: string | null = null;
    const seenMs = (key: string | null) =>
      key === null ? Infinity : (this.#entries.get(key)?.lastWallMs ?? 0);
    for (const [key, { first, clients, lastWallMs }] of this.#entries) {
      if (first === mark) ownCount += 1;
      if (lastWallMs < seenMs(oldest)) oldest = key;
      if (clients.size > 1) continue;
      if (lastWallMs < seenMs(single)) single = key;
      if (first === mark && lastWallMs < seenMs(own)) own = key;
    }
    if (ownCount >= cspEntriesOfOneClientMax) return own !== null && this.#entries.delete(own);
    if (this.#entries.size < cspEntriesMax) return true;
    const forgotten = wallMs - seenMs(oldest) >= cspForgottenMs ? oldest : null;
    const leaving = single ?? forgotten;
    return leaving !== null && this.#entries.delete(leaving);
  }

  /** 48 bits tell some dozen clients of an entry apart. */
  #markOf(client: string): number {
    return createHmac("sha256", this.#options.secret).update(client).digest().readUIntBE(0, 6);
  }
}
