/**
 * Odoo mends its three newest series. One comes each autumn, 19.0 in 2025; a series is taken for ended from November of the third
 * year after its own on. When that is, in milliseconds since 1970.
 */
export function endOfSeriesMs(series: number): number {
  return Date.UTC(2006 + series + 3, 10, 1);
}

/** The series of a version such as `17.0`, `17.0-20240401` or `saas~18.2`; null: that is none. */
export function seriesOf(version: string): number | null {
  const digits = /^(?:saas[~-])?([1-9][0-9]?)\.[0-9]/.exec(version)?.[1];
  return digits === undefined ? null : Number(digits);
}
