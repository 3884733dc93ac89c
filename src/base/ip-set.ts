import { type Ip, ipBits, ipFromBits, parseIp } from "./ip.ts";
import { err, ok, type Result } from "./result.ts";

/** An immutable set of networks; look-up by binary search over merged intervals. */
export interface IpSet {
  contains(ip: Ip): boolean;
  readonly isEmpty: boolean;
  /** The networks as the operator wrote them, for messages. */
  readonly texts: readonly string[];
}

/** The set nobody is in. */
export const emptyIpSet: IpSet = { contains: () => false, isEmpty: true, texts: [] };

/** One network: all addresses from `first` to `last`, both included, numbers of the one family. */
interface Interval {
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly last: bigint;
}

/**
 * Reads networks: CIDR (`10.0.0.0/8`, `2001:db8::/32`) or bare addresses. `::ffff:a.b.c.d` counts as IPv4, as in
 * `parseIp`; `0.0.0.0/0` holds every IPv4 and no IPv6 address, `::/0` the other way round.
 * Bits set beyond the prefix are a mistake, since `10.1.2.3/8` can mean an address or a network: the answer names
 * the network. Answers all mistakes, each naming its text.
 */
export function parseIpSet(texts: readonly string[]): Result<IpSet, string[]> {
  const intervals: Interval[] = [];
  const mistakes: string[] = [];
  for (const text of texts) {
    const read = readNetwork(text);
    if (read.ok) {
      intervals.push(read.value);
    } else {
      mistakes.push(read.error);
    }
  }
  return mistakes.length > 0 ? err(mistakes) : ok(ipSetOf(intervals, texts));
}

/** Everything that is in one of the sets. */
export function ipSetUnion(sets: readonly IpSet[]): IpSet {
  const full = sets.filter((set) => !set.isEmpty);
  const [only, ...more] = full;
  if (only === undefined) {
    return emptyIpSet;
  }
  if (more.length === 0) {
    return only;
  }
  return {
    contains: (ip) => full.some((set) => set.contains(ip)),
    isEmpty: false,
    texts: full.flatMap((set) => set.texts),
  };
}

function readNetwork(text: string): Result<Interval, string> {
  const slash = text.indexOf("/");
  const address = slash === -1 ? text : text.slice(0, slash);
  const ip = parseIp(address);
  if (ip === null) {
    return err(`${JSON.stringify(text)} is no IP address or network such as 10.0.0.0/8 or 2001:db8::/32`);
  }
  if (slash === -1) {
    return ok({ family: ip.family, first: ip.value, last: ip.value });
  }
  const writtenBits = address.includes(":") ? 128 : 32;
  const prefixText = text.slice(slash + 1);
  const prefix = /^(?:0|[1-9][0-9]{0,2})$/.test(prefixText) ? Number(prefixText) : Number.NaN;
  if (!(prefix <= writtenBits)) {
    return err(`${JSON.stringify(text)} needs a prefix length from 0 to ${writtenBits} behind the slash`);
  }
  // A mapped network is read by its 128 bits, so that its prefix counts from where it was written.
  const bits = address.includes(":") ? ipBits(ip) : ip.value;
  const hostMask = (1n << BigInt(writtenBits - prefix)) - 1n;
  if ((bits & hostMask) !== 0n) {
    const base = bits & ~hostMask;
    const network = writtenBits === 32 ? ipFromBits((0xffffn << 32n) | base).text : networkText(base, prefix);
    const shown = network.includes("/") ? network : `${network}/${prefix}`;
    return err(`${JSON.stringify(text)} has bits set beyond /${prefix}; the network is ${shown}`);
  }
  const family = ip.family;
  const mask = family === 4 ? hostMask & 0xffff_ffffn : hostMask;
  return ok({ family, first: ip.value, last: ip.value | mask });
}

/** A network of 128 bits as text; one inside `::ffff:0:0/96` as the IPv4 network it is. */
function networkText(base: bigint, prefix: number): string {
  const ip = ipFromBits(base);
  return `${ip.text}/${ip.family === 4 ? prefix - 96 : prefix}`;
}

function ipSetOf(intervals: readonly Interval[], texts: readonly string[]): IpSet {
  if (intervals.length === 0) {
    return emptyIpSet;
  }
  const four = merged(intervals.filter((interval) => interval.family === 4));
  const six = merged(intervals.filter((interval) => interval.family === 6));
  // IPv4 fits plain numbers, which compare several times faster than bigints.
  const fourFirst = four.map((interval) => Number(interval.first));
  const fourLast = four.map((interval) => Number(interval.last));
  const sixFirst = six.map((interval) => interval.first);
  const sixLast = six.map((interval) => interval.last);
  return {
    contains: (ip) =>
      ip.family === 4 ? within(fourFirst, fourLast, Number(ip.value)) : within(sixFirst, sixLast, ip.value),
    isEmpty: false,
    texts: [...texts],
  };
}

/** Sorted, and overlapping or touching intervals joined, so that at most one can hold an address. */
function merged(intervals: readonly Interval[]): Interval[] {
  const sorted = intervals.toSorted((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const result: Interval[] = [];
  for (const interval of sorted) {
    const before = result.at(-1);
    if (before !== undefined && interval.first <= before.last + 1n) {
      if (interval.last > before.last) {
        result[result.length - 1] = { ...before, last: interval.last };
      }
    } else {
      result.push(interval);
    }
  }
  return result;
}

/** Is `value` in one of the sorted intervals: finds the last that begins at or before it. */
function within<N extends number | bigint>(firsts: readonly N[], lasts: readonly N[], value: N): boolean {
  let low = 0;
  let high = firsts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const first = firsts[middle];
    if (first !== undefined && first <= value) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  const last = lasts[low - 1];
  return last !== undefined && value <= last;
}
