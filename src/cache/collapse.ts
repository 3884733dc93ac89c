import { createHash } from "node:crypto";
import type { Clock } from "../base/clock.ts";
import type { RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import { parseTag } from "../message/validators.ts";
import type { FailureKind } from "../observe/events.ts";
import type { AnswerHead } from "../upstream/answer-reader.ts";
import { Content, type MakeEncoder } from "./content.ts";
import { type FileCall, type FileListener, PassedAnswer } from "./passed.ts";
import { judge } from "./rules.ts";
import type { Entry } from "./store.ts";
import type { Turns } from "./turns.ts";

/** Files fetched from Odoo at the same time; a further one goes past the cache. */
export const fetchesMax = 64;
/** Clients that wait for one fetch; a further one goes past the cache. */
export const waitersPerFetchMax = 4_096;
/** How long a fetch goes on that nobody waits for any more; without an answer until then, until the answer begins. */
export const unwantedFetchMsMax = 10_000;
/** How long Odoo may take to say whether a file has changed; past it the copy is given out. */
export const askTimeoutMs = 3_000;

/** What is asked of Odoo: the file, or whether our copy of it is still right. Nothing of a client's fields is in it. */
export interface FileRequest {
  readonly facts: RequestFacts;
  /** Field lines beside those every request to Odoo has. */
  readonly fields: readonly string[];
  /** To the first byte, and between bytes; null: the rule's own. */
  readonly answerTimeoutMs: number | null;
}

/** Sends the request; nothing is heard before it has answered. */
export type FetchFile = (request: FileRequest, listener: FileListener) => FileCall;

export interface CollapseParts {
  readonly clock: Clock;
  readonly makeEncoder: MakeEncoder;
  readonly turns: Turns;
  /** Odoo's fields without what concerns the connection, banners and cookies. */
  readonly cleanFields: (fields: readonly string[], facts: RequestFacts) => readonly string[];
  readonly staticFreshMs: () => number;
  /** Bytes that fetches, and those who still read what they brought, may hold together. */
  readonly bytesMax: () => number;
  /** The body that is held under this hash. */
  readonly contentOf: (hash: string) => Content | null;
  /** A file came whole. */
  readonly keep: (entry: Entry) => void;
  /** Odoo says that this one is not to be kept, or no longer. */
  readonly refuse: (key: string) => void;
  /** Calls back once after `ms`; answers how to call it off. */
  readonly later: (ms: number, then: () => void) => () => void;
}

/** What became of a fetch, told when Odoo's head is there. */
export type Fetched =
  /** On its way in, or whole. */
  | { readonly kind: "file"; readonly entry: Entry }
  /** Our copy is still right. */
  | { readonly kind: "unchanged"; readonly entry: Entry }
  /** Not to be kept: one of them may take the answer, the others ask for themselves. */
  | { readonly kind: "pass"; readonly answer: PassedAnswer | null }
  | { readonly kind: "failed"; readonly failure: FailureKind; readonly detail: string };

/** One client's place at a fetch. `leave` exactly once, when its exchange is over. */
export interface Place {
  readonly fetched: Promise<Fetched>;
  /** For him the fetch was begun. */
  readonly isFirst: boolean;
  leave(): void;
}

/** One fetch for all who want the same file at the same time. It belongs to none of them: whoever leaves, the others get it. */
export class Collapse {
  readonly #parts: CollapseParts;
  readonly #running = new Map<string, FileFetch>();
  #bytes = 0;

  constructor(parts: CollapseParts) {
    this.#parts = parts;
  }

  get running(): number {
    return this.#running.size;
  }

  /**
   * A place at the fetch for this key, which begins if there is none; null when a bound is reached. `copy`: what is there
   * already, to be confirmed.
   */
  join(key: string, facts: RequestFacts, copy: Entry | null, fetchFile: FetchFile): Place | null {
    const running = this.#running.get(key);
    if (running !== undefined) return running.place();
    if (this.#running.size >= fetchesMax) return null;
    const fetch = new FileFetch(this.#parts, key, facts, copy, {
      reserve: (bytes) => {
        if (this.#bytes + bytes > this.#parts.bytesMax()) return false;
        this.#bytes += bytes;
        return true;
      },
      over: () => {
        if (this.#running.get(key) === fetch) this.#running.delete(key);
      },
      giveBack: (bytes) => {
        this.#bytes -= bytes;
      },
    });
    this.#running.set(key, fetch);
    const place = fetch.place();
    fetch.start(fetchFile);
    return place;
  }

  /** Ends what runs; who waits gets no more of it. */
  close(): void {
    for (const fetch of [...this.#running.values()]) fetch.close();
  }

  /** Whoever asks from now on begins anew; what runs is given to those who wait, and not kept. */
  forget(): void {
    for (const fetch of this.#running.values()) fetch.forget();
    this.#running.clear();
  }
}

interface Account {
  reserve(bytes: number): boolean;
  /** Exactly once. */
  over(): void;
  giveBack(reservedBytes: number): void;
}

class FileFetch {
  readonly #parts: CollapseParts;
  readonly #key: string;
  readonly #facts: RequestFacts;
  readonly #copy: Entry | null;
  readonly #account: Account;
  readonly #fetched: Promise<Fetched>;
  #tell: (fetched: Fetched) => void = () => {};
  #call: FileCall | null = null;
  #passed: PassedAnswer | null = null;
  #entry: Entry | null = null;
  readonly #hash = createHash("sha256");
  #reservedBytes = 0;
  #places = 0;
  #isBegun = false;
  #isUnwanted = false;
  #callOff: (() => void) | null = null;
  #kept = true;
  #over = false;

  constructor(parts: CollapseParts, key: string, facts: RequestFacts, copy: Entry | null, account: Account) {
    this.#parts = parts;
    this.#key = key;
    this.#facts = facts;
    this.#copy = copy;
    this.#account = account;
    this.#fetched = new Promise((resolve) => {
      this.#tell = resolve;
    });
  }

  start(fetchFile: FetchFile): void {
    const copy = this.#copy;
    const call = fetchFile(
      {
        facts: this.#facts,
        fields: copy === null ? [] : questionFields(copy),
        answerTimeoutMs: copy === null ? null : askTimeoutMs,
      },
      {
        head: (head) => this.#head(head),
        data: (chunk) => (this.#passed === null ? this.#data(chunk) : this.#passed.data(chunk)),
        end: (isLonger) => (this.#passed === null ? this.#end(isLonger === true) : this.#passed.end()),
        failure: (kind, detail) =>
          this.#passed === null ? this.#fail(kind, detail) : this.#passed.failure(kind, detail),
      },
    );
    this.#call = call;
  }

  place(): Place | null {
    if (this.#places >= waitersPerFetchMax) return null;
    this.#places += 1;
    this.#callOff?.();
    this.#callOff = null;
    let left = false;
    const isFirst = !this.#isBegun;
    this.#isBegun = true;
    return {
      fetched: this.#fetched,
      isFirst,
      leave: () => {
        if (left) return;
        left = true;
        this.#places -= 1;
        if (this.#places > 0) return;
        if (this.#over) return this.#giveBack();
        this.#callOff = this.#parts.later(unwantedFetchMsMax, () => this.#giveUp());
      },
    };
  }

  /** Odoo does not notice that nobody waits: until it answers its worker is busy, and so long counted. */
  #giveUp(): void {
    if (this.#over) return;
    this.#isUnwanted = this.#entry === null && this.#call?.hasWorker === true;
    if (!this.#isUnwanted) this.#fail("answer-cut", "nobody waits for it any more");
  }

  forget(): void {
    this.#kept = false;
  }

  close(): void {
    this.#fail("answer-cut", "the gateway is stopping");
  }

  #head(head: AnswerHead): void {
    const { clock, staticFreshMs } = this.#parts;
    const copy = this.#copy;
    if (this.#isUnwanted && this.#places === 0)
      return this.#fail("answer-cut", "nobody waits for it any more");
    if (copy !== null && head.status === 304) return this.#unchanged(copy, head);
    // Odoo is in trouble: that says nothing about the file.
    if (copy !== null && head.status >= 500) {
      return this.#fail("closed-without-answer", `status ${head.status} instead of the file`);
    }
    const storable = judge(this.#facts, head, staticFreshMs());
    if (storable.kind === "pass" || !this.#account.reserve(storable.bytes)) {
      // A server in trouble (5xx) says nothing about the file.
      if (storable.kind === "pass" && head.status < 500) this.#parts.refuse(this.#key);
      this.#finish();
      return this.#pass(head);
    }
    this.#reservedBytes = storable.bytes;
    const nowMs = clock.nowMs();
    this.#entry = {
      key: this.#key,
      fields: keptFields(this.#parts.cleanFields(head.fields, this.#facts)),
      content: new Content(storable.bytes, storable.compressible, this.#parts.makeEncoder, this.#parts.turns),
      hash: "",
      etag: storable.etag,
      lastModified: storable.lastModified,
      bornMs: nowMs - storable.ageMs,
      freshUntilMs: nowMs + storable.freshMs,
      askAgainMs: 0,
    };
    this.#tell({ kind: "file", entry: this.#entry });
  }

  #pass(head: AnswerHead): void {
    // The answer to a question about a copy is nobody's own answer: it was no plain request.
    if (this.#call === null || this.#copy !== null) {
      this.#call?.abort();
      return this.#tell({ kind: "pass", answer: null });
    }
    const passed = new PassedAnswer(this.#call, head);
    this.#passed = passed;
    this.#tell({ kind: "pass", answer: passed });
    // Those who wait are told in this turn of the loop; who has not taken it in the next never will.
    this.#parts.later(0, () => passed.expire());
  }

  /** RFC 9111 §4.3.3, §3.2: the copy is good again for as long as Odoo says now. */
  #unchanged(copy: Entry, head: AnswerHead): void {
    const tag = parseTag(firstField(head.fields, "etag"));
    const parts = this.#parts;
    const facts = this.#facts;
    const fields = mergedFields(copy.fields, keptFields(parts.cleanFields(head.fields, facts)));
    const framing = { kind: "length", bytes: copy.content.bytes } as const;
    const storable = judge(facts, { ...head, status: 200, fields, framing }, parts.staticFreshMs());
    const same = tag === null || copy.etag === null || tag.opaque === copy.etag.opaque;
    this.#finish();
    if (!same || storable.kind === "pass") {
      parts.refuse(this.#key);
      return this.#tell({ kind: "pass", answer: null });
    }
    const nowMs = parts.clock.nowMs();
    copy.fields = fields;
    copy.bornMs = nowMs - storable.ageMs;
    copy.freshUntilMs = nowMs + storable.freshMs;
    this.#tell({ kind: "unchanged", entry: copy });
  }

  #data(chunk: Buffer): void {
    if (this.#over || this.#entry === null) return;
    this.#hash.update(chunk);
    this.#entry.content.identity.push(chunk);
  }

  /** `isLonger`: the file was written to while Odoo read it, and what was declared is a part of it. */
  #end(isLonger: boolean): void {
    const entry = this.#entry;
    if (this.#over || entry === null) return;
    const hash = `${this.#hash.digest("base64")}${entry.content.isCompressible ? "" : " as it is"}`;
    entry.content.identity.end();
    this.#finish();
    if (!this.#kept || isLonger) return entry.content.giveUp();
    // The same body is there already: its compressed forms too.
    const content = this.#parts.contentOf(hash) ?? entry.content;
    this.#parts.keep({ ...entry, content, hash });
    // What is kept is counted there.
    if (content === entry.content) this.#giveBack();
    else entry.content.giveUp();
  }

  #fail(failure: FailureKind, detail: string): void {
    if (this.#over) return;
    this.#finish();
    this.#call?.abort();
    if (this.#entry === null) this.#tell({ kind: "failed", failure, detail });
    else this.#entry.content.identity.fail();
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#callOff?.();
    this.#callOff = null;
    this.#account.over();
    if (this.#places === 0) this.#giveBack();
  }

  /** Not before the last one has read it: a slow client holds all of it. */
  #giveBack(): void {
    this.#account.giveBack(this.#reservedBytes);
    this.#reservedBytes = 0;
  }
}

/** Is our copy still right (RFC 9110 §13.1.2, §13.1.3)? Without a validator the file is simply fetched again. */
function questionFields(copy: Entry): readonly string[] {
  const { etag, lastModified } = copy;
  if (etag !== null) return ["If-None-Match", `${etag.weak ? "W/" : ""}"${etag.opaque}"`];
  return lastModified === null ? [] : ["If-Modified-Since", lastModified];
}

/** Made anew for each answer, or of no use in memory. */
const perAnswer: ReadonlySet<string> = new Set([
  "set-cookie",
  "content-length",
  "content-encoding",
  "etag",
  "age",
  "vary",
  "accept-ranges",
  "x-request-id",
]);

function keptFields(cleaned: readonly string[]): readonly string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < cleaned.length; i += 2) {
    const name = cleaned[i] ?? "";
    if (!perAnswer.has(name.toLowerCase())) kept.push(name, cleaned[i + 1] ?? "");
  }
  return kept;
}

/** The copy's fields, with what the 304 says newer of how long and since when. */
function mergedFields(before: readonly string[], now: readonly string[]): readonly string[] {
  const renewed = new Map<string, string>();
  const out: string[] = [];
  for (let i = 0; i + 1 < now.length; i += 2) {
    const lower = (now[i] ?? "").toLowerCase();
    if (renewable.has(lower)) renewed.set(lower, now[i + 1] ?? "");
  }
  for (let i = 0; i + 1 < before.length; i += 2) {
    const name = before[i] ?? "";
    const lower = name.toLowerCase();
    const value = renewed.get(lower);
    renewed.delete(lower);
    out.push(name, value ?? before[i + 1] ?? "");
  }
  for (const [name, value] of renewed) out.push(name, value);
  return out;
}

const renewable: ReadonlySet<string> = new Set(["cache-control", "expires", "date"]);
