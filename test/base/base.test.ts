import { existsSync } from "node:fs";
import { BlockList, isIP } from "node:net";
import { join } from "node:path";
import fc from "fast-check";
import t from "tap";
import { BoundedMap } from "../../src/base/bounded-map.ts";
import {
  type Ip,
  ipBits,
  ipFromBits,
  ipKey64,
  ipNetworkText,
  isLoopback,
  parseIp,
  parseSocketIp,
} from "../../src/base/ip.ts";
import { emptyIpSet, type IpSet, ipSetUnion, parseIpSet } from "../../src/base/ip-set.ts";
import { editDistance, nearestName, sameWords } from "../../src/base/nearest.ts";
import { packageRoot } from "../../src/base/package-root.ts";
import { formatBytes, parseBytes, parseDurationMs, parseRatePerSecond } from "../../src/base/units.ts";

function ip(text: string): Ip {
  const read = parseIp(text);
  if (read === null) {
    throw new Error(`not an address: ${text}`);
  }
  return read;
}

function ipSet(...texts: string[]): IpSet {
  const read = parseIpSet(texts);
  if (!read.ok) {
    throw new Error(read.error.join("\n"));
  }
  return read.value;
}

t.test("an address has one canonical text", async (t) => {
  const table: readonly (readonly [string, string])[] = [
    ["203.0.113.9", "203.0.113.9"],
    ["0.0.0.0", "0.0.0.0"],
    ["255.255.255.255", "255.255.255.255"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["2001:DB8::1", "2001:db8::1"],
    ["2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:c000:201", "192.0.2.1"],
    ["0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1"],
    ["64:ff9b::192.0.2.1", "64:ff9b::c000:201"],
    ["::192.0.2.1", "::c000:201"],
  ];
  for (const [written, canonical] of table) {
    t.equal(parseIp(written)?.text, canonical, written);
    t.equal(parseIp(written)?.family, canonical.includes(":") ? 6 : 4, `family of ${written}`);
  }
  t.equal(parseIp("1.2.3.4")?.value, 0x01020304n);
});

t.test("what two readers could take for two addresses is none", async (t) => {
  const bad = [
    ..."| |1.2.3|1.2.3.4.5|127.1|2130706433|0x7f.0.0.1|010.0.0.1|1.2.3.04|256.0.0.1|1.2.3.-4|1.2.3.4 | 1.2.3.4".split(
      "|",
    ),
    ..."+1.2.3.4|1..3.4|1.2.3.4/32|1.2.3.4:80|[::1]|::1%eth0|fe80::1%1|:|:::|1:::2|::1::|1:2:3:4:5:6:7".split(
      "|",
    ),
    ..."1:2:3:4:5:6:7:8:9|1:2:3:4:5:6:7:8::|::1:2:3:4:5:6:7:8|12345::|g::|:1|1:|::1.2.3|::01.2.3.4|1.2.3.4::".split(
      "|",
    ),
    ..."::1.2.3.4:1|1.2.3.4:1::|-1::|٣.1.1.1|１.1.1.1|localhost".split("|"),
    `${"0".repeat(50)}::1`,
    "1.2.3.4\n",
    "\0",
  ];
  for (const text of bad) {
    t.equal(parseIp(text), null, JSON.stringify(text));
  }
  t.equal(parseSocketIp("fe80::1%eth0")?.text, "fe80::1", "only a socket's address may carry a zone");
  t.equal(parseSocketIp("::ffff:10.0.0.1")?.text, "10.0.0.1");
  t.equal(parseSocketIp(""), null);
});

t.test("addresses agree with Node's own reader and survive the way through text", async () => {
  const bits = fc.oneof(
    fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }),
    fc
      .array(fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: 0xffffn })), { minLength: 8, maxLength: 8 })
      .map((groups) => groups.reduce((value, group) => (value << 16n) | group, 0n)),
    fc.bigInt({ min: 0n, max: 0xffff_ffffn }).map((low) => (0xffffn << 32n) | low),
  );
  fc.assert(
    fc.property(bits, (value) => {
      const made = ipFromBits(value);
      const read = parseIp(made.text);
      return (
        read !== null &&
        ipBits(read) === value &&
        read.text === made.text &&
        isIP(made.text) === made.family &&
        // The URL parser writes IPv6 as RFC 5952 says; an independent second opinion.
        (made.family === 4 || new URL(`http://[${made.text}]/`).hostname === `[${made.text}]`)
      );
    }),
    { numRuns: 500 },
  );
  const soup = fc.string({ unit: fc.constantFrom(..."0123456789abcf:.%/ "), maxLength: 42 });
  fc.assert(
    fc.property(soup, (text) => parseIp(text) === null || isIP(text) !== 0),
    { numRuns: 2000 },
  );
});

