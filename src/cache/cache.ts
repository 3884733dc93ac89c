import { BoundedMap } from "../base/bounded-map.ts";
import type { Clock } from "../base/clock.ts";
import type { RequestFacts } from "../message/facts.ts";
import type { FailureKind } from "../observe/events.ts";
import { Collapse, type CollapseParts, type FetchFile, type Place } from "./collapse.ts";
import type { Content } from "./content.ts";
import { PageHints } from "./hints.ts";
import type { PassedAnswer } from "./passed.ts";
import { type Entry, Store } from "./store.ts";

/** How long it is remembered that Odoo gave an answer that is not kept: until then each asks for himself at once. */
export const passMs = 60_000;
/** Addresses remembered so. */
export const passesMax = 4_096;
/** For this long after Odoo last said that it is right, a copy is given out when Odoo cannot be asked. */
export const staleMsMax = 24 * 3_600_000;
/** Odoo failed when it was asked: nobody asks about this file for so long. */
export const askAgainMs = 2_000;

/** What the cache was for an exchange; stands in its access record. */
export type CacheWord = "hit" | "miss" | "revalidated" | "stale" | "pass";

/** What a client gets. */
export type Found =
  | { readonly kind: "entry"; readonly entry: Entry; readonly word: CacheWord; readonly place: Place | null }
  /** The client asks Odoo himself; or takes the answer, when it is such as he would get: no cookie, a plain GET. */
  | { readonly kind: "pass"; readonly answer: PassedAnswer | null }
  | { readonly kind: "failed"; readonly failure: FailureKind; readonly detail: string };

/** It is on its way from Odoo. */
export interface Coming {
  readonly kind: "wait";
  readonly place: Place;
  readonly found: Promise<Found>;
}

export interface CacheSettings {
  readonly on: boolean;
  readonly bytesMax: number;
  readonly staticFreshMs: number;
}

export interface CacheParts
  extends Pick<CollapseParts, "clock" | "makeEncoder" | "turns" | "cleanFields" | "later"> {
  readonly settings: () => CacheSettings;
  /** A file came in whole that may be compressed better. */
  readonly squeeze: (content: Content) => void;
}

/** How full it is. */
export interface HeldFiles {
  readonly entries: number;
  readonly bytes: number;
  readonly bytesMax: number;
  /** Files on their way from Odoo. */
  readonly fetching: number;
}

/** Odoo's public files in memory: rules, store and collapsed fetches in one. Lives outside the plan and survives a reload. */
export class Cache {
  readonly #parts: CacheParts;
  readonly #clock: Clock;
  readonly #store: Store;
  readonly #collapse: Collapse;
  readonly #passes = new BoundedMap<string, number>(passesMax);
  /** Which bundles pages need. */
  readonly hints = new PageHints();

  constructor(parts: CacheParts) {
    this.#parts = parts;
    this.#clock = parts.clock;
    this.#store = new Store(parts.settings().bytesMax);
    this.#collapse = new Collapse({
      clock: parts.clock,
      makeEncoder: parts.makeEncoder,
      turns: parts.turns,
      cleanFields: parts.cleanFields,
      later: parts.later,
      staticFreshMs: () => parts.settings().staticFreshMs,
      bytesMax: () => this.#store.bytesMax / 2 - this.#store.lingeringBytes,
      contentOf: (hash) => this.#store.contentOf(hash),
      keep: (entry) => {
        this.#passes.delete(entry.key);
        this.#store.put(entry);
        if (entry.content.isCompressible) parts.squeeze(entry.content);
      },
      refuse: (key) => {
        this.#store.delete(key);
        this.#passes.set(key, this.#clock.nowMs() + passMs);
      },
    });
  }

  get figures(): HeldFiles {
    const { entries, bytes, bytesMax } = this.#store;
    return { entries, bytes, bytesMax, fetching: this.#collapse.running };
  }

  /** Takes new settings; switched off, everything is given up. */
  configure(): void {
    const { on, bytesMax } = this.#parts.settings();
    this.#store.resize(bytesMax);
    if (!on) this.clear();
  }

  /** Is this file here, and given out without a question. */
  isFresh(key: string): boolean {
    const entry = this.#store.peek(key);
    return entry !== null && this.#clock.nowMs() < entry.freshUntilMs;
  }

  /** Gives everything up; answers how many files there were. */
  clear(): number {
    this.hints.clear();
    this.#passes.clear();
    this.#collapse.forget();
    return this.#store.clear();
  }

  /** Ends running fetches. */
  close(): void {
    this.#collapse.close();
  }

  /**
   * Finds the file, from memory at once, or from Odoo. Only who asks for the whole file (`mayFetch`: a GET without Range) brings it in;
   * others go past until it is there. Who gets an entry with a place leaves it when its exchange is over.
   */
  find(key: string, facts: RequestFacts, mayFetch: boolean, fetchFile: FetchFile): Found | Coming {
    const nowMs = this.#clock.nowMs();
    const held = this.#store.use(key);
    // Too old to be given out when Odoo cannot answer at once: who asks waits for Odoo as for a file that is not here.
    const entry = held !== null && isBearable(held, nowMs) ? held : null;
    if (entry !== null && nowMs < entry.freshUntilMs)
      return { kind: "entry", entry, word: "hit", place: null };
    if (entry !== null && nowMs < entry.askAgainMs)
      return { kind: "entry", entry, word: "stale", place: null };
    if (entry === null && (!mayFetch || nowMs < (this.#passes.get(key) ?? 0)))
      return { kind: "pass", answer: null };
    const place = this.#collapse.join(key, facts, entry, fetchFile);
    if (place === null) return { kind: "pass", answer: null };
    return { kind: "wait", place, found: this.#fetched(entry, place) };
  }

  async #fetched(copy: Entry | null, place: Place): Promise<Found> {
    const fetched = await place.fetched;
    switch (fetched.kind) {
      case "file":
        return { kind: "entry", entry: fetched.entry, word: "miss", place };
      case "unchanged":
        return { kind: "entry", entry: fetched.entry, word: "revalidated", place };
      case "pass":
        return fetched;
      case "failed": {
        const nowMs = this.#clock.nowMs();
        if (copy === null || !isBearable(copy, nowMs)) return fetched;
        copy.askAgainMs = nowMs + askAgainMs;
        return { kind: "entry", entry: copy, word: "stale", place };
      }
    }
  }
}

function isBearable(entry: Entry, nowMs: number): boolean {
  return nowMs < entry.freshUntilMs + staleMsMax;
}
