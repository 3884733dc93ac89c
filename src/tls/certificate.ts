import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import type { Problem } from "../base/problem.ts";
import { err, ok, type Result } from "../base/result.ts";
import { makeSecureContext } from "./context.ts";
import { pemBytesMax } from "./keep.ts";
import { alternativeNames, coversName } from "./names.ts";
import { splitPem, validity } from "./pem.ts";

/** A certificate with its chain and key, checked once. `keyPem` is secret: never log or show this object. */
export interface Certificate {
  /** DNS names and addresses it is valid for: lower case, IPv6 without brackets, wildcards as `*.example.com`. */
  readonly names: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Who signed it, one line. */
  readonly issuer: string;
  /** Hexadecimal. */
  readonly serial: string;
  /** The whole chain, own certificate first. */
  readonly certPem: string;
  readonly keyPem: string;
  /** What an operator should know although it works. */
  readonly warnings: readonly Problem[];
}

/** A chain is three or four certificates; more is a bundle of authorities put here by mistake. */
const chainMax = 10;
const dayMs = 86_400_000;
const serverAuth = "1.3.6.1.5.5.7.3.1";

/**
 * Reads a certificate chain and its key (PEM) and checks them before a client meets them: both parse, the key is not
 * encrypted, fits the first certificate and is RSA ≥ 2048 bits or EC P-256/P-384, each certificate is issued by the
 * next, and the first is valid at `wallMs` for TLS servers. All problems at once. An expired certificate is a problem:
 * at the first load the gateway does not start with it, at a reload the one in use stays.
 * Warnings: a served name that is not covered, a key others can read, an intermediate that is missing or has ended, less than a week
 * (or the last third of a shorter life) left.
 */
export function loadCertificateFiles(
  certFile: string,
  keyFile: string,
  names: readonly string[],
  wallMs: number,
): Result<Certificate, readonly Problem[]> {
  const problems: Problem[] = [];
  const certPem = readPem(certFile, problems);
  const keyPem = readPem(keyFile, problems);
  const checked = checkCertificate({ certFile, certPem, keyFile, keyPem }, names, wallMs);
  if (!checked.ok) return err([...problems, ...checked.error]);
  const warnings = [...checked.value.warnings];
  checkMode(keyFile, warnings);
  return ok({ ...checked.value, warnings });
}

/** Texts of a certificate and its key, and where they stand; null: could not be read, which is already told. */
export interface CertificateTexts {
  readonly certFile: string;
  readonly certPem: string | null;
  readonly keyFile: string;
  readonly keyPem: string | null;
}

/** The checks of `loadCertificateFiles` on texts that were read already; modes of files are not looked at. */
export function checkCertificate(
  { certFile, certPem, keyFile, keyPem }: CertificateTexts,
  names: readonly string[],
  wallMs: number,
): Result<Certificate, readonly Problem[]> {
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  const chain = certPem === null ? null : readChain(certFile, certPem, problems);
  const key = keyPem === null ? null : readKey(keyFile, keyPem, problems);
  const leaf = chain?.[0];
  if (key !== null) checkKey(keyFile, key, problems);
  if (chain !== null) checkOrder(certFile, chain, problems, warnings);
  if (leaf !== undefined) checkLeaf(certFile, leaf, wallMs, problems, warnings);
  if (chain !== null) checkIntermediates(certFile, chain, wallMs, warnings);
  if (leaf !== undefined && key !== null && !leaf.checkPrivateKey(key)) {
    const remedy = `give the key of ${oneLine(leaf.subject)}, or put that certificate first in the file`;
    problems.push({ place: keyFile, thing: `does not fit the first certificate of ${certFile}`, remedy });
  }
  if (leaf === undefined || certPem === null || keyPem === null || problems.length > 0) return err(problems);
  const covered = alternativeNames(leaf.subjectAltName);
  for (const name of names) {
    if (coversName(covered, name)) continue;
    const thing = `does not cover ${name}; it is for ${covered.join(", ") || "no name at all"}`;
    warnings.push({
      place: certFile,
      thing,
      remedy: `browsers will refuse https://${name}; get a certificate with that name`,
    });
  }
  const certificate: Certificate = {
    names: covered,
    notBeforeMs: validity(leaf).fromMs,
    notAfterMs: validity(leaf).untilMs,
    issuer: oneLine(leaf.issuer),
    serial: leaf.serialNumber.toLowerCase(),
    certPem,
    keyPem,
    warnings,
  };
  // The last word is OpenSSL's: what it refuses here (a weak signature, say) it would refuse to every client.
  const context = makeSecureContext(certificate);
  return context.ok
    ? ok(certificate)
    : err([{ place: certFile, thing: context.error, remedy: "get a new certificate" }]);
}

function readPem(path: string, problems: Problem[]): string | null {
  try {
    const stat = statSync(path);
    // A pipe or a device could block, or never end.
    if (stat.isFile() && stat.size <= pemBytesMax) return readFileSync(path, "utf8");
    const thing = stat.isFile() ? `is larger than ${pemBytesMax} bytes` : "is no regular file";
    problems.push({ place: path, thing, remedy: "give a PEM file" });
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/,.*/s, "") : String(error);
    problems.push({
      place: path,
      thing: `cannot be read: ${why}`,
      remedy: "check the path and that this user may read it",
    });
  }
  return null;
}

