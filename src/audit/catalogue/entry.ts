import type { CheckInfo } from "../../report/finding.ts";

/** A check of the inside view. */
export interface AuditCheck extends CheckInfo {
  /** Where it comes from, for the documentation: guides and measurements. */
  readonly from: string;
}

export function check(id: string, title: string, why: string, fix: string, from: string): AuditCheck {
  return { id, title, why, fix, from };
}
