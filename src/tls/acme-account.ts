import { type AcmeClient, refusalOf } from "./acme-client.ts";
import type { Ordering } from "./acme-order.ts";
import type { AcmeAccount } from "./acme-store.ts";

/**
 * A client with an account at the authority: the known one, brought up to date when the mail address changed, or a new one
 * with the same key (RFC 8555 §7.3), bound to the operator's own account there when a binding is set (§7.3.4).
 */
export async function signIn(
  { acme, order, owner, talk }: Ordering,
  account: AcmeAccount,
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
    try {
      await client.updateAccount({ contact });
    } catch (error) {
      // The authority forgot us (a private one set up anew): the same key, another account.
      if (refusalOf(error, talk)?.trouble.type !== "accountDoesNotExist") throw error;
      return await signIn({ acme, order, owner, talk }, { ...account, url: null });
    }
  } else {
    return client;
  }
  await owner.registered({ keyPem: account.keyPem, url: client.getAccountUrl(), email: order.email });
  return client;
}
