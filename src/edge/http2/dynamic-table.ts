import { entryExtraBytes, tableBytesMax, tableEntriesMax } from "./static-table.ts";

const mask = tableEntriesMax - 1;

/**
 * HPACK's dynamic table (RFC 7541 §2.3.2): the newest entry is number 1. A ring of `tableEntriesMax` places, more than fit in `tableBytesMax`.
 */
export class DynamicTable {
  readonly names: string[] = [];
  readonly values: string[] = [];
  /** Entries ever inserted: who knows the number at an entry's insertion knows where it stands now. */
  #inserted = 0;
  #count = 0;
  #bytes = 0;
  #bytesMax = tableBytesMax;

  get inserted(): number {
    return this.#inserted;
  }

  get count(): number {
    return this.#count;
  }

  get bytesMax(): number {
    return this.#bytesMax;
  }

  /** The place in `names` and `values` of an entry; -1: there is none of this number. */
  placeOf(number: number): number {
    return number < 1 || number > this.#count ? -1 : (this.#inserted - number) & mask;
  }

  /** Sets the bound, at most `tableBytesMax`; entries that do not fit any more go (RFC 7541 §4.3). */
  resize(bytesMax: number): void {
    this.#bytesMax = bytesMax;
    this.#evict(0);
  }

  /** An entry larger than the table empties it and is not inserted (RFC 7541 §4.4); false then. */
  insert(name: string, value: string): boolean {
    const bytes = name.length + value.length + entryExtraBytes;
    this.#evict(bytes);
    if (bytes > this.#bytesMax) return false;
    const place = this.#inserted & mask;
    this.names[place] = name;
    this.values[place] = value;
    this.#inserted += 1;
    this.#count += 1;
    this.#bytes += bytes;
    return true;
  }

  /** Makes room for so many bytes. */
  #evict(bytes: number): void {
    while (this.#count > 0 && this.#bytes + bytes > this.#bytesMax) {
      const oldest = (this.#inserted - this.#count) & mask;
      this.#bytes -= (this.names[oldest] ?? "").length + (this.values[oldest] ?? "").length + entryExtraBytes;
      // What is not in the table any more must not be kept by it.
      this.names[oldest] = "";
      this.values[oldest] = "";
      this.#count -= 1;
    }
  }
}
