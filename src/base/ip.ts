/** One address, parsed once. IPv4-mapped IPv6 (`::ffff:a.b.c.d`) is IPv4 here. */
export interface Ip {
  readonly family: 4 | 6;
  /** IPv4: one 32-bit number in `low`. IPv6: the 128 bits. */
  readonly value: bigint;
  /** Canonical text (RFC 5952 for IPv6). */
  readonly text: string;
}

/** Longest text of an address: eight groups of IPv6, the last two as dotted IPv4. */
const ipCharsMax = 45;
const mappedPrefix = 0xffffn << 32n;
const low32 = 0xffff_ffffn;
const low64 = 0xffff_ffff_ffff_ffffn;
const low80 = (1n << 80n) - 1n;

/**
 * Reads one address, strictly: no zone (`%eth0`), no port, no brackets, no spaces, no octet with a leading zero
 * (octal for some readers, decimal for others), no short forms such as `127.1`. IPv4-mapped IPv6 becomes IPv4,
 * so that a rule written for `10.0.0.0/8` also sees a client of a dual-stack socket.
 * Answers null for anything else. RFC 4291 §2.2, RFC 5952.
 */
export function parseIp(text: string): Ip | null {
  if (text.length > ipCharsMax) {
    return null;
  }
  if (!text.includes(":")) {
    const value = ipv4Value(text);
    return value === null ? null : ipv4(value);
  }
  const value = ipv6Value(text);
  if (value === null) {
    return null;
  }
  return ipFromBits(value);
}

/**
 * Reads the address of a socket (`remoteAddress`). Node appends the zone to link-local addresses
 * (`fe80::1%eth0`); the zone says which cable, not who, and is cut. Everything else as `parseIp`.
 */
export function parseSocketIp(text: string): Ip | null {
  const zone = text.indexOf("%");
  return parseIp(zone === -1 ? text : text.slice(0, zone));
}

/** The key limits count by: an IPv4 address itself, of IPv6 the /64, since one host owns 2⁶⁴ addresses of it. */
export function ipKey64(ip: Ip): string {
  return ip.family === 4 ? ip.text : `${ipv6Text(ip.value & ~low64)}/64`;
}

/** Where an address is, without whose it is: its /24, of IPv6 the /48, which is what a household or company has. */
export function ipNetworkText(ip: Ip): string {
  return ip.family === 4 ? `${ipv4Text(ip.value & ~0xffn)}/24` : `${ipv6Text(ip.value & ~low80)}/48`;
}

/** 127.0.0.0/8 or ::1. */
export function isLoopback(ip: Ip): boolean {
  return ip.family === 4 ? ip.value >> 24n === 127n : ip.value === 1n;
}

/** Networks of one company, host or link: RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291 §2.5.6, and loopback. */
const privateNetworks4: readonly (readonly [prefix: bigint, bits: bigint])[] = [
  [10n, 8n],
  [127n, 8n],
  [(172n << 4n) | 1n, 12n],
  [(192n << 8n) | 168n, 16n],
  [(169n << 8n) | 254n, 16n],
  [(100n << 2n) | 1n, 10n],
];

/** Is it an address that many places use at once: a proxy, a container's bridge or a neighbour, never a stranger far away. */
export function isPrivate(ip: Ip): boolean {
  if (ip.family === 4) return privateNetworks4.some(([prefix, bits]) => ip.value >> (32n - bits) === prefix);
  return ip.value === 1n || ip.value >> 121n === 0b1111110n || ip.value >> 118n === 0b1111111010n;
}

/** The address of 128 bits; those of `::ffff:0:0/96` are IPv4. */
export function ipFromBits(bits: bigint): Ip {
  if (bits >> 32n === 0xffffn) {
    return ipv4(bits & low32);
  }
  return { family: 6, value: bits, text: ipv6Text(bits) };
}

/** The 128 bits of an address; IPv4 in its IPv4-mapped place. The inverse of `ipFromBits`. */
export function ipBits(ip: Ip): bigint {
  return ip.family === 4 ? mappedPrefix | ip.value : ip.value;
}

function ipv4(value: bigint): Ip {
  return { family: 4, value, text: ipv4Text(value) };
}

function ipv4Text(value: bigint): string {
  const number = Number(value);
  return `${number >>> 24}.${(number >>> 16) & 255}.${(number >>> 8) & 255}.${number & 255}`;
}

function ipv4Value(text: string): bigint | null {
  const octets = text.split(".");
  if (octets.length !== 4) {
    return null;
  }
  let value = 0;
  for (const octet of octets) {
    if (!/^(?:0|[1-9][0-9]{0,2})$/.test(octet) || Number(octet) > 255) {
      return null;
    }
    value = value * 256 + Number(octet);
  }
  return BigInt(value);
}

function ipv6Value(text: string): bigint | null {
  const halves = text.split("::");
  if (halves.length > 2) {
    return null;
  }
  const head = groups(halves[0] ?? "", halves.length === 1);
  if (head === null) {
    return null;
  }
  if (halves.length === 1) {
    return head.length === 8 ? join(head) : null;
  }
  const tail = groups(halves[1] ?? "", true);
  // "::" stands for at least one group of zeros; RFC 5952 §4.2.2 wants two, readers accept one.
  if (tail === null || head.length + tail.length > 7) {
    return null;
  }
  return join([...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail]);
}

/** The 16-bit groups of one side of `::`; a dotted IPv4 may stand last of all and counts as two. */
function groups(text: string, mayEndDotted: boolean): number[] | null {
  if (text === "") {
    return [];
  }
  const numbers: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (mayEndDotted && index === parts.length - 1 && part.includes(".")) {
      const dotted = ipv4Value(part);
      if (dotted === null) {
        return null;
      }
      numbers.push(Number(dotted >> 16n), Number(dotted & 0xffffn));
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      numbers.push(Number.parseInt(part, 16));
    } else {
      return null;
    }
  }
  return numbers;
}

function join(numbers: readonly number[]): bigint {
  let value = 0n;
  for (const number of numbers) {
    value = (value << 16n) | BigInt(number);
  }
  return value;
}

/** RFC 5952 §4: lower case, no leading zeros, the first longest run of two or more zero groups becomes `::`. */
function ipv6Text(value: bigint): string {
  const numbers: number[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) {
    numbers.push(Number((value >> shift) & 0xffffn));
  }
  let runStart = -1;
  let runLength = 1;
  for (let start = 0; start < 8; start += 1) {
    let length = 0;
    while (start + length < 8 && numbers[start + length] === 0) {
      length += 1;
    }
    if (length > runLength) {
      runStart = start;
      runLength = length;
    }
  }
  const hex = numbers.map((number) => number.toString(16));
  if (runStart === -1) {
    return hex.join(":");
  }
  return `${hex.slice(0, runStart).join(":")}::${hex.slice(runStart + runLength).join(":")}`;
}
