import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import type { Problem } from "../base/problem.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type Certificate, checkCertificate } from "./certificate.ts";
import {
  createFileOnce,
  errorCode,
  makePrivateDirectory,
  readSmall,
  removeFile,
  replaceFile,
} from "./keep.ts";
import { FileLock } from "./lock.ts";
import { splitPem, validity } from "./pem.ts";
import { makeKeyPem } from "./x509.ts";

/** How an authority can be shown that a name is ours (RFC 8555 §8, RFC 8737). */
export type ChallengeKind = "http-01" | "tls-alpn-01" | "dns-01";

/** Our account at one authority. `keyPem` is secret. */
export interface AcmeAccount {
  readonly keyPem: string;
  /** The authority's name for the account; null: not registered yet. */
  readonly url: string | null;
  /** Mail address it was registered with. */
  readonly email: string | null;
}

/** An order on its way, kept so that a process that is killed between order and certificate does not order twice. */
export interface PendingOrder {
  readonly names: readonly string[];
  readonly url: string;
  /** The certificate's private key. Secret. */
  readonly keyPem: string;
  readonly wallMs: number;
}

/** From when to when an authority would like a certificate to be renewed. */
export interface RenewalWindow {
  readonly startMs: number;
  readonly endMs: number;
}

/** What is remembered of one set of names over restarts. */
export interface IssuerState {
  /** Failed attempts since the last certificate. */
  readonly failures: number;
  /** No attempt before. */
  readonly nextTryMs: number;
  readonly lastFailure: { readonly wallMs: number; readonly detail: string } | null;
  /** Until when a directory that asked for it is left alone, by its address. */
  readonly holds?: Readonly<Record<string, number>>;
  /** The challenge that worked last, tried first. */
  readonly challenge: ChallengeKind | null;
  /**
   * When to renew the certificate with this serial number, and when to ask the authority again (RFC 9773). `window` is
   * what the authority suggested last; missing where it suggests nothing.
   */
  readonly renewal: {
    readonly serial: string;
    readonly atMs: number;
    readonly askAgainMs: number;
    readonly window?: RenewalWindow;
  } | null;
}

export const freshState: IssuerState = {
  failures: 0,
  nextTryMs: 0,
  lastFailure: null,
  challenge: null,
  renewal: null,
};

/** A certificate that was found on disk. */
export interface StoredCertificate {
  /** File name without `.pem`: the set it was ordered for. */
  readonly set: string;
  readonly certificate: Certificate;
}

/**
 * What the issuer keeps about one authority. Several processes may use it at once. What is torn or was changed is
 * answered as a problem that names the file, and never overwritten by reading. System errors are problems too.
 */
export interface AcmeStore {
  /** Every good certificate, and what is wrong with the others. An expired one is neither: it is left out. */
  certificates(wallMs: number): Promise<{
    readonly found: readonly StoredCertificate[];
    readonly problems: readonly Problem[];
  }>;
  saveCertificate(set: string, keyPem: string, certPem: string): Promise<Problem | null>;
  dropCertificate(set: string): Promise<Problem | null>;
  /** The account, with a fresh key when there is none yet: the same key for all processes. */
  account(): Promise<Result<AcmeAccount, Problem>>;
  saveAccount(account: AcmeAccount): Promise<Problem | null>;
  /** `freshState` when there is none. */
  state(set: string): Promise<Result<IssuerState, Problem>>;
  saveState(set: string, state: IssuerState): Promise<Problem | null>;
  /** null when there is none. */
  pendingOrder(set: string): Promise<Result<PendingOrder | null, Problem>>;
  savePendingOrder(set: string, order: PendingOrder): Promise<Problem | null>;
  dropPendingOrder(set: string): Promise<Problem | null>;
  /** One lock for each set; ask the same object again and again, it watches the heartbeat. */
  lock(set: string): FileLock;
  /** Can files be written: tried with one. */
  probe(): Promise<Problem | null>;
}

/** Certificates that are looked at in one folder, the newest; older ones, of names that were served once, are left alone. */
const certificatesMax = 100;

/** Folder of one authority under CERTS_DIR: its host, and a mark for the rest of the address. */
export function acmeDirectory(certsDir: string, directoryUrl: string): string {
  const url = URL.parse(directoryUrl);
  const host = (url?.host ?? "directory").replace(/[^a-z0-9.-]/gi, "_");
  return join(
    certsDir,
    "acme",
    `${host}-${createHash("sha256").update(directoryUrl).digest("hex").slice(0, 8)}`,
  );
}

/** File name of a set of names: readable, and the same for the same names in any order. */
export function setName(names: readonly string[]): string {
  const sorted = [...new Set(names)].sort();
  const mark = createHash("sha256").update(sorted.join("\n")).digest("hex").slice(0, 12);
  return `${(names[0] ?? "none").replace("*", "_").slice(0, 100)}-${mark}`;
}