t.test("one IPv6 host cannot be many clients", async (t) => {
  t.equal(ipNetworkText(ip("2001:db8:1:2:3:4:5:6")), "2001:db8:1::/48");
  t.equal(ipNetworkText(ip("203.0.113.77")), "203.0.113.0/24");
  t.equal(ipKey64(ip("2001:db8:1:2:3:4:5:6")), "2001:db8:1:2::/64");
  t.equal(ipKey64(ip("2001:db8:1:2:ffff::")), ipKey64(ip("2001:db8:1:2::1")));
  t.not(ipKey64(ip("2001:db8:1:3::1")), ipKey64(ip("2001:db8:1:2::1")));
  t.equal(ipKey64(ip("::ffff:192.0.2.1")), "192.0.2.1");
  t.ok(isLoopback(ip("127.9.9.9")) && isLoopback(ip("::1")) && isLoopback(ip("::ffff:127.0.0.1")));
  t.notOk(isLoopback(ip("128.0.0.1")) || isLoopback(ip("::2")) || isLoopback(ip("::7f00:1")));
});

t.test("a set holds exactly its networks", async (t) => {
  const set = ipSet(
    "10.0.0.0/8",
    "192.0.2.7",
    "2001:db8::/32",
    "::1",
    "::ffff:198.51.100.0/120",
    "203.0.113.128/25",
  );
  for (const inside of "10.0.0.0 10.255.255.255 192.0.2.7 2001:db8:ffff::1 ::1 198.51.100.255 203.0.113.128".split(
    " ",
  )) {
    t.ok(set.contains(ip(inside)), inside);
  }
  for (const outside of "9.255.255.255 11.0.0.0 192.0.2.6 192.0.2.8 2001:db9:: ::2 198.51.101.0 203.0.113.127".split(
    " ",
  )) {
    t.notOk(set.contains(ip(outside)), outside);
  }
  t.notOk(set.contains(ip("::a00:1")), "an IPv6 address with the number of an IPv4 one");
  t.same(set.texts[0], "10.0.0.0/8");
  t.notOk(set.isEmpty);
  t.ok(ipSet("0.0.0.0/0").contains(ip("255.255.255.255")));
  t.notOk(ipSet("0.0.0.0/0").contains(ip("::1")), "every IPv4 address is not every address");
  t.ok(ipSet("::/0").contains(ip("ffff::")));
  t.notOk(ipSet("::/0").contains(ip("1.2.3.4")));
  t.ok(ipSet().isEmpty && !ipSet().contains(ip("1.2.3.4")));
  const union = ipSetUnion([emptyIpSet, ipSet("10.0.0.0/8"), ipSet("::1")]);
  t.ok(union.contains(ip("10.1.1.1")) && union.contains(ip("::1")) && !union.contains(ip("::2")));
  t.same(union.texts, ["10.0.0.0/8", "::1"]);
  t.equal(ipSetUnion([emptyIpSet]), emptyIpSet);
});

t.test("a network that could be read two ways is refused, and the right one named", async (t) => {
  const table: readonly (readonly [string, string])[] = [
    ["10.1.2.3/8", "the network is 10.0.0.0/8"],
    ["192.168.1.1/24", "the network is 192.168.1.0/24"],
    ["2001:db8::1/64", "the network is 2001:db8::/64"],
    ["::ffff:10.1.2.3/104", "the network is 10.0.0.0/8"],
    ["::ffff:10.0.0.0/64", "the network is ::/64"],
    ["1.2.3.4/0", "the network is 0.0.0.0/0"],
    ["10.0.0.0/33", "from 0 to 32"],
    ["::/129", "from 0 to 128"],
    ["10.0.0.0/", "from 0 to 32"],
    ["10.0.0.0/08", "from 0 to 32"],
    ["10.0.0.0/-1", "from 0 to 32"],
    ["10.0.0.0/255.0.0.0", "from 0 to 32"],
    ["10.0.0.0/8/8", "from 0 to 32"],
    ["10/8", "is no IP address"],
    ["10.0.0.*", "is no IP address"],
    ["office", "is no IP address"],
    ["", "is no IP address"],
  ];
  for (const [text, expected] of table) {
    const read = parseIpSet([text]);
    t.match(read.ok ? "accepted" : read.error.join("|"), expected, text);
  }
  const all = parseIpSet(["10.0.0.1/8", "::1", "x"]);
  t.equal(all.ok ? 0 : all.error.length, 2, "all mistakes at once");
});

