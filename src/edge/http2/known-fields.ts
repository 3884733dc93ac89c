import { rememberNames, sameNames } from "../../message/field-names.ts";
import { Worth } from "../../message/known-block.ts";
import { type Http2Head, readHead } from "./fields.ts";

/** Field sections remembered for each session: a browser asks for scripts, pictures and data in turn, each in its own words. */
const sectionsMax = 4;
/** Longer ones are read anew each time. */
const sectionCharsMax = 8 * 1024;

interface Known {
  readonly raw: readonly string[];
  readonly head: Http2Head;
  /** The place of Content-Length among the fields; -1: none. */
  readonly lengthAt: number;
}

/**
 * The last field sections of a session, to know them again when they differ in nothing but `:path`, `:method` and the number in Content-Length.
 * What HPACK does for the wire (RFC 7541), for reading.
 */
export class KnownHttp2Fields {
  #known: Known[] = [];
  #next = 0;
  readonly #worth = new Worth();

  /** Null: the section is malformed. */
  read(raw: readonly string[]): Http2Head | null {
    for (const known of this.#known) {
      const head = match(known, raw);
      if (head === null) continue;
      this.#worth.matched();
      return head;
    }
    const head = readHead(raw);
    if (head !== null && this.#worth.missed()) this.#learn(raw, head);
    return head;
  }

  /** The client is quiet. */
  forget(): void {
    this.#known = [];
    this.#next = 0;
  }

  #learn(raw: readonly string[], head: Http2Head): void {
    if (charsOf(raw) > sectionCharsMax) return;
    const lengthAt = head.fields.findIndex((text, i) => i % 2 === 0 && text === "content-length");
    // Where Content-Length is said twice, or is no number as we write it, nobody has to be quick.
    if (lengthAt >= 0 && head.fields[lengthAt + 1] !== String(head.bodyBytes)) return;
    rememberNames(head.fields);
    this.#known[this.#next] = {
      raw,
      head: { ...head, likeness: {} },
      lengthAt: lengthAt < 0 ? -1 : lengthAt + 1,
    };
    this.#next = (this.#next + 1) % sectionsMax;
  }
}

function charsOf(raw: readonly string[]): number {
  let chars = 0;
  for (const text of raw) chars += text.length;
  return chars;
}

/** A length as the screen wants it: no zero in front (RFC 9110 §8.6 is laxer). */
const number = /^(?:0|[1-9][0-9]{0,14})$/;

function match({ raw: before, head, lengthAt }: Known, raw: readonly string[]): Http2Head | null {
  if (raw.length !== before.length) return null;
  let method = "";
  let target = "";
  let length = "";
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? "";
    const value = raw[i + 1] ?? "";
    if (name !== before[i]) return null;
    if (value === before[i + 1]) {
      if (name === ":method") method = value;
      else if (name === ":path") target = value;
      else if (name === "content-length") length = value;
    } else if (name === ":path") target = value;
    else if (name === ":method") method = value;
    else if (name === "content-length" && number.test(value)) length = value;
    else return null;
  }
  // With these the section means something else, or nothing.
  if (target === "" || method === "CONNECT") return null;
  if (lengthAt < 0) return { ...head, method, target };
  const bodyBytes = Number(length);
  if (bodyBytes === head.bodyBytes) return { ...head, method, target };
  const fields = head.fields.with(lengthAt, length);
  sameNames(fields, head.fields);
  return { ...head, method, target, fields, bodyBytes };
}
