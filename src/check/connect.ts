import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls, rootCertificates, type TLSSocket } from "node:tls";
import { err, ok, type Result } from "../base/result.ts";
import type { Trouble } from "./budget.ts";

/** Where a connection goes and what it speaks. */
export interface Way {
  /** An address, already resolved. */
  readonly address: string;
  readonly port: number;
  /** Source address; null: the system's choice. */
  readonly from: string | null;
  readonly tls: TlsWay | null;
}

export interface TlsWay {
  /** For SNI and the comparison of names. */
  readonly host: string;
  /** Authorities (PEM) trusted beside the usual ones; null: none. */
  readonly authorities: string | null;
  readonly protocols: readonly string[];
  /** These ciphers only, with TLS 1.2 at most; left out: all there are. */
  readonly ciphers?: string;
  /** Takes the stapled OCSP answer when the server sends one. */
  readonly onStaple?: (answer: Buffer) => void;
}

/**
 * Opens a connection within `timeoutMs`. TLS problems of the certificate are kept in the socket (`authorizationError`) and
 * stop nothing, and every version and cipher this Node can speak is accepted: the look goes on, the checks tell.
 */
export function openConnection(way: Way, timeoutMs: number): Promise<Result<Socket | TLSSocket, Trouble>> {
  return new Promise((resolve) => {
    const at = {
      host: way.address,
      port: way.port,
      ...(way.from === null ? {} : { localAddress: way.from }),
    };
    let socket: Socket | TLSSocket;
    try {
      socket = way.tls === null ? connectTcp(at) : connectTls({ ...at, ...tlsOptions(way.tls) });
    } catch (error) {
      return resolve(err({ kind: "connect", detail: reason(error) }));
    }
    if (way.tls !== null)
      // Null when the server sends none.
      socket.on("OCSPResponse", (answer: Buffer | null) => {
        if (answer !== null && answer.length > 0) way.tls?.onStaple?.(answer);
      });
    let reached = false;
    const finish = (result: Result<Socket | TLSSocket, Trouble>) => {
      clearTimeout(timer);
      socket.removeAllListeners();
      // A late error of a socket that nobody reads any more must not end the process.
      socket.on("error", () => undefined);
      if (!result.ok) socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => {
      const what = reached ? "no TLS handshake" : "no connection";
      finish(err({ kind: reached ? "tls" : "connect", detail: `${what} within ${seconds(timeoutMs)}` }));
    }, timeoutMs);
    socket.on("connect", () => {
      reached = true;
      if (way.tls === null) finish(ok(socket));
    });
    socket.on("secureConnect", () => finish(ok(socket)));
    socket.on("error", (error: Error) =>
      finish(err({ kind: reached ? "tls" : "connect", detail: reason(error) })),
    );
    socket.on("close", () =>
      finish(err({ kind: reached ? "tls" : "connect", detail: "the connection was closed" })),
    );
  });
}

function tlsOptions({ host, authorities, protocols, ciphers }: TlsWay) {
  return {
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(authorities === null ? {} : { ca: [...rootCertificates, authorities] }),
    ALPNProtocols: [...protocols],
    rejectUnauthorized: false,
    // In every handshake: nginx asks its responder only after the first client that wants to know.
    requestOCSP: true,
    minVersion: "TLSv1" as const,
    // Level 0 lets old versions and short keys through: a weak site must be looked at, not given up.
    ciphers: `${ciphers ?? "DEFAULT"}:@SECLEVEL=0`,
    ...(ciphers === undefined ? {} : { maxVersion: "TLSv1.2" as const }),
    // How short a group for DHE is, is for the checks to say.
    minDHSize: 512,
  };
}

/** `10 s`, `0.3 s`. */
export function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}

/** What went wrong, short: `ECONNREFUSED` and OpenSSL's own reason rather than a stack. */
export function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, reason: why } = error as { code?: unknown; reason?: unknown };
  if (typeof why === "string" && why !== "") return why;
  return typeof code === "string"
    ? `${code}${code.startsWith("E") && error.message === "" ? "" : `: ${error.message}`}`
    : error.message;
}
