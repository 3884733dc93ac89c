import type { Certificate } from "./certificate.ts";
import type { IssuerStatus } from "./issuer-status.ts";
import type { TlsMaterial } from "./load.ts";

const dayMs = 86_400_000;

/** What is ahead of a certificate in use. Nothing in it is secret: status and metrics show it. */
export interface CertificateOutlook {
  readonly names: readonly string[];
  readonly issuer: string;
  readonly notAfterMs: number;
  /** Rounded down; negative: expired. */
  readonly daysLeft: number;
  /** null: nobody here renews it, or it is not planned yet. */
  readonly renewAtMs: number | null;
  /** Until when a good answer about its revocation is stapled; null: none is. */
  readonly stapledUntilMs: number | null;
}

/** One entry a certificate in use, in their order. Pure. */
export function outlookOf(
  material: Pick<TlsMaterial, "certificates" | "renewAtWallMs" | "renewsSerial">,
  status: IssuerStatus | null,
  stapledUntilMs: (certificate: Certificate) => number | null,
  nowMs: number,
): readonly CertificateOutlook[] {
  return material.certificates.map((certificate) => {
    const { names, issuer, notAfterMs, serial } = certificate;
    const isOrdered = status !== null && status.serial === serial;
    const isOurs = material.renewsSerial === serial;
    return {
      names,
      issuer,
      notAfterMs,
      daysLeft: Math.floor((notAfterMs - nowMs) / dayMs),
      renewAtMs: isOrdered ? status.renewAtMs : isOurs ? material.renewAtWallMs : null,
      stapledUntilMs: stapledUntilMs(certificate),
    };
  });
}
