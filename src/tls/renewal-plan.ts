import { ok, type Result } from "../base/result.ts";
import type { AcmeSettings } from "../settings/settings.ts";
import type { IssuerState } from "./acme-store.ts";
import { type Held, readCaFile } from "./issuer-job.ts";
import { askAgainMs, askRenewalInfo, type RenewalInfo } from "./renewal-info.ts";
import { renewalAtLatest, renewalByLife, renewalInWindow } from "./schedule.ts";
import { renewalId } from "./x509.ts";

/**
 * When the certificate is to be renewed: as the authority says (RFC 9773), else by its life. Asked again as it says; until
 * then, and once the moment has come, it stays as it was planned. One that `isNew` is not replaced before the authority is asked again,
 * whatever it says: a window that is always over would have a certificate ordered at each look.
 */
export async function planRenewal(
  acme: AcmeSettings,
  held: Held,
  before: IssuerState["renewal"],
  nowMs: number,
  random: () => number,
  isNew = false,
): Promise<IssuerState["renewal"]> {
  const { serial, notBeforeMs, notAfterMs } = held.certificate;
  const known = before?.serial === serial ? before : null;
  if (known !== null && (isNotYet(known.askAgainMs, nowMs) || nowMs >= known.atMs)) return known;
  const fromMs = isNew ? Math.max(notBeforeMs, nowMs) : notBeforeMs;
  const byLife = known?.atMs ?? renewalByLife(fromMs, notAfterMs, random());
  const { info } = await suggestion(acme, held, nowMs);
  const later = nowMs + askAgainMs.default;
  // An authority that does not answer just now has not taken back what it suggested last.
  if (!info.ok) return { ...known, serial, atMs: byLife, askAgainMs: later };
  // A window behind the certificate's end is none.
  if (info.value === null || info.value.startMs >= notAfterMs)
    return { serial, atMs: byLife, askAgainMs: later };
  const { startMs, endMs, askAgainInMs } = info.value;
  const window = { startMs, endMs };
  // A moment chosen before stays while it lies in the window: asking often must not make it earlier.
  const inWindow = renewalInWindow(info.value, known?.atMs ?? null, notAfterMs, random());
  const atMs = Math.min(inWindow, renewalAtLatest(notBeforeMs, notAfterMs));
  if (isNew && atMs <= nowMs) return { serial, atMs: byLife, askAgainMs: later, window };
  return { serial, atMs, askAgainMs: nowMs + askAgainInMs, window };
}

/** Ahead, and not so far that a clock which was wrong must have set it. */
function isNotYet(atMs: number, nowMs: number): boolean {
  return nowMs < atMs && atMs <= nowMs + askAgainMs.most;
}

/**
 * What an order names as the certificate it follows (RFC 9773 §5). Only where the authority knows renewal information:
 * others refuse an order with fields they do not know.
 */
export async function replacedId(acme: AcmeSettings, held: Held, nowMs: number): Promise<string | null> {
  const { id, info } = await suggestion(acme, held, nowMs);
  return info.ok && info.value !== null ? id : null;
}

async function suggestion(
  acme: AcmeSettings,
  held: Held,
  nowMs: number,
): Promise<{ readonly id: string | null; readonly info: Result<RenewalInfo | null, string> }> {
  const id = renewalId(held.certificate.certPem);
  const caPem = await readCaFile(acme);
  if (id === null || !caPem.ok) return { id, info: ok(null) };
  return { id, info: await askRenewalInfo(held.directory, caPem.value, id, nowMs) };
}
