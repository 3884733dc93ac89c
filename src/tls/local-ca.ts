import { createPrivateKey, type KeyObject, randomBytes, X509Certificate } from "node:crypto";
import { chmod, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import type { Problem } from "../base/problem.ts";
import { err, ok, type Result } from "../base/result.ts";
import { createFileOnce, errorCode, makePrivateDirectory, readSmall, replaceFile } from "./keep.ts";
import { alternativeNames, certificateName } from "./names.ts";
import { splitPem, validity } from "./pem.ts";
import { makeAuthority, makeKeyPem, makeServerCertificate } from "./x509.ts";

const dayMs = 86_400_000;
const authorityLifeMs = 3_650 * dayMs;
const leafLifeMs = 90 * dayMs;
/** When a renewal that could not be written is tried again. */
const retryMs = 3_600_000;
/** Clocks differ: what we sign is valid a little before now. */
const backdateMs = 3_600_000;

/** What stands in CERTS_DIR in mode `local`. */
export interface CertificateFiles {
  /** The server's certificate with the authority behind it. */
  readonly certFile: string;
  readonly keyFile: string;
  /** The authority to be trusted by browsers. */
  readonly caFile: string;
  /** The authority was made by this call: nobody can trust it yet. */
  readonly authorityIsNew: boolean;
  /** Past this moment the next call makes a new server certificate. */
  readonly renewAtWallMs: number;
  readonly warnings: readonly Problem[];
}

export interface LocalCertificateOrder {
  /** CERTS_DIR, absolute; made when missing. */
  readonly directory: string;
  /** Every name and address served; IPv6 with or without brackets. At least one. */
  readonly names: readonly string[];
  readonly wallMs: number;
}

/**
 * Makes, or keeps, a local authority (EC P-256, 10 years) and a certificate of it for `names` (90 days, made anew when
 * the names change, past two thirds of its life, or when it does not fit its key or authority).
 *
 * Keys are created once and by exactly one process; certificates are always made for the key on disk. So processes that
 * start at once end with the same, fitting files, without a lock. A file that is not what we wrote is a problem that
 * names it: it is never overwritten, since a browser may trust what it held.
 */
export async function ensureLocalCertificate(
  order: LocalCertificateOrder,
): Promise<Result<CertificateFiles, readonly Problem[]>> {
  try {
    return await ensure(order);
  } catch (error) {
    if (error instanceof FileProblem) return err([error.problem]);
    if (errorCode(error) === "") throw error;
    return err([directoryProblem(order.directory, error)]);
  }
}

async function ensure(order: LocalCertificateOrder): Promise<Result<CertificateFiles, readonly Problem[]>> {
  const { directory, wallMs } = order;
  await makePrivateDirectory(directory);
  const warnings: Problem[] = [];
  const authority = await ensureAuthority(directory, wallMs, warnings);
  const key = await ensureKey(directory, "local.key", warnings);
  const names = [...new Set(order.names.map(certificateName))];
  const certFile = join(directory, "local.pem");
  const kept = await readSmall(certFile);
  let renewAtWallMs = kept === null ? null : goodUntil(certFile, kept, key.key, authority, names, wallMs);
  if (renewAtWallMs === null) {
    const notAfterMs = Math.min(wallMs + leafLifeMs, validity(authority.certificate).untilMs);
    const notBeforeMs = Math.max(wallMs - backdateMs, validity(authority.certificate).fromMs);
    const leafPem = await makeServerCertificate({
      authorityPem: authority.pem,
      authorityKeyPem: authority.keyPem,
      keyPem: key.pem,
      names,
      notBeforeMs,
      notAfterMs,
    });
    try {
      await replaceFile(directory, "local.pem", leafPem + authority.pem, 0o644);
      renewAtWallMs = renewalMs(notBeforeMs, notAfterMs);
    } catch (error) {
      // A disk that is full or read-only must not take away a certificate that still serves.
      const serves = kept !== null && stillServes(certFile, kept, key.key, authority, names, wallMs);
      if (!serves || errorCode(error) === "") throw error;
      renewAtWallMs = wallMs + retryMs;
      warnings.push({
        place: certFile,
        thing: `is due for renewal and cannot be written: ${error instanceof Error ? error.message : String(error)}`,
        remedy: "the old one is used until it ends; make room, or make CERTS_DIR writable",
      });
    }
  }
  return ok({
    certFile,
    keyFile: join(directory, "local.key"),
    caFile: join(directory, "local-ca.pem"),
    authorityIsNew: authority.isNew,
    renewAtWallMs,
    warnings,
  });
}

interface Authority {
  readonly pem: string;
  readonly keyPem: string;
  readonly certificate: X509Certificate;
  readonly isNew: boolean;
}

async function ensureAuthority(directory: string, wallMs: number, warnings: Problem[]): Promise<Authority> {
  const path = join(directory, "local-ca.pem");
  const keyPath = join(directory, "local-ca.key");
  if ((await readSmall(path)) !== null && (await readSmall(keyPath)) === null) {
    throw new FileProblem(
      keyPath,
      "is missing beside local-ca.pem",
      "restore it, or delete local-ca.pem to make a new authority",
    );
  }
  const key = await ensureKey(directory, "local-ca.key", warnings);
  let pem = await readSmall(path);
  let isNew = false;
  if (pem === null) {
    const made = await makeAuthority({
      keyPem: key.pem,
      commonName: authorityName(),
      notBeforeMs: wallMs - dayMs,
      notAfterMs: wallMs + authorityLifeMs,
    });
    isNew = await createFileOnce(directory, "local-ca.pem", made, 0o644);
    pem = await readSmall(path);
  }
  const certificate = pem === null ? null : parseOne(pem);
  const remedy =
    "delete local-ca.pem and local-ca.key to make a new authority, which browsers must trust anew";
  if (pem === null || certificate === null)
    throw new FileProblem(path, "is no certificate: torn or changed", remedy);
  if (!certificate.ca || !certificate.verify(certificate.publicKey)) {
    throw new FileProblem(path, "is not the authority we made: its own signature does not hold", remedy);
  }
  if (!certificate.checkPrivateKey(key.key)) throw new FileProblem(path, "does not fit local-ca.key", remedy);
  const { fromMs, untilMs } = validity(certificate);
  if (untilMs <= wallMs) {
    throw new FileProblem(path, `expired on ${new Date(untilMs).toISOString()}`, remedy);
  }
  if (fromMs > wallMs) {
    const from = new Date(fromMs).toISOString();
    throw new FileProblem(path, `is not valid before ${from}`, `set the machine's clock, or ${remedy}`);
  }
  return { pem, keyPem: key.pem, certificate, isNew };
}

/** Moment up to which the stored certificate may stay; null when a new one is due. */
function goodUntil(
  path: string,
  pem: string,
  key: KeyObject,
  authority: Authority,
  names: readonly string[],
  wallMs: number,
): number | null {
  const [leafPem, issuerPem, ...more] = splitPem(pem, "CERTIFICATE");
  const leaf = leafPem === undefined ? null : parseOne(leafPem);
  const issuer = issuerPem === undefined ? null : parseOne(issuerPem);
  if (leaf === null || issuer === null || more.length > 0) {
    throw new FileProblem(
      path,
      "is not the certificate and authority we wrote: torn or changed",
      "delete it, it is made anew",
    );
  }
  if (!issuer.raw.equals(authority.certificate.raw) || !leaf.verify(authority.certificate.publicKey))
    return null;
  if (!leaf.checkPrivateKey(key)) return null;
  const has = alternativeNames(leaf.subjectAltName);
  if (has.length !== names.length || !names.every((name) => has.includes(name))) return null;
  const { fromMs, untilMs } = validity(leaf);
  const renewAt = renewalMs(fromMs, untilMs);
  return wallMs < fromMs || wallMs >= renewAt ? null : renewAt;
}

/** Past its renewal, but fitting and not ended. */
function stillServes(
  path: string,
  pem: string,
  key: KeyObject,
  authority: Authority,
  names: readonly string[],
  wallMs: number,
): boolean {
  const leaf = parseOne(splitPem(pem, "CERTIFICATE")[0] ?? "");
  if (leaf === null) return false;
  const { fromMs, untilMs } = validity(leaf);
  if (wallMs < fromMs || wallMs >= untilMs) return false;
  return goodUntil(path, pem, key, authority, names, fromMs) !== null;
}

function renewalMs(notBeforeMs: number, notAfterMs: number): number {
  return notBeforeMs + Math.floor(((notAfterMs - notBeforeMs) * 2) / 3);
}

async function ensureKey(
  directory: string,
  name: string,
  warnings: Problem[],
): Promise<{ readonly pem: string; readonly key: KeyObject }> {
  const path = join(directory, name);
  let pem = await readSmall(path);
  if (pem === null) {
    await createFileOnce(directory, name, makeKeyPem(), 0o600);
    pem = await readSmall(path);
  }
  const key = pem === null ? null : parseKey(pem);
  if (pem === null || key?.asymmetricKeyDetails?.namedCurve !== "prime256v1") {
    const pair =
      name === "local-ca.key"
        ? "delete it and local-ca.pem to make a new authority"
        : "delete it, it is made anew";
    throw new FileProblem(path, "is no EC P-256 private key: torn or changed", pair);
  }
  await closeToOthers(path, warnings);
  return { pem, key };
}

/** A key that others can read is closed to them; where that cannot be done (shared folders) it is told. */
async function closeToOthers(path: string, warnings: Problem[]): Promise<void> {
  if (process.platform === "win32" || ((await stat(path)).mode & 0o077) === 0) return;
  await chmod(path, 0o600).catch(() => {});
  const isClosed = ((await stat(path)).mode & 0o077) === 0;
  warnings.push({
    place: path,
    thing: isClosed ? "could be read by other users; its mode is 600 now" : "can be read by other users",
    remedy:
      "if others used this machine meanwhile, delete the files in this directory and trust the new authority",
  });
}

function parseOne(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem);
  } catch {
    return null;
  }
}

function parseKey(pem: string): KeyObject | null {
  try {
    return createPrivateKey(pem);
  } catch {
    return null;
  }
}

/** Tells one machine's authority from another's in a browser's list; at most 64 characters (X.520). */
function authorityName(): string {
  const machine = hostname()
    .replace(/[^A-Za-z0-9.-]/g, "")
    .slice(0, 32);
  return `odoo-gateway local CA ${machine || "host"} ${randomBytes(3).toString("hex")}`;
}

function directoryProblem(directory: string, error: unknown): Problem {
  return {
    place: directory,
    thing: `cannot be used for certificates: ${error instanceof Error ? error.message : String(error)}`,
    remedy: "make CERTS_DIR a directory this user can read and write",
  };
}

/** Carries a problem out of the steps above; never leaves this file. */
class FileProblem extends Error {
  readonly problem: Problem;
  constructor(place: string, thing: string, remedy: string) {
    super(thing);
    this.problem = { place, thing, remedy };
  }
}
