import { AsyncLocalStorage } from "node:async_hooks";
import { Agent } from "node:https";
import { packageRoot } from "../base/package-root.ts";
import { err, type Result } from "../base/result.ts";
import { type AcmeAuthorization, type AcmeChallenge, type AcmeOrder, AnswerError } from "./acme-answers.ts";
import {
  type AcmeFailure,
  bindingRefusal,
  interrupted,
  readTrouble,
  refusal,
  type Trouble,
  unreachable,
  wrongAnswer,
} from "./acme-failure.ts";
import { retryAfterMs } from "./renewal-info.ts";

/** Door of `acme-client`: loaded when the first order is made, 40 MB that a gateway with another TLS_MODE never sees. */

/** Bounds of one request to an authority. */
const bounds = {
  /** To the last byte of the answer: one that drips is no answer. */
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

/** Signed requests to one authority. Throws what `holdTalk` turns into a failure; answers are for `acme-answers` to read. */
export interface AcmeClient {
  getAccountUrl(): string;
  createAccount(account: { termsOfServiceAgreed: boolean; contact?: string[] }): Promise<unknown>;
  updateAccount(account: { contact: string[] }): Promise<unknown>;
  createOrder(wanted: WantedOrder): Promise<unknown>;
  getOrder(order: { readonly url: string }): Promise<unknown>;
  finalizeOrder(order: AcmeOrder, csrPem: Buffer): Promise<unknown>;
  getAuthorizations(order: AcmeOrder): Promise<readonly unknown[]>;
  /** For `dns-01` the value of the record, for others the key authorisation (RFC 8555 §8.1). */
  getChallengeKeyAuthorization(challenge: AcmeChallenge): Promise<string>;
  completeChallenge(challenge: AcmeChallenge): Promise<unknown>;
  getCertificate(order: AcmeOrder): Promise<unknown>;
}

/** RFC 8555 §7.4; `replaces` is RFC 9773 §5. */
export interface WantedOrder {
  readonly identifiers: readonly { readonly type: string; readonly value: string }[];
  readonly profile?: string;
  readonly replaces?: string;
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
  /** The last answer was a refusal: this one. */
  refused: Refused | null;
  /** Of the last answer. */
  retryAfterMs: number | null;
  /** For one request. */
  readonly timeoutMs: number;
  /** An account is being registered with a binding: what is refused now is most likely that. */
  isBinding: boolean;
}

interface Refused {
  readonly trouble: Trouble;
  readonly retryAfterMs: number | null;
  /** It cannot answer now: says nothing of what it was asked. */
  readonly isPassing: boolean;
}

/** Runs one conversation and lets its connections go. What the package throws in it is answered as a failure. */
export async function holdTalk<T>(
  caPem: string | null,
  signal: AbortSignal,
  converse: (acme: AcmeLibrary, talk: Talk) => Promise<Result<T, AcmeFailure>>,
  timeoutMs: number = bounds.requestTimeoutMs,
): Promise<Result<T, AcmeFailure>> {
  const acme = await loadClient();
  const agent = new Agent({ keepAlive: true, ...(caPem === null ? {} : { ca: caPem }) });
  const talk: Talk = {
    ...{ agent, signal, timeoutMs, refusals: new Map() },
    ...{ refused: null, retryAfterMs: null, isBinding: false },
  };
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
    mustBeHttps(String(config.url));
    config.beforeRedirect = ({ href }: Readonly<Record<string, unknown>>) => mustBeHttps(String(href));
    config.httpsAgent = talk.agent;
    // Not its own `timeout`, which begins anew with each byte.
    config.signal = AbortSignal.any([talk.signal, AbortSignal.timeout(talk.timeoutMs)]);
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
    talk.refused = null;
    if (answer.status >= 400) {
      answer.data = problemOf(answer.data);
      const trouble = readTrouble(answer.data, `the authority answered ${answer.status}`);
      const isPassing = answer.status === 429 || answer.status >= 500;
      talk.refused = { trouble, retryAfterMs: talk.retryAfterMs, isPassing };
      talk.refusals.set(clientMessage(answer.data), talk.refused);
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

/** RFC 8555 §6.1: everything goes over HTTPS, whatever address an authority names or leads to. */
function mustBeHttps(url: string): void {
  if (!/^https:\/\//i.test(url)) throw new AnswerError(`names an address that is no https address: ${url}`);
}

function failureOf(error: unknown, talk: Talk): AcmeFailure {
  if (talk.signal.aborted) return interrupted("stopping");
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
  // Of the directory and of nonces the package says no more than that they could not be had.
  const refused = refusalOf(error, talk) ?? (code === "" ? talk.refused : null);
  if (refused !== null) {
    const told = refusal(refused.trouble, refused.retryAfterMs, refused.isPassing);
    return talk.isBinding ? bindingRefusal(told) : told;
  }
  const said = error instanceof Error ? error.message : String(error);
  if (code === "ERR_CANCELED")
    return unreachable(`no whole answer within ${talk.timeoutMs / 1000} s`, connectionRemedy);
  if (code === "ERR_BAD_RESPONSE" && said.includes("aborted"))
    return unreachable("the connection was cut within an answer", connectionRemedy);
  // Node's own codes for addresses and answers that make no sense begin so, and everything the package throws has none.
  if (code === "" || /^ERR_(?!TLS|NETWORK)/.test(code))
    return wrongAnswer(error instanceof AnswerError ? `the authority ${said}` : said);
  return unreachable(said === "" ? code : said, reachRemedy(code));
}

const connectionRemedy = "check ACME_DIRECTORY, and that this machine may open HTTPS connections to it";

function reachRemedy(code: string): string {
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return "the directory's own certificate is for other names";
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID")
    return "the directory's own certificate is out of date: is this machine's clock right?";
  return /CERT|SIGNATURE|ISSUER/.test(code)
    ? "the directory's own certificate is not trusted: name its authority in ACME_CA_FILE"
    : connectionRemedy;
}
