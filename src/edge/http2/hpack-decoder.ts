import { fieldName } from "../../message/field-names.ts";
import { isFieldValue } from "../../message/fields.ts";
import { DynamicTable } from "./dynamic-table.ts";
import { decodedBytesMax, decodeHuffman } from "./huffman.ts";
import { entryExtraBytes, staticEntries, staticNames, staticValues, tableBytesMax } from "./static-table.ts";

/** A field section as it was written. */
export interface FieldSection {
  /** Names and values in turn, pseudo-fields among them. */
  readonly raw: readonly string[];
  /** A name or a value breaks RFC 9113 §8.2.1. */
  readonly isMalformed: boolean;
}

/** Room for decoded strings, one for all connections: a string is taken out before the next one is read. */
let scratch = Buffer.allocUnsafeSlow(4 * 1024);

/** Nothing that we read has so large a number in it: string lengths are below a block's, table sizes and indexes below 4,096. */
const integerMax = 2 ** 21;

/**
 * Reads the field blocks of one connection (RFC 7541), in their order: each may change the table that the next one is read with. What is malformed as
 * HTTP is told and read to its end; what is malformed as HPACK ends the connection.
 */
export class HpackDecoder {
  readonly #table = new DynamicTable();
  /** Of each place of the table: its field is malformed. */
  readonly #flawed: boolean[] = [];
  readonly #listBytesMax: number;
  #block: Buffer = scratch;
  #at = 0;
  #hasFailed = false;

  /**
   * `listBytesMax`: characters of names and values, and 32 for each field (RFC 9113 §6.5.2). The field that passes it is the last one that is told: who looks at
   * the list finds it too long.
   */
  constructor(listBytesMax: number) {
    this.#listBytesMax = listBytesMax;
  }

  /** Null: COMPRESSION_ERROR (RFC 7541 §2.3.3, §4.2, §5). */
  decode(block: Buffer): FieldSection | null {
    const table = this.#table;
    const raw: string[] = [];
    let isMalformed = false;
    let listBytes = 0;
    this.#block = block;
    this.#at = 0;
    this.#hasFailed = false;
    while (this.#at < block.length) {
      const byte = block[this.#at] ?? 0;
      let name = "";
      let value = "";
      let isFlawed = false;
      if (byte >= 0x80) {
        // Indexed (§6.1).
        const index = this.#integer(0x7f);
        if (index <= staticEntries) {
          if (index === 0) return null;
          name = staticNames[index] ?? "";
          value = staticValues[index] ?? "";
        } else {
          const place = table.placeOf(index - staticEntries);
          if (place < 0) return null;
          name = table.names[place] ?? "";
          value = table.values[place] ?? "";
          isFlawed = this.#flawed[place] === true;
        }
      } else if (byte >= 0x20 && byte < 0x40) {
        // A new bound of the table (§6.3): in front of all fields, and never above ours (§4.2).
        const bytesMax = this.#integer(0x1f);
        if (raw.length > 0 || bytesMax > tableBytesMax) return null;
        table.resize(bytesMax);
        continue;
      } else {
        // A literal (§6.2), which goes into the table or not.
        const isKept = byte >= 0x40;
        const index = this.#integer(isKept ? 0x3f : 0x0f);
        name = index === 0 ? this.#name() : this.#nameAt(index);
        value = this.#string();
        if (this.#hasFailed) return null;
        isFlawed = !isName(name) || !isValue(value);
        if (isKept && table.insert(name, value)) this.#flawed[table.placeOf(1)] = isFlawed;
      }
      if (this.#hasFailed) return null;
      if (isFlawed) isMalformed = true;
      if (listBytes > this.#listBytesMax) continue;
      listBytes += name.length + value.length + entryExtraBytes;
      raw.push(name, value);
    }
    this.#block = scratch;
    return { raw, isMalformed };
  }

  /** An integer whose prefix has these bits (§5.1). */
  #integer(prefix: number): number {
    const block = this.#block;
    const first = (block[this.#at] ?? 0) & prefix;
    this.#at += 1;
    if (first < prefix) return first;
    let value = prefix;
    for (let unit = 1; unit < integerMax; unit *= 128) {
      const byte = block[this.#at];
      if (byte === undefined) break;
      this.#at += 1;
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) {
        if (value > integerMax) break;
        return value;
      }
    }
    this.#hasFailed = true;
    return 0;
  }

  /** The same few names come again and again: one string for all of them is found in tables and compared sooner. */
  #name(): string {
    return fieldName(this.#string()).spelling;
  }

  #nameAt(index: number): string {
    if (index <= staticEntries) return staticNames[index] ?? "";
    const place = this.#table.placeOf(index - staticEntries);
    if (place < 0) this.#hasFailed = true;
    return this.#table.names[place] ?? "";
  }

  /** A string (§5.2), as Latin-1. */
  #string(): string {
    const block = this.#block;
    const isCoded = (block[this.#at] ?? 0) >= 0x80;
    const bytes = this.#integer(0x7f);
    const start = this.#at;
    const end = start + bytes;
    if (this.#hasFailed || end > block.length) {
      this.#hasFailed = true;
      return "";
    }
    this.#at = end;
    if (!isCoded) return block.toString("latin1", start, end);
    if (decodedBytesMax(bytes) > scratch.length) scratch = Buffer.allocUnsafeSlow(decodedBytesMax(bytes));
    const length = decodeHuffman(block, start, end, scratch);
    if (length < 0) this.#hasFailed = true;
    return scratch.toString("latin1", 0, Math.max(length, 0));
  }
}

/** RFC 9113 §8.2.1: a token without capital letters. What begins with a colon is looked at by who knows the pseudo-fields. */
function isName(name: string): boolean {
  if (name.charCodeAt(0) === 0x3a) return true;
  const { isToken, lower } = fieldName(name);
  return isToken && lower === name;
}

/** RFC 9113 §8.2.1: no control character, and no white space around it. */
function isValue(value: string): boolean {
  if (value.length === 0) return true;
  const first = value.charCodeAt(0);
  const last = value.charCodeAt(value.length - 1);
  return first !== 0x20 && first !== 9 && last !== 0x20 && last !== 9 && isFieldValue(value);
}
