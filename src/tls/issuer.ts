import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../base/clock.ts";
import { oneBehind } from "../base/one-behind.ts";
import { type Problem, problemLine } from "../base/problem.ts";
import { err } from "../base/result.ts";
import type { EventSink } from "../observe/events.ts";
import { acmeDirectory, freshState, type IssuerState } from "./acme-store.ts";
import type { Challenges } from "./challenges.ts";
import { attemptOrder, directoryFor } from "./issuer-attempt.ts";
import { type Held, heldFor, type IssuerSettings, type Job, jobOf, Stores } from "./issuer-job.ts";
import { IssuerMemory } from "./issuer-memory.ts";
import { type IssuerStatus, reasonsOf, statusOf } from "./issuer-status.ts";
import { Notices } from "./notices.ts";
import type { Preflight } from "./preflight.ts";
import { planRenewal } from "./renewal-plan.ts";
import { dueMs, sensibleTry } from "./schedule.ts";

/** How often it is looked whether something is due; the moments themselves are compared with the clock. */
const lookEveryMs = 30_000;
/** How long `stop` waits for a step that nothing ends sooner: a DNS hook, a question to the authority. */
const stopMs = 5_000;
/** A certificate that is not shown although its listener was told is told again after so long. */
const tellAgainMs = 3_600_000;
/** While another process holds the lock: its certificate is awaited, or its lock becomes stale. */
const lookWaitingMs = 2_000;

export interface IssuerParts {
  /** The settings that hold now; `acme` null: nothing is done. */
  readonly settings: () => IssuerSettings;
  readonly challenges: Challenges;
  readonly sink: EventSink;
  readonly clock: Clock;
  /** A number from 0 to 1, drawn anew each time. */
  readonly random: () => number;
  /** Does the listener show the certificate with this serial number. */
  readonly shows: (serial: string) => boolean;
  /** There is another certificate on disk: load it and swap it in. */
  readonly changed: () => Promise<void>;
  /** The look before an order. Nothing is refused for it: this machine may see the names otherwise than the authority. */
  readonly preflight: (names: readonly string[]) => Promise<Preflight>;
}

/**
 * Looks after the certificate of the served names: orders it, renews it, and remembers on disk what went wrong, so that
 * neither a restart nor a second process asks an authority too often. One job for one set of names; the lock beside it
 * makes it one job among all processes that share CERTS_DIR.
 */
export class Issuer {
  readonly #parts: IssuerParts;
  readonly #stores: Stores;
  readonly #notices: Notices;
  readonly #memory: IssuerMemory;
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | null = null;
  #isWaiting = false;
  #told: { readonly serial: string; readonly atMs: number } | null = null;
  #reasons: readonly string[];
  #status: IssuerStatus | null = null;

  constructor(parts: IssuerParts) {
    const { sink, clock, random } = parts;
    this.#parts = parts;
    this.#stores = new Stores(clock);
    this.#notices = new Notices(sink, clock);
    this.#memory = new IssuerMemory({ notices: this.#notices, clock, random });
    this.#reasons = parts.settings().acme === null ? [] : ["the certificate was not looked at yet"];
  }

  /** Why the gateway is not ready: names without a certificate that browsers trust. Empty: all have one. */
  get reasons(): readonly string[] {
    return this.#reasons;
  }

  get status(): IssuerStatus | null {
    return this.#status;
  }

  /** Looks once, and then again and again until `stop`. */
  start(): void {
    const again = (isWaiting: boolean) => {
      if (this.#stopping.signal.aborted) return;
      this.#timer = setTimeout(next, isWaiting ? lookWaitingMs : lookEveryMs);
      this.#timer.unref();
    };
    const next = () => void this.look().then(() => again(this.#isWaiting));
    next();
  }

  /** Does what is due now. A call while another is running looks once more behind it, as settings or time may differ. Never rejects. */
  readonly look = oneBehind(() => this.#run());

  async #run(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    try {
      await this.#look();
    } catch (error) {
      this.#tellError(error);
    }
  }

  #tellError(error: unknown): void {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#parts.sink.emit({ type: "error", what: "certificates", detail });
  }

  /** Ends a running order at its next step and waits for it, for five seconds at most. The order itself is kept on disk and goes on after a restart. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    const waited = new AbortController();
    // Behind the one that runs there is nothing left to do.
    const ended = this.look().finally(() => waited.abort());
    await Promise.race([ended, sleep(stopMs, undefined, { signal: waited.signal }).catch(() => {})]);
  }

  async #look(): Promise<void> {
    this.#isWaiting = false;
    const { settings, clock } = this.#parts;
    const job = jobOf(settings(), this.#stores, this.#notices);
    if (job === null) {
      this.#reasons = [];
      this.#status = null;
      return;
    }
    const held = await this.#held(job);
    await this.#serve(held);
    // Behind it: what went wrong here does not count where another process has succeeded.
    const state = await this.#memory.recall(job);
    const renewed = await this.#planRenewal(job, held, state);
    this.#report(job, held, renewed);
    const nowMs = clock.wallMs();
    if (held !== null && (renewed.renewal === null || nowMs < renewed.renewal.atMs)) return;
    if (nowMs < sensibleTry(renewed.nextTryMs, nowMs)) return;
    await this.#underLock(job, held);
  }

  #held(job: Job): Promise<Held | null> {
    const { settings, clock } = this.#parts;
    const { certsDir } = settings();
    const storeOf = (directory: string) => this.#stores.of(certsDir, directory);
    return heldFor(job, storeOf, this.#notices, clock.wallMs());
  }

  /** Tells the listener when what is on disk is not what it shows: another process may have ordered it. */
  async #serve(held: Held | null): Promise<void> {
    if (held === null || this.#parts.shows(held.certificate.serial)) return;
    // Not at each look: one that covers no served name is never shown. What was refused is read again by who was told.
    const nowMs = this.#parts.clock.nowMs();
    const { serial } = held.certificate;
    if (this.#told?.serial === serial && nowMs - this.#told.atMs < tellAgainMs) return;
    this.#told = { serial, atMs: nowMs };
    this.#memory.forget();
    await this.#parts.changed();
  }

  /** The state with the plan in it; written when it is another one. */
  async #planRenewal(job: Job, held: Held | null, state: IssuerState, isNew = false): Promise<IssuerState> {
    if (held === null) return state;
    const { clock, random } = this.#parts;
    const renewal = await planRenewal(job.acme, held, state.renewal, clock.wallMs(), random, isNew);
    if (renewal === state.renewal) return state;
    const next = { ...state, renewal };
    await this.#memory.keep(job, next);
    return next;
  }

  #report(job: Job, held: Held | null, state: IssuerState): void {
    this.#reasons = reasonsOf(job, held, state);
    this.#status = statusOf(job, held, state);
  }

