import { X509Certificate } from "node:crypto";
import { checkServerIdentity, TLSSocket } from "node:tls";
import { err, ok, type Result } from "../base/result.ts";
import type { Budget, Trouble } from "./budget.ts";
import { openConnection, type Way } from "./connect.ts";

/** What a server showed of itself. */
export interface ShownCertificate {
  readonly leaf: X509Certificate;
  /** Certificates sent or found on the way up, the leaf included; at most 10. */
  readonly chain: readonly X509Certificate[];
  /** Why the chain is not trusted, in OpenSSL's word; null: it is. */
  readonly untrusted: string | null;
  /** Why the names do not fit; null: they do. */
  readonly misnamed: string | null;
  /** An answer about its revocation came with it (RFC 6066 §8). */
  readonly stapled: boolean;
}

const chainMax = 10;

/** One handshake; what is wrong with the certificate is told, not refused. */
export async function lookAtCertificate(
  budget: Budget,
  way: Way,
): Promise<Result<ShownCertificate, Trouble>> {
  const timeMs = budget.take();
  if (typeof timeMs !== "number") return err(timeMs);
  let stapled = false;
  const onStaple = () => {
    stapled = true;
  };
  const opened = await openConnection(
    way.tls === null ? way : { ...way, tls: { ...way.tls, onStaple } },
    timeMs,
  );
  budget.went(opened.ok);
  if (!opened.ok) return opened;
  const socket = opened.value;
  try {
    if (!(socket instanceof TLSSocket) || way.tls === null)
      return err({ kind: "tls", detail: "no TLS was spoken" });
    const peer = socket.getPeerCertificate(true);
    if (peer.raw === undefined) return err({ kind: "tls", detail: "the server showed no certificate" });
    const chain: X509Certificate[] = [];
    for (let at: typeof peer | undefined = peer; at?.raw !== undefined && chain.length < chainMax; ) {
      chain.push(new X509Certificate(at.raw));
      const next: typeof peer | undefined = at.issuerCertificate;
      at = next === at ? undefined : next;
    }
    const [leaf] = chain;
    if (leaf === undefined) return err({ kind: "tls", detail: "the server showed no certificate" });
    // Without alternative names Node falls back on the common name, which browsers have not read for years (RFC 9525 §2).
    const misnamed =
      peer.subjectaltname === undefined
        ? "no alternative names"
        : (checkServerIdentity(way.tls.host, peer)?.message ?? null);
    const found: unknown = socket.authorizationError;
    const word =
      found instanceof Error ? ((found as NodeJS.ErrnoException).code ?? found.message) : String(found ?? "");
    const untrusted = word === "" || word === "ERR_TLS_CERT_ALTNAME_INVALID" ? null : word;
    return ok({ leaf, chain, untrusted, misnamed, stapled });
  } catch (error) {
    return err({
      kind: "tls",
      detail: `the certificate cannot be read: ${error instanceof Error ? error.message : "?"}`,
    });
  } finally {
    socket.destroy();
  }
}
