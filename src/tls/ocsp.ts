import { createHash, type KeyObject, verify, X509Certificate } from "node:crypto";
import { err, ok, type Result } from "../base/result.ts";
import { bitsOf, childrenOf, type Der, oidOf, readDer, tags, timeOf, writeDer } from "./der.ts";
import { validity } from "./pem.ts";

/** What is asked about, as RFC 6960 §4.1.1 names a certificate; its request is ready to be sent. */
export interface OcspQuestion {
  readonly request: Buffer;
  /** Hash of the issuer's name, hash of its key, serial number: content octets. */
  readonly id: readonly [nameHash: Buffer, keyHash: Buffer, serial: Buffer];
  readonly issuer: X509Certificate;
}

/** A good answer, checked. */
export interface OcspAnswer {
  /** The whole response, to be stapled as it is. */
  readonly bytes: Buffer;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Why an answer is not stapled. `why` continues a sentence about the responder. */
export interface OcspFault {
  readonly isRevoked: boolean;
  readonly why: string;
}

/** Two clocks always differ a little. */
const skewMs = 300_000;
/** Authorities answer for a week or so; longer is nobody's practice, and would keep a revoked certificate looking good. */
const lifeMaxMs = 31 * 86_400_000;
const oids = { sha1: "1.3.14.3.2.26", basic: "1.3.6.1.5.5.7.48.1.1", ocspSigning: "1.3.6.1.5.5.7.3.9" };
/** SHA-1 as the hash of names (not of signatures): what RFC 5019 §2.1.1 demands of clients, and all responders know. */
const sha1Algorithm = writeDer(
  tags.sequence,
  writeDer(tags.oid, Buffer.from([0x2b, 0x0e, 0x03, 0x02, 0x1a])),
  writeDer(tags.null),
);
/** Signatures that are believed; SHA-1 and what nobody uses are not among them. */
const signatures: Readonly<Record<string, "sha256" | "sha384" | "sha512">> = {
  "1.2.840.113549.1.1.11": "sha256",
  "1.2.840.113549.1.1.12": "sha384",
  "1.2.840.113549.1.1.13": "sha512",
  "1.2.840.10045.4.3.2": "sha256",
  "1.2.840.10045.4.3.3": "sha384",
  "1.2.840.10045.4.3.4": "sha512",
};

/** The question about a certificate; null when the two cannot be read. The issuer is taken as given: the chain was checked. */
export function ocspQuestion(leaf: X509Certificate, issuer: X509Certificate): OcspQuestion | null {
  const own = tbsFields(leaf);
  const authority = tbsFields(issuer);
  const issuerName = own?.[2];
  const key = bitsOf(childrenOf(authority?.[5])?.[1]);
  const serial = own?.[0];
  if (issuerName === undefined || key === null || serial === undefined) return null;
  const hash = (bytes: Buffer) => createHash("sha1").update(bytes).digest();
  const id = [hash(issuerName.raw), hash(key), serial.content] as const;
  const certId = writeDer(
    tags.sequence,
    sha1Algorithm,
    writeDer(tags.octetString, id[0]),
    writeDer(tags.octetString, id[1]),
    writeDer(tags.integer, id[2]),
  );
  // No nonce: answers made ahead for everybody are what stapling wants (RFC 5019 §2.1.1).
  const list = writeDer(tags.sequence, writeDer(tags.sequence, certId));
  return { request: writeDer(tags.sequence, writeDer(tags.sequence, list)), id, issuer };
}

/**
 * Checks a response (RFC 6960 §3.2): for our certificate, signed by its issuer or by whom the issuer named for it, in
 * force at `wallMs` with an end of its own, and good. Everything else is a sentence; nothing throws.
 */
export function readOcspAnswer(
  bytes: Buffer,
  question: OcspQuestion,
  wallMs: number,
): Result<OcspAnswer, OcspFault> {
  const response = childrenOf(readDer(bytes));
  const status = response?.[0];
  if (status === undefined || status.tag !== tags.enumerated || status.content.length !== 1)
    return fault("is no OCSP response");
  if (status.content[0] !== 0) return fault(`says ${responseStatus(status.content[0] ?? 255)}`);
  const body = childrenOf(childrenOf(response?.[1])?.[0]);
  if (oidOf(body?.[0]) !== oids.basic || body?.[1]?.tag !== tags.octetString)
    return fault("is no basic OCSP response");
  const basic = childrenOf(readDer(body[1].content));
  const [data, algorithm, signature, extra] = basic ?? [];
  const signed = bitsOf(signature);
  if (data === undefined || signed === null) return fault("is no basic OCSP response");
  const unsigned = checkSignature(data, oidOf(childrenOf(algorithm)?.[0]), signed, extra, question, wallMs);
  if (unsigned !== null) return fault(unsigned);
  const single = findSingle(data, question);
  if (single === null) return fault("is not about our certificate");
  return readSingle(single, bytes, wallMs);
}

function readSingle(single: readonly Der[], bytes: Buffer, wallMs: number): Result<OcspAnswer, OcspFault> {
  const [, certStatus, from, until] = single;
  const fromMs = timeOf(from);
  const untilMs = until?.tag === 0xa0 ? timeOf(childrenOf(until)?.[0]) : null;
  if (fromMs === null) return fault("has no time of its own");
  if (certStatus?.tag === 0xa1) {
    const atMs = timeOf(childrenOf(certStatus)?.[0]);
    const when = atMs === null ? "" : ` since ${new Date(atMs).toISOString()}`;
    return err({ isRevoked: true, why: `says that the certificate is revoked${when}: replace it` });
  }
  if (certStatus?.tag !== 0x80) return fault("says that it does not know the certificate");
  // Without it an answer would be good for ever.
  if (untilMs === null) return fault("names no end of its own (nextUpdate)");
  if (fromMs > wallMs + skewMs) return fault("is from the future: check this machine's clock");
  if (untilMs <= wallMs) return fault(`ran out on ${new Date(untilMs).toISOString()}`);
  if (untilMs <= fromMs || untilMs - fromMs > lifeMaxMs) return fault("has an end that makes no sense");
  return ok({ bytes, fromMs, untilMs });
}

function fault(why: string): Result<never, OcspFault> {
  return err({ isRevoked: false, why });
}

/** A sentence when the signature is not to be believed. */
function checkSignature(
  data: Der,
  algorithm: string,
  signed: Buffer,
  extra: Der | undefined,
  { issuer }: OcspQuestion,
  wallMs: number,
): string | null {
  const hash = signatures[algorithm];
  if (hash === undefined) return `is signed with ${algorithm || "nothing"}, which is not believed`;
  if (isSigned(hash, data.raw, issuer.publicKey, signed)) return null;
  // RFC 6960 §4.2.2.2: a responder the issuer itself has signed a certificate for, for this use.
  for (const { raw } of childrenOf(childrenOf(extra)?.[0], 8) ?? []) {
    const delegate = readCertificate(raw);
    if (delegate === null) continue;
    const { fromMs, untilMs } = validity(delegate);
    const uses: readonly string[] = delegate.keyUsage ?? [];
    const isNamed = uses.includes(oids.ocspSigning) && wallMs >= fromMs - skewMs && wallMs < untilMs;
    if (!isNamed || !isIssued(delegate, issuer)) continue;
    if (isSigned(hash, data.raw, delegate.publicKey, signed)) return null;
  }
  return "is signed neither by the certificate's issuer nor by a responder it named";
}

function isSigned(hash: string, data: Buffer, key: KeyObject, signature: Buffer): boolean {
  try {
    return verify(hash, data, key, signature);
  } catch {
    // A key of another kind than the algorithm.
    return false;
  }
}

function isIssued(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  } catch {
    return false;
  }
}

