import { rememberNames, sameNames } from "../message/field-names.ts";
import { KnownBlock } from "../message/known-block.ts";
import type { RequestHead, RequestLine } from "./request-reader.ts";

/** The fields of a connection's last request, as read. Who calls again with the same is not read again. */
export class KnownFields {
  readonly #head: RequestHead;
  readonly #block: KnownBlock;
  /** The place of Content-Length among the fields; -1: none. */
  readonly #lengthAt: number;

  private constructor(head: RequestHead, block: KnownBlock, lengthAt: number) {
    this.#head = head;
    this.#block = block;
    this.#lengthAt = lengthAt;
  }

  /** `block`: from the line end of the request line to the end of the empty line. Null: such a head is not remembered. */
  static of(head: RequestHead, block: Buffer): KnownFields | null {
    const { framing, leaves, likeness, fields } = head;
    if (leaves || likeness === null) return null;
    if (framing.kind !== "none" && framing.kind !== "length") return null;
    const at = framing.kind === "length" ? lengthAt(fields) : -1;
    const known = KnownBlock.of(block, at < 0 ? null : (fields[at] ?? ""));
    if (known === null) return null;
    rememberNames(fields);
    return new KnownFields(head, known, at);
  }

  /** Where the head that matched last ends, its empty line included. */
  get end(): number {
    return this.#block.end;
  }

  /** Do the known fields stand behind a request line that ends there: their Content-Length, 0 when they have none; -1: others. */
  match(input: Buffer, lineEnd: number): number {
    return this.#block.match(input, lineEnd);
  }

  /** The head with this request line and these fields, of this Content-Length; null: with this line they mean something else. */
  headOf(line: RequestLine, bytes: number): RequestHead | null {
    const before = this.#head;
    // What the fields mean depends on the version (RFC 9112 §6.1, §9.3), and CONNECT leaves HTTP whatever they are.
    if (line.protocol !== before.protocol || line.method === "CONNECT") return null;
    let { fields, framing } = before;
    if (framing.kind === "length" && bytes !== framing.bytes) {
      framing = { kind: "length", bytes };
      fields = fields.with(this.#lengthAt, String(bytes));
      sameNames(fields, before.fields);
    }
    return {
      protocol: line.protocol,
      method: line.method,
      target: line.target,
      fields,
      likeness: before.likeness,
      framing,
      leaves: false,
      persists: before.persists,
      expectsContinue: before.expectsContinue,
    };
  }
}

function lengthAt(fields: readonly string[]): number {
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]?.length === 14 && fields[i]?.toLowerCase() === "content-length") return i + 1;
  }
  return -1;
}
