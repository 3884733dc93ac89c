import type { Problem } from "../base/problem.ts";
import { err, ok, type Result, unreachable } from "../base/result.ts";
import type { Settings } from "../settings/settings.ts";
import { type Certificate, loadCertificateFiles } from "./certificate.ts";
import { makeSecureContext } from "./context.ts";
import { ensureLocalCertificate } from "./local-ca.ts";
import type { ContextSet } from "./select.ts";

/** Everything the TLS listener needs to know; made anew at each load, never changed. */
export interface TlsMaterial {
  readonly certificates: readonly Certificate[];
  /** For clients that name nobody, or somebody unknown. */
  readonly fallback: Certificate;
  readonly contexts: ContextSet;
  /** The local authority, to be trusted by browsers; null in other modes. */
  readonly localAuthority: { readonly caFile: string; readonly isNew: boolean } | null;
  /** When `loadTls` should be called again without being asked; null: nothing renews itself. */
  readonly renewAtWallMs: number | null;
  readonly warnings: readonly Problem[];
}

export type TlsSettings = Pick<
  Settings,
  "tlsMode" | "tlsCertFile" | "tlsKeyFile" | "certsDir" | "domains" | "redirectDomains"
>;

/**
 * Loads (mode `files`) or makes (mode `local`) the certificate for every served and redirected name. Called at start, at
 * SIGHUP and at `renewAtWallMs`; on problems the caller keeps the material it has.
 */
export async function loadTls(
  settings: TlsSettings,
  wallMs: number,
): Promise<Result<TlsMaterial, readonly Problem[]>> {
  const names = [...settings.domains, ...settings.redirectDomains].map((served) => served.host);
  switch (settings.tlsMode) {
    case "local": {
      const files = await ensureLocalCertificate({ directory: settings.certsDir, names, wallMs });
      if (!files.ok) return files;
      const { certFile, keyFile, caFile, authorityIsNew, renewAtWallMs, warnings } = files.value;
      const loaded = loadCertificateFiles(certFile, keyFile, names, wallMs);
      if (!loaded.ok) return loaded;
      return material(loaded.value, { caFile, isNew: authorityIsNew }, renewAtWallMs, warnings);
    }
    case "files": {
      const { tlsCertFile, tlsKeyFile } = settings;
      if (tlsCertFile === null || tlsKeyFile === null) return err(missingFiles(tlsCertFile, tlsKeyFile));
      const loaded = loadCertificateFiles(tlsCertFile, tlsKeyFile, names, wallMs);
      return loaded.ok ? material(loaded.value, null, null, []) : loaded;
    }
    default:
      return unreachable(settings.tlsMode);
  }
}

function material(
  certificate: Certificate,
  localAuthority: TlsMaterial["localAuthority"],
  renewAtWallMs: number | null,
  warnings: readonly Problem[],
): Result<TlsMaterial, readonly Problem[]> {
  const context = makeSecureContext(certificate);
  if (!context.ok)
    return err([{ place: "certificate", thing: context.error, remedy: "get a new certificate" }]);
  const byName = new Map(certificate.names.map((name) => [name, context.value]));
  return ok({
    certificates: [certificate],
    fallback: certificate,
    contexts: { default: context.value, byName },
    localAuthority,
    renewAtWallMs,
    warnings: [...warnings, ...certificate.warnings],
  });
}

function missingFiles(certFile: string | null, keyFile: string | null): Problem[] {
  const remedy = "TLS_MODE=files needs both; or use TLS_MODE=local";
  const problems: Problem[] = [];
  if (certFile === null) problems.push({ place: "environment", thing: "TLS_CERT_FILE is not set", remedy });
  if (keyFile === null) problems.push({ place: "environment", thing: "TLS_KEY_FILE is not set", remedy });
  return problems;
}