function readChain(path: string, pem: string, problems: Problem[]): readonly X509Certificate[] | null {
  const blocks = splitPem(pem, "CERTIFICATE");
  if (blocks.length === 0) {
    problems.push({
      place: path,
      thing: "holds no PEM certificate",
      remedy: "give the chain in PEM, own certificate first (fullchain.pem)",
    });
    return null;
  }
  if (blocks.length > chainMax) {
    problems.push({
      place: path,
      thing: `holds ${blocks.length} certificates, at most ${chainMax} are a chain`,
      remedy: "give the chain, not a bundle of authorities",
    });
    return null;
  }
  const chain: X509Certificate[] = [];
  for (const [index, block] of blocks.entries()) {
    try {
      chain.push(new X509Certificate(block));
    } catch {
      problems.push({
        place: path,
        thing: `certificate ${index + 1} cannot be read: torn or changed`,
        remedy: "copy the file again",
      });
      return null;
    }
  }
  return chain;
}

function readKey(path: string, pem: string, problems: Problem[]): KeyObject | null {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem)) {
    const remedy =
      "nobody is there to type the password at a restart: decrypt it (openssl pkey -in … -out …) and set mode 600";
    problems.push({ place: path, thing: "is encrypted with a password", remedy });
    return null;
  }
  try {
    return createPrivateKey(pem);
  } catch {
    // What OpenSSL says may quote the file: nothing of a key belongs in a message.
    problems.push({
      place: path,
      thing: "holds no private key that can be read",
      remedy: "give the private key in PEM",
    });
    return null;
  }
}

/** Mozilla guideline 6.0 intermediate: RSA of 2048 bits or more, EC P-256 or P-384; browsers take no other. */
function checkKey(path: string, key: KeyObject, problems: Problem[]): void {
  const type = key.asymmetricKeyType;
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  const curve = key.asymmetricKeyDetails?.namedCurve ?? "";
  if (type === "rsa" && bits >= 2048) return;
  if (type === "ec" && (curve === "prime256v1" || curve === "secp384r1")) return;
  const what = type === "rsa" ? `RSA with ${bits} bits` : `${type ?? "unknown"} ${curve}`.trim();
  problems.push({
    place: path,
    thing: `is ${what}`,
    remedy: "use EC P-256, EC P-384 or RSA with 2048 bits or more",
  });
}

function checkOrder(
  path: string,
  chain: readonly X509Certificate[],
  problems: Problem[],
  warnings: Problem[],
): void {
  for (const [index, issued] of chain.entries()) {
    const issuer = chain[index + 1];
    if (issuer === undefined) break;
    if (issued.checkIssued(issuer) && issued.verify(issuer.publicKey)) continue;
    problems.push({
      place: path,
      thing: `certificate ${index + 1} (${oneLine(issued.subject)}) is not issued by the next (${oneLine(issuer.subject)})`,
      remedy: "put the own certificate first, then each one's issuer",
    });
  }
  const [leaf] = chain;
  if (leaf === undefined || chain.length > 1 || leaf.checkIssued(leaf)) return;
  warnings.push({
    place: path,
    thing: `holds one certificate and not its issuer (${oneLine(leaf.issuer)})`,
    remedy: "many clients need the intermediate too: give fullchain.pem",
  });
}

function checkLeaf(
  path: string,
  leaf: X509Certificate,
  wallMs: number,
  problems: Problem[],
  warnings: Problem[],
): void {
  const { fromMs, untilMs } = validity(leaf);
  if (untilMs <= wallMs) {
    problems.push({
      place: path,
      thing: `expired on ${isoDate(untilMs)}`,
      remedy: "renew it; browsers refuse it",
    });
  } else if (untilMs - wallMs < Math.min(7 * dayMs, (untilMs - fromMs) / 3)) {
    warnings.push({
      place: path,
      thing: `expires on ${isoDate(untilMs)}`,
      remedy: "renew it; a replaced file is noticed within a minute",
    });
  }
  if (fromMs > wallMs) {
    problems.push({
      place: path,
      thing: `is not valid before ${isoDate(fromMs)}`,
      remedy: "check this machine's clock",
    });
  }
  // Node calls the extended key usage `keyUsage`; without the extension every use is allowed (RFC 5280 §4.2.1.12).
  const uses: readonly string[] | undefined = leaf.keyUsage;
  if (uses !== undefined && !uses.includes(serverAuth)) {
    problems.push({
      place: path,
      thing: "is not for TLS servers (extended key usage)",
      remedy: "get a server certificate",
    });
  }
}

/** Clients that find no other way to a root refuse a chain over a certificate that has ended. Their roots are their own. */
function checkIntermediates(
  path: string,
  chain: readonly X509Certificate[],
  wallMs: number,
  warnings: Problem[],
): void {
  for (const [index, certificate] of chain.entries()) {
    const { untilMs } = validity(certificate);
    if (index === 0 || untilMs > wallMs || certificate.checkIssued(certificate)) continue;
    warnings.push({
      place: path,
      thing: `certificate ${index + 1} (${oneLine(certificate.subject)}) expired on ${isoDate(untilMs)}`,
      remedy: "get the authority's present chain: many clients refuse this one",
    });
  }
}

function checkMode(path: string, warnings: Problem[]): void {
  if (process.platform === "win32") return;
  const mode = statSync(path).mode & 0o777;
  if ((mode & 0o007) === 0) return;
  const thing = `is open to every user of this machine (mode ${mode.toString(8)})`;
  warnings.push({ place: path, thing, remedy: "chmod 600, or 640 with a group of its own" });
}

/** A distinguished name on one line; Node prints one part a line. */
function oneLine(name: string | undefined): string {
  return (name ?? "").replaceAll("\n", ", ") || "no name";
}

function isoDate(ms: number): string {
  return new Date(ms).toISOString();
}
