/** One element of DER (X.690): what OCSP needs of it, and nothing more. */
export interface Der {
  /** The identifier octet: class, constructed bit and number. */
  readonly tag: number;
  /** Without identifier and length. */
  readonly content: Buffer;
  /** The whole element. */
  readonly raw: Buffer;
}

export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  generalizedTime: 0x18,
  sequence: 0x30,
} as const;

/** The one element these bytes are; null: broken, or with something behind it. */
export function readDer(bytes: Buffer): Der | null {
  const first = elementAt(bytes, 0);
  return first !== null && first.raw.length === bytes.length ? first : null;
}

/** The elements in a constructed one, at most `most`; null: broken, too many, or not constructed. */
export function childrenOf(element: Der | undefined | null, most = 64): readonly Der[] | null {
  if (element === undefined || element === null || (element.tag & 0x20) === 0) return null;
  const found: Der[] = [];
  for (let at = 0; at < element.content.length; ) {
    const child = elementAt(element.content, at);
    if (child === null || found.length >= most) return null;
    found.push(child);
    at += child.raw.length;
  }
  return found;
}

/** An element with this identifier. */
export function writeDer(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  if (length > 0xffff) throw new RangeError("no DER of ours is that long");
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

/** An object identifier in dots; "" for anything else. */
export function oidOf(element: Der | undefined): string {
  if (element === undefined || element.tag !== tags.oid || element.content.length === 0) return "";
  const numbers: number[] = [];
  let number = 0;
  for (const byte of element.content) {
    number = number * 128 + (byte & 0x7f);
    if (number > 0xffff_ffff) return "";
    if ((byte & 0x80) !== 0) continue;
    numbers.push(number);
    number = 0;
  }
  const [first = 0, ...rest] = numbers;
  const head = Math.min(Math.floor(first / 40), 2);
  return [head, first - head * 40, ...rest].join(".");
}

/** Bytes of a bit string of whole bytes; null for anything else. */
export function bitsOf(element: Der | undefined): Buffer | null {
  if (element === undefined || element.tag !== tags.bitString || element.content[0] !== 0) return null;
  return element.content.subarray(1);
}

/** GeneralizedTime as RFC 5280 §4.1.2.5.2 wants it (`YYYYMMDDHHMMSSZ`), milliseconds since 1970; null for anything else. */
export function timeOf(element: Der | undefined): number | null {
  if (element === undefined || element.tag !== tags.generalizedTime) return null;
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(element.content.toString("latin1"));
  if (parts === null) return null;
  const [, year, month, day, hour, minute, second] = parts;
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(ms) ? null : ms;
}

function elementAt(bytes: Buffer, at: number): Der | null {
  const tag = bytes[at];
  const first = bytes[at + 1];
  // Numbers from 31 on take more octets; nothing here has one.
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) return null;
  let start = at + 2;
  let length = first;
  if (first >= 0x80) {
    const count = first & 0x7f;
    // Zero is the indefinite form, which DER forbids; four octets hold more than any answer we read.
    if (count === 0 || count > 4) return null;
    length = 0;
    for (let i = 0; i < count; i += 1) {
      const octet = bytes[start + i];
      if (octet === undefined) return null;
      length = length * 256 + octet;
    }
    start += count;
    // X.690 §10.1: the shortest form, so that there is one reading.
    if (length < 0x80 || bytes[at + 2] === 0) return null;
  }
  const end = start + length;
  if (end > bytes.length) return null;
  return { tag, content: bytes.subarray(start, end), raw: bytes.subarray(at, end) };
}
