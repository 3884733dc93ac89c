import type { SecureContext } from "node:tls";
import { systemClock } from "../base/clock.ts";
import type { Problem } from "../base/problem.ts";
import { err, ok, type Result, unreachable } from "../base/result.ts";
import type { AcmeSettings, Settings } from "../settings/settings.ts";
import { acmeDirectory, createDiskStore } from "./acme-store.ts";
import { type Certificate, loadCertificateFiles } from "./certificate.ts";
import { makeSecureContext } from "./context.ts";
import { type CertificateFiles, ensureLocalCertificate } from "./local-ca.ts";
import { certificateName, coversName } from "./names.ts";
import { keptInContainerLayer, type ReadMounts } from "./preflight.ts";
import { dueMs } from "./schedule.ts";
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
  /** Serial number of the certificate that is renewed then; null like it. */
  readonly renewsSerial: string | null;
  readonly warnings: readonly Problem[];
}

export type TlsSettings = Pick<
  Settings,
  "tlsMode" | "tlsCertFile" | "tlsKeyFile" | "acme" | "certsDir" | "domains" | "redirectDomains"
>;

/**
 * Loads (mode `files`) or makes (mode `local`) the certificate for every served and redirected name. Called at start, at
 * SIGHUP and at `renewAtWallMs`; on problems the caller keeps the material it has.
 */
export async function loadTls(
  settings: TlsSettings,
  wallMs: number,
  readMounts?: ReadMounts,
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
    case "acme": {
      if (settings.acme === null) return err([noAcme]);
      const layer = layerProblem(settings.certsDir, readMounts);
      // Each new container would order anew, and five of those a week are all that Let's Encrypt gives.
      const { directory, fallbackDirectory } = settings.acme;
      const isProduction = [directory, fallbackDirectory].some(
        (url) => url !== null && URL.parse(url)?.host === letsEncryptHost,
      );
      if (layer !== null && isProduction) return err([layer]);
      const local = await localCertificate(settings.certsDir, names, wallMs);
      const stored = await storedCertificates(settings.acme, settings.certsDir, wallMs);
      // What is wrong with the local one must not keep an authority's from being shown.
      const isServed = names.some((name) => stored.found.some((one) => coversName(one.names, name)));
      if (!local.ok && !isServed) return local;
      const { certificate, renewAtWallMs, warnings } = local.ok
        ? local.value
        : { certificate: null, renewAtWallMs: wallMs + localRetryMs, warnings: local.error };
      const told = [...warnings, ...stored.problems, ...(layer === null ? [] : [layer])];
      return mixed(names, stored.found, certificate, renewAtWallMs, told);
    }
    default:
      return unreachable(settings.tlsMode);
  }
}

/** When a local certificate that could not be had is tried again. */
const localRetryMs = 3_600_000;

interface LocalCertificate extends Pick<CertificateFiles, "renewAtWallMs" | "warnings"> {
  readonly certificate: Certificate;
}

/** For the names an authority has not signed yet, or never will (localhost). */
async function localCertificate(
  directory: string,
  names: readonly string[],
  wallMs: number,
): Promise<Result<LocalCertificate, readonly Problem[]>> {
  const files = await ensureLocalCertificate({ directory, names, wallMs });
  if (!files.ok) return files;
  const { certFile, keyFile, renewAtWallMs, warnings } = files.value;
  const loaded = loadCertificateFiles(certFile, keyFile, [], wallMs);
  return loaded.ok ? ok({ certificate: loaded.value, renewAtWallMs, warnings }) : loaded;
}

const letsEncryptHost = "acme-v02.api.letsencrypt.org";

function layerProblem(certsDir: string, readMounts?: ReadMounts): Problem | null {
  if (!keptInContainerLayer(certsDir, readMounts)) return null;
  return {
    place: certsDir,
    thing: "is inside the container: certificates and the account are lost with it",
    remedy: "mount a volume at CERTS_DIR; try things out with ACME_DIRECTORY=staging",
  };
}

const noAcme: Problem = { place: "environment", thing: "TLS_MODE is not acme", remedy: "set it" };

/** The certificates of the authorities we ask, best last: due latest, and of the first directory before the second. */
async function storedCertificates(
  acme: AcmeSettings,
  certsDir: string,
  wallMs: number,
): Promise<{ readonly found: readonly Certificate[]; readonly problems: readonly Problem[] }> {
  const directories = [acme.fallbackDirectory, acme.directory].filter((url) => url !== null);
  const found: Certificate[] = [];
  const problems: Problem[] = [];
  for (const url of directories) {
    const stored = await createDiskStore(acmeDirectory(certsDir, url), systemClock).certificates(wallMs);
    found.push(...stored.found.map(({ certificate }) => certificate));
    problems.push(...stored.problems);
  }
  return { found: found.sort((a, b) => dueMs(a) - dueMs(b)), problems };
}

/** For each served name the best certificate that covers it, else the local one; where that cannot be had, the first name's. */
function mixed(
  served: readonly string[],
  stored: readonly Certificate[],
  local: Certificate | null,
  renewAtWallMs: number,
  warnings: readonly Problem[],
): Result<TlsMaterial, readonly Problem[]> {
  const contexts = new Map<Certificate, SecureContext>();
  const byName = new Map<string, SecureContext>();
  let fallback: Certificate | null = null;
  for (const name of served.map(certificateName)) {
    const certificate = stored.findLast((one) => coversName(one.names, name)) ?? local;
    if (certificate === null) continue;
    let context = contexts.get(certificate);
    if (context === undefined) {
      const made = makeSecureContext(certificate);
      if (!made.ok)
        return err([{ place: "certificate", thing: made.error, remedy: "get a new certificate" }]);
      context = made.value;
      contexts.set(certificate, context);
    }
    for (const covered of certificate.names) if (!byName.has(covered)) byName.set(covered, context);
    byName.set(name, context);
    fallback ??= certificate;
  }
  const chosen = fallback ?? local;
  const context = chosen === null ? undefined : contexts.get(chosen);
  if (chosen === null || context === undefined)
    return err([{ place: "environment", thing: "DOMAIN names nothing", remedy: "set it" }]);
  return ok({
    certificates: [...contexts.keys()],
    fallback: chosen,
    contexts: { default: context, byName },
    localAuthority: null,
    renewAtWallMs,
    renewsSerial: local?.serial ?? null,
    warnings,
  });
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
    renewsSerial: renewAtWallMs === null ? null : certificate.serial,
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
