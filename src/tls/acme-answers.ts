import { splitPem } from "./pem.ts";

/** What an authority answers, read once: from here on it has the shape of RFC 8555. */

/** RFC 8555 §7.1.3. */
export interface AcmeOrder {
  readonly url: string;
  readonly status: "pending" | "ready" | "processing" | "valid" | "invalid";
  readonly authorizations: readonly string[];
  /** "" where the authority names none. */
  readonly finalize: string;
  readonly certificate?: string;
  /** A problem document. */
  readonly error?: object;
}

/** RFC 8555 §7.1.4. */
export interface AcmeAuthorization {
  readonly url: string;
  readonly status: "pending" | "valid" | "invalid" | "deactivated" | "expired" | "revoked";
  /** In lower case. */
  readonly identifier: { readonly type: string; readonly value: string };
  readonly wildcard?: boolean;
  readonly challenges: readonly AcmeChallenge[];
}

/** RFC 8555 §8. */
export interface AcmeChallenge {
  readonly type: string;
  readonly url: string;
  readonly token: string;
  /** A problem document. */
  readonly error?: object;
}

/** An answer that is none of an authority's. `message` continues a sentence about it. */
export class AnswerError extends Error {}

/** A chain is a few KiB; it is kept in one file with its key. */
const chainLengthMax = 100_000;
/** Ways to prove a name that are looked at; there are three. */
const challengesMax = 20;
const orderStates = ["pending", "ready", "processing", "valid", "invalid"] as const;
const authorizationStates = ["pending", "valid", "invalid", "deactivated", "expired", "revoked"] as const;

/** An order for so many names: no more authorisations than that, since each is asked for and all at once. */
export function readOrder(answer: unknown, namesCount: number): AcmeOrder {
  const fields = fieldsOf(answer, "order");
  const { authorizations = [], certificate, error } = fields;
  if (!isTexts(authorizations)) throw new AnswerError("sent an order without a list of authorisations");
  if (authorizations.length > namesCount)
    throw new AnswerError(
      `lists ${authorizations.length} authorisations, more than names were ordered (${namesCount})`,
    );
  return {
    url: textOf(fields["url"]),
    status: oneOf(orderStates, fields["status"], "order"),
    authorizations,
    finalize: textOf(fields["finalize"]),
    ...(typeof certificate === "string" ? { certificate } : {}),
    ...(typeof error === "object" && error !== null ? { error } : {}),
  };
}

/** An authorisation, with the challenges that have all we need of one: others are of kinds we do not know. */
export function readAuthorization(answer: unknown): AcmeAuthorization {
  const fields = fieldsOf(answer, "authorisation");
  const identifier = fieldsOf(fields["identifier"], "identifier");
  const { challenges } = fields;
  if (!Array.isArray(challenges)) throw new AnswerError("sent an authorisation without challenges");
  return {
    url: textOf(fields["url"]),
    status: oneOf(authorizationStates, fields["status"], "authorisation"),
    identifier: { type: textOf(identifier["type"]), value: textOf(identifier["value"]).toLowerCase() },
    wildcard: fields["wildcard"] === true,
    challenges: challenges.slice(0, challengesMax).flatMap(readChallenge),
  };
}

/** A certificate with its chain: the PEM blocks of the answer and nothing that stands around them. */
export function readChain(answer: unknown): string {
  if (typeof answer !== "string") throw new AnswerError("sent something else than a certificate chain");
  if (answer.length > chainLengthMax)
    throw new AnswerError(`sent a certificate chain of ${answer.length} characters`);
  return splitPem(answer, "CERTIFICATE").join("\n");
}

function readChallenge(answer: unknown): AcmeChallenge[] {
  if (typeof answer !== "object" || answer === null) return [];
  const { type, url, token, error } = answer as Readonly<Record<string, unknown>>;
  if (typeof type !== "string" || typeof url !== "string") return [];
  // RFC 8555 §8.1: base64url without padding. It becomes part of an address, of a record and of what a hook is called with.
  if (typeof token !== "string" || !/^[A-Za-z0-9_-]{1,512}$/.test(token)) return [];
  return [{ type, url, token, ...(typeof error === "object" && error !== null ? { error } : {}) }];
}

function fieldsOf(answer: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof answer === "object" && answer !== null && !Array.isArray(answer))
    return answer as Readonly<Record<string, unknown>>;
  throw new AnswerError(`sent no ${what} where one belongs`);
}

function oneOf<T extends string>(known: readonly T[], value: unknown, what: string): T {
  const found = known.find((one) => one === value);
  if (found === undefined) throw new AnswerError(`sent an ${what} in a state that RFC 8555 does not know`);
  return found;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}
