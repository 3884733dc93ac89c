import { X509Certificate } from "node:crypto";
import type { Clock } from "../base/clock.ts";
import { err } from "../base/result.ts";
import type { EventSink } from "../observe/events.ts";
import type { Certificate } from "./certificate.ts";
import { type OcspAnswer, type OcspQuestion, ocspQuestion, readOcspAnswer } from "./ocsp.ts";
import { askResponder } from "./ocsp-ask.ts";
import { splitPem } from "./pem.ts";
import { backOffMs } from "./schedule.ts";
import { revocationOf } from "./x509.ts";

const hourMs = 3_600_000;
const minuteMs = 60_000;

export interface StaplerParts {
  readonly sink: EventSink;
  readonly clock: Clock;
  /** A number from 0 to 1, drawn anew each time. */
  readonly random: () => number;
}

/** One certificate in use that names a responder. */
interface Staple {
  readonly names: readonly string[];
  readonly url: string;
  readonly question: OcspQuestion;
  readonly isDemanded: boolean;
  answer: OcspAnswer | null;
  askAtMs: number;
  failures: number;
  asking: Promise<void> | null;
}

/**
 * Keeps signed answers about our own certificates' revocation, for clients that ask for one in the handshake. Only for
 * certificates that name a responder; nobody is asked for others. Answers live in memory and are asked for anew at half of their
 * life; a handshake takes what is there and never waits.
 */
export class Stapler {
  readonly #parts: StaplerParts;
  readonly #stopping = new AbortController();
  /** By the certificate's fingerprint; as many as certificates in use. null: names no responder, or cannot be asked about. */
  #staples = new Map<string, Staple | null>();

  constructor(parts: StaplerParts) {
    this.#parts = parts;
  }

  /** What is stapled to a certificate (DER) now; null: nothing. */
  answer(certificate: Buffer | null): Buffer | null {
    if (certificate === null || this.#staples.size === 0) return null;
    const answer = this.#staples.get(keyOf(certificate))?.answer ?? null;
    return answer !== null && this.#parts.clock.wallMs() < answer.untilMs ? answer.bytes : null;
  }

  /** For `OCSPRequest` of the TLS server. Answers in the same turn. */
  readonly onRequest = (
    certificate: Buffer,
    _issuer: Buffer,
    done: (error: Error | null, answer: Buffer) => void,
  ): void => {
    // Node takes null for "nothing to staple"; its types do not say so.
    (done as (error: Error | null, answer: Buffer | null) => void)(null, this.answer(certificate));
  };

  /** Until when the certificate's staple holds; null: there is none. */
  untilMs(certificate: Certificate): number | null {
    const answer = this.#staples.get(keyOf(derOf(certificate)))?.answer ?? null;
    return answer === null || answer.untilMs <= this.#parts.clock.wallMs() ? null : answer.untilMs;
  }

  /** Asks for what is due. Called with the certificates in use, each minute and when they change. Never rejects. */
  async look(certificates: readonly Certificate[]): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    const before = this.#staples;
    this.#staples = new Map(
      certificates.map((certificate) => {
        const key = keyOf(derOf(certificate));
        const known = before.get(key);
        return [key, known === undefined ? this.#begin(certificate) : known];
      }),
    );
    const nowMs = this.#parts.clock.wallMs();
    const asked: Promise<void>[] = [];
    for (const staple of this.#staples.values()) {
      if (staple === null || (nowMs < staple.askAtMs && !this.#isClockBack(staple, nowMs))) continue;
      staple.asking ??= this.#ask(staple).finally(() => {
        staple.asking = null;
      });
      asked.push(staple.asking);
    }
    await Promise.all(asked);
  }

  stop(): void {
    this.#stopping.abort();
  }

  /** A moment that lies further ahead than any answer's life was set by a clock that was wrong. */
  #isClockBack(staple: Staple, nowMs: number): boolean {
    return staple.askAtMs > Math.max(staple.answer?.untilMs ?? 0, nowMs + 2 * hourMs);
  }

  #begin(certificate: Certificate): Staple | null {
    try {
      return this.#read(certificate);
    } catch (error) {
      // Extensions that OpenSSL passes over and a stricter reader does not: such a certificate is served without a staple.
      const said = error instanceof Error ? error.message : String(error);
      this.#warn(certificate.names, `its extensions cannot be read: ${said}`, false);
      return null;
    }
  }

  #read(certificate: Certificate): Staple | null {
    const [leafPem = "", issuerPem] = splitPem(certificate.certPem, "CERTIFICATE");
    const leaf = new X509Certificate(leafPem);
    const { responder, mustStaple } = revocationOf(leaf);
    const { names } = certificate;
    const complain = (why: string) => {
      if (responder !== null || mustStaple) this.#warn(names, why, mustStaple);
      return null;
    };
    if (responder === null) return complain("it demands a stapled answer and names no responder over http");
    if (issuerPem === undefined)
      return complain("the file holds no issuer to ask about it with: give fullchain.pem");
    const question = ocspQuestion(leaf, new X509Certificate(issuerPem));
    if (question === null) return complain("it cannot be asked about");
    const never = Number.NEGATIVE_INFINITY;
    return {
      ...{ names, url: responder, question, isDemanded: mustStaple },
      ...{ answer: null, askAtMs: never, failures: 0, asking: null },
    };
  }

  async #ask(staple: Staple): Promise<void> {
    const { clock, random } = this.#parts;
    const got = await askResponder(staple.url, staple.question.request, this.#stopping.signal);
    if (this.#stopping.signal.aborted) return;
    const nowMs = clock.wallMs();
    const read = got.ok
      ? readOcspAnswer(got.value, staple.question, nowMs)
      : err({ isRevoked: false, why: got.error });
    if (read.ok) {
      const { fromMs, untilMs } = read.value;
      staple.answer = read.value;
      staple.failures = 0;
      const halfMs = (fromMs + untilMs) / 2;
      // One past its half already (a responder's own cache): again in half of what is left, not at once.
      staple.askAtMs = nowMs < halfMs ? halfMs : nowMs + Math.max(minuteMs, (untilMs - nowMs) / 2);
      return;
    }
    staple.failures += 1;
    staple.askAtMs = nowMs + Math.min(backOffMs(staple.failures, random()), hourMs);
    const left = staple.answer === null || staple.answer.untilMs <= nowMs ? null : staple.answer.untilMs;
    const { isRevoked, why } = read.error;
    // Never shown again: it would hide what the authority says.
    if (isRevoked) staple.answer = null;
    const meanwhile =
      left === null || isRevoked
        ? "nothing is stapled"
        : `the answer in use holds until ${new Date(left).toISOString()}`;
    const next = new Date(staple.askAtMs).toISOString();
    const told = `${staple.url} ${why}; ${meanwhile}, next try ${next}`;
    this.#warn(staple.names, told, staple.isDemanded && (left === null || isRevoked));
  }

  #warn(names: readonly string[], why: string, isDemanded: boolean): void {
    const harm = isDemanded
      ? "; the certificate demands a stapled answer: browsers that heed it refuse the site"
      : "";
    const detail = `certificate for ${names.join(", ")}: ${why}${harm}`;
    this.#parts.sink.emit({ type: "warning", what: "ocsp", detail });
  }
}

function derOf(certificate: Certificate): Buffer {
  const [leafPem = ""] = splitPem(certificate.certPem, "CERTIFICATE");
  return Buffer.from(new X509Certificate(leafPem).raw);
}

/** The bytes themselves, one character each: a kilobyte or two, and no hash in the handshake. */
function keyOf(certificate: Buffer): string {
  return certificate.toString("latin1");
}
