import type { EntityTag } from "../message/validators.ts";
import type { Content } from "./content.ts";

/** What one entry takes beside its body: fields, key, tables. Counted, so that a million empty files are not free. */
const entryOverheadBytes = 2_048;
/** Entries of all hosts together; past it the one unused longest goes. */
export const entriesMax = 8_192;
/** The part of the room that files asked for once may take from those that were asked for again. */
const newcomersShare = 0.2;

/** One answer under one key. Times are of the monotonic clock. */
export interface Entry {
  readonly key: string;
  /** Odoo's fields, cleaned, without those that each answer gets anew (ETag, Age, Vary, lengths). */
  fields: readonly string[];
  readonly content: Content;
  /** Names the body: equal bodies under several keys are held once. */
  readonly hash: string;
  readonly etag: EntityTag | null;
  readonly lastModified: string | null;
  /** When it was fetched or found unchanged, less the age it had then. */
  bornMs: number;
  freshUntilMs: number;
  /** Odoo failed when it was asked: not asked again before. */
  askAgainMs: number;
}

interface Held {
  readonly content: Content;
  users: number;
  bytes: number;
}

/**
 * Answers in memory, bounded by bytes. Two lists, each in order of use: what came in once, and what was asked for again. When room is
 * needed the first list gives it up, down to its share of the room; so a thousand invented queries do not push out what everybody
 * loads, and what everybody loads does not keep new files out.
 */
export class Store {
  #bytesMax: number;
  #bytes = 0;
  #newBytes = 0;
  #lingeringBytes = 0;
  readonly #new = new Map<string, Entry>();
  readonly #proven = new Map<string, Entry>();
  readonly #held = new Map<string, Held>();

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get bytesMax(): number {
    return this.#bytesMax;
  }

  /** Of bodies that were given up while slow clients read them. */
  get lingeringBytes(): number {
    return this.#lingeringBytes;
  }

  get entries(): number {
    return this.#new.size + this.#proven.size;
  }

  resize(bytesMax: number): void {
    this.#bytesMax = bytesMax;
    this.#evict(null);
  }

  /** The entry, which becomes the one used last. */
  use(key: string): Entry | null {
    const entry = this.#proven.get(key) ?? this.#new.get(key);
    if (entry === undefined) return null;
    if (this.#new.delete(key)) this.#newBytes -= entry.content.bytes;
    else this.#proven.delete(key);
    this.#proven.set(key, entry);
    return entry;
  }

  /** The entry, which is not used by that. */
  peek(key: string): Entry | null {
    return this.#proven.get(key) ?? this.#new.get(key) ?? null;
  }

  /** The body that is held under this hash, for a further entry with the same one. */
  contentOf(hash: string): Content | null {
    return this.#held.get(hash)?.content ?? null;
  }

  /** Keeps an entry, in the place of the one under its key; others go for it, and it does not stay when it is larger than the room. */
  put(entry: Entry): void {
    const wasProven = this.#proven.has(entry.key);
    const held = this.#held.get(entry.hash);
    // Before the one in its place goes, which may be the last with this body.
    if (held !== undefined) held.users += 1;
    this.delete(entry.key);
    if (held === undefined) {
      const { content } = entry;
      const first = { content, users: 1, bytes: content.memoryBytes };
      this.#held.set(entry.hash, first);
      this.#bytes += first.bytes;
      content.onGrown = () => this.#recount(first);
    }
    this.#bytes += entryOverheadBytes;
    if (wasProven) {
      this.#proven.set(entry.key, entry);
    } else {
      this.#new.set(entry.key, entry);
      this.#newBytes += entry.content.bytes;
    }
    this.#evict(entry);
  }

  delete(key: string): void {
    const entry = this.#proven.get(key) ?? this.#new.get(key);
    if (entry === undefined) return;
    if (this.#new.delete(key)) this.#newBytes -= entry.content.bytes;
    this.#proven.delete(key);
    this.#bytes -= entryOverheadBytes;
    const held = this.#held.get(entry.hash);
    if (held === undefined) return;
    held.users -= 1;
    if (held.users > 0) return;
    this.#held.delete(entry.hash);
    this.#bytes -= held.bytes;
    this.#letGo(held);
  }

  /** Forgets everything; answers how many entries there were. */
  clear(): number {
    const count = this.entries;
    for (const held of this.#held.values()) this.#letGo(held);
    this.#new.clear();
    this.#proven.clear();
    this.#held.clear();
    this.#bytes = 0;
    this.#newBytes = 0;
    return count;
  }

  /** Newcomers have more than their share: of the bytes, or of the places, which small files use up sooner. */
  get #isCrowded(): boolean {
    return this.#newBytes > this.#bytesMax * newcomersShare || this.#new.size > entriesMax * newcomersShare;
  }

  /** A body is out of the tables, and its memory free when nobody reads it. */
  #letGo({ content, bytes }: Held): void {
    content.giveUp();
    if (!content.isRead) return;
    this.#lingeringBytes += bytes;
    content.onLeft = () => {
      content.onLeft = null;
      this.#lingeringBytes -= bytes;
    };
  }

  #recount(held: Held): void {
    const bytes = held.content.memoryBytes;
    this.#bytes += bytes - held.bytes;
    held.bytes = bytes;
    this.#evict(null);
  }

  /** Makes room; `last` goes last of all. */
  #evict(last: Entry | null): void {
    while (this.#bytes > this.#bytesMax || this.entries > entriesMax) {
      const newcomer = oldestBut(last, this.#new);
      const proven = oldestBut(last, this.#proven);
      const victim = (this.#isCrowded || proven === null ? newcomer : null) ?? proven ?? newcomer ?? last;
      if (victim === null) return;
      this.delete(victim.key);
      if (victim === last) return;
    }
  }
}

function oldestBut(last: Entry | null, entries: ReadonlyMap<string, Entry>): Entry | null {
  for (const entry of entries.values()) if (entry !== last) return entry;
  return null;
}
