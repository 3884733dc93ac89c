import { AsyncLocalStorage } from "node:async_hooks";
import { Agent } from "node:https";
import { setTimeout as wait } from "node:timers/promises";
import { packageRoot } from "../base/package-root.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { AcmeAccount, ChallengeKind } from "./acme-store.ts";
import { retryAfterMs } from "./renewal-info.ts";
import { makeKeyPem } from "./x509.ts";

/** Door of `acme-client`: loaded when the first order is made, 40 MB that a gateway with another TLS_MODE never sees. */

/** Bounds of a talk with an authority. */
const bounds = {
  requestTimeoutMs: 30_000,
  answerBytesMax: 1024 * 1024,
  redirectsMax: 3,
  /** From the answer to the last challenge until all are judged; multi-perspective validation takes seconds. */
  validationMs: 180_000,
  /** From `finalize` to the certificate. */
  issuanceMs: 180_000,
  pollFirstMs: 200,
  pollMostMs: 5_000,
} as const;

/** One thing the authority wants to see, and where. */
export type Proof =
  | { readonly kind: "http-01"; readonly name: string; readonly token: string; readonly answer: string }
  | {
      readonly kind: "tls-alpn-01";
      readonly name: string;
      readonly certPem: string;
      readonly keyPem: string;
    }
  /** `record` and its TXT value. */
  | { readonly kind: "dns-01"; readonly name: string; readonly record: string; readonly value: string };

export interface CertificateOrder {
  readonly directoryUrl: string;
  /** Trusted for the directory's own certificate, instead of Node's authorities. */
  readonly caPem: string | null;
  readonly account: AcmeAccount;
  readonly email: string | null;
  readonly eab: { readonly kid: string; readonly hmacKey: string } | null;
  readonly names: readonly string[];
  readonly profile: string | null;
  /** Renewal id of the certificate this one follows; null where the authority does not know those. */
  readonly replaces: string | null;
  /** The certificate's private key, EC P-256, PEM. */
  readonly keyPem: string;
  /** An order that was begun before; looked at first. */
  readonly pendingUrl: string | null;
  readonly signal: AbortSignal;
}

/** What the order needs of its owner. All may take their time; a rejected promise is a bug. */
export interface OrderOwner {
  /** Which of the offered challenges to use; null: none of them can be met, which the owner says in words. */
  choose(name: string, offered: readonly string[]): Result<ChallengeKind, string>;
  /** Puts the proof where the authority looks for it; an error is a sentence. */
  show(proof: Proof): Promise<Result<null, string>>;
  hide(proof: Proof): Promise<void>;
  /** The account was registered, or registered anew. */
  registered(account: AcmeAccount): Promise<void>;
  /** A new order exists at the authority. */
  ordered(url: string): Promise<void>;
  /** Still allowed to finish: false when another process has taken over. */
  mayFinish(): Promise<boolean>;
}

/** Why there is no certificate. */
export interface AcmeFailure {
  /**
   * `unreachable`: no answer from the authority. `refused`: it answered with a problem document. `validation`: it could
   * not see a proof. `local`: something on our side. `interrupted`: we were told to stop.
   */
  readonly kind: "unreachable" | "refused" | "validation" | "local" | "interrupted";
  /** The authority's own words where it gave some. */
  readonly detail: string;
  readonly remedy: string;
  /** RFC 8555 §6.7, without the urn; "" where there is none. */
  readonly problem: string;
  /** What the authority asked us to wait. */
  readonly retryAfterMs: number | null;
  /** The challenge that failed. */
  readonly challenge: ChallengeKind | null;
}

