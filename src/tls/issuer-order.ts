import type { Clock } from "../base/clock.ts";
import type { Problem } from "../base/problem.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { EventSink } from "../observe/events.ts";
import { type AcmeFailure, local, localProblem } from "./acme-failure.ts";
import { orderCertificate } from "./acme-order.ts";
import { type AcmeAccount, acmeDirectory, type ChallengeKind, momentFor } from "./acme-store.ts";
import { type Certificate, checkCertificate } from "./certificate.ts";
import type { Challenges } from "./challenges.ts";
import { type Held, type IssuerSettings, type Job, readCaFile, type Stores } from "./issuer-job.ts";
import type { Notices } from "./notices.ts";
import { type ChallengeWish, proofPlaces } from "./proof-places.ts";
import { replacedId } from "./renewal-plan.ts";
import { makeKeyPem } from "./x509.ts";

/** An order is not resumed after this; authorities forget theirs after a week at the latest. */
const pendingLifeMs = 6 * 86_400_000;

export interface OrderParts {
  /** The settings that hold now. */
  readonly settings: () => IssuerSettings;
  readonly stores: Stores;
  readonly notices: Notices;
  readonly challenges: Challenges;
  readonly sink: EventSink;
  readonly clock: Clock;
  /** Aborted: the order ends at its next step. */
  readonly signal: AbortSignal;
}

export interface Ordered {
  readonly certificate: Certificate;
  /** The challenge that was chosen last; null: the authority wanted to see none. */
  readonly challenge: ChallengeKind | null;
}

/**
 * One order at a directory, from account to file. What was begun there before goes on, unless a challenge is to be avoided:
 * it has just failed, and its order with it.
 */
export async function orderFor(
  parts: OrderParts,
  job: Job,
  held: Held | null,
  directory: string,
  wish: ChallengeWish,
): Promise<Result<Ordered, AcmeFailure>> {
  const { settings, stores, notices, challenges, sink, clock, signal } = parts;
  const { acme, names, set } = job;
  const nowMs = clock.wallMs();
  const store = stores.of(settings().certsDir, directory);
  const account = await store.account();
  if (!account.ok) return err(localProblem(account.error));
  const caPem = await readCaFile(acme);
  if (!caPem.ok) return err(localProblem(caPem.error));
  const kept = await store.pendingOrder(set);
  if (!kept.ok) notices.warnOnce(kept.error.place, kept.error);
  const pending =
    kept.ok && kept.value !== null && nowMs - kept.value.wallMs < pendingLifeMs && wish.avoid.length === 0
      ? kept.value
      : null;
  const keyPem = pending?.keyPem ?? makeKeyPem();
  const { chosen, ...places } = proofPlaces(
    { challenges, sink, dnsHook: acme.dnsHook, hasPlain: () => settings().httpListen !== null },
    wish,
  );
  const answer = await orderCertificate(
    {
      directoryUrl: directory,
      caPem: caPem.value,
      account: account.value,
      email: acme.email,
      eab: directory === acme.directory ? acme.eab : acme.fallbackEab,
      names,
      // The name of a profile is the first authority's word; another may refuse the order for it.
      profile: directory === acme.directory ? acme.profile : null,
      replaces:
        held !== null && held.directory === directory ? await replacedId(acme, held, clock.wallMs()) : null,
      keyPem,
      pendingUrl: pending?.url ?? null,
      signal,
    },
    {
      ...places,
      registered: (account: AcmeAccount) => notices.tell(store.saveAccount(account)),
      ordered: (url) =>
        notices.tell(store.savePendingOrder(set, { names, url, keyPem, wallMs: clock.wallMs() })),
      mayFinish: () => job.store.lock(set).beat(),
    },
  );
  if (!answer.ok) {
    // An order whose proof failed is dead; one that could not be finished may be finished later.
    if (answer.error.kind === "validation" || answer.error.kind === "refused")
      await notices.tell(store.dropPendingOrder(set));
    return answer;
  }
  const place = acmeDirectory(settings().certsDir, directory);
  const certificate = judge(place, keyPem, answer.value, names, nowMs);
  if (!certificate.ok) {
    await store.dropPendingOrder(set);
    const { thing } = certificate.error;
    const isAboutTime = /^(expired|is not valid before)/.test(thing);
    const remedy = isAboutTime ? "check this machine's clock" : "it is tried again by itself";
    return err(local(`${directory} sent a certificate of no use: ${thing}`, remedy));
  }
  const unsaved = await store.saveCertificate(set, keyPem, answer.value);
  if (unsaved !== null) return err(localProblem(unsaved));
  await notices.tell(store.dropPendingOrder(set));
  return ok({ certificate: certificate.value, challenge: chosen() });
}

/** The certificate, when it is good and for all of the names; else what is wrong with it first. */
function judge(
  place: string,
  keyPem: string,
  certPem: string,
  names: readonly string[],
  nowMs: number,
): Result<Certificate, Pick<Problem, "thing">> {
  const texts = { certFile: place, certPem, keyFile: place, keyPem };
  const checked = checkCertificate(texts, names, momentFor(certPem, nowMs) ?? nowMs);
  if (!checked.ok) return err(checked.error[0] ?? { thing: "cannot be read" });
  const uncovered = checked.value.warnings.find(({ thing }) => thing.startsWith("does not cover"));
  return uncovered === undefined ? ok({ ...checked.value, warnings: [] }) : err(uncovered);
}
