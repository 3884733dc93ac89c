const durationUnitMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
  y: 365 * 86_400_000,
};

const byteUnits: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

const rateUnitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, min: 60, h: 3_600, d: 86_400 };

/**
 * Reads a duration, a whole number with its unit: `500ms`, `15s`, `12m` or `12min`, `2h`, `30d`, `1w`, `1y`
 * (365 days). Answers whole milliseconds; null for anything else: a number without unit (`0` alone excepted,
 * which needs none), a fraction, a sign, spaces, or more than 2⁵³ ms. A timer of Node bears at most 2³¹−1 ms.
 */
export function parseDurationMs(text: string): number | null {
  if (text === "0") {
    return 0;
  }
  const [, digits, unit] = /^([0-9]{1,16})([a-z]{1,3})$/.exec(text) ?? [];
  return scaled(digits, own(durationUnitMs, unit));
}

/**
 * Reads an amount of bytes: a whole number, bare or with B, kB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB
 * (powers of 1024), in any letter case. `64M` is not read: it means one thing to nginx and another to a disk.
 * Answers null for anything else and beyond 2⁵³.
 */
export function parseBytes(text: string): number | null {
  const [, digits, unit] = /^([0-9]{1,16})([A-Za-z]{0,3})$/.exec(text) ?? [];
  return scaled(digits, own(byteUnits, unit?.toLowerCase()));
}

/** An amount of bytes for people: `512B`, `128MiB`, `1.5GiB`. One decimal at most; never rounds up to a full unit. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let amount = bytes;
  let index = 0;
  while (amount >= 1024 && index < units.length - 1) {
    amount /= 1024;
    index += 1;
  }
  return `${Math.floor(amount * 10) / 10}${units[index] ?? ""}`;
}

/**
 * Reads a rate: `30/s`, `5/min` or `5/m`, `100/h`, `10/d`, the number whole or with decimals (`0.5/s`).
 * Answers requests a second; null for anything else and for zero, which would be a denial, not a rate.
 */
export function parseRatePerSecond(text: string): number | null {
  const [, digits, unit] = /^([0-9]{1,9}(?:\.[0-9]{1,6})?)\/([a-z]{1,3})$/.exec(text) ?? [];
  const seconds = own(rateUnitSeconds, unit);
  if (digits === undefined || seconds === undefined) {
    return null;
  }
  const rate = Number(digits) / seconds;
  return rate > 0 ? rate : null;
}

function own(table: Readonly<Record<string, number>>, key: string | undefined): number | undefined {
  return key !== undefined && Object.hasOwn(table, key) ? table[key] : undefined;
}

function scaled(digits: string | undefined, factor: number | undefined): number | null {
  if (digits === undefined || factor === undefined) {
    return null;
  }
  const amount = Number(digits) * factor;
  return Number.isSafeInteger(amount) ? amount : null;
}