/** Orders a certificate and answers its chain (PEM), own certificate first. Never throws for what an authority does. */
export async function orderCertificate(
  order: CertificateOrder,
  owner: OrderOwner,
): Promise<Result<string, AcmeFailure>> {
  const acme = await loadClient();
  const agent = new Agent({ keepAlive: true, ...(order.caPem === null ? {} : { ca: order.caPem }) });
  const talk: Talk = {
    agent,
    signal: order.signal,
    refusals: new Map(),
    retryAfterMs: null,
    isBinding: false,
  };
  try {
    return await talks.run(talk, () => converse(acme, order, owner, talk));
  } catch (error) {
    return err(failureOf(error, talk));
  } finally {
    agent.destroy();
  }
}

type AcmeModule = typeof import("acme-client");
type AcmeClient = InstanceType<AcmeModule["Client"]>;
type AcmeOrder = Awaited<ReturnType<AcmeClient["getOrder"]>>;
type AcmeAuthorization = Awaited<ReturnType<AcmeClient["getAuthorizations"]>>[number];

/** A problem document (RFC 7807), as far as it is used. */
interface Trouble {
  readonly type: string;
  readonly detail: string;
}

/** One order's conversation: settings of acme-client's one HTTP client are global, so each request finds its own here. */
interface Talk {
  readonly agent: Agent;
  readonly signal: AbortSignal;
  /**
   * Problem documents by the message that acme-client makes of them, since it throws nothing but that. Bounded by the
   * requests of one order.
   */
  readonly refusals: Map<string, { readonly trouble: Trouble; readonly retryAfterMs: number | null }>;
  /** Of the last answer. */
  retryAfterMs: number | null;
  /** An account is being registered with a binding: what is refused now is most likely that. */
  isBinding: boolean;
}

const talks = new AsyncLocalStorage<Talk>();
let loading: Promise<AcmeModule> | null = null;

function loadClient(): Promise<AcmeModule> {
  loading ??= prepareClient();
  return loading;
}

async function prepareClient(): Promise<AcmeModule> {
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
      const trouble = readTrouble(answer.data, `the authority answered ${answer.status}`);
      talk.refusals.set(clientMessage(answer.data), { trouble, retryAfterMs: talk.retryAfterMs });
    }
    return answer;
  });
  return acme;
}

async function converse(
  acme: AcmeModule,
  order: CertificateOrder,
  owner: OrderOwner,
  talk: Talk,
): Promise<Result<string, AcmeFailure>> {
  const client = await signIn(acme, order, owner, order.account, talk);
  const begun = await begin(acme, client, order, owner, talk);
  let current = begun.order;
  if (current.status === "pending") {
    const shown = await prove(acme, begun.client, current, order, owner);
    if (!shown.ok) return shown;
    current = await begun.client.getOrder(current);
  }
  if (!(await owner.mayFinish())) return err(interrupted("another process has taken this order over"));
  if (current.status === "ready") {
    const [, csr] = await acme.crypto.createCsr({ altNames: [...order.names] }, order.keyPem);
    current = await begun.client.finalizeOrder(current, csr);
  }
  const issued = await until(bounds.issuanceMs, talk, current, async (last) => {
    if (last.status === "pending" || last.status === "ready" || last.status === "processing") {
      return { again: await begun.client.getOrder(last) };
    }
    return { done: last };
  });
  if (issued === null)
    return err(local("the authority did not finish the order in time", "it is looked at again"));
  if (issued.status !== "valid") {
    const trouble = readTrouble(issued.error, `the order is ${issued.status}`);
    return err({ ...refusal(trouble, talk.retryAfterMs), kind: "refused" });
  }
  return ok(await begun.client.getCertificate(issued));
}

