import { err, ok } from "../base/result.ts";
import type { EventSink } from "../observe/events.ts";
import type { Proof, ProofPlaces } from "./acme-proof.ts";
import type { ChallengeKind } from "./acme-store.ts";
import type { Challenges } from "./challenges.ts";
import { callDnsHook } from "./dns-hook.ts";
import { certificateName } from "./names.ts";

/** What proofs can be shown with. */
export interface ShowingParts {
  readonly challenges: Challenges;
  readonly dnsHook: string | null;
  /** Is there a listener on plain HTTP now. */
  readonly hasPlain: () => boolean;
  readonly sink: EventSink;
}

/** Which challenge to take first, and which not at all. */
export interface ChallengeWish {
  readonly preferred: ChallengeKind | null;
  readonly avoid: readonly ChallengeKind[];
}

/** Our own listeners and the operator's DNS hook as places for proofs. */
export function proofPlaces(
  parts: ShowingParts,
  wish: ChallengeWish,
): ProofPlaces & {
  /** The challenge that was chosen last. */
  readonly chosen: () => ChallengeKind | null;
} {
  const { challenges, dnsHook, hasPlain, sink } = parts;
  let chosen: ChallengeKind | null = null;
  return {
    chosen: () => chosen,
    choose(name, offered) {
      const kinds = challengesFor(name, dnsHook !== null, hasPlain(), wish.preferred);
      const able = kinds.filter((kind) => !wish.avoid.includes(kind));
      const kind = able.find((one) => offered.includes(one));
      if (kind === undefined) return err(noChallenge(name, offered, able));
      chosen = kind;
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
    async hide(proof: Proof) {
      switch (proof.kind) {
        case "http-01":
          return challenges.removeHttp(proof.token);
        case "tls-alpn-01":
          return challenges.removeTls(proof.name);
        case "dns-01": {
          const removed =
            dnsHook === null ? ok(null) : await callDnsHook(dnsHook, "remove", proof.record, proof.value);
          if (removed.ok) return;
          sink.emit({ type: "warning", what: "ACME_DNS_HOOK", detail: removed.error });
        }
      }
    },
  };
}

/** What can be shown for a name, best first. A wildcard is proved by DNS alone. */
export function challengesFor(
  name: string,
  hasHook: boolean,
  hasPlain: boolean,
  preferred: ChallengeKind | null,
): readonly ChallengeKind[] {
  if (name.startsWith("*.")) return hasHook ? ["dns-01"] : [];
  const kinds: ChallengeKind[] = hasHook ? ["dns-01"] : [];
  if (hasPlain) kinds.push("http-01");
  kinds.push("tls-alpn-01");
  return preferred !== null && kinds.includes(preferred)
    ? [preferred, ...kinds.filter((kind) => kind !== preferred)]
    : kinds;
}

function noChallenge(name: string, offered: readonly string[], able: readonly string[]): string {
  if (name.startsWith("*.") && able.length === 0) return `${name} is a wildcard and needs ACME_DNS_HOOK`;
  const ways = able.length === 0 ? "nothing" : able.join(", ");
  return `the authority offers ${offered.join(", ") || "no challenge"} for ${certificateName(name)}, and we can show ${ways}`;
}
