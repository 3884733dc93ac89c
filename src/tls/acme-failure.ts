import { cleanText } from "../base/clean.ts";
import type { Problem } from "../base/problem.ts";
import type { ChallengeKind } from "./acme-store.ts";

/** Why there is no certificate. */
export interface AcmeFailure {
  /**
   * `unreachable`: no answer from the authority, or that it has none just now. `refused`: it answered with a problem document,
   * or with what is no answer. `validation`: it could not see a proof. `local`: something on our side. `interrupted`: we were
   * told to stop.
   */
  readonly kind: "unreachable" | "refused" | "validation" | "local" | "interrupted";
  /** The authority's own words where it gave some. */
  readonly detail: string;
  readonly remedy: string;
  /** RFC 8555 §6.7, without the urn; "" where there is none. */
  readonly problem: string;
  /** What the authority asked us to wait. */
  readonly retryAfterMs: number | null;
  /** The challenge that failed. */
  readonly challenge: ChallengeKind | null;
}

/** A problem document (RFC 7807), as far as it is used. */
export interface Trouble {
  readonly type: string;
  readonly detail: string;
}

const urn = "urn:ietf:params:acme:error:";

/** Reads a problem document with at most five subproblems; `otherwise` is said where it says nothing itself. */
export function readTrouble(document: unknown, otherwise: string): Trouble {
  const fields = typeof document === "object" && document !== null ? document : {};
  const type = "type" in fields && typeof fields.type === "string" ? fields.type : "";
  let detail = "detail" in fields && typeof fields.detail === "string" ? fields.detail : otherwise;
  const parts =
    "subproblems" in fields && Array.isArray(fields.subproblems) ? fields.subproblems.slice(0, 5) : [];
  for (const part of parts) detail += `; ${readTrouble(part, "").detail}`;
  const name = type.startsWith(urn) ? type.slice(urn.length) : type;
  return { type: oneLine(name, 100), detail: oneLine(detail, 1_000) };
}

/** What an authority or OpenSSL says, for a log and a terminal. */
function oneLine(text: string, lengthMax: number): string {
  return cleanText(text.replaceAll(/\s+/g, " ").trim(), lengthMax);
}

/** The authority answered with a problem document; `isPassing`: one that says nothing of what it was asked. */
export function refusal(trouble: Trouble, retryAfterMs: number | null, isPassing = false): AcmeFailure {
  return {
    kind: isPassing ? "unreachable" : "refused",
    problem: trouble.type,
    detail: trouble.type === "" ? trouble.detail : `${trouble.type}: ${trouble.detail}`,
    remedy: remedyOf(trouble.type, null),
    retryAfterMs,
    challenge: null,
  };
}

/** What authorities say of a key id they do not know and of a wrong key (RFC 8555 §7.3.4 leaves it to them). */
const bindingTroubles = ["unauthorized", "malformed", "externalAccountRequired", "badPublicKey"];
const bindingRemedy =
  "the account binding is not accepted: check the key id and the HMAC key (ACME_EAB_KID, ACME_EAB_HMAC_KEY, or ACME_FALLBACK_EAB_… for the second directory)";

/** The refusal of an account that came with a binding: it is most likely the binding. */
export function bindingRefusal(refused: AcmeFailure): AcmeFailure {
  return bindingTroubles.includes(refused.problem) ? { ...refused, remedy: bindingRemedy } : refused;
}

/** No answer. */
export function unreachable(detail: string, remedy: string): AcmeFailure {
  return { ...local(oneLine(detail, 1_000), remedy), kind: "unreachable" };
}

/** An answer that no authority gives. */
export function wrongAnswer(detail: string): AcmeFailure {
  const remedy = "this is not how an ACME authority answers (RFC 8555): check the directory's address";
  return { ...local(oneLine(detail, 1_000), remedy), kind: "refused" };
}

/** Something on our side. */
export function local(detail: string, remedy: string): AcmeFailure {
  return { kind: "local", problem: "", detail, remedy, retryAfterMs: null, challenge: null };
}

/** A problem of ours, as the reason why there is no certificate. */
export function localProblem({ place, thing, remedy }: Problem): AcmeFailure {
  return local(`${place} ${thing}`, remedy);
}

/** We were told to stop. */
export function interrupted(detail: string): AcmeFailure {
  return { ...local(detail, ""), kind: "interrupted" };
}

/** What to do about a problem of RFC 8555 §6.7, one sentence. `challenge` is the one that failed, where one did. */
export function remedyOf(type: string, challenge: ChallengeKind | null): string {
  switch (type) {
    case "rateLimited":
      return "nothing to do but wait: it is tried again when the authority allows it; try things out with ACME_DIRECTORY=staging";
    case "connection":
    case "unauthorized":
    case "incorrectResponse":
    case "tls":
      return proofRemedy(challenge);
    case "dns":
      return challenge === "dns-01"
        ? "the hook must return only when the record can be seen on all name servers"
        : "the name needs an A or AAAA record that leads here";
    case "caa":
      return "the domain's CAA record names other authorities; add this one";
    case "rejectedIdentifier":
    case "unsupportedIdentifier":
      return "this authority does not sign for the name; take it out or choose another authority";
    case "externalAccountRequired":
      return "this authority wants an account binding: set ACME_EAB_KID and ACME_EAB_HMAC_KEY (ACME_FALLBACK_EAB_… for the second directory)";
    case "invalidContact":
    case "unsupportedContact":
      return "correct ACME_EMAIL";
    case "invalidProfile":
      return "set ACME_PROFILE to one the authority lists, or take it out";
    case "userActionRequired":
      return "the authority has new terms: visit the address it names";
    default:
      break;
  }
  return "it is tried again by itself";
}

function proofRemedy(challenge: ChallengeKind | null): string {
  switch (challenge) {
    case "http-01":
      return "port 80 of this name must lead to HTTP_LISTEN from the whole Internet, on IPv4 and on IPv6 where the name has an AAAA record";
    case "tls-alpn-01":
      return "port 443 of this name must lead to HTTPS_LISTEN with nothing that ends TLS before it";
    case "dns-01":
      return "the hook must return only when the record can be seen on all name servers";
    case null:
      return "check that the account may ask for these names";
  }
}