t.test("a set agrees with Node's BlockList on random networks", async () => {
  const network = fc.record({
    six: fc.boolean(),
    bits: fc.bigInt({ min: 0n, max: 0xffffn }),
    prefix: fc.integer({ min: 0, max: 16 }),
  });
  const probe = fc.record({ six: fc.boolean(), bits: fc.bigInt({ min: 0n, max: 0xffffn }) });
  // Sixteen low bits of one prefix, so that networks overlap, touch and hold the probes often.
  const address = (six: boolean, bits: bigint) =>
    ipFromBits((six ? 0x20010db8n << 96n : (0xffffn << 32n) | (10n << 24n)) | bits);
  fc.assert(
    fc.property(
      fc.array(network, { maxLength: 12 }),
      fc.array(probe, { minLength: 8, maxLength: 8 }),
      (networks, probes) => {
        const oracle = new BlockList();
        const texts = networks.map(({ six, bits, prefix }) => {
          const length = (six ? 112 : 16) + prefix;
          const base = address(six, (bits >> BigInt(16 - prefix)) << BigInt(16 - prefix));
          oracle.addSubnet(base.text, length, six ? "ipv6" : "ipv4");
          return `${base.text}/${length}`;
        });
        const set = ipSet(...texts);
        return probes.every(({ six, bits }) => {
          const one = address(six, bits);
          return set.contains(one) === oracle.check(one.text, six ? "ipv6" : "ipv4");
        });
      },
    ),
    { numRuns: 300 },
  );
});

t.test("units are read strictly", async (t) => {
  const durations: readonly (readonly [string, number | null])[] = [
    ["500ms", 500],
    ["15s", 15_000],
    ["720s", 720_000],
    ["12m", 720_000],
    ["12min", 720_000],
    ["2h", 7_200_000],
    ["1d", 86_400_000],
    ["1w", 604_800_000],
    ["1y", 31_536_000_000],
    ["0", 0],
    ["0s", 0],
    ["15", null],
    ["", null],
    ["s", null],
    ["1.5s", null],
    ["-1s", null],
    ["+1s", null],
    ["1 s", null],
    ["1S", null],
    ["1h30m", null],
    ["1e3s", null],
    ["9999999999999999y", null],
    ["1constructor", null],
    ["15s\n", null],
    ["Infinitys", null],
  ];
  for (const [text, expected] of durations) {
    t.equal(parseDurationMs(text), expected, `duration ${JSON.stringify(text)}`);
  }
  const amounts: readonly (readonly [string, number | null])[] = [
    ["64MiB", 67_108_864],
    ["128MB", 128_000_000],
    ["1024", 1024],
    ["8GiB", 8 * 2 ** 30],
    ["1kb", 1000],
    ["1KiB", 1024],
    ["0", 0],
    ["3B", 3],
    ["1TiB", 2 ** 40],
    ["64M", null],
    ["64m", null],
    ["1.5GiB", null],
    ["-1", null],
    ["", null],
    ["MiB", null],
    ["64 MiB", null],
    ["9999999999999999TiB", null],
    ["0x10", null],
    ["1e6", null],
  ];
  for (const [text, expected] of amounts) {
    t.equal(parseBytes(text), expected, `bytes ${JSON.stringify(text)}`);
  }
  const rates: readonly (readonly [string, number | null])[] = [
    ["30/s", 30],
    ["5/min", 5 / 60],
    ["5/m", 5 / 60],
    ["100/h", 100 / 3600],
    ["10/d", 10 / 86_400],
    ["0.5/s", 0.5],
    ["0/s", null],
    ["0.0/s", null],
    ["5", null],
    ["5/", null],
    ["/s", null],
    ["-5/s", null],
    ["5/sec", null],
    ["5 / s", null],
    ["5r/s", null],
  ];
  for (const [text, expected] of rates) {
    t.equal(parseRatePerSecond(text), expected, `rate ${JSON.stringify(text)}`);
  }
  t.equal(formatBytes(134_217_728), "128MiB");
  t.equal(formatBytes(1023), "1023B");
  t.equal(formatBytes(1_610_612_736), "1.5GiB");
  t.equal(formatBytes(2 ** 20 - 1), "1023.9KiB", "never rounded up to what it is not");
});

