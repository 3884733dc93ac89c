import { err, ok, type Result } from "../base/result.ts";
import {
  type AcmeAuthorization,
  type AcmeChallenge,
  type AcmeOrder,
  readAuthorization,
} from "./acme-answers.ts";
import type { AcmeClient } from "./acme-client.ts";
import { type AcmeFailure, interrupted, local, readTrouble, remedyOf, wrongAnswer } from "./acme-failure.ts";
import type { Ordering } from "./acme-order.ts";
import type { ChallengeKind } from "./acme-store.ts";
import { until } from "./acme-wait.ts";
import { makeKeyPem } from "./x509.ts";

/** From the answer to the last challenge until all are judged; multi-perspective validation takes seconds. */
const validationMs = 180_000;

/** One thing the authority wants to see, and where. */
export type Proof =
  | { readonly kind: "http-01"; readonly name: string; readonly token: string; readonly answer: string }
  | {
      readonly kind: "tls-alpn-01";
      readonly name: string;
      readonly certPem: string;
      readonly keyPem: string;
    }
  /** `record` and its TXT value. */
  | { readonly kind: "dns-01"; readonly name: string; readonly record: string; readonly value: string };

/** Where proofs are shown. All may take their time; a rejected promise is a bug. */
export interface ProofPlaces {
  /** Which of the offered challenges to use; an error says in words why none of them can be met. */
  choose(name: string, offered: readonly string[]): Result<ChallengeKind, string>;
  /** Puts the proof where the authority looks for it; an error is a sentence. */
  show(proof: Proof): Promise<Result<null, string>>;
  hide(proof: Proof): Promise<void>;
}

/** Shows what the authority wants to see for each name, waits for its judgement, and takes everything away again. */
export async function prove(
  { acme, order, owner, talk }: Ordering,
  client: AcmeClient,
  placed: AcmeOrder,
): Promise<Result<null, AcmeFailure>> {
  const authorizations = async () => (await client.getAuthorizations(placed)).map(readAuthorization);
  const shown: { readonly proof: Proof; readonly authorizationUrl: string }[] = [];
  try {
    const asked: (() => Promise<unknown>)[] = [];
    for (const authorization of await authorizations()) {
      if (authorization.status !== "pending") continue;
      const name = authorization.identifier.value;
      // A proof is a record in the name's zone: none is put into a zone that is not ours to prove.
      if (!order.names.some((one) => one === name || one === `*.${name}`))
        return err(wrongAnswer(`the authority wants a proof for ${name}, which was not ordered`));
      const offered = authorization.challenges.map((challenge) => challenge.type);
      const kind = owner.choose(authorization.wildcard === true ? `*.${name}` : name, offered);
      if (!kind.ok) return err({ ...local(kind.error, ""), kind: "validation" });
      const challenge = authorization.challenges.find((one) => one.type === kind.value);
      if (challenge === undefined) continue;
      const proof = await proofOf(acme, client, authorization, challenge, kind.value);
      // Noted before it is shown: what failed half-way is taken away too.
      shown.push({ proof, authorizationUrl: authorization.url });
      const put = await owner.show(proof);
      if (!put.ok) return err({ ...local(put.error, ""), challenge: kind.value });
      asked.push(() => client.completeChallenge(challenge));
    }
    for (const ask of asked) await ask();
    if (talk.signal.aborted) return err(interrupted("stopping"));
    const judged = await until(validationMs, talk, await authorizations(), async (all) => {
      const isOpen =
        all.some((one) => one.status === "pending") && !all.some((one) => one.status === "invalid");
      return isOpen ? { again: await authorizations() } : { done: all };
    });
    if (judged === null)
      return err(local("the authority did not judge the challenges in time", "it is asked again"));
    const bad = judged.find((one) => one.status !== "valid");
    if (bad === undefined) return ok(null);
    const kind = shown.find((one) => one.authorizationUrl === bad.url)?.proof.kind ?? null;
    return err(validationFailure(bad, kind));
  } finally {
    for (const { proof } of shown) await owner.hide(proof);
  }
}

async function proofOf(
  acme: Ordering["acme"],
  client: AcmeClient,
  authorization: AcmeAuthorization,
  challenge: AcmeChallenge,
  kind: ChallengeKind,
): Promise<Proof> {
  const name = authorization.identifier.value;
  if (kind === "dns-01") {
    const value = await client.getChallengeKeyAuthorization(challenge);
    return { kind, name, record: `_acme-challenge.${name}`, value };
  }
  // The key authorisation is the same for both; acme-client does not know the newer challenge.
  const answer = await client.getChallengeKeyAuthorization({ ...challenge, type: "http-01" });
  if (kind === "http-01") return { kind, name, token: challenge.token, answer };
  const [key, certificate] = await acme.crypto.createAlpnCertificate(authorization, answer, makeKeyPem());
  return { kind, name, certPem: certificate.toString(), keyPem: key.toString() };
}

function validationFailure(authorization: AcmeAuthorization, challenge: ChallengeKind | null): AcmeFailure {
  const failed = authorization.challenges.find((one) => one.error !== undefined);
  const trouble = readTrouble(failed?.error, `the authorisation is ${authorization.status}`);
  const kind = challenge === null ? "" : ` by ${challenge}`;
  return {
    kind: "validation",
    problem: trouble.type,
    detail: `${authorization.identifier.value} could not be validated${kind}: ${trouble.detail}`,
    remedy: remedyOf(trouble.type, challenge),
    retryAfterMs: null,
    challenge,
  };
}
