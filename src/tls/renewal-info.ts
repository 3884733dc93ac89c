import { get } from "node:https";
import { err, ok, type Result } from "../base/result.ts";

/** When an authority would like a certificate to be renewed (RFC 9773 §4.2). */
export interface RenewalInfo {
  readonly startMs: number;
  readonly endMs: number;
  /** How long to wait before it is asked again. */
  readonly askAgainInMs: number;
}

const answerBytesMax = 65_536;
const timeoutMs = 15_000;
/** RFC 9773 §4.3.2: an answer without Retry-After is asked for again after some hours; nobody is asked each minute. */
export const askAgainMs = { default: 6 * 3_600_000, least: 60_000, most: 86_400_000 } as const;

/**
 * Asks a directory for the renewal window of a certificate (`id` as in RFC 9773 §4.1). null: this authority does not
 * offer it. An error is a sentence; the caller goes by the certificate's life then.
 */
export async function askRenewalInfo(
  directoryUrl: string,
  caPem: string | null,
  id: string,
  nowWallMs: number,
): Promise<Result<RenewalInfo | null, string>> {
  const directory = await getJson(directoryUrl, caPem);
  if (!directory.ok) return directory;
  const base = directory.value.fields["renewalInfo"];
  if (typeof base !== "string") return ok(null);
  const url = `${base.replace(/\/$/, "")}/${id}`;
  if (!url.startsWith("https://")) return err(`${base} is no https address`);
  const answer = await getJson(url, caPem);
  if (!answer.ok) return answer;
  const window = answer.value.fields["suggestedWindow"];
  const { start, end } = (typeof window === "object" && window !== null ? window : {}) as Record<
    string,
    unknown
  >;
  const startMs = typeof start === "string" ? Date.parse(start) : Number.NaN;
  const endMs = typeof end === "string" ? Date.parse(end) : Number.NaN;
  if (!(endMs > startMs)) return err(`${url} answered no renewal window`);
  return ok({ startMs, endMs, askAgainInMs: waitOf(answer.value.retryAfter, nowWallMs) });
}

function waitOf(retryAfter: string | undefined, nowWallMs: number): number {
  const ms = retryAfterMs(retryAfter, nowWallMs) ?? askAgainMs.default;
  return Math.min(Math.max(ms, askAgainMs.least), askAgainMs.most);
}

/** Seconds or a date (RFC 9110 §10.2.3), as milliseconds from now; null for neither. */
export function retryAfterMs(value: string | undefined, nowWallMs: number): number | null {
  if (value === undefined) return null;
  if (/^[0-9]{1,9}$/.test(value)) return Number(value) * 1_000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - nowWallMs);
}

interface JsonAnswer {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly retryAfter: string | undefined;
}

function getJson(url: string, caPem: string | null): Promise<Result<JsonAnswer, string>> {
  return new Promise((resolve) => {
    const fail = (why: string) => resolve(err(`${url} ${why}`));
    const request = get(
      url,
      {
        agent: false,
        headers: { accept: "application/json", "user-agent": "odoo-gateway" },
        signal: AbortSignal.timeout(timeoutMs),
        ...(caPem === null ? {} : { ca: caPem }),
      },
      (answer) => {
        const parts: Buffer[] = [];
        let bytes = 0;
        answer.on("error", (error) => fail(error.message));
        answer.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > answerBytesMax) request.destroy(new Error("answered too much"));
          else parts.push(chunk);
        });
        answer.on("end", () => {
          if (answer.statusCode !== 200) return fail(`answered ${answer.statusCode}`);
          try {
            const value: unknown = JSON.parse(Buffer.concat(parts).toString("utf8"));
            if (typeof value !== "object" || value === null) return fail("answered no JSON object");
            const fields = value as Readonly<Record<string, unknown>>;
            resolve(ok({ fields, retryAfter: answer.headers["retry-after"] }));
          } catch {
            fail("answered no JSON");
          }
        });
      },
    );
    request.on("error", (error) => fail(error.message));
  });
}
