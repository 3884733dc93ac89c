/** Last day of each version (postgresql.org/support/versioning). */
const lastDays: ReadonlyMap<number, string> = new Map([
  [10, "2022-11-10"],
  [11, "2023-11-09"],
  [12, "2024-11-21"],
  [13, "2025-11-13"],
  [14, "2026-11-12"],
  [15, "2027-11-11"],
  [16, "2028-11-09"],
  [17, "2029-11-08"],
  [18, "2030-11-14"],
]);

/** The last day with fixes of a major version, `YYYY-MM-DD`; `past`: years ago; null: newer than the table. */
export function lastDayOf(major: number): string | "past" | null {
  return major < 10 ? "past" : (lastDays.get(major) ?? null);
}
