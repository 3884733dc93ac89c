/**
 * What a payment route is for. `webhook`: the provider tells Odoo how a payment went. `return`: the customer comes back from the provider.
 * `payment`: everything else on the way to a payment.
 */
export type PaymentRoute = "webhook" | "return" | "payment";

export interface PaymentPath {
  readonly route: PaymentRoute;
  /** Of a closed list; null: another word, or none. */
  readonly provider: string | null;
}

/** Folders `payment_…` and `pos_…` of Odoo 14 to 19 that talk to a provider. */
const providers: ReadonlySet<string> = new Set([
  "adyen",
  "alipay",
  "aps",
  "asiapay",
  "authorize",
  "buckaroo",
  "custom",
  "demo",
  "dpo",
  "flutterwave",
  "iyzico",
  "mercado_pago",
  "mollie",
  "nuvei",
  "ogone",
  "payfort",
  "paymob",
  "paypal",
  "payulatam",
  "payumoney",
  "pine_labs",
  "qfpay",
  "razorpay",
  "redsys",
  "safaricom",
  "sepa_direct_debit",
  "sips",
  "six",
  "stripe",
  "toss_payments",
  "transfer",
  "viva_com",
  "viva_wallet",
  "worldline",
  "xendit",
]);

/** What providers call: `/payment/stripe/webhook`, `/payment/adyen/notification`, `/pos_adyen/notification`, … */
const webhook =
  /^\/(?:payment\/|pos_)?([a-z0-9_-]+)\/(?:webhook|notifications?|notify|ipn|dpn|callback|(?:confirmation|validation)\/callback)(?:\/|$)/;
/** Where a customer's browser comes back to: `/payment/redsys/return`, `/payment/flutterwave/auth_return`, … */
const customersReturn =
  /^\/payment\/([a-z0-9_-]+)\/(?:[a-z0-9_/-]*return|success|failure|accept|decline|exception|cancel)(?:\/|$)/;
const payment = /^\/payment(?:\/([a-z0-9_-]+))?(?:\/|$)/;
/** Payments outside `/payment`: the shop's, those of quotations and invoices in the portal, donations, the point of sale's. */
const otherPayment =
  /^\/(?:shop\/payment|invoice\/transaction|donation|pos\/pay|kiosk\/payment|my\/payment_method|my\/(?:orders|invoices)\/[0-9]+\/transaction)(?:\/|$)/;
/** Words before `/webhook` and the like that belong to payments outside `/payment` (pos_qfpay, pos_safaricom of Odoo 19). */
const barePlaces: ReadonlySet<string> = new Set(["qfpay", "c2b"]);

/** Reads the canonical readings of a path (facts.paths); null: it is no payment's. */
export function paymentPath(paths: readonly string[]): PaymentPath | null {
  for (const path of paths) {
    const found = ofPath(path);
    if (found !== null) return found;
  }
  return null;
}

function ofPath(path: string): PaymentPath | null {
  const told = webhook.exec(path);
  if (told !== null) {
    const word = told[1] ?? "";
    const isPayment = path.startsWith("/payment/") || path.startsWith("/pos_") || barePlaces.has(word);
    if (isPayment) return { route: "webhook", provider: providerOf(word) };
  }
  const back = customersReturn.exec(path);
  if (back !== null) return { route: "return", provider: providerOf(back[1] ?? "") };
  const plain = payment.exec(path);
  if (plain !== null) return { route: "payment", provider: providerOf(plain[1] ?? "") };
  return otherPayment.test(path) ? { route: "payment", provider: null } : null;
}

function providerOf(segment: string): string | null {
  const word = segment.replaceAll("-", "_");
  return providers.has(word) ? word : word === "c2b" ? "safaricom" : null;
}
