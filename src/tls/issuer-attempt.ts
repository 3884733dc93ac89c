import { type Problem, problemLine } from "../base/problem.ts";
import { err, type Result } from "../base/result.ts";
import type { AcmeSettings } from "../settings/settings.ts";
import type { AcmeFailure } from "./acme-failure.ts";
import type { IssuerState } from "./acme-store.ts";
import type { Held, Job } from "./issuer-job.ts";
import { type Ordered, type OrderParts, orderFor } from "./issuer-order.ts";
import type { Preflight } from "./preflight.ts";
import { challengesFor } from "./proof-places.ts";
import { sensibleTry } from "./schedule.ts";

/** From so many failures in a row on every second attempt goes to the fallback directory. */
const failuresBeforeFallback = 3;
/** A wait that a directory asks for is waited for; a longer one sends us to the other at once. */
const patienceMs = 3_600_000;

export interface AttemptParts extends OrderParts {
  /** The look before an order. Nothing is refused for it: this machine may see the names otherwise than the authority. */
  readonly preflight: (names: readonly string[]) => Promise<Preflight>;
}

/**
 * Which directory the attempt after so many failures goes to; the other one while this one wants to be left alone for long:
 * the limits of one authority are none of another's.
 */
export function directoryFor(
  { directory, fallbackDirectory }: Pick<AcmeSettings, "directory" | "fallbackDirectory">,
  failures: number,
  holds: IssuerState["holds"] = {},
  nowMs = 0,
): string {
  if (fallbackDirectory === null) return directory;
  const first = holdMs(holds, directory, nowMs);
  const second = holdMs(holds, fallbackDirectory, nowMs);
  if (Math.max(first, second) > patienceMs) return first <= second ? directory : fallbackDirectory;
  const useFallback = failures >= failuresBeforeFallback && (failures - failuresBeforeFallback) % 2 === 0;
  return useFallback ? fallbackDirectory : directory;
}

/** How long a directory is still to be left alone. */
export function holdMs(holds: IssuerState["holds"], url: string, nowMs: number): number {
  return Math.max(0, sensibleTry(holds?.[url] ?? 0, nowMs) - nowMs);
}

/** Why an attempt gave no certificate. */
export interface AttemptFailure extends Pick<AcmeFailure, "kind" | "retryAfterMs"> {
  /** All an operator should read: what failed, what to do, and what the look before it saw. */
  readonly detail: string;
}

/**
 * Orders by the challenge that is most likely to work (`worked` last time), and once more by another when the authority
 * could not see the proof of that one.
 */
export async function attemptOrder(
  parts: AttemptParts,
  job: Job,
  held: Held | null,
  directory: string,
  worked: IssuerState["challenge"],
): Promise<Result<Ordered, AttemptFailure>> {
  const { dnsHook } = job.acme;
  const { hints, plainIsClosed } = await parts.preflight(job.names);
  // Where port 80 refuses, HTTP-01 comes second: a failed validation counts at the authority.
  const preferred = worked ?? (plainIsClosed && dnsHook === null ? "tls-alpn-01" : null);
  const first = await orderFor(parts, job, held, directory, { preferred, avoid: [] });
  if (first.ok) return first;
  // Port 80 may be closed where 443 is open: the other way is tried at once, and remembered when it works.
  const other = first.error.kind === "validation" ? first.error.challenge : null;
  const ways = challengesFor("", dnsHook !== null, parts.settings().httpListen !== null, null);
  const canSwitch = other !== null && other !== "dns-01" && ways.some((kind) => kind !== other);
  if (!canSwitch) return err(inWords(first.error, hints));
  const second = await orderFor(parts, job, held, directory, { preferred, avoid: [other] });
  return second.ok ? second : err(inWords(both(first.error, second.error), hints));
}

function both(first: AcmeFailure, second: AcmeFailure): AcmeFailure {
  const remedy = [first.remedy, second.remedy].filter((part) => part !== "").join("; or: ");
  return { ...second, detail: `${first.detail}; then: ${second.detail}`, remedy };
}

function inWords(failure: AcmeFailure, hints: readonly Problem[]): AttemptFailure {
  const { kind, detail, remedy, retryAfterMs } = failure;
  const parts = [detail, remedy, hints.map(problemLine).join("; ")].filter((part) => part !== "");
  return { kind, detail: parts.join("; "), retryAfterMs };
}