/** The store in a folder: 0700, files 0600, written aside, synced and renamed. */
export function createDiskStore(directory: string, clock: Clock): AcmeStore {
  const locks = new Map<string, FileLock>();
  const write = (name: string, text: string) =>
    attempt(directory, async () => {
      await makePrivateDirectory(directory);
      await replaceFile(directory, name, text, 0o600);
    });
  const read = async <T>(
    name: string,
    decode: (value: Fields) => T | null,
    remedy: string,
  ): Promise<Result<T | null, Problem>> => {
    const path = join(directory, name);
    let text: string | null;
    try {
      text = await readSmall(path);
    } catch (error) {
      return err(systemProblem(path, error));
    }
    if (text === null || text === "") return text === null ? ok(null) : err(torn(path, remedy));
    const fields = parseFields(text);
    const value = fields === null ? null : decode(fields);
    return value === null ? err(torn(path, remedy)) : ok(value);
  };
  const accountRemedy = "restore it from a backup, or delete it: a new account is registered then";
  return {
    async certificates(wallMs) {
      const found: StoredCertificate[] = [];
      const problems: Problem[] = [];
      let names: string[] = [];
      try {
        names = await newestFirst(directory, /^[^.].*\.pem$/);
      } catch (error) {
        if (errorCode(error) !== "ENOENT") problems.push(systemProblem(directory, error));
      }
      for (const name of names.slice(0, certificatesMax).sort()) {
        const read = await readCertificate(join(directory, name), wallMs);
        if (!read.ok) problems.push(...read.error);
        else if (read.value !== null) found.push({ set: name.slice(0, -4), certificate: read.value });
      }
      return { found, problems };
    },
    saveCertificate: (set, keyPem, certPem) => write(`${set}.pem`, `${keyPem.trim()}\n${certPem.trim()}\n`),
    dropCertificate: (set) => attempt(directory, () => removeFile(join(directory, `${set}.pem`))),
    async account() {
      const first = await read("account.json", decodeAccount, accountRemedy);
      if (!first.ok || first.value !== null)
        return first.ok && first.value !== null ? ok(first.value) : asError(first);
      const made: AcmeAccount = { keyPem: makeKeyPem(), url: null, email: null };
      const problem = await attempt(directory, async () => {
        await makePrivateDirectory(directory);
        await createFileOnce(directory, "account.json", JSON.stringify(made), 0o600);
      });
      if (problem !== null) return err(problem);
      const second = await read("account.json", decodeAccount, accountRemedy);
      return second.ok && second.value !== null ? ok(second.value) : asError(second);
    },
    saveAccount: (account) => write("account.json", JSON.stringify(account)),
    async state(set) {
      const found = await read(`${set}.json`, decodeState, "delete it: what it remembers is learnt again");
      return found.ok ? ok(found.value ?? freshState) : found;
    },
    saveState: (set, state) => write(`${set}.json`, JSON.stringify(state)),
    pendingOrder: (set) => read(`${set}.order`, decodeOrder, "delete it: the certificate is ordered anew"),
    savePendingOrder: (set, order) => write(`${set}.order`, JSON.stringify(order)),
    dropPendingOrder: (set) => attempt(directory, () => removeFile(join(directory, `${set}.order`))),
    lock(set) {
      const known = locks.get(set);
      if (known !== undefined) return known;
      const made = new FileLock(directory, `${set}.lock`, clock);
      locks.set(set, made);
      return made;
    },
    probe: () =>
      attempt(directory, async () => {
        await makePrivateDirectory(directory);
        await replaceFile(directory, ".probe", "", 0o600);
        await removeFile(join(directory, ".probe"));
      }),
  };
}

async function newestFirst(directory: string, wanted: RegExp): Promise<string[]> {
  const names = (await readdir(directory)).filter((name) => wanted.test(name));
  if (names.length <= certificatesMax) return names;
  const aged: { readonly name: string; readonly atMs: number }[] = [];
  for (const name of names) {
    // One that is gone by now is found missing when it is read.
    const at = await stat(join(directory, name)).catch(() => null);
    aged.push({ name, atMs: at?.mtimeMs ?? 0 });
  }
  return aged.sort((a, b) => b.atMs - a.atMs).map(({ name }) => name);
}

async function readCertificate(
  path: string,
  wallMs: number,
): Promise<Result<Certificate | null, readonly Problem[]>> {
  let text: string | null;
  try {
    text = await readSmall(path);
  } catch (error) {
    return err([systemProblem(path, error)]);
  }
  if (text === null) return ok(null);
  const certPem = splitPem(text, "CERTIFICATE").join("\n");
  const keyPem = splitPem(text, "PRIVATE KEY").join("\n");
  const moment = momentFor(certPem, wallMs);
  // One that ended is simply of no use any more; the issuer orders the next.
  if (moment === null) return ok(null);
  const checked = checkCertificate({ certFile: path, certPem, keyFile: path, keyPem }, [], moment);
  if (checked.ok) return ok({ ...checked.value, warnings: [] });
  const remedy = "delete it: the certificate is ordered anew";
  return err(checked.error.map((problem) => ({ ...problem, remedy })));
}