/** The one answer among those in the response that is about our certificate. */
function findSingle(data: Der, { id }: OcspQuestion): readonly Der[] | null {
  const list = childrenOf(data)?.find(({ tag }) => tag === tags.sequence);
  for (const single of childrenOf(list) ?? []) {
    const fields = childrenOf(single);
    const [algorithm, ...parts] = childrenOf(fields?.[0]) ?? [];
    const isOurs =
      oidOf(childrenOf(algorithm)?.[0]) === oids.sha1 &&
      parts.length === 3 &&
      parts.every(({ content }, at) => id[at]?.equals(content) === true);
    if (isOurs) return fields;
  }
  return null;
}

/** Serial number, signature, issuer, validity, subject, key and so on: the fields of a certificate behind its version. */
function tbsFields(certificate: X509Certificate): readonly Der[] | null {
  const fields = childrenOf(childrenOf(readDer(Buffer.from(certificate.raw)))?.[0]);
  return fields === null ? null : fields[0]?.tag === 0xa0 ? fields.slice(1) : fields;
}

function readCertificate(der: Buffer): X509Certificate | null {
  try {
    return new X509Certificate(der);
  } catch {
    return null;
  }
}

/** RFC 6960 §4.2.1. */
function responseStatus(code: number): string {
  const words = ["", "malformedRequest", "internalError", "tryLater", "", "sigRequired", "unauthorized"];
  return words[code] || `status ${code}`;
}
