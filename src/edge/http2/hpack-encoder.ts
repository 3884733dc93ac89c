import { isFieldValue, isToken } from "../../message/fields.ts";
import { DynamicTable } from "./dynamic-table.ts";
import { encodeHuffman, huffmanBytes } from "./huffman.ts";
import {
  entryExtraBytes,
  staticEntries,
  staticIndexOf,
  staticNames,
  staticValues,
  tableBytesMax,
} from "./static-table.ts";

/**
 * Fields whose values seldom come twice on one connection: in the table they would only push out the others. `set-cookie` is a secret besides, and is written so that
 * nobody on the way keeps it either (RFC 7541 §7.1.3).
 */
const passing: ReadonlySet<string> = new Set([
  "age",
  "content-length",
  "content-range",
  "date",
  "etag",
  "expires",
  "last-modified",
  "location",
  "retry-after",
  "set-cookie",
]);

/** Heads remembered for each connection, as bytes: the fields that many answers have in common. */
const headsMax = 4;
/**
 * The part of the table that one entry may take: a larger one would push out too many others, and in a small client's table all of them with every answer. Our own
 * Content-Security-Policy takes a quarter of a whole table, half of one of 2 KiB, and comes with every answer.
 */
const entryShareMax = 0.6;
/** Index, two lengths: what a field takes beside its characters. */
const fieldExtraBytes = 12;

interface KnownHead {
  readonly status: number;
  readonly fields: readonly string[];
  /** The table when it was written: with another entry its indexes are others. */
  readonly inserted: number;
  readonly bytes: Buffer;
}

/** Where blocks are put together, one for all connections: a block is copied out before the next one is begun. */
let scratch = Buffer.allocUnsafeSlow(8 * 1024);

const knownNames = new Set<string>();
const knownNamesMax = 1_000;

/**
 * Writes the field blocks of one connection (RFC 7541), in the order they are sent. The client's bound of the table is obeyed from the next block on.
 */
export class HpackEncoder {
  readonly #table = new DynamicTable();
  /** By name, the numbers of its entries at their insertion, oldest first. */
  readonly #numbers = new Map<string, number[]>();
  readonly #known: KnownHead[] = [];
  #nextKnown = 0;
  #resizedTo: number | null = null;
  /** The smallest bound since the last block: what it pushed out is gone on the other side too. */
  #smallest = tableBytesMax;
  #at = 0;

  /** SETTINGS_HEADER_TABLE_SIZE of the client (RFC 9113 §6.5.2); we use `tableBytesMax` of it at most. */
  resize(bytesMax: number): void {
    this.#resizedTo = Math.min(bytesMax, tableBytesMax);
    this.#smallest = Math.min(this.#resizedTo, this.#smallest);
  }

