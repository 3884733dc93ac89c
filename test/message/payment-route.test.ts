import t from "tap";
import { paymentPath } from "../../src/message/payment-route.ts";

const of = (path: string) => {
  const found = paymentPath([path]);
  return found === null ? "none" : `${found.route} ${found.provider ?? "-"}`;
};

t.test("routes of Odoo's payments are told apart", async (t) => {
  const rows: Readonly<Record<string, string>> = {
    "/payment/stripe/webhook": "webhook stripe",
    "/payment/paypal/webhook/": "webhook paypal",
    "/payment/adyen/notification": "webhook adyen",
    "/pos_adyen/notification": "webhook adyen",
    "/pos_viva_com/notification": "webhook viva_com",
    "/qfpay/notify": "webhook qfpay",
    "/c2b/confirmation/callback": "webhook safaricom",
    "/payment/redsys/return": "return redsys",
    "/payment/flutterwave/auth_return": "return flutterwave",
    "/payment/stripe/onboarding/return": "return stripe",
    "/payment/toss-payments/failure": "return toss_payments",
    "/payment": "payment -",
    "/payment/pay": "payment -",
    "/payment/status/poll": "payment -",
    "/payment/transaction": "payment -",
    "/payment/adyen/payments/details": "payment adyen",
    "/payment/nobodys/webhook": "webhook -",
    "/shop/payment": "payment -",
    "/shop/payment/transaction/7": "payment -",
    "/my/orders/12/transaction": "payment -",
    "/invoice/transaction/3": "payment -",
    "/donation/pay": "payment -",
    "/pos/pay/17": "payment -",
    "/kiosk/payment/1/kiosk": "payment -",
    "/paymentx": "none",
    "/shop/cart": "none",
    "/web/login": "none",
    "/my/orders/12": "none",
    "/parcel/webhook": "none",
    "/calendar/notify": "none",
    "/peppol/webhook": "none",
  };
  for (const [path, found] of Object.entries(rows)) t.equal(of(path), found, path);
  t.same(paymentPath(["/fr/payment/pay", "/payment/pay"]), { route: "payment", provider: null });
});
