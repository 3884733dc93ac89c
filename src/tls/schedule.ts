import { isIP } from "node:net";
import { certificateName } from "./names.ts";

const minuteMs = 60_000;
const dayMs = 86_400_000;
/** The longest wait an authority is granted: the window of their slowest limit. */
export const retryAfterMaxMs = 7 * dayMs;
/** A moment further ahead than that was written by a clock that was wrong. */
const tryAheadMaxMs = retryAfterMaxMs + dayMs;

/** How long to wait after so many failures in a row: a minute, doubled each time, a day at most; a tenth more or less. */
export function backOffMs(failures: number, random: number): number {
  const plain = Math.min(minuteMs * 2 ** Math.min(failures - 1, 20), dayMs);
  return Math.round(plain * (0.9 + 0.2 * random));
}

/** The stored moment of the next try, unless it lies so far ahead that the clock must have jumped back. */
export function sensibleTry(nextTryMs: number, nowMs: number): number {
  return nextTryMs > nowMs + tryAheadMaxMs ? nowMs : nextTryMs;
}

/** Whatever an authority suggests, by then it is tried: the last twelfth of the life is for trying again. */
export function renewalAtLatest(notBeforeMs: number, notAfterMs: number): number {
  return Math.round(notAfterMs - (notAfterMs - notBeforeMs) / 12);
}

/** Of two certificates for the same names the one with the later moment is the better: it is due later. */
export function dueMs(certificate: { readonly notBeforeMs: number; readonly notAfterMs: number }): number {
  return renewalByLife(certificate.notBeforeMs, certificate.notAfterMs, 0);
}

/** Two thirds of the life, for 90, 45 and 6 days alike; up to a twentieth of it earlier, so that not all ask at once. */
export function renewalByLife(notBeforeMs: number, notAfterMs: number, random: number): number {
  const lifeMs = notAfterMs - notBeforeMs;
  return Math.round(notBeforeMs + lifeMs * (2 / 3 - random / 20));
}

/**
 * A moment in the authority's window (RFC 9773 §4.2); the one chosen before when it still lies in it. Never behind the
 * certificate's own end.
 */
export function renewalInWindow(
  window: { readonly startMs: number; readonly endMs: number },
  before: number | null,
  notAfterMs: number,
  random: number,
): number {
  if (before !== null && before >= window.startMs && before <= window.endMs) return before;
  const endMs = Math.min(window.endMs, notAfterMs);
  return Math.round(window.startMs + Math.max(0, endMs - window.startMs) * random);
}

/** The last 14 days, or the last third of a shorter life: by then it should have been renewed. */
export function expiresSoon(notBeforeMs: number, notAfterMs: number, nowMs: number): boolean {
  return notAfterMs - nowMs < Math.min(14 * dayMs, (notAfterMs - notBeforeMs) / 3);
}

/** Names an authority can sign for, once each; addresses and this machine's own name are none. */
export function orderableNames(served: readonly string[]): {
  readonly names: readonly string[];
  readonly excluded: readonly string[];
} {
  const names: string[] = [];
  const excluded: string[] = [];
  for (const name of new Set(served.map(certificateName))) {
    const isLocal = name === "localhost" || name.endsWith(".localhost");
    if (isLocal || isIP(name) !== 0) excluded.push(name);
    else names.push(name);
  }
  return { names, excluded };
}