  /**
   * A block in memory that is good until the next call, with `room` bytes free in front of it. `fields`: names in lower case; a frozen list is known again. `more`: behind them,
   * without a place in the table. Throws on a name or value that HTTP has not: that is our mistake, and must not go out.
   */
  encode(status: number, fields: readonly string[], more: readonly string[], room: number): Buffer {
    this.#begin(room, fields, more);
    const known =
      Object.isFrozen(fields) && this.#resizedTo === null ? this.#find(status, fields) : undefined;
    if (known !== undefined) {
      known.bytes.copy(scratch, this.#at);
      this.#at += known.bytes.length;
    } else this.#writeHead(status, fields, room);
    for (let i = 0; i < more.length; i += 2) this.#passing(more[i] ?? "", more[i + 1] ?? "");
    return scratch.subarray(0, this.#at);
  }

  #begin(room: number, fields: readonly string[], more: readonly string[]): void {
    let bytes = room + 3 * fieldExtraBytes;
    for (const text of fields) bytes += text.length + fieldExtraBytes;
    for (const text of more) bytes += text.length + fieldExtraBytes;
    if (bytes > scratch.length) scratch = Buffer.allocUnsafeSlow(bytes);
    this.#at = room;
  }

  #find(status: number, fields: readonly string[]): KnownHead | undefined {
    const { inserted } = this.#table;
    for (const one of this.#known)
      if (one.fields === fields && one.status === status && one.inserted === inserted) return one;
    return undefined;
  }

  #writeHead(status: number, fields: readonly string[], room: number): void {
    const isPlain = this.#resizedTo === null;
    if (this.#resizedTo !== null) {
      // RFC 7541 §4.2: of several changes the smallest, and the last.
      if (this.#smallest < this.#resizedTo) this.#bound(this.#smallest);
      this.#bound(this.#resizedTo);
      this.#resizedTo = null;
      this.#smallest = tableBytesMax;
      // Their indexes may mean nothing any more.
      this.#known.length = 0;
      this.#nextKnown = 0;
    }
    const { inserted } = this.#table;
    this.#field(":status", String(status));
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i] ?? "";
      const value = fields[i + 1] ?? "";
      check(name, value);
      if (passing.has(name)) this.#passing(name, value);
      else this.#field(name, value);
    }
    if (!isPlain || inserted !== this.#table.inserted || !Object.isFrozen(fields)) return;
    const bytes = Buffer.from(scratch.subarray(room, this.#at));
    this.#known[this.#nextKnown] = { status, fields, inserted, bytes };
    this.#nextKnown = (this.#nextKnown + 1) % headsMax;
  }

  #bound(bytesMax: number): void {
    this.#table.resize(bytesMax);
    this.#integer(bytesMax, 0x1f, 0x20);
  }

  #field(name: string, value: string): void {
    const atStatic = staticIndexOf.get(name) ?? 0;
    for (let index = atStatic; index > 0 && staticNames[index] === name; index += 1)
      if (staticValues[index] === value) return this.#integer(index, 0x7f, 0x80);
    const table = this.#table;
    const numbers = this.#numbersOf(name);
    for (const number of numbers) {
      const at = table.inserted - number;
      if (table.values[table.placeOf(at)] === value) return this.#integer(staticEntries + at, 0x7f, 0x80);
    }
    const [newest] = numbers.slice(-1);
    const index = atStatic > 0 || newest === undefined ? atStatic : staticEntries + table.inserted - newest;
    const isKept = name.length + value.length + entryExtraBytes <= table.bytesMax * entryShareMax;
    if (isKept) this.#integer(index, 0x3f, 0x40);
    else this.#integer(index, 0x0f, 0);
    if (index === 0) this.#string(name);
    this.#string(value);
    if (!isKept) return;
    const number = table.inserted;
    if (table.insert(name, value)) numbers.push(number);
  }

  /** The numbers of the entries with this name that are still there. */
  #numbersOf(name: string): number[] {
    const table = this.#table;
    let numbers = this.#numbers.get(name);
    if (numbers === undefined) {
      // Names of fields that came once; what is not in the table has no numbers.
      if (this.#numbers.size >= 4 * table.count + 64) this.#numbers.clear();
      numbers = [];
      this.#numbers.set(name, numbers);
    }
    while (numbers.length > 0 && table.inserted - (numbers[0] ?? 0) > table.count) numbers.shift();
    return numbers;
  }

  /** Without a place in the table (RFC 7541 §6.2.2, §6.2.3). */
  #passing(name: string, value: string): void {
    const index = staticIndexOf.get(name) ?? 0;
    this.#integer(index, 0x0f, name === "set-cookie" ? 0x10 : 0);
    if (index === 0) this.#string(name);
    this.#plain(value);
  }

  #integer(value: number, prefix: number, pattern: number): void {
    if (value < prefix) {
      scratch[this.#at] = pattern | value;
      this.#at += 1;
      return;
    }
    scratch[this.#at] = pattern | prefix;
    this.#at += 1;
    let left = value - prefix;
    for (; left >= 128; left = Math.floor(left / 128)) {
      scratch[this.#at] = (left % 128) + 128;
      this.#at += 1;
    }
    scratch[this.#at] = left;
    this.#at += 1;
  }

  /** In the shorter of the two ways. */
  #string(text: string): void {
    const bytes = huffmanBytes(text);
    if (bytes >= text.length) return this.#plain(text);
    this.#integer(bytes, 0x7f, 0x80);
    this.#at = encodeHuffman(text, scratch, this.#at);
  }

  #plain(text: string): void {
    this.#integer(text.length, 0x7f, 0);
    this.#at += scratch.write(text, this.#at, "latin1");
  }
}

function check(name: string, value: string): void {
  if (!knownNames.has(name)) {
    if (!isToken(name) || name !== name.toLowerCase())
      throw new Error(`a field name of an answer is none of HTTP/2: ${JSON.stringify(name)}`);
    if (knownNames.size < knownNamesMax) knownNames.add(name);
  }
  if (!isFieldValue(value)) throw new Error(`the value of ${name} in an answer holds a control character`);
}