  async #underLock(job: Job, before: Held | null): Promise<void> {
    const problem = await job.store.probe();
    if (problem !== null) {
      // Without a place for it a certificate would be ordered again after each restart.
      const state = await this.#memory.recall(job);
      return await this.#failed(job, state, job.acme.directory, problemLine(problem), null);
    }
    const lock = job.store.lock(job.set);
    if (!(await lock.take())) {
      this.#isWaiting = true;
      return;
    }
    try {
      // Another process may have finished between our look and the lock.
      const held = await this.#held(job);
      const state = await this.#memory.recall(job);
      const nowMs = this.#parts.clock.wallMs();
      if (held !== null && held.certificate.serial !== before?.certificate.serial)
        return await this.#serve(held);
      if (nowMs < sensibleTry(state.nextTryMs, nowMs)) return;
      await this.#attempt(job, held, state);
    } finally {
      await lock.release();
    }
  }

  async #attempt(job: Job, held: Held | null, state: IssuerState): Promise<void> {
    const directory = directoryFor(job.acme, state.failures, state.holds, this.#parts.clock.wallMs());
    const parts = {
      ...this.#parts,
      stores: this.#stores,
      notices: this.#notices,
      signal: this.#stopping.signal,
    };
    const ordered = await attemptOrder(parts, job, held, directory, state.challenge).catch(
      (error: unknown) => {
        // Counted like any other: what throws would be tried again at each look.
        this.#tellError(error);
        const detail = "an error of the gateway's own; see the line before";
        return err({ kind: "local" as const, detail, retryAfterMs: null });
      },
    );
    if (!ordered.ok) {
      const { kind, detail, retryAfterMs } = ordered.error;
      if (kind !== "interrupted") await this.#failed(job, state, directory, detail, retryAfterMs);
      return;
    }
    const { certificate, challenge } = ordered.value;
    const now: Held = { certificate, directory, set: job.set };
    const undropped = held === null ? null : await this.#dropReplaced(held, now);
    if (undropped !== null) return await this.#failed(job, state, directory, problemLine(undropped), null);
    if ((await this.#held(job)) === null) {
      // It would be ordered again at the next look.
      const detail = `the certificate was ordered and written, and is not found in ${acmeDirectory(this.#parts.settings().certsDir, directory)}: who else writes there?`;
      return await this.#failed(job, state, directory, detail, null);
    }
    const next: IssuerState = { ...freshState, challenge: challenge ?? state.challenge };
    await this.#memory.keep(job, next);
    const { names, issuer, notAfterMs } = certificate;
    const notAfter = new Date(notAfterMs).toISOString();
    await this.#serve(now);
    this.#report(job, now, await this.#planRenewal(job, now, next, true));
    const told = { names, issuer, notAfter, directory };
    this.#parts.sink.emit(
      held === null ? { type: "certificate-ordered", ...told } : { type: "certificate-renewed", ...told },
    );
  }

  /**
   * One that was renewed before its time (its authority takes it back) by one of a shorter life would be taken for the better of the two,
   * since it is due later: it would go on being shown, and be renewed at each look.
   */
  async #dropReplaced(held: Held, now: Held): Promise<Problem | null> {
    const isOverwritten = held.directory === now.directory && held.set === now.set;
    if (isOverwritten || dueMs(held.certificate) < dueMs(now.certificate)) return null;
    return this.#stores.of(this.#parts.settings().certsDir, held.directory).dropCertificate(held.set);
  }

  async #failed(
    job: Job,
    state: IssuerState,
    directory: string,
    detail: string,
    retryAfterMs: number | null,
  ): Promise<void> {
    const next = await this.#memory.failed(job, state, detail, retryAfterMs, directory);
    if (this.#status !== null) this.#report(job, await this.#held(job), next);
    const { failures } = next;
    const nextTry = new Date(next.nextTryMs).toISOString();
    const { names } = job;
    this.#parts.sink.emit({ type: "certificate-failed", names, directory, detail, failures, nextTry });
  }
}