/** A client with an account: the known one, or a new one with the same key. */
async function signIn(
  acme: AcmeModule,
  order: CertificateOrder,
  owner: OrderOwner,
  account: AcmeAccount,
  talk: Talk,
): Promise<AcmeClient> {
  const client = new acme.Client({
    directoryUrl: order.directoryUrl,
    accountKey: account.keyPem,
    ...(account.url === null ? {} : { accountUrl: account.url }),
    ...(order.eab === null ? {} : { externalAccountBinding: { ...order.eab } }),
  });
  const contact = order.email === null ? [] : [`mailto:${order.email}`];
  if (account.url === null) {
    talk.isBinding = order.eab !== null;
    await client.createAccount({ termsOfServiceAgreed: true, ...(contact.length === 0 ? {} : { contact }) });
    talk.isBinding = false;
  } else if (account.email !== order.email) {
    await client.updateAccount({ contact });
  } else {
    return client;
  }
  await owner.registered({ keyPem: account.keyPem, url: client.getAccountUrl(), email: order.email });
  return client;
}

/** The order begun before when it is still good for something, else a new one. */
async function begin(
  acme: AcmeModule,
  client: AcmeClient,
  order: CertificateOrder,
  owner: OrderOwner,
  talk: Talk,
): Promise<{ readonly client: AcmeClient; readonly order: AcmeOrder }> {
  if (order.pendingUrl !== null) {
    try {
      const blank = { status: "pending", identifiers: [], authorizations: [], finalize: "" } as const;
      const found = await client.getOrder({
        ...blank,
        identifiers: [],
        authorizations: [],
        url: order.pendingUrl,
      });
      if (found.status !== "invalid") return { client, order: found };
    } catch (error) {
      // Expired or unknown: a new one. No answer at all is another matter.
      if (refusalOf(error, talk) === null) throw error;
    }
  }
  const wanted = {
    identifiers: order.names.map((value) => ({ type: "dns", value })),
    ...(order.profile === null ? {} : { profile: order.profile }),
  };
  const place = async (by: AcmeClient, data: typeof wanted) => {
    const placed = await by.createOrder(data);
    await owner.ordered(placed.url);
    return { client: by, order: placed };
  };
  try {
    return await place(
      client,
      order.replaces === null ? wanted : { ...wanted, ...{ replaces: order.replaces } },
    );
  } catch (error) {
    const type = refusalOf(error, talk)?.trouble.type ?? "";
    // The authority forgot us (a test authority started anew): the same key, another account.
    if (type === "accountDoesNotExist") {
      const account = { ...order.account, url: null };
      return await place(await signIn(acme, order, owner, account, talk), wanted);
    }
    // RFC 9773 §5: replaced already, or a certificate of another account; an order without it is a normal order.
    if (order.replaces !== null && type !== "" && type !== "rateLimited") return await place(client, wanted);
    throw error;
  }
}

/** Shows what the authority wants to see for each name, waits for its judgement, and takes everything away again. */
async function prove(
  acme: AcmeModule,
  client: AcmeClient,
  placed: AcmeOrder,
  order: CertificateOrder,
  owner: OrderOwner,
): Promise<Result<null, AcmeFailure>> {
  const shown: { readonly proof: Proof; readonly authorizationUrl: string }[] = [];
  try {
    const asked: (() => Promise<unknown>)[] = [];
    for (const authorization of await client.getAuthorizations(placed)) {
      if (authorization.status !== "pending") continue;
      const name = authorization.identifier.value;
      const offered = authorization.challenges.map((challenge): string => challenge.type);
      const kind = owner.choose(authorization.wildcard === true ? `*.${name}` : name, offered);
      if (!kind.ok) return err({ ...local(kind.error, ""), kind: "validation" });
      const challenge = authorization.challenges.find((one): boolean => one.type === (kind.value as string));
      if (challenge === undefined) continue;
      const proof = await proofOf(acme, client, authorization, challenge, kind.value);
      // Noted before it is shown: what failed half-way is taken away too.
      shown.push({ proof, authorizationUrl: authorization.url });
      const put = await owner.show(proof);
      if (!put.ok) return err({ ...local(put.error, ""), challenge: kind.value });
      asked.push(() => client.completeChallenge(challenge));
    }
    for (const ask of asked) await ask();
    const talk = talks.getStore();
    if (talk === undefined || order.signal.aborted) return err(interrupted("stopping"));
    const judged = await until(
      bounds.validationMs,
      talk,
      await client.getAuthorizations(placed),
      async (all) => {
        const isOpen =
          all.some((one) => one.status === "pending") && !all.some((one) => one.status === "invalid");
        return isOpen ? { again: await client.getAuthorizations(placed) } : { done: all };
      },
    );
    if (judged === null)
      return err(local("the authority did not judge the challenges in time", "it is asked again"));
    const bad = judged.find((one) => one.status !== "valid");
    if (bad === undefined) return ok(null);
    const kind = shown.find((one) => one.authorizationUrl === bad.url)?.proof.kind ?? null;
    return err(validationFailure(bad, kind));
  } finally {
    for (const { proof } of shown) await owner.hide(proof);
  }
}

