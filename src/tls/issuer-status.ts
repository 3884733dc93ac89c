import type { IssuerState, RenewalWindow } from "./acme-store.ts";
import type { Held, Job } from "./issuer-job.ts";

/** What an operator wants to know about the certificate of the served names. */
export interface IssuerStatus {
  readonly names: readonly string[];
  readonly directory: string;
  /** Of the certificate in use; null: there is none yet. */
  readonly serial: string | null;
  readonly renewAtMs: number | null;
  /** What the authority suggested; null: it suggests nothing, or was not asked yet. */
  readonly renewalWindow: RenewalWindow | null;
  readonly failures: number;
  readonly nextTryMs: number | null;
  readonly lastFailure: { readonly wallMs: number; readonly detail: string } | null;
}

export function statusOf(job: Job, held: Held | null, state: IssuerState): IssuerStatus {
  return {
    names: job.names,
    directory: held?.directory ?? job.acme.directory,
    serial: held?.certificate.serial ?? null,
    renewAtMs: held === null ? null : (state.renewal?.atMs ?? null),
    renewalWindow: held === null ? null : (state.renewal?.window ?? null),
    failures: state.failures,
    nextTryMs: state.failures === 0 ? null : state.nextTryMs,
    lastFailure: state.lastFailure,
  };
}

/** Why the gateway is not ready, a sentence; empty when there is a certificate that browsers trust. */
export function reasonsOf(job: Job, held: Held | null, state: IssuerState): readonly string[] {
  const why = state.lastFailure === null ? "it is being ordered" : state.lastFailure.detail;
  return held === null ? [`no trusted certificate for ${job.names.join(", ")} yet: ${why}`] : [];
}
