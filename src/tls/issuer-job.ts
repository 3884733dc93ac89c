import { X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { rootCertificates } from "node:tls";
import type { Clock } from "../base/clock.ts";
import type { Problem } from "../base/problem.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { AcmeSettings, Settings } from "../settings/settings.ts";
import { type AcmeStore, acmeDirectory, createDiskStore, setName } from "./acme-store.ts";
import type { Certificate } from "./certificate.ts";
import { coversName } from "./names.ts";
import type { Notices } from "./notices.ts";
import { splitPem } from "./pem.ts";
import { dueMs, orderableNames } from "./schedule.ts";

export type IssuerSettings = Pick<
  Settings,
  "acme" | "certsDir" | "domains" | "redirectDomains" | "httpListen"
>;

/** Everything about one set of names at one moment; made anew at each look. */
export interface Job {
  readonly acme: AcmeSettings;
  readonly names: readonly string[];
  readonly set: string;
  /** Of the first directory: holds the state and the lock. */
  readonly store: AcmeStore;
}

/** The certificate there is, the directory it came from, and the set it was ordered for. */
export interface Held {
  readonly certificate: Certificate;
  readonly directory: string;
  readonly set: string;
}

/** The stores, one object for each folder, since its locks watch heartbeats. As many as directories were ever set. */
export class Stores {
  readonly #clock: Clock;
  readonly #byPath = new Map<string, AcmeStore>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  of(certsDir: string, directoryUrl: string): AcmeStore {
    const path = acmeDirectory(certsDir, directoryUrl);
    const known = this.#byPath.get(path);
    if (known !== undefined) return known;
    const made = createDiskStore(path, this.#clock);
    this.#byPath.set(path, made);
    return made;
  }
}

/** What is to be looked after as the settings stand; null: nothing. Names no authority can sign for are told. */
export function jobOf(settings: IssuerSettings, stores: Stores, notices: Notices): Job | null {
  const { acme, certsDir, domains, redirectDomains } = settings;
  if (acme === null) return null;
  const served = [...domains, ...redirectDomains].map(({ host }) => host);
  const { names, excluded } = orderableNames(acme.names.length > 0 ? acme.names : served);
  for (const name of excluded) {
    notices.warnOnce(`excluded ${name}`, {
      place: name,
      thing: "gets no certificate from an authority: it is no public name",
      remedy: "the local certificate is shown for it",
    });
  }
  if (names.length === 0) return null;
  return { acme, names, set: setName(names), store: stores.of(certsDir, acme.directory) };
}

/** The best certificate on disk that covers the names, of either directory. */
export async function heldFor(
  { acme, names }: Pick<Job, "acme" | "names">,
  storeOf: (directoryUrl: string) => AcmeStore,
  notices: Notices,
  wallMs: number,
): Promise<Held | null> {
  let best: Held | null = null;
  for (const directory of [acme.directory, acme.fallbackDirectory]) {
    if (directory === null) continue;
    const { found, problems } = await storeOf(directory).certificates(wallMs);
    for (const problem of problems) notices.warnOnce(problem.place, problem);
    for (const { certificate, set } of found) {
      if (!names.every((name) => coversName(certificate.names, name))) continue;
      if (best === null || dueMs(certificate) > dueMs(best.certificate))
        best = { certificate, directory, set };
    }
  }
  return best;
}

/**
 * Authorities that are trusted for the directory, PEM: those of ACME_CA_FILE, read anew each time, and beside them Node's own where there
 * are two directories, since one of them may be public. null: Node's own.
 */
export async function readCaFile({
  caFile,
  fallbackDirectory,
}: Pick<AcmeSettings, "caFile" | "fallbackDirectory">): Promise<Result<string | null, Problem>> {
  if (caFile === null) return ok(null);
  try {
    // A pipe nobody writes to would hold up every order, and the gateway's own end.
    if (!(await stat(caFile)).isFile())
      return err({ place: caFile, thing: "is no regular file", remedy: "give a PEM file in ACME_CA_FILE" });
    const text = await readFile(caFile, "utf8");
    // OpenSSL passes over what it cannot read, and then trusts nobody.
    if (!holdsCertificates(text)) {
      const remedy = "give in ACME_CA_FILE the root that the directory's HTTPS is trusted by, in PEM";
      return err({ place: caFile, thing: "holds no PEM certificate that can be read", remedy });
    }
    return ok(fallbackDirectory === null ? text : [text, ...rootCertificates].join("\n"));
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/,.*/s, "") : String(error);
    return err({ place: caFile, thing: `cannot be read: ${why}`, remedy: "check ACME_CA_FILE" });
  }
}

function holdsCertificates(text: string): boolean {
  const blocks = splitPem(text, "CERTIFICATE");
  try {
    for (const block of blocks) new X509Certificate(block);
    return blocks.length > 0;
  } catch {
    return false;
  }
}
