import { readFile } from "node:fs/promises";
import type { Clock } from "../base/clock.ts";
import { type Problem, problemLine } from "../base/problem.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { EventSink } from "../observe/events.ts";
import type { AcmeSettings, Settings } from "../settings/settings.ts";
import { type AcmeFailure, type OrderOwner, orderCertificate, type Proof } from "./acme.ts";
import {
  type AcmeAccount,
  type AcmeStore,
  acmeDirectory,
  type ChallengeKind,
  createDiskStore,
  freshState,
  type IssuerState,
  momentFor,
  type RenewalWindow,
  setName,
} from "./acme-store.ts";
import { type Certificate, checkCertificate } from "./certificate.ts";
import type { Challenges } from "./challenges.ts";
import { callDnsHook } from "./dns-hook.ts";
import { certificateName, coversName } from "./names.ts";
import type { Preflight } from "./preflight.ts";
import { askRenewalInfo } from "./renewal-info.ts";
import { backOffMs, orderableNames, renewalByLife, renewalInWindow, sensibleTry } from "./schedule.ts";
import { makeKeyPem, renewalId } from "./x509.ts";

const dayMs = 86_400_000;
/** How often it is looked whether something is due; the moments themselves are compared with the clock. */
const lookEveryMs = 30_000;
/** While another process holds the lock: its certificate is awaited, or its lock becomes stale. */
const lookWaitingMs = 2_000;
/** From so many failures in a row on every second attempt goes to the fallback directory. */
const failuresBeforeFallback = 3;
/** An order is not resumed after this; authorities forget theirs after a week at the latest. */
const pendingLifeMs = 6 * dayMs;

export type IssuerSettings = Pick<
  Settings,
  "acme" | "certsDir" | "domains" | "redirectDomains" | "httpListen"
>;

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

/** Everything about one set of names at one moment; made anew at each look. */
interface Job {
  readonly acme: AcmeSettings;
  readonly names: readonly string[];
  readonly set: string;
  /** Of the first directory: holds the state and the lock. */
  readonly store: AcmeStore;
}

interface Held {
  readonly certificate: Certificate;
  readonly directory: string;
}

/**
 * Looks after the certificate of the served names: orders it, renews it, and remembers on disk what went wrong, so that
 * neither a restart nor a second process asks an authority too often. One job for one set of names; the lock beside it
 * makes it one job among all processes that share CERTS_DIR.
 */
export class Issuer {
  readonly #parts: IssuerParts;
  readonly #stores = new Map<string, AcmeStore>();
  readonly #told = new Map<string, number>();
  readonly #stopping = new AbortController();
  #looking: Promise<void> | null = null;
  #next: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isWaiting = false;
  #reasons: readonly string[];
  /** The last failure, for when it could not be written. */
  #unsaved: { readonly set: string; readonly state: IssuerState } | null = null;
  #status: IssuerStatus | null = null;

  constructor(parts: IssuerParts) {
    this.#parts = parts;
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
  look(): Promise<void> {
    if (this.#looking === null) return this.#run();
    this.#next ??= this.#looking.then(() => {
      this.#next = null;
      return this.#run();
    });
    return this.#next;
  }

  #run(): Promise<void> {
    if (this.#stopping.signal.aborted) return Promise.resolve();
    this.#looking = this.#look()
      .catch((error: unknown) => {
        const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
        this.#parts.sink.emit({ type: "error", what: "certificates", detail });
      })
      .finally(() => {
        this.#looking = null;
      });
    return this.#looking;
  }

