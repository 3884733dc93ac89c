import { AsyncLocalStorage } from "node:async_hooks";
import { Agent } from "node:https";
import { packageRoot } from "../base/package-root.ts";
import { err, type Result } from "../base/result.ts";
import {
  type AcmeFailure,
  bindingRefusal,
  interrupted,
  local,
  readTrouble,
  refusal,
  type Trouble,
} from "./acme-failure.ts";
import { retryAfterMs } from "./renewal-info.ts";

/** Door of `acme-client`: loaded when the first order is made, 40 MB that a gateway with another TLS_MODE never sees. */

/** Bounds of one request to an authority. */
const bounds = {
  requestTimeoutMs: 30_000,
  answerBytesMax: 1024 * 1024,
  redirectsMax: 3,
} as const;

/** What is used of the package. */
export interface AcmeLibrary {
  readonly Client: new (options: {
    directoryUrl: string;
    accountKey: string;
    accountUrl?: string;
    externalAccountBinding?: { kid: string; hmacKey: string };
  }) => AcmeClient;
  readonly crypto: {
    /** Private key and request, PEM. */
    createCsr(wanted: { altNames: string[] }, keyPem: string): Promise<readonly [Buffer, Buffer]>;
    /** Private key and validation certificate (RFC 8737 §3), PEM. */
    createAlpnCertificate(
      authorization: AcmeAuthorization,
      keyAuthorization: string,
      keyPem: string,
    ): Promise<readonly [Buffer, Buffer]>;
  };
}

/** Signed requests to one authority. Throws what `holdTalk` turns into a failure. */
export interface AcmeClient {
  getAccountUrl(): string;
  createAccount(account: { termsOfServiceAgreed: boolean; contact?: string[] }): Promise<unknown>;
  updateAccount(account: { contact: string[] }): Promise<unknown>;
  createOrder(wanted: WantedOrder): Promise<AcmeOrder>;
  getOrder(order: { readonly url: string }): Promise<AcmeOrder>;
  finalizeOrder(order: AcmeOrder, csrPem: Buffer): Promise<AcmeOrder>;
  getAuthorizations(order: AcmeOrder): Promise<readonly AcmeAuthorization[]>;
  /** For `dns-01` the value of the record, for others the key authorisation (RFC 8555 §8.1). */
  getChallengeKeyAuthorization(challenge: AcmeChallenge): Promise<string>;
  completeChallenge(challenge: AcmeChallenge): Promise<unknown>;
  getCertificate(order: AcmeOrder): Promise<string>;
}

/** RFC 8555 §7.4; `replaces` is RFC 9773 §5. */
export interface WantedOrder {
  readonly identifiers: readonly { readonly type: string; readonly value: string }[];
  readonly profile?: string;
  readonly replaces?: string;
}

/** RFC 8555 §7.1.3. */
export interface AcmeOrder {
  readonly url: string;
  readonly status: "pending" | "ready" | "processing" | "valid" | "invalid";
  readonly authorizations: readonly string[];
  readonly finalize: string;
  /** A problem document. */
  readonly error?: object;
}

/** RFC 8555 §7.1.4. */
export interface AcmeAuthorization {
  readonly url: string;
  readonly status: "pending" | "valid" | "invalid" | "deactivated" | "expired" | "revoked";
  readonly identifier: { readonly value: string };
  readonly wildcard?: boolean;
  readonly challenges: readonly AcmeChallenge[];
}

/** RFC 8555 §8. */
export interface AcmeChallenge {
  readonly type: string;
  readonly url: string;
  readonly token: string;
  /** A problem document. */
  readonly error?: object;
}

/** One order's conversation: settings of acme-client's one HTTP client are global, so each request finds its own here. */
export interface Talk {
  readonly agent: Agent;
  readonly signal: AbortSignal;
  /**
   * Problem documents by the message that acme-client makes of them, since it throws nothing but that. Bounded by the
   * requests of one order.
   */
  readonly refusals: Map<string, Refused>;
  /** Of the last answer. */
  retryAfterMs: number | null;
  /** An account is being registered with a binding: what is refused now is most likely that. */
  isBinding: boolean;
}

interface Refused {
  readonly trouble: Trouble;
  readonly retryAfterMs: number | null;
}

