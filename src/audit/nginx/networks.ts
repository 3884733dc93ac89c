/** Networks as nginx reads them: bits beyond the prefix are passed over. Pure. */
import { type Ip, ipBits, parseIp } from "../../base/ip.ts";

/** The length of the prefix when the network holds the address, else -1; null: it cannot be read. */
export function prefixAround(network: string, ip: Ip): number | null {
  const [address = "", prefix] = network.split("/");
  const base = parseIp(address);
  if (base === null || (prefix !== undefined && !/^[0-9]{1,3}$/.test(prefix))) return null;
  // A mapped address is written with 128 bits and means one of IPv4.
  const bits = address.includes(":") ? 128 : 32;
  const length = prefix === undefined ? bits : Number(prefix);
  if (length > bits) return null;
  if (base.family !== ip.family && length > 0) return -1;
  const shift = BigInt(bits - length);
  const [own, other] = bits === 128 ? [ipBits(base), ipBits(ip)] : [base.value, ip.value];
  return base.family === ip.family && own >> shift === other >> shift ? length : -1;
}

/** Is the address between the two of `10.0.0.1-10.0.0.9`, both included; null: it cannot be read. */
export function isInRange(range: string, ip: Ip): boolean | null {
  const [first, last] = range.split("-").map((one) => parseIp(one.trim()));
  if (first === undefined || first === null || last === undefined || last === null) return null;
  return first.family === ip.family && first.value <= ip.value && ip.value <= last.value;
}
