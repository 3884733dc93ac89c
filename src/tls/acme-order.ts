import { err, ok, type Result } from "../base/result.ts";
import { signIn } from "./acme-account.ts";
import { type AcmeOrder, readChain, readOrder } from "./acme-answers.ts";
import {
  type AcmeClient,
  type AcmeLibrary,
  holdTalk,
  refusalOf,
  type Talk,
  type WantedOrder,
} from "./acme-client.ts";
import { type AcmeFailure, interrupted, local, readTrouble, refusal } from "./acme-failure.ts";
import { type ProofPlaces, prove } from "./acme-proof.ts";
import type { AcmeAccount } from "./acme-store.ts";
import { until } from "./acme-wait.ts";

/** From `finalize` to the certificate. */
const issuanceMs = 180_000;

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
export interface OrderOwner extends ProofPlaces {
  /** The account was registered, or registered anew. */
  registered(account: AcmeAccount): Promise<unknown>;
  /** A new order exists at the authority. */
  ordered(url: string): Promise<unknown>;
  /** Still allowed to finish: false when another process has taken over. */
  mayFinish(): Promise<boolean>;
}

/** One order on its way. */
export interface Ordering {
  readonly acme: AcmeLibrary;
  readonly order: CertificateOrder;
  readonly owner: OrderOwner;
  readonly talk: Talk;
}

/** Orders a certificate and answers its chain (PEM), own certificate first. Never throws for what an authority does. */
export function orderCertificate(
  order: CertificateOrder,
  owner: OrderOwner,
): Promise<Result<string, AcmeFailure>> {
  return holdTalk(order.caPem, order.signal, (acme, talk) => converse({ acme, order, owner, talk }));
}

async function converse(ordering: Ordering): Promise<Result<string, AcmeFailure>> {
  const { acme, order, owner, talk } = ordering;
  const read = (answer: unknown) => readOrder(answer, order.names.length);
  const begun = await begin(ordering, await signIn(ordering, order.account));
  const { client } = begun;
  let current = begun.order;
  if (current.status === "pending") {
    const shown = await prove(ordering, client, current);
    if (!shown.ok) return shown;
    current = read(await client.getOrder(current));
  }
  if (!(await owner.mayFinish())) return err(interrupted("another process has taken this order over"));
  if (current.status === "ready") {
    const [, csr] = await acme.crypto.createCsr({ altNames: [...order.names] }, order.keyPem);
    current = read(await client.finalizeOrder(current, csr));
  }
  const issued = await until(issuanceMs, talk, current, async (last) => {
    if (last.status === "pending" || last.status === "ready" || last.status === "processing") {
      return { again: read(await client.getOrder(last)) };
    }
    return { done: last };
  });
  if (issued === null)
    return err(local("the authority did not finish the order in time", "it is looked at again"));
  if (issued.status !== "valid") {
    const trouble = readTrouble(issued.error, `the order is ${issued.status}`);
    return err(refusal(trouble, talk.retryAfterMs));
  }
  return ok(readChain(await client.getCertificate(issued)));
}

/** The order begun before when it is still good for something, else a new one. */
async function begin(
  ordering: Ordering,
  client: AcmeClient,
): Promise<{ readonly client: AcmeClient; readonly order: AcmeOrder }> {
  const { order, owner, talk } = ordering;
  if (order.pendingUrl !== null) {
    try {
      const found = readOrder(await client.getOrder({ url: order.pendingUrl }), order.names.length);
      if (found.status !== "invalid") return { client, order: found };
    } catch (error) {
      // Expired or unknown: a new one. No answer at all, or none just now, is another matter.
      if (refusalOf(error, talk)?.isPassing ?? true) throw error;
    }
  }
  const wanted: WantedOrder = {
    identifiers: order.names.map((value) => ({ type: "dns", value })),
    ...(order.profile === null ? {} : { profile: order.profile }),
  };
  const place = async (by: AcmeClient, data: WantedOrder) => {
    const placed = readOrder(await by.createOrder(data), order.names.length);
    await owner.ordered(placed.url);
    return { client: by, order: placed };
  };
  try {
    return await place(client, order.replaces === null ? wanted : { ...wanted, replaces: order.replaces });
  } catch (error) {
    const type = refusalOf(error, talk)?.trouble.type ?? "";
    // The authority forgot us (a test authority started anew): the same key, another account.
    if (type === "accountDoesNotExist")
      return await place(await signIn(ordering, { ...order.account, url: null }), wanted);
    // RFC 9773 §5: replaced already, or a certificate of another account; an order without it is a normal order.
    if (order.replaces !== null && type !== "" && type !== "rateLimited") return await place(client, wanted);
    throw error;
  }
}
