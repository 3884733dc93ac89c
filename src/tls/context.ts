import { constants, randomBytes } from "node:crypto";
import { createSecureContext, type SecureContext, type SecureContextOptions, type Server } from "node:tls";
import { err, ok, type Result } from "../base/result.ts";

/** Mozilla guideline 6.0, "intermediate": every suite has forward secrecy and authenticated encryption. */
const tls13Suites = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
] as const;
const tls12Suites = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
] as const;

const classicGroups = "X25519:prime256v1:secp384r1";
/** Groups for key exchange, the post-quantum hybrid first where this Node's OpenSSL has it (3.5 and newer: Node 24, 26). */
export const keyGroups = hasHybridGroup() ? `X25519MLKEM768:${classicGroups}` : classicGroups;

const handshakeTimeoutMs = 10_000;
const sessionTimeoutSeconds = 86_400;
/** Node's ticket key: name, HMAC key and AES key of 16 bytes each. */
export const ticketKeyBytes = 48;
export const ticketRotationMs = 6 * 3_600_000;

const contextOptions = {
  minVersion: "TLSv1.2",
  ciphers: [...tls13Suites, ...tls12Suites].join(":"),
  ecdhCurve: keyGroups,
  // The client knows best whether it has AES hardware; every suite on the list is good (guideline 6.0).
  honorCipherOrder: false,
  // TLS 1.2 renegotiation costs us a handshake for one record of theirs, and no browser asks for it.
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  sessionTimeout: sessionTimeoutSeconds,
} as const satisfies SecureContextOptions;

/** What every TLS server of ours is given; a certificate and ALPN are the caller's. */
export type SharedTlsOptions = SecureContextOptions & {
  readonly handshakeTimeout: number;
  readonly ticketKeys: Buffer;
};

/** Shared server options. Each call draws fresh ticket keys. */
export function tlsOptions(): SharedTlsOptions {
  return { ...contextOptions, handshakeTimeout: handshakeTimeoutMs, ticketKeys: randomBytes(ticketKeyBytes) };
}

/** A context for one certificate, to be chosen by name; what OpenSSL refuses is told in its words. */
export function makeSecureContext(certificate: {
  readonly certPem: string;
  readonly keyPem: string;
}): Result<SecureContext, string> {
  try {
    return ok(createSecureContext({ ...contextOptions, cert: certificate.certPem, key: certificate.keyPem }));
  } catch (error) {
    return err(`is refused by OpenSSL: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/**
 * Draws new ticket keys every `everyMs`: a stolen key opens recorded TLS 1.2 sessions of that time only (RFC 5077 §5.5).
 * Clients with an older ticket make a full handshake. The timer keeps no process alive; call the answer to stop it.
 */
export function rotateTicketKeys(server: Server, everyMs: number = ticketRotationMs): () => void {
  const timer = setInterval(() => server.setTicketKeys(randomBytes(ticketKeyBytes)), everyMs);
  timer.unref();
  return () => clearInterval(timer);
}

function hasHybridGroup(): boolean {
  // Asked by version first: on Node 20 a refused group stays in OpenSSL's error queue and fails the next key that is read.
  const [major = 0, minor = 0] = process.versions.openssl.split(".").map(Number);
  if (!(major > 3 || (major === 3 && minor >= 5))) return false;
  try {
    createSecureContext({ ecdhCurve: `X25519MLKEM768:${classicGroups}` });
    return true;
  } catch {
    return false;
  }
}