async function proofOf(
  acme: AcmeModule,
  client: AcmeClient,
  authorization: AcmeAuthorization,
  challenge: AcmeAuthorization["challenges"][number],
  kind: ChallengeKind,
): Promise<Proof> {
  const name = authorization.identifier.value;
  if (kind === "dns-01") {
    const value = await client.getChallengeKeyAuthorization(challenge);
    return { kind, name, record: `_acme-challenge.${name}`, value };
  }
  // The key authorisation is the same for both; acme-client's types do not know the newer challenge.
  const answer = await client.getChallengeKeyAuthorization({ ...challenge, type: "http-01" });
  if (kind === "http-01") return { kind, name, token: challenge.token, answer };
  const [key, certificate] = await acme.crypto.createAlpnCertificate(authorization, answer, makeKeyPem());
  return { kind, name, certPem: certificate.toString(), keyPem: key.toString() };
}

/** Asks again, ever more slowly or as the authority says, until done; null when the time is over. */
async function until<T>(
  timeMs: number,
  talk: Talk,
  first: T,
  look: (last: T) => Promise<{ readonly done: T } | { readonly again: T }>,
): Promise<T | null> {
  const endMs = performance.now() + timeMs;
  let last = first;
  for (let pauseMs: number = bounds.pollFirstMs; ; pauseMs = Math.min(pauseMs * 2, bounds.pollMostMs)) {
    const seen = await look(last);
    if ("done" in seen) return seen.done;
    last = seen.again;
    const asked = talk.retryAfterMs === null ? pauseMs : Math.max(pauseMs, talk.retryAfterMs);
    if (performance.now() + asked > endMs) return null;
    await wait(asked, undefined, { signal: talk.signal, ref: false });
  }
}

/** What `formatResponseError` of acme-client makes of an answer. */
function clientMessage(document: unknown): string {
  if (typeof document !== "object" || document === null) {
    return typeof document === "string" && document !== "" ? JSON.stringify(document).replace(/\n/g, "") : "";
  }
  const detail = "detail" in document && typeof document.detail === "string" ? document.detail : "";
  return (detail === "" ? JSON.stringify(document) : detail).replace(/\n/g, "");
}

function refusalOf(error: unknown, talk: Talk) {
  return error instanceof Error ? (talk.refusals.get(error.message) ?? null) : null;
}

/** What authorities say of a key id they do not know and of a wrong key (RFC 8555 §7.3.4 leaves it to them). */
const bindingTroubles = ["unauthorized", "malformed", "externalAccountRequired", "badPublicKey"];
const bindingRemedy =
  "the account binding is not accepted: check the key id and the HMAC key (ACME_EAB_KID, ACME_EAB_HMAC_KEY, or ACME_FALLBACK_EAB_… for the second directory)";

const urn = "urn:ietf:params:acme:error:";

