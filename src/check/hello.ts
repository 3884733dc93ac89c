/**
 * A ClientHello by hand and the first thing a server says to it. Our own TLS library refuses to speak what we want to know
 * whether the server speaks (SSL 3, RC4); for the question "would you?" no cryptography is needed.
 */
import { randomBytes } from "node:crypto";
import { isIP } from "node:net";

export type TlsVersion = "SSL 3.0" | "TLS 1.0" | "TLS 1.1" | "TLS 1.2" | "TLS 1.3";

const numbers: Readonly<Record<TlsVersion, number>> = {
  "SSL 3.0": 0x0300,
  "TLS 1.0": 0x0301,
  "TLS 1.1": 0x0302,
  "TLS 1.2": 0x0303,
  "TLS 1.3": 0x0304,
};

/** Named groups (IANA): X25519MLKEM768, X25519, P-256, P-384, P-521, ffdhe2048. */
export const hybridGroup = 0x11ec;
const classicGroups: readonly number[] = [0x001d, 0x0017, 0x0018, 0x0019, 0x0100];

export interface HelloOffer {
  /** The only version offered. */
  readonly version: TlsVersion;
  readonly suites: Iterable<number>;
  readonly host: string;
  readonly groups?: readonly number[];
}

/** The record with a ClientHello (RFC 5246 §7.4.1.2, RFC 8446 §4.1.2). TLS 1.3 is offered without a key share: the server names a group. */
export function clientHello({ version, suites, host, groups = classicGroups }: HelloOffer): Buffer {
  const number = numbers[version];
  const list = u16list([...suites, 0x00ff]);
  const extensions = version === "SSL 3.0" ? Buffer.alloc(0) : extensionsOf(version, host, groups);
  const body = Buffer.concat([
    u16(Math.min(number, 0x0303)),
    randomBytes(32),
    version === "TLS 1.3" ? Buffer.concat([u8(32), randomBytes(32)]) : u8(0),
    list,
    Buffer.from([1, 0]),
    ...(extensions.length === 0 ? [] : [sized16(extensions)]),
  ]);
  const message = Buffer.concat([u8(1), u24(body.length), body]);
  return Buffer.concat([u8(22), u16(number === 0x0300 ? 0x0300 : 0x0301), sized16(message)]);
}

function extensionsOf(version: TlsVersion, host: string, groups: readonly number[]): Buffer {
  const parts: Buffer[] = [];
  const add = (type: number, body: Buffer) => parts.push(u16(type), sized16(body));
  // RFC 6066 §3: names only, no addresses.
  if (isIP(host) === 0) add(0, sized16(Buffer.concat([u8(0), sized16(Buffer.from(host, "latin1"))])));
  add(10, u16list(groups));
  add(11, Buffer.from([1, 0]));
  if (version === "TLS 1.2" || version === "TLS 1.3")
    add(
      13,
      u16list([0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0807, 0x0401, 0x0501, 0x0601, 0x0201]),
    );
  if (version === "TLS 1.3") {
    add(43, Buffer.from([2, 3, 4]));
    add(45, Buffer.from([1, 1]));
    add(51, u16(0));
  }
  return Buffer.concat(parts);
}

/** What the server said first. `more`: not enough bytes yet. */
export type ServerFirst =
  | {
      readonly kind: "hello";
      readonly version: number;
      readonly suite: number;
      readonly group: number | null;
    }
  | { readonly kind: "alert"; readonly code: number }
  | { readonly kind: "more" }
  | { readonly kind: "garbage" };

/** Reads the first record: an alert, or a ServerHello (also one that asks to try again, which is an agreement too). */
export function readServerFirst(bytes: Buffer): ServerFirst {
  const type = bytes[0];
  if (type === undefined) return { kind: "more" };
  if (type !== 21 && type !== 22) return { kind: "garbage" };
  if (bytes.length < 5) return { kind: "more" };
  if (bytes[1] !== 3) return { kind: "garbage" };
  const record = bytes.subarray(5, 5 + bytes.readUInt16BE(3));
  if (type === 21) return record.length < 2 ? { kind: "more" } : { kind: "alert", code: record[1] ?? 0 };
  if (record.length > 0 && record[0] !== 2) return { kind: "garbage" };
  // type, length (3), version (2), random (32), session id length (1).
  if (record.length < 39) return { kind: "more" };
  const at = 39 + (record[38] ?? 0);
  if (record.length < at + 3) return { kind: "more" };
  const version = record.readUInt16BE(4);
  const suite = record.readUInt16BE(at);
  const { selected, group } = readExtensions(record.subarray(at + 3));
  return { kind: "hello", version: selected ?? version, suite, group };
}

/** supported_versions and key_share of a ServerHello; whatever does not add up is passed over. */
function readExtensions(bytes: Buffer): { readonly selected: number | null; readonly group: number | null } {
  let selected: number | null = null;
  let group: number | null = null;
  for (let at = 2; at + 4 <= bytes.length; ) {
    const type = bytes.readUInt16BE(at);
    const length = bytes.readUInt16BE(at + 2);
    if (at + 4 + length > bytes.length) break;
    if (type === 43 && length === 2) selected = bytes.readUInt16BE(at + 4);
    if (type === 51 && length >= 2) group = bytes.readUInt16BE(at + 4);
    at += 4 + length;
  }
  return { selected, group };
}

export function versionNumber(version: TlsVersion): number {
  return numbers[version];
}

function u8(value: number): Buffer {
  return Buffer.from([value]);
}

function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 255]);
}

function u24(value: number): Buffer {
  return Buffer.from([value >> 16, (value >> 8) & 255, value & 255]);
}

function u16list(values: Iterable<number>): Buffer {
  return sized16(Buffer.concat([...values].map(u16)));
}

function sized16(body: Buffer): Buffer {
  return Buffer.concat([u16(body.length), body]);
}
