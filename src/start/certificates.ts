import type { Clock } from "../base/clock.ts";
import { oneBehind } from "../base/one-behind.ts";
import { type Problem, problemLine } from "../base/problem.ts";
import type { Result } from "../base/result.ts";
import type { EventSink } from "../observe/events.ts";
import type { ListenAddress, Settings } from "../settings/settings.ts";
import type { Challenges } from "../tls/challenges.ts";
import type { TlsFront } from "../tls/front.ts";
import { Issuer } from "../tls/issuer.ts";
import type { TlsMaterial } from "../tls/load.ts";
import { type CertificateOutlook, outlookOf } from "../tls/outlook.ts";
import { preflight } from "../tls/preflight.ts";
import { Stapler } from "../tls/stapler.ts";
import { ExpiryWatch, type FileWatch } from "../tls/watch.ts";

export interface CertificatesParts {
  /** What `front` was made of. */
  readonly first: TlsMaterial;
  readonly front: TlsFront;
  /** Remembers own files from before they were read. */
  readonly files: FileWatch;
  /** Reads or makes what these settings ask for. */
  readonly read: (settings: Settings) => Promise<Result<TlsMaterial, readonly Problem[]>>;
  /** The settings that hold now. */
  readonly settings: () => Settings;
  /** Where the plain listener answers challenges; null: there is none. */
  readonly plain: ListenAddress | null;
  readonly challenges: Challenges;
  /** Others are shown now than before, and no reload of everything brought them. */
  readonly changed: () => void;
  readonly sink: EventSink;
  readonly clock: Clock;
}

/** The certificates over the gateway's life: shown, stapled, ordered, renewed, and read again when they are others on disk. */
export interface Certificates {
  /** What is shown now. */
  readonly tls: TlsMaterial;
  readonly issuer: Issuer;
  /** What was read last had a problem, and what is shown is older. */
  readonly isRefused: boolean;
  readonly stapler: Stapler;
  /** For `/status`. */
  outlook(): readonly CertificateOutlook[];
  /** Shows these in place of the others. */
  swap(next: TlsMaterial): void;
  /** Tells of each and of what an operator should know of it, and asks for its staple. */
  announce(): void;
  /** Reads certificates alone: a problem in a policy file must not keep a new certificate out. */
  reload(): Promise<void>;
  /** Own files that were replaced, the local certificate's renewal, warnings of an end, and staples; called each minute. */
  look(): Promise<void>;
  /** Of all that the staples alone. */
  staple(): Promise<void>;
}

/** Files somebody else replaces. */
export function ownFiles({ tlsMode, tlsCertFile, tlsKeyFile }: Settings): readonly string[] {
  return tlsMode === "files" ? [tlsCertFile, tlsKeyFile].filter((path) => path !== null) : [];
}

/** Makes what looks after them; nothing is ordered before `issuer.start`. */
export function createCertificates(parts: CertificatesParts): Certificates {
  const { front, files, challenges, plain, sink, clock } = parts;
  let tls = parts.first;
  const stapler = new Stapler({ sink, clock, random: Math.random });
  const issuer = new Issuer({
    settings: parts.settings,
    challenges,
    sink,
    clock,
    random: Math.random,
    preflight: (names) => preflight({ names, plain, challenges }),
    shows: (serial) => tls.certificates.some((certificate) => certificate.serial === serial),
    changed: () => reload(),
  });
  /** What was refused last, and told; null: what was read last is shown. */
  let refused: string | null = null;
  const swap = (next: TlsMaterial): void => {
    refused = null;
    tls = next;
    front.swap(tls);
  };
  const announce = (): void => {
    void stapler.look(tls.certificates);
    for (const { names, notAfterMs } of tls.certificates) {
      sink.emit({ type: "certificate-loaded", names, notAfter: new Date(notAfterMs).toISOString() });
    }
    for (const warning of tls.warnings)
      sink.emit({ type: "warning", what: warning.place, detail: problemLine(warning) });
  };
  // One at a time: what was read first must not be shown last.
  const reload = oneBehind(async (): Promise<void> => {
    const next = await parts.read(parts.settings());
    if (!next.ok) {
      const problems = next.error.map(problemLine);
      const again = refused === problems.join("\n");
      refused = problems.join("\n");
      return again ? undefined : sink.emit({ type: "reload-refused", problems });
    }
    swap(next.value);
    announce();
    parts.changed();
  });
  const ends = new ExpiryWatch(sink, clock);
  const look = async (): Promise<void> => {
    const own = ownFiles(parts.settings());
    const nowMs = clock.wallMs();
    // A date that was set ahead for a while left a certificate of ours that begins in the future.
    const isAhead = tls.certificates.some(({ notBeforeMs }) => notBeforeMs > nowMs);
    const isDue = tls.renewAtWallMs !== null && (nowMs >= tls.renewAtWallMs || isAhead);
    // What was refused may have nothing the matter by now, and no file changes for that: the clock, a disk that came back.
    if (files.changed(own) || isDue || refused !== null) await reload();
    ends.look(tls.certificates);
    await stapler.look(tls.certificates);
  };
  return {
    get tls() {
      return tls;
    },
    get isRefused() {
      return refused !== null;
    },
    issuer,
    stapler,
    outlook: () => outlookOf(tls, issuer.status, (one) => stapler.untilMs(one), clock.wallMs()),
    swap,
    announce,
    reload,
    look,
    staple: () => stapler.look(tls.certificates),
  };
}