function readTrouble(document: unknown, otherwise: string): Trouble {
  const fields = typeof document === "object" && document !== null ? document : {};
  const type = "type" in fields && typeof fields.type === "string" ? fields.type : "";
  let detail = "detail" in fields && typeof fields.detail === "string" ? fields.detail : otherwise;
  const parts =
    "subproblems" in fields && Array.isArray(fields.subproblems) ? fields.subproblems.slice(0, 5) : [];
  for (const part of parts) detail += `; ${readTrouble(part, "").detail}`;
  return { type: type.startsWith(urn) ? type.slice(urn.length) : type, detail: detail.slice(0, 1_000) };
}

function validationFailure(authorization: AcmeAuthorization, challenge: ChallengeKind | null): AcmeFailure {
  const failed = authorization.challenges.find((one) => one.error !== undefined);
  const trouble = readTrouble(failed?.error, `the authorisation is ${authorization.status}`);
  const kind = challenge === null ? "" : ` by ${challenge}`;
  return {
    kind: "validation",
    problem: trouble.type,
    detail: `${authorization.identifier.value} could not be validated${kind}: ${trouble.detail}`,
    remedy: remedyOf(trouble.type, challenge),
    retryAfterMs: null,
    challenge,
  };
}

function refusal(trouble: Trouble, retryMs: number | null): AcmeFailure {
  return {
    kind: "refused",
    problem: trouble.type,
    detail: trouble.type === "" ? trouble.detail : `${trouble.type}: ${trouble.detail}`,
    remedy: remedyOf(trouble.type, null),
    retryAfterMs: retryMs,
    challenge: null,
  };
}

function local(detail: string, remedy: string): AcmeFailure {
  return { kind: "local", problem: "", detail, remedy, retryAfterMs: null, challenge: null };
}

function interrupted(detail: string): AcmeFailure {
  return { ...local(detail, ""), kind: "interrupted" };
}

function failureOf(error: unknown, talk: Talk): AcmeFailure {
  if (talk.signal.aborted) return interrupted("stopping");
  const refused = refusalOf(error, talk);
  if (refused !== null) {
    const told = refusal(refused.trouble, refused.retryAfterMs);
    const isBinding = talk.isBinding && bindingTroubles.includes(refused.trouble.type);
    return isBinding ? { ...told, remedy: bindingRemedy } : told;
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

/** What to do about a problem of RFC 8555 §6.7, one sentence. */
function remedyOf(type: string, challenge: ChallengeKind | null): string {
  switch (type) {
    case "rateLimited":
      return "nothing to do but wait: it is tried again when the authority allows it; try things out with ACME_DIRECTORY=staging";
    case "connection":
    case "unauthorized":
    case "incorrectResponse":
    case "tls":
      return proofRemedy(challenge);
    case "dns":
      return challenge === "dns-01"
        ? "the hook must return only when the record can be seen on all name servers"
        : "the name needs an A or AAAA record that leads here";
    case "caa":
      return "the domain's CAA record names other authorities; add this one";
    case "rejectedIdentifier":
    case "unsupportedIdentifier":
      return "this authority does not sign for the name; take it out or choose another authority";
    case "externalAccountRequired":
      return "this authority wants an account binding: set ACME_EAB_KID and ACME_EAB_HMAC_KEY (ACME_FALLBACK_EAB_… for the second directory)";
    case "invalidContact":
    case "unsupportedContact":
      return "correct ACME_EMAIL";
    case "invalidProfile":
      return "set ACME_PROFILE to one the authority lists, or take it out";
    case "userActionRequired":
      return "the authority has new terms: visit the address it names";
    default:
      break;
  }
  return "it is tried again by itself";
}

function proofRemedy(challenge: ChallengeKind | null): string {
  switch (challenge) {
    case "http-01":
      return "port 80 of this name must lead to HTTP_LISTEN from the whole Internet, on IPv4 and on IPv6 where the name has an AAAA record";
    case "tls-alpn-01":
      return "port 443 of this name must lead to HTTPS_LISTEN with nothing that ends TLS before it";
    case "dns-01":
      return "the hook must return only when the record can be seen on all name servers";
    case null:
      return "check that the account may ask for these names";
  }
}