/** Runs one conversation and lets its connections go. What the package throws in it is answered as a failure. */
export async function holdTalk<T>(
  caPem: string | null,
  signal: AbortSignal,
  converse: (acme: AcmeLibrary, talk: Talk) => Promise<Result<T, AcmeFailure>>,
): Promise<Result<T, AcmeFailure>> {
  const acme = await loadClient();
  const agent = new Agent({ keepAlive: true, ...(caPem === null ? {} : { ca: caPem }) });
  const talk: Talk = { agent, signal, refusals: new Map(), retryAfterMs: null, isBinding: false };
  try {
    return await talks.run(talk, () => converse(acme, talk));
  } catch (error) {
    return err(failureOf(error, talk));
  } finally {
    agent.destroy();
  }
}

/** The problem document behind an error of the package; null: the error is something else. */
export function refusalOf(error: unknown, talk: Talk): Refused | null {
  return error instanceof Error ? (talk.refusals.get(error.message) ?? null) : null;
}

const talks = new AsyncLocalStorage<Talk>();
let loading: Promise<AcmeLibrary> | null = null;

function loadClient(): Promise<AcmeLibrary> {
  loading ??= prepareClient();
  return loading;
}

async function prepareClient(): Promise<AcmeLibrary> {
  const acme = await import("acme-client");
  const { request, response } = acme.axios.interceptors;
  // Its own interceptors try again five times within a minute, and turn a refused connection into a TypeError. Our
  // back-off decides when to try again, and the error's own words are wanted.
  request.clear();
  response.clear();
  const version = packageRoot().version;
  request.use((config) => {
    const talk = talks.getStore();
    if (talk === undefined) throw new Error("a request outside of an order");
    config.httpsAgent = talk.agent;
    config.signal = talk.signal;
    config.timeout = bounds.requestTimeoutMs;
    config.maxContentLength = bounds.answerBytesMax;
    config.maxRedirects = bounds.redirectsMax;
    config.headers.set("User-Agent", `odoo-gateway/${version}`);
    return config;
  });
  response.use((answer) => {
    const talk = talks.getStore();
    if (talk === undefined) return answer;
    const header: unknown = answer.headers["retry-after"];
    talk.retryAfterMs = retryAfterMs(typeof header === "string" ? header : undefined, Date.now());
    if (answer.status >= 400) {
      answer.data = problemOf(answer.data);
      const trouble = readTrouble(answer.data, `the authority answered ${answer.status}`);
      talk.refusals.set(clientMessage(answer.data), { trouble, retryAfterMs: talk.retryAfterMs });
    }
    return answer;
  });
  return acme;
}

/** Of an answer that is no problem document (RFC 7807) but has something in `error`, as proxies have it: the package would fail over some of them. */
function problemOf(document: unknown): unknown {
  if (typeof document !== "object" || document === null || !("error" in document)) return document;
  const { error, ...rest } = document;
  if ("detail" in rest) return rest;
  const said = typeof error === "object" && error !== null && "detail" in error ? error.detail : error;
  return { detail: typeof said === "string" && said !== "" ? said : JSON.stringify(document) };
}

/** What `formatResponseError` of acme-client makes of an answer. */
function clientMessage(document: unknown): string {
  if (typeof document !== "object" || document === null) {
    return typeof document === "string" && document !== "" ? JSON.stringify(document).replace(/\n/g, "") : "";
  }
  const detail = "detail" in document && typeof document.detail === "string" ? document.detail : "";
  return (detail === "" ? JSON.stringify(document) : detail).replace(/\n/g, "");
}

function failureOf(error: unknown, talk: Talk): AcmeFailure {
  if (talk.signal.aborted) return interrupted("stopping");
  const refused = refusalOf(error, talk);
  if (refused !== null) {
    const told = refusal(refused.trouble, refused.retryAfterMs);
    return talk.isBinding ? bindingRefusal(told) : told;
  }
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
  const said = error instanceof Error ? error.message : String(error);
  return {
    ...local(said === "" ? code : said, ""),
    kind: "unreachable",
    remedy: /CERT|SIGNATURE|ISSUER/.test(code)
      ? "the directory's own certificate is not trusted: name its authority in ACME_CA_FILE"
      : "check ACME_DIRECTORY, and that this machine may open HTTPS connections to it",
  };
}
