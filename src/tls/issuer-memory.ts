import type { Clock } from "../base/clock.ts";
import { freshState, type IssuerState } from "./acme-store.ts";
import { directoryFor, holdMs } from "./issuer-attempt.ts";
import type { Job } from "./issuer-job.ts";
import type { Notices } from "./notices.ts";
import { backOffMs, retryAfterMaxMs } from "./schedule.ts";

export interface MemoryParts {
  readonly notices: Notices;
  readonly clock: Clock;
  /** A number from 0 to 1, drawn anew each time. */
  readonly random: () => number;
}

/**
 * What went wrong with a set of names and when it may be tried again, over restarts and for all processes: on disk, and
 * a failure that could not be written in memory too.
 */
export class IssuerMemory {
  readonly #parts: MemoryParts;
  #unsaved: { readonly set: string; readonly state: IssuerState } | null = null;

  constructor(parts: MemoryParts) {
    this.#parts = parts;
  }

  async recall(job: Job): Promise<IssuerState> {
    const state = await job.store.state(job.set);
    const kept = this.#unsaved?.set === job.set ? this.#unsaved.state : null;
    if (state.ok) return kept !== null && kept.failures > state.value.failures ? kept : state.value;
    // What was remembered is lost: as if one attempt had just failed, so that a damaged file cannot cause a storm.
    const { notices, clock, random } = this.#parts;
    notices.warnOnce(`state ${job.set}`, state.error);
    const nowMs = clock.wallMs();
    const guessed = { ...freshState, failures: 1, nextTryMs: nowMs + backOffMs(1, random()) };
    await this.keep(job, guessed);
    return guessed;
  }

  async keep(job: Job, state: IssuerState): Promise<void> {
    const isWritten = await this.#parts.notices.tell(job.store.saveState(job.set, state));
    // What is on disk counts alone: another process may write there that it has succeeded.
    this.#unsaved = isWritten || state.failures === 0 ? null : { set: job.set, state };
  }

  /** One more failure: the next try comes later than after the last one, and not before the authority that is asked then allows it. */
  async failed(
    job: Job,
    state: IssuerState,
    detail: string,
    retryAfterMs: number | null,
    directory: string = job.acme.directory,
  ): Promise<IssuerState> {
    const { clock, random } = this.#parts;
    const nowMs = clock.wallMs();
    const failures = state.failures + 1;
    const holds = { ...state.holds };
    delete holds[directory];
    if (retryAfterMs !== null) holds[directory] = nowMs + Math.min(retryAfterMs, retryAfterMaxMs);
    const waitMs = holdMs(holds, directoryFor(job.acme, failures, holds, nowMs), nowMs);
    const nextTryMs = nowMs + Math.max(backOffMs(failures, random()), waitMs);
    const { holds: _before, ...rest } = state;
    const kept = Object.keys(holds).length === 0 ? rest : { ...rest, holds };
    const next: IssuerState = { ...kept, failures, nextTryMs, lastFailure: { wallMs: nowMs, detail } };
    await this.keep(job, next);
    return next;
  }

  /** There is another certificate: what stands on disk counts alone. */
  forget(): void {
    this.#unsaved = null;
  }
}
