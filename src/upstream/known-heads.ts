import { lowerName, rememberNames, sameNames } from "../message/field-names.ts";
import { KnownBlock, Worth } from "../message/known-block.ts";
import type { AnswerHead } from "./answer-reader.ts";

/** Heads remembered: Odoo's answers to calls have a handful. */
const headsMax = 8;

/** Fields that are another in each answer, or a secret: heads with one are not remembered. */
const passing: ReadonlySet<string> = new Set([
  "set-cookie",
  "location",
  "etag",
  "last-modified",
  "expires",
  "age",
  "content-disposition",
  "content-range",
  "link",
  "x-request-id",
  "www-authenticate",
  // Whether they mean anything depends on the length.
  "x-sendfile",
  "x-accel-redirect",
]);

interface Known {
  readonly block: KnownBlock;
  readonly head: AnswerHead;
  /** The place of Content-Length among the fields; -1: none. */
  readonly lengthAt: number;
}

/**
 * Heads of answers as they were read, to know them again by their bytes. Odoo answers the calls of a web client and of programs with
 * the same head but for Content-Length, until the second in Date changes. Not for answers to HEAD, whose length says nothing
 * about what follows.
 */
export class KnownHeads {
  readonly #known: Known[] = [];
  #next = 0;
  #end = 0;
  readonly #worth = new Worth();

  /** Where the head that matched last ends, its empty line included. */
  get end(): number {
    return this.#end;
  }

  /** The head at the beginning of `input`; null: it has to be read. */
  match(input: Buffer): AnswerHead | null {
    for (const { block, head, lengthAt } of this.#known) {
      const bytes = block.match(input, 0);
      if (bytes < 0) continue;
      this.#end = block.end;
      this.#worth.matched();
      if (head.framing.kind !== "length" || head.framing.bytes === bytes) return head;
      const { status, reusable } = head;
      const likeness = head.likeness ?? null;
      const fields = head.fields.with(lengthAt, String(bytes));
      sameNames(fields, head.fields);
      return { status, fields, framing: { kind: "length", bytes }, reusable, likeness };
    }
    return null;
  }

  /** The head that was read from these bytes, which end with the empty line, with a likeness from now on where it is remembered. */
  learn(head: AnswerHead, bytes: Buffer): AnswerHead {
    const { framing, fields } = head;
    let lengthAt = -1;
    for (let i = 0; i + 1 < fields.length; i += 2) {
      const name = lowerName(fields[i] ?? "");
      if (passing.has(name)) return head;
      if (name === "content-length") lengthAt = i + 1;
    }
    const length = lengthAt < 0 ? null : (fields[lengthAt] ?? "");
    if (!this.#worth.missed()) return head;
    // A length that does not frame the answer (204, 304), or is written with zeros in front, is not worth telling apart.
    if (length !== (framing.kind === "length" ? String(framing.bytes) : null)) return head;
    const block = KnownBlock.of(bytes, length);
    if (block === null) return head;
    const known = { ...head, likeness: {} };
    rememberNames(fields);
    this.#known[this.#next] = { block, head: known, lengthAt };
    this.#next = (this.#next + 1) % headsMax;
    return known;
  }
}
