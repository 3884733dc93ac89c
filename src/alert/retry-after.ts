/** A service may not ask for more patience than this. */
export const retryAfterMsMax = 3_600_000;

/** Seconds or a date (RFC 9110 §10.2.3), as milliseconds from now, bounded; null for neither. */
export function retryAfterMs(value: string | undefined, nowWallMs: number): number | null {
  if (value === undefined) return null;
  const at = /^[0-9]{1,9}$/.test(value) ? nowWallMs + Number(value) * 1_000 : Date.parse(value);
  return Number.isNaN(at) ? null : Math.min(Math.max(0, at - nowWallMs), retryAfterMsMax);
}
