import type { EntityTag } from "../message/validators.ts";
import type { Content } from "./content.ts";

/** What one entry takes beside its body: fields, key, tables. Counted, so that a million empty files are not free. */
const entryOverheadBytes = 2_048;
/** Entries of all hosts together; past it the one unused longest goes. */
export const entriesMax = 8_192;
/** The part of the room that files asked for more than once may fill; visitors who pass by once share the rest. */
const provenShare = 0.8;

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
 * Answers in memory, bounded by bytes. Two lists, each in order of use: what came in once, and what was asked for again. New files push
 * out files of the first list, so that a thousand invented queries do not push out what everybody loads.
 */
export class Store {
  #bytesMax: number;
  #bytes = 0;
  #provenBytes = 0;
  readonly #fresh = new Map<string, Entry>();
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

  get entries(): number {
    return this.#fresh.size + this.#proven.size;
  }

  resize(bytesMax: number): void {
    this.#bytesMax = bytesMax;
    this.#evict();
  }

  /** The entry, which becomes the one used last. */
  use(key: string): Entry | null {
    const proven = this.#proven.get(key);
    if (proven !== undefined) {
      this.#proven.delete(key);
      this.#proven.set(key, proven);
      return proven;
    }
    const entry = this.#fresh.get(key);
    if (entry === undefined) return null;
    this.#fresh.delete(key);
    this.#proven.set(key, entry);
    this.#provenBytes += entry.content.bytes;
    this.#demote();
    return entry;
  }

  /** The body that is held under this hash, for a further entry with the same one. */
  contentOf(hash: string): Content | null {
    return this.#held.get(hash)?.content ?? null;
  }

  /** Keeps an entry, in the place of the one under its key; what does not fit pushes others out. */
  put(entry: Entry): void {
    const again = this.delete(entry.key);
    const held = this.#held.get(entry.hash);
    if (held === undefined) {
      const { content } = entry;
      const fresh = { content, users: 1, bytes: content.memoryBytes };
      this.#held.set(entry.hash, fresh);
      this.#bytes += fresh.bytes;
      content.onGrown = () => this.#recount(fresh);
    } else {
      held.users += 1;
    }
    this.#bytes += entryOverheadBytes;
    if (again) {
      this.#proven.set(entry.key, entry);
      this.#provenBytes += entry.content.bytes;
      this.#demote();
    } else {
      this.#fresh.set(entry.key, entry);
    }
    this.#evict();
  }

  /** Answers whether there was an entry that had been asked for again. */
  delete(key: string): boolean {
    const proven = this.#proven.get(key);
    const entry = proven ?? this.#fresh.get(key);
    if (entry === undefined) return false;
    if (proven !== undefined) this.#provenBytes -= entry.content.bytes;
    this.#proven.delete(key);
    this.#fresh.delete(key);
    this.#bytes -= entryOverheadBytes;
    const held = this.#held.get(entry.hash);
    if (held !== undefined) {
      held.users -= 1;
      if (held.users === 0) {
        this.#held.delete(entry.hash);
        this.#bytes -= held.bytes;
        held.content.onGrown = null;
      }
    }
    return proven !== undefined;
  }

  /** Forgets everything; answers how many entries there were. */
  clear(): number {
    const count = this.entries;
    for (const { content } of this.#held.values()) content.onGrown = null;
    this.#fresh.clear();
    this.#proven.clear();
    this.#held.clear();
    this.#bytes = 0;
    this.#provenBytes = 0;
    return count;
  }

  #recount(held: Held): void {
    const bytes = held.content.memoryBytes;
    this.#bytes += bytes - held.bytes;
    held.bytes = bytes;
    this.#evict();
  }

  #demote(): void {
    while (this.#provenBytes > this.#bytesMax * provenShare && this.#proven.size > 1) {
      const oldest = this.#proven.values().next().value;
      if (oldest === undefined) return;
      this.#proven.delete(oldest.key);
      this.#provenBytes -= oldest.content.bytes;
      this.#fresh.set(oldest.key, oldest);
    }
  }

  #evict(): void {
    while (this.#bytes > this.#bytesMax || this.entries > entriesMax) {
      const oldest = this.#fresh.values().next().value ?? this.#proven.values().next().value;
      if (oldest === undefined) return;
      this.delete(oldest.key);
    }
  }
}
