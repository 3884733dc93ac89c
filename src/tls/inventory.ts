import { join } from "node:path";
import { systemClock } from "../base/clock.ts";
import type { Problem } from "../base/problem.ts";
import { unreachable } from "../base/result.ts";
import {
  acmeDirectory,
  createDiskStore,
  freshState,
  type IssuerState,
  type RenewalWindow,
  setName,
} from "./acme-store.ts";
import { type Certificate, loadCertificateFiles } from "./certificate.ts";
import type { TlsSettings } from "./load.ts";
import { coversName } from "./names.ts";
import { orderableNames } from "./schedule.ts";

/** One certificate on disk, or one that should be there. */
export interface InventoryEntry {
  readonly names: readonly string[];
  /** null: there is none yet, or it cannot be used. */
  readonly certificate: Certificate | null;
  /** Where it comes from: files, or a directory's address. */
  readonly source: string;
  /** null: nothing renews it, or it is not known yet. */
  readonly renewAtMs: number | null;
  /** What the authority suggested (RFC 9773). */
  readonly renewalWindow?: RenewalWindow;
  readonly lastFailure: IssuerState["lastFailure"];
  readonly nextTryMs: number | null;
}

export interface Inventory {
  readonly entries: readonly InventoryEntry[];
  readonly problems: readonly Problem[];
}

/** What there is for the served names, read from disk; nothing is made or changed. */
export async function takeInventory(settings: TlsSettings, wallMs: number): Promise<Inventory> {
  const names = [...settings.domains, ...settings.redirectDomains].map(({ host }) => host);
  switch (settings.tlsMode) {
    case "local": {
      const file = (name: string) => join(settings.certsDir, name);
      return ofFiles(file("local.pem"), file("local.key"), names, wallMs, true);
    }
    case "files":
      return ofFiles(settings.tlsCertFile ?? "", settings.tlsKeyFile ?? "", names, wallMs, false);
    case "acme":
      return ofAuthorities(settings, names, wallMs);
    default:
      return unreachable(settings.tlsMode);
  }
}

function ofFiles(
  certFile: string,
  keyFile: string,
  names: readonly string[],
  wallMs: number,
  isOurs: boolean,
): Inventory {
  const loaded = loadCertificateFiles(certFile, keyFile, names, wallMs);
  const rest = { source: certFile, lastFailure: null, nextTryMs: null };
  if (!loaded.ok) {
    return { entries: [{ names, certificate: null, renewAtMs: null, ...rest }], problems: loaded.error };
  }
  const { notBeforeMs, notAfterMs, warnings } = loaded.value;
  const renewAtMs = isOurs ? notBeforeMs + Math.floor(((notAfterMs - notBeforeMs) * 2) / 3) : null;
  return {
    entries: [{ names: loaded.value.names, certificate: loaded.value, renewAtMs, ...rest }],
    problems: warnings,
  };
}

async function ofAuthorities(
  settings: TlsSettings,
  served: readonly string[],
  wallMs: number,
): Promise<Inventory> {
  const { acme, certsDir } = settings;
  if (acme === null) return { entries: [], problems: [] };
  const { names } = orderableNames(acme.names.length > 0 ? acme.names : served);
  const entries: InventoryEntry[] = [];
  const problems: Problem[] = [];
  const wanted = setName(names);
  let state = freshState;
  for (const directory of [acme.directory, acme.fallbackDirectory]) {
    if (directory === null) continue;
    const store = createDiskStore(acmeDirectory(certsDir, directory), systemClock);
    if (directory === acme.directory) {
      const read = await store.state(wanted);
      if (read.ok) state = read.value;
      else problems.push(read.error);
    }
    const stored = await store.certificates(wallMs);
    problems.push(...stored.problems);
    for (const { certificate } of stored.found) {
      const isKnown = state.renewal?.serial === certificate.serial;
      entries.push({
        names: certificate.names,
        certificate,
        source: directory,
        renewAtMs: isKnown ? (state.renewal?.atMs ?? null) : null,
        ...(isKnown && state.renewal?.window !== undefined ? { renewalWindow: state.renewal.window } : {}),
        lastFailure: null,
        nextTryMs: null,
      });
    }
  }
  const { lastFailure } = state;
  const nextTryMs = state.failures > 0 ? state.nextTryMs : null;
  const current = entries.findIndex((entry) => names.every((name) => coversName(entry.names, name)));
  const found = entries[current];
  if (found === undefined) {
    const source = acme.directory;
    entries.unshift({ names, certificate: null, source, renewAtMs: null, lastFailure, nextTryMs });
  } else {
    entries[current] = { ...found, lastFailure, nextTryMs };
  }
  return { entries, problems };
}