t.test("every whole duration reads back as itself", async () => {
  const factors = { ms: 1, s: 1e3, m: 6e4, min: 6e4, h: 36e5, d: 864e5, w: 6048e5, y: 31536e6 };
  fc.assert(
    fc.property(
      fc.nat(100_000),
      fc.constantFrom(...Object.entries(factors)),
      (count, [unit, factor]) => parseDurationMs(`${count}${unit}`) === count * factor,
    ),
  );
  fc.assert(
    fc.property(fc.nat(1023), fc.constantFrom("B", "KiB", "MiB", "GiB"), (count, unit) => {
      const bytes = parseBytes(`${count}${unit}`);
      return bytes !== null && (count === 0 || formatBytes(bytes) === `${count}${unit}`);
    }),
  );
  fc.assert(
    fc.property(fc.string(), (text) => parseDurationMs(text) === null || /^[0-9]+(?:[a-z]+)?$/.test(text)),
  );
});

t.test("the nearest name is the one that was meant", async (t) => {
  const known = [
    "odoo_url",
    "https_listen",
    "http_listen",
    "tls_cert_file",
    "tls_key_file",
    "domain",
    "preset",
  ];
  const table: readonly (readonly [string, string | null])[] = [
    ["odoo_ulr", "odoo_url"],
    ["ODOO_URL", "odoo_url"],
    ["odoo-url", "odoo_url"],
    ["domian", "domain"],
    ["domains", "domain"],
    ["listen_http", "http_listen"],
    ["https_lisen", "https_listen"],
    ["cert_tls_file", "tls_cert_file"],
    ["tls_certfile", "tls_cert_file"],
    ["workers", null],
    ["", null],
    ["x", null],
    ["x".repeat(5000), null],
  ];
  for (const [word, expected] of table) {
    t.equal(nearestName(word, known), expected, JSON.stringify(word.slice(0, 20)));
  }
  t.equal(nearestName("brust", ["rate", "burst"]), "burst");
  t.equal(nearestName("a", []), null);
  t.equal(editDistance("abcd", "abdc", 9), 1, "swapped neighbours are one edit");
  t.equal(editDistance("kitten", "sitting", 9), 3);
  t.equal(editDistance("kitten", "sitting", 2), 2, "counts no farther than asked");
  t.equal(editDistance("", "abc", 9), 3);
  t.ok(sameWords("LISTEN_HTTP", "http_listen"));
  t.notOk(sameWords("a_a_b", "a_b_b"));
});

t.test("a bounded map forgets what nobody asks for, never more", async (t) => {
  const map = new BoundedMap<string, number>(10);
  for (let index = 0; index < 1000; index += 1) {
    map.set(`key ${index}`, index);
    map.get("key 0");
    t.ok(map.size <= 10, "never above its bound") || t.bailout("unbounded");
  }
  t.equal(map.get("key 0"), 0, "what is asked for stays");
  for (let index = 996; index < 1000; index += 1) {
    t.equal(map.get(`key ${index}`), index, "the last half stays");
  }
  t.equal(map.get("key 500"), undefined);
  t.ok(map.delete("key 0"));
  t.notOk(map.delete("key 0"));
  t.notOk(map.has("key 0"));
  map.clear();
  t.equal(map.size, 0);
  t.throws(() => new BoundedMap(1), RangeError);
  t.throws(() => new BoundedMap(Number.NaN), RangeError);
  t.equal(new BoundedMap(7).max, 6);

  const operation = fc.record({ kind: fc.constantFrom("set", "get", "delete"), key: fc.nat(30) });
  fc.assert(
    fc.property(
      fc.array(operation, { maxLength: 200 }),
      fc.integer({ min: 2, max: 12 }),
      (operations, max) => {
        const bounded = new BoundedMap<number, number>(max);
        const truth = new Map<number, number>();
        const recent: number[] = [];
        for (const [step, { kind, key }] of operations.entries()) {
          const held = bounded.has(key);
          if (kind === "set") {
            bounded.set(key, step);
            truth.set(key, step);
          } else if (kind === "get") {
            const value = bounded.get(key);
            if (value !== undefined && value !== truth.get(key)) return false;
            if (held !== (value !== undefined)) return false;
          } else if (bounded.delete(key) !== held) {
            return false;
          } else {
            truth.delete(key);
          }
          const at = recent.indexOf(key);
          if (at !== -1) recent.splice(at, 1);
          if (kind === "set" || (kind === "get" && held)) recent.unshift(key);
          if (bounded.size > bounded.max || bounded.size !== [...bounded.entries()].length) return false;
          if (!recent.slice(0, bounded.max / 2).every((one) => bounded.has(one))) return false;
        }
        return true;
      },
    ),
    { numRuns: 300 },
  );
});

t.test("the package is found from wherever it was compiled to", async (t) => {
  const { directory, version } = packageRoot();
  t.ok(existsSync(join(directory, "tsconfig.json")), directory);
  t.match(version, /^\d+\.\d+\.\d+/);
  t.equal(packageRoot(), packageRoot());
});