  /** Ends a running order at its next step and waits for it. The order itself is kept on disk and goes on after a restart. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#looking;
  }

  async #look(): Promise<void> {
    this.#isWaiting = false;
    const job = this.#job();
    if (job === null) {
      this.#reasons = [];
      this.#status = null;
      return;
    }
    const { clock } = this.#parts;
    const state = await this.#state(job);
    const held = await this.#held(job);
    await this.#serve(held);
    const renewed = await this.#planRenewal(job, held, state);
    this.#report(job, held, renewed);
    const nowMs = clock.wallMs();
    if (held !== null && (renewed.renewal === null || nowMs < renewed.renewal.atMs)) return;
    if (nowMs < sensibleTry(renewed.nextTryMs, nowMs)) return;
    await this.#underLock(job, held);
  }

  #job(): Job | null {
    const { acme, certsDir, domains, redirectDomains } = this.#parts.settings();
    if (acme === null) return null;
    const served = [...domains, ...redirectDomains].map(({ host }) => host);
    const { names, excluded } = orderableNames(acme.names.length > 0 ? acme.names : served);
    for (const name of excluded) {
      this.#warnOnce(`excluded ${name}`, {
        place: name,
        thing: "gets no certificate from an authority: it is no public name",
        remedy: "the local certificate is shown for it",
      });
    }
    if (names.length === 0) return null;
    return { acme, names, set: setName(names), store: this.#store(certsDir, acme.directory) };
  }

  #store(certsDir: string, directoryUrl: string): AcmeStore {
    const path = acmeDirectory(certsDir, directoryUrl);
    const known = this.#stores.get(path);
    if (known !== undefined) return known;
    const made = createDiskStore(path, this.#parts.clock);
    this.#stores.set(path, made);
    return made;
  }

  async #state(job: Job): Promise<IssuerState> {
    const state = await job.store.state(job.set);
    const kept = this.#unsaved?.set === job.set ? this.#unsaved.state : null;
    if (state.ok) return kept !== null && kept.failures > state.value.failures ? kept : state.value;
    // What was remembered is lost: as if one attempt had just failed, so that a damaged file cannot cause a storm.
    this.#warnOnce(`state ${job.set}`, state.error);
    const nowMs = this.#parts.clock.wallMs();
    const guessed = { ...freshState, failures: 1, nextTryMs: nowMs + backOffMs(1, this.#parts.random()) };
    await this.#tell(job.store.saveState(job.set, guessed));
    return guessed;
  }

  /** The best certificate for exactly these names, of either directory. */
  async #held(job: Job): Promise<Held | null> {
    const { certsDir } = this.#parts.settings();
    const nowMs = this.#parts.clock.wallMs();
    let best: Held | null = null;
    for (const directory of [job.acme.directory, job.acme.fallbackDirectory]) {
      if (directory === null) continue;
      const { found, problems } = await this.#store(certsDir, directory).certificates(nowMs);
      for (const problem of problems) this.#warnOnce(problem.place, problem);
      for (const { certificate } of found) {
        if (!job.names.every((name) => coversName(certificate.names, name))) continue;
        if (best === null || certificate.notAfterMs > best.certificate.notAfterMs)
          best = { certificate, directory };
      }
    }
    return best;
  }

  /** Tells the listener when what is on disk is not what it shows: another process may have ordered it. */
  async #serve(held: Held | null): Promise<void> {
    if (held === null || this.#parts.shows(held.certificate.serial)) return;
    this.#unsaved = null;
    await this.#parts.changed();
  }

  /** When the certificate is to be renewed: as the authority says (RFC 9773), else by its life. Asked again as it says. */
  async #planRenewal(job: Job, held: Held | null, state: IssuerState): Promise<IssuerState> {
    if (held === null) return state;
    const { clock, random } = this.#parts;
    const { serial, certPem, notBeforeMs, notAfterMs } = held.certificate;
    const nowMs = clock.wallMs();
    const known = state.renewal?.serial === serial ? state.renewal : null;
    if (known !== null && (nowMs < known.askAgainMs || nowMs >= known.atMs)) return state;
    const byLife = known?.atMs ?? renewalByLife(notBeforeMs, notAfterMs, random());
    const id = renewalId(certPem);
    const caPem = await this.#caPem(job.acme);
    const info =
      id === null || !caPem.ok ? ok(null) : await askRenewalInfo(held.directory, caPem.value, id, nowMs);
    const sixHoursMs = dayMs / 4;
    const renewal =
      info.ok && info.value !== null
        ? {
            serial,
            // A moment chosen before stays while it lies in the window: asking often must not make it earlier.
            atMs: renewalInWindow(info.value, known?.atMs ?? null, notAfterMs, random()),
            askAgainMs: nowMs + info.value.askAgainInMs,
            window: { startMs: info.value.startMs, endMs: info.value.endMs },
          }
        : { serial, atMs: byLife, askAgainMs: nowMs + sixHoursMs };
    const next = { ...state, renewal };
    await this.#tell(job.store.saveState(job.set, next));
    return next;
  }

  #report(job: Job, held: Held | null, state: IssuerState): void {
    const why = state.lastFailure === null ? "it is being ordered" : state.lastFailure.detail;
    this.#reasons = held === null ? [`no trusted certificate for ${job.names.join(", ")} yet: ${why}`] : [];
    this.#status = {
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

  async #underLock(job: Job, before: Held | null): Promise<void> {
    const problem = await job.store.probe();
    if (problem !== null) {
      // Without a place for it a certificate would be ordered again after each restart.
      const state = await this.#state(job);
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
      const state = await this.#state(job);
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
    const { acme } = job;
    const useFallback =
      acme.fallbackDirectory !== null &&
      state.failures >= failuresBeforeFallback &&
      (state.failures - failuresBeforeFallback) % 2 === 0;
    const directory = useFallback ? (acme.fallbackDirectory ?? acme.directory) : acme.directory;
    const { hints, plainIsClosed } = await this.#parts.preflight(job.names);
    // Where port 80 refuses, HTTP-01 comes second: a failed validation counts at the authority.
    const preferred = state.challenge ?? (plainIsClosed && acme.dnsHook === null ? "tls-alpn-01" : null);
    const first = await this.#order(job, held, preferred, directory, []);
    // Port 80 may be closed where 443 is open: the other way is tried at once, and remembered when it works.
    const other = !first.ok && first.error.kind === "validation" ? first.error.challenge : null;
    const ways = this.#challengesFor("", acme.dnsHook, null);
    const canSwitch = other !== null && other !== "dns-01" && ways.some((kind) => kind !== other);
    const second = canSwitch ? await this.#order(job, held, preferred, directory, [other]) : first;
    const result =
      second.ok || !canSwitch ? second : first.ok ? second : err(both(first.error, second.error));
    if (!result.ok) {
      const { kind, detail, remedy, retryAfterMs } = result.error;
      if (kind === "interrupted") return;
      const hint = hints.map(problemLine).join("; ");
      const parts = [detail, remedy, hint].filter((part) => part !== "");
      await this.#failed(job, state, directory, parts.join("; "), retryAfterMs);
      return;
    }
    const { certificate, challenge } = result.value;
    const next: IssuerState = { ...freshState, challenge: challenge ?? state.challenge };
    await this.#tell(job.store.saveState(job.set, next));
    const { names, issuer, notAfterMs } = certificate;
    const notAfter = new Date(notAfterMs).toISOString();
    const now: Held = { certificate, directory };
    await this.#serve(now);
    this.#report(job, now, await this.#planRenewal(job, now, next));
    const told = { names, issuer, notAfter, directory };
    this.#parts.sink.emit(
      held === null ? { type: "certificate-ordered", ...told } : { type: "certificate-renewed", ...told },
    );
  }

  /** One order from account to file. */
  async #order(
    job: Job,
    held: Held | null,
    preferred: ChallengeKind | null,
    directory: string,
    avoid: readonly ChallengeKind[],
  ): Promise<
    Result<{ readonly certificate: Certificate; readonly challenge: ChallengeKind | null }, AcmeFailure>
  > {
    const { acme, names, set } = job;
    const nowMs = this.#parts.clock.wallMs();
    const store = this.#store(this.#parts.settings().certsDir, directory);
    const account = await store.account();
    if (!account.ok) return err(ownFailure(account.error));
    const caPem = await this.#caPem(acme);
    if (!caPem.ok) return err(ownFailure(caPem.error));
    const kept = await store.pendingOrder(set);
    if (!kept.ok) this.#warnOnce(kept.error.place, kept.error);
    const pending =
      kept.ok && kept.value !== null && nowMs - kept.value.wallMs < pendingLifeMs && avoid.length === 0
        ? kept.value
        : null;
    const keyPem = pending?.keyPem ?? makeKeyPem();
    const used: { challenge: ChallengeKind | null } = { challenge: null };
    const answer = await orderCertificate(
      {
        directoryUrl: directory,
        caPem: caPem.value,
        account: account.value,
        email: acme.email,
        eab: directory === acme.directory ? acme.eab : acme.fallbackEab,
        names,
        profile: acme.profile,
        replaces: held !== null && held.directory === directory ? await this.#replaces(job, held) : null,
        keyPem,
        pendingUrl: pending?.url ?? null,
        signal: this.#stopping.signal,
      },
      this.#owner(job, store, keyPem, preferred, avoid, used),
    );
    if (!answer.ok) {
      // An order whose proof failed is dead; one that could not be finished may be finished later.
      if (answer.error.kind === "validation" || answer.error.kind === "refused")
        await store.dropPendingOrder(set);
      return answer;
    }
    const place = acmeDirectory(this.#parts.settings().certsDir, directory);
    const texts = { certFile: place, certPem: answer.value, keyFile: place, keyPem };
    const checked = checkCertificate(texts, names, momentFor(answer.value, nowMs) ?? nowMs);
    const problem = checked.ok
      ? (checked.value.warnings.find(({ thing }) => thing.startsWith("does not cover")) ?? null)
      : (checked.error[0] ?? null);
    if (!checked.ok || problem !== null) {
      await store.dropPendingOrder(set);
      const what = problem === null ? "" : problemLine(problem);
      return err(
        ownFailure({ place: directory, thing: `sent a certificate of no use: ${what}`, remedy: "" }),
      );
    }
    const unsaved = await store.saveCertificate(set, keyPem, answer.value);
    if (unsaved !== null) return err(ownFailure(unsaved));
    await this.#tell(store.dropPendingOrder(set));
    return ok({ certificate: { ...checked.value, warnings: [] }, challenge: used.challenge });
  }

  #owner(
    job: Job,
    store: AcmeStore,
    keyPem: string,
    preferred: ChallengeKind | null,
    avoid: readonly ChallengeKind[],
    used: { challenge: ChallengeKind | null },
  ): OrderOwner {
    const { challenges, clock } = this.#parts;
    const { dnsHook } = job.acme;
    return {
      choose: (name, offered) => {
        const able = this.#challengesFor(name, dnsHook, preferred).filter((kind) => !avoid.includes(kind));
        const kind = able.find((one) => offered.includes(one));
        if (kind === undefined) return err(noChallenge(name, offered, able));
        used.challenge = kind;
        return ok(kind);
      },
      async show(proof: Proof) {
        switch (proof.kind) {
          case "http-01":
            challenges.addHttp(proof.token, proof.answer);
            return ok(null);
          case "tls-alpn-01":
            challenges.addTls(proof.name, proof);
            return ok(null);
          case "dns-01":
            return dnsHook === null
              ? err("ACME_DNS_HOOK is not set")
              : await callDnsHook(dnsHook, "add", proof.record, proof.value);
        }
      },
      hide: async (proof: Proof) => {
        switch (proof.kind) {
          case "http-01":
            return challenges.removeHttp(proof.token);
          case "tls-alpn-01":
            return challenges.removeTls(proof.name);
          case "dns-01": {
            const removed =
              dnsHook === null ? ok(null) : await callDnsHook(dnsHook, "remove", proof.record, proof.value);
            if (removed.ok) return;
            this.#parts.sink.emit({ type: "warning", what: "ACME_DNS_HOOK", detail: removed.error });
          }
        }
      },
      registered: async (account: AcmeAccount) => this.#tell(store.saveAccount(account)),
      ordered: async (url) =>
        this.#tell(
          store.savePendingOrder(job.set, { names: job.names, url, keyPem, wallMs: clock.wallMs() }),
        ),
      mayFinish: () => job.store.lock(job.set).beat(),
    };
  }

  /** What can be shown for a name, best first. */
  #challengesFor(
    name: string,
    dnsHook: string | null,
    preferred: ChallengeKind | null,
  ): readonly ChallengeKind[] {
    if (name.startsWith("*.")) return dnsHook === null ? [] : ["dns-01"];
    const kinds: ChallengeKind[] = dnsHook === null ? [] : ["dns-01"];
    if (this.#parts.settings().httpListen !== null) kinds.push("http-01");
    kinds.push("tls-alpn-01");
    return preferred !== null && kinds.includes(preferred)
      ? [preferred, ...kinds.filter((kind) => kind !== preferred)]
      : kinds;
  }

  /** Only where the authority knows renewal information: others refuse an order with fields they do not know. */
  async #replaces(job: Job, held: Held): Promise<string | null> {
    const id = renewalId(held.certificate.certPem);
    const caPem = await this.#caPem(job.acme);
    if (id === null || !caPem.ok) return null;
    const info = await askRenewalInfo(held.directory, caPem.value, id, this.#parts.clock.wallMs());
    return info.ok && info.value !== null ? id : null;
  }

  async #failed(
    job: Job,
    state: IssuerState,
    directory: string,
    detail: string,
    retryAfterMs: number | null,
  ): Promise<void> {
    const { clock, random, sink } = this.#parts;
    const nowMs = clock.wallMs();
    const failures = state.failures + 1;
    const nextTryMs = nowMs + Math.max(backOffMs(failures, random()), retryAfterMs ?? 0);
    const next: IssuerState = { ...state, failures, nextTryMs, lastFailure: { wallMs: nowMs, detail } };
    this.#unsaved = { set: job.set, state: next };
    await this.#tell(job.store.saveState(job.set, next));
    if (this.#status !== null) this.#report(job, await this.#held(job), next);
    const nextTry = new Date(nextTryMs).toISOString();
    sink.emit({ type: "certificate-failed", names: job.names, directory, detail, failures, nextTry });
  }

  async #caPem(acme: AcmeSettings): Promise<Result<string | null, Problem>> {
    if (acme.caFile === null) return ok(null);
    try {
      return ok(await readFile(acme.caFile, "utf8"));
    } catch (error) {
      const why = error instanceof Error ? error.message.replace(/,.*/s, "") : String(error);
      return err({ place: acme.caFile, thing: `cannot be read: ${why}`, remedy: "check ACME_CA_FILE" });
    }
  }

  async #tell(work: Promise<Problem | null>): Promise<void> {
    const problem = await work;
    if (problem !== null)
      this.#parts.sink.emit({ type: "warning", what: "CERTS_DIR", detail: problemLine(problem) });
  }

  /** A standing problem is told once a day. */
  #warnOnce(key: string, problem: Problem): void {
    const nowMs = this.#parts.clock.wallMs();
    if (nowMs - (this.#told.get(key) ?? Number.NEGATIVE_INFINITY) < dayMs) return;
    this.#remember(key, nowMs);
    this.#parts.sink.emit({ type: "warning", what: "certificates", detail: problemLine(problem) });
  }

  /** At most a hundred are remembered; then all is told anew. */
  #remember(key: string, nowMs: number): void {
    if (this.#told.size >= 100) this.#told.clear();
    this.#told.set(key, nowMs);
  }
}

function ownFailure(problem: Problem): AcmeFailure {
  const { place, thing, remedy } = problem;
  return {
    kind: "local",
    problem: "",
    detail: `${place} ${thing}`,
    remedy,
    retryAfterMs: null,
    challenge: null,
  };
}

function both(first: AcmeFailure, second: AcmeFailure): AcmeFailure {
  const remedy = [first.remedy, second.remedy].filter((part) => part !== "").join("; or: ");
  return { ...second, detail: `${first.detail}; then: ${second.detail}`, remedy };
}

function noChallenge(name: string, offered: readonly string[], able: readonly string[]): string {
  if (name.startsWith("*.") && able.length === 0) return `${name} is a wildcard and needs ACME_DNS_HOOK`;
  const ways = able.length === 0 ? "nothing" : able.join(", ");
  return `the authority offers ${offered.join(", ")} for ${certificateName(name)}, and we can show ${ways}`;
}
