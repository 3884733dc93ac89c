import { execFileSync } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "./children.ts";

/** PEM files. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** A self-signed ECDSA P-256 certificate for localhost, the same for every peer; null without openssl. */
export function makeCertificate(dir: string): CertificateFiles | null {
  const openssl = findProgram("openssl");
  if (openssl === null) return null;
  const [cert, key] = [join(dir, "cert.pem"), join(dir, "key.pem")];
  const names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  execFileSync(
    openssl,
    ["req", "-x509", ...kind, "-subj", "/CN=localhost", "-addext", names, "-keyout", key, "-out", cert],
    { stdio: "ignore" },
  );
  return { cert, key };
}

/** SHA-256 of the certificate's public key, base64, as browsers name it. */
export function publicKeyHash(certFile: string): string {
  const { publicKey } = new X509Certificate(readFileSync(certFile));
  return createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("base64");
}
