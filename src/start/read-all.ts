import type { Problem } from "../base/problem.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type Closed, loadMaintenance } from "../guard/maintenance.ts";
import type { Policy } from "../policy/compile.ts";
import type { Settings, UpstreamAddress } from "../settings/settings.ts";
import type { TlsMaterial } from "../tls/load.ts";
import { lookAtFilestore } from "./filestore-folder.ts";
import { readPolicy } from "./policy-files.ts";
import { prepareState } from "./state-folder.ts";

/** What a gateway is made of before it is running. */
export interface Found {
  readonly policy: Policy;
  readonly tls: TlsMaterial;
  /** The maintenance that a restart found under way; null: the site is open. */
  readonly closed: Closed | null;
  readonly odoo: UpstreamAddress;
}

/**
 * Reads policies, certificates and the state of maintenance, and makes the state folder; or answers every problem in all of them.
 * `wallMs`: now. `stateFault` is told of a disk that cannot be written, which is no reason not to start; `warn` of what else is none.
 */
export async function readAll(
  settings: Settings,
  readTls: (settings: Settings) => Promise<Result<TlsMaterial, readonly Problem[]>>,
  maintenancePath: string,
  wallMs: number,
  stateFault: (detail: string) => void,
  warn: (warning: Problem) => void,
): Promise<Result<Found, readonly Problem[]>> {
  const problems: Problem[] = [];
  const policy = readPolicy(settings);
  if (!policy.ok) problems.push(...policy.error);
  const tls = await readTls(settings);
  if (!tls.ok) problems.push(...tls.error);
  problems.push(...(await prepareState(settings.stateDir, stateFault)));
  if (settings.odooFilestore !== null) {
    const look = lookAtFilestore(settings.odooFilestore);
    problems.push(...look.problems);
    for (const warning of look.warnings) warn(warning);
  }
  const closed = loadMaintenance(maintenancePath, wallMs);
  if (!closed.ok) problems.push(closed.error);
  const { odoo } = settings;
  if (odoo === null) {
    problems.push({
      place: "environment",
      thing: "ODOO_URL is not set",
      remedy: "set it, for example ODOO_URL=http://127.0.0.1:8069",
    });
  }
  if (!policy.ok || !tls.ok || !closed.ok || odoo === null || problems.length > 0) return err(problems);
  return ok({ policy: policy.value, tls: tls.value, closed: closed.value, odoo });
}