/**
 * The moment to judge an authority's certificate at: now, or its own beginning when that is at most an hour ahead, since
 * two clocks always differ a little. null: it has ended. Text that is no certificate is left to the judge.
 */
export function momentFor(certPem: string, wallMs: number): number | null {
  let life: { readonly fromMs: number; readonly untilMs: number };
  try {
    life = validity(new X509Certificate(certPem));
  } catch {
    return wallMs;
  }
  if (life.untilMs <= wallMs) return null;
  return life.fromMs > wallMs && life.fromMs - wallMs <= 3_600_000 ? life.fromMs : wallMs;
}

type Fields = Readonly<Record<string, unknown>>;

function parseFields(text: string): Fields | null {
  try {
    return asFields(JSON.parse(text));
  } catch {
    return null;
  }
}

function asFields(value: unknown): Fields | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : null;
}

function decodeAccount(fields: Fields): AcmeAccount | null {
  const keyPem = fields["keyPem"];
  const url = textOrNull(fields["url"]);
  const email = textOrNull(fields["email"]);
  return isKey(keyPem) && url !== undefined && email !== undefined ? { keyPem, url, email } : null;
}

function decodeOrder(fields: Fields): PendingOrder | null {
  const { names, url, keyPem, wallMs } = fields as { [name in keyof PendingOrder]?: unknown };
  if (!Array.isArray(names) || !names.every((name): name is string => typeof name === "string")) return null;
  if (typeof url !== "string" || typeof keyPem !== "string" || typeof wallMs !== "number") return null;
  return isKey(keyPem) ? { names, url, keyPem, wallMs } : null;
}

/** Read, not looked at: a key with a changed letter would fail each order in words about something else. */
function isKey(pem: unknown): pem is string {
  try {
    return typeof pem === "string" && createPrivateKey(pem).asymmetricKeyType === "ec";
  } catch {
    return false;
  }
}

function decodeState(fields: Fields): IssuerState | null {
  const { failures, nextTryMs, challenge } = fields as { [name in keyof IssuerState]?: unknown };
  if (typeof failures !== "number" || !Number.isSafeInteger(failures) || failures < 0) return null;
  if (!isMoment(nextTryMs)) return null;
  const kinds: readonly unknown[] = ["http-01", "tls-alpn-01", "dns-01", null];
  if (!kinds.includes(challenge)) return null;
  const failure = asFields(fields["lastFailure"]);
  const renewal = asFields(fields["renewal"]);
  const wallMs = failure?.["wallMs"];
  const detail = failure?.["detail"];
  const holds = Object.entries(asFields(fields["holds"]) ?? {}).filter(([, untilMs]) => isMoment(untilMs));
  const serial = renewal?.["serial"];
  const atMs = renewal?.["atMs"];
  const askAgainMs = renewal?.["askAgainMs"];
  return {
    failures,
    nextTryMs,
    challenge: challenge as ChallengeKind | null,
    ...(holds.length === 0 ? {} : { holds: Object.fromEntries(holds) as Record<string, number> }),
    lastFailure: isMoment(wallMs) && typeof detail === "string" ? { wallMs, detail } : null,
    renewal:
      typeof serial === "string" && isMoment(atMs) && isMoment(askAgainMs)
        ? { serial, atMs, askAgainMs, ...decodeWindow(renewal?.["window"]) }
        : null,
  };
}

function decodeWindow(value: unknown): { readonly window?: RenewalWindow } {
  const fields = asFields(value);
  const startMs = fields?.["startMs"];
  const endMs = fields?.["endMs"];
  return isMoment(startMs) && isMoment(endMs) ? { window: { startMs, endMs } } : {};
}

/** A number that a date can be made of (ECMA-262, "time values"). */
function isMoment(value: unknown): value is number {
  return typeof value === "number" && Math.abs(value) <= 8.64e15;
}

/** undefined: neither. */
function textOrNull(value: unknown): string | null | undefined {
  return value === null || typeof value === "string" ? value : undefined;
}

async function attempt(place: string, work: () => Promise<void>): Promise<Problem | null> {
  try {
    await work();
    return null;
  } catch (error) {
    if (errorCode(error) === "") throw error;
    return systemProblem(place, error);
  }
}

function systemProblem(place: string, error: unknown): Problem {
  const why = error instanceof Error ? error.message.replace(/,.*/s, "") : String(error);
  return {
    place,
    thing: `cannot be used: ${why}`,
    remedy: "make CERTS_DIR a folder this user can read and write",
  };
}

function torn(place: string, remedy: string): Problem {
  return { place, thing: "is not what we wrote: torn or changed", remedy };
}

function asError(result: Result<AcmeAccount | null, Problem>): Result<AcmeAccount, Problem> {
  return result.ok
    ? err({
        place: "account.json",
        thing: "vanished while it was read",
        remedy: "who else writes in CERTS_DIR?",
      })
    : result;
}
