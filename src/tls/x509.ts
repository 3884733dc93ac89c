import { createPrivateKey, generateKeyPairSync, randomBytes, webcrypto, X509Certificate } from "node:crypto";
import { createRequire } from "node:module";
import { isIP } from "node:net";
import type * as X509 from "@peculiar/x509";

/**
 * Door of `@peculiar/x509`: makes certificates, the one thing Node's own crypto cannot. It is loaded when it is needed for the first
 * time, which with a certificate at hand is never: it takes as much memory as the gateway itself.
 */
const require = createRequire(import.meta.url);
let loaded: typeof X509 | null = null;

function load(): typeof X509 {
  loaded ??= require("@peculiar/x509") as typeof X509;
  return loaded;
}

const ecP256 = { name: "ECDSA", namedCurve: "P-256" } as const;
const signature = { name: "ECDSA", hash: "SHA-256" } as const;
/** X.520's bound of a common name; longer ones are refused by strict readers. */
const commonNameMax = 64;

/** A fresh EC P-256 private key, PKCS #8 PEM. */
export function makeKeyPem(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

export interface AuthorityOrder {
  /** EC P-256 private key, PEM. */
  readonly keyPem: string;
  /** At most 64 characters are kept. */
  readonly commonName: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** A self-signed authority that may sign servers' certificates and nothing between (path length 0); PEM. */
export async function makeAuthority(order: AuthorityOrder): Promise<string> {
  const x509 = load();
  const keys = await importKeys(order.keyPem);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [order.commonName.slice(0, commonNameMax)] }],
    notBefore: new Date(order.notBeforeMs),
    notAfter: new Date(order.notAfterMs),
    signingAlgorithm: signature,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return `${certificate.toString("pem")}\n`;
}

export interface ServerOrder {
  readonly authorityPem: string;
  readonly authorityKeyPem: string;
  /** The server's own EC P-256 private key, PEM. */
  readonly keyPem: string;
  /** Host names and addresses (IPv6 without brackets), at least one. */
  readonly names: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** A server's certificate signed by the authority; PEM, without the authority's own. */
export async function makeServerCertificate(order: ServerOrder): Promise<string> {
  const x509 = load();
  const authority = new x509.X509Certificate(new X509Certificate(order.authorityPem).raw);
  const authorityKeys = await importKeys(order.authorityKeyPem);
  const keys = await importKeys(order.keyPem);
  const commonName = order.names.find((name) => name.length <= commonNameMax) ?? "odoo-gateway";
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [{ CN: [commonName] }],
    issuer: authority.subjectName.toJSON(),
    notBefore: new Date(order.notBeforeMs),
    notAfter: new Date(order.notAfterMs),
    signingAlgorithm: signature,
    publicKey: keys.publicKey,
    signingKey: authorityKeys.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        order.names.map((name) => ({ type: isIP(name) === 0 ? "dns" : "ip", value: name }) as const),
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(authorityKeys.publicKey),
    ],
  });
  return `${certificate.toString("pem")}\n`;
}

/** RFC 5280 §4.1.2.2: positive, at most 20 bytes; CA/Browser Forum: 64 random bits or more. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}

async function importKeys(keyPem: string): Promise<webcrypto.CryptoKeyPair> {
  const key = createPrivateKey(keyPem);
  const privateKey = await webcrypto.subtle.importKey(
    "pkcs8",
    key.export({ type: "pkcs8", format: "der" }),
    ecP256,
    true,
    ["sign"],
  );
  const { d: _secret, key_ops: _uses, ...publicJwk } = await webcrypto.subtle.exportKey("jwk", privateKey);
  const publicKey = await webcrypto.subtle.importKey("jwk", publicJwk, ecP256, true, ["verify"]);
  return { privateKey, publicKey };
}

/**
 * Name of a certificate in renewal information (RFC 9773 §4.1): key identifier of its issuer and serial number, both
 * base64url. null when the certificate does not name its issuer's key.
 */
export function renewalId(certPem: string): string | null {
  const x509 = load();
  const certificate = new X509Certificate(certPem);
  const issuer = new x509.X509Certificate(certificate.raw).getExtension(x509.AuthorityKeyIdentifierExtension);
  if (issuer?.keyId === undefined) return null;
  const hex =
    certificate.serialNumber.length % 2 === 0 ? certificate.serialNumber : `0${certificate.serialNumber}`;
  const serial = Buffer.from(hex, "hex");
  // DER integers are signed: a leading bit of one gets a zero byte before it, which counts here.
  const content = (serial[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), serial]) : serial;
  return `${Buffer.from(issuer.keyId, "hex").toString("base64url")}.${content.toString("base64url")}`;
}

/** id-pe-tlsfeature (RFC 7633); `status_request` in it is what is called must-staple. */
const tlsFeature = "1.3.6.1.5.5.7.1.24";
/** DER of that name, and of id-pe-authorityInfoAccess (RFC 5280 §4.2.2.1). */
const featureBytes = Buffer.from("06082b06010505070118", "hex");
const accessBytes = Buffer.from("06082b06010505070101", "hex");

/**
 * What a certificate says about asking for its revocation: the first responder over plain HTTP (RFC 6960 §3.1), and whether
 * it demands that the answer is stapled.
 */
export function revocationOf(certificate: X509Certificate): {
  readonly responder: string | null;
  readonly mustStaple: boolean;
} {
  const { raw } = certificate;
  // A certificate without these, as our own authority's, is told by its bytes.
  if (!raw.includes(accessBytes) && !raw.includes(featureBytes))
    return { responder: null, mustStaple: false };
  const x509 = load();
  const read = new x509.X509Certificate(raw);
  const access = read.getExtension(x509.AuthorityInfoAccessExtension);
  const urls = (access?.ocsp ?? []).filter(({ type }) => type === "url").map(({ value }) => value);
  const responder = urls.find((url) => /^http:\/\//i.test(url) && URL.canParse(url)) ?? null;
  const features = read.getExtension(tlsFeature);
  // SEQUENCE OF INTEGER; 5 is status_request.
  const mustStaple = features !== null && Buffer.from(features.value).includes(Buffer.from([2, 1, 5]));
  return { responder, mustStaple };
}
