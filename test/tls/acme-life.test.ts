import { X509Certificate } from "node:crypto";
import { copyFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { dnsHook, fresh, orders, outcome, shown, startPair, withPebble } from "../support/acme-pair.ts";
import { startTestGateway } from "../support/gateway.ts";

const dayMs = 86_400_000;

for (const days of [45, 6]) {
  t.test(
    `a certificate of ${days} days is renewed at two thirds of them, by the clock alone`,
    withPebble,
    async (t) => {
      const clock = manualClock(Date.now());
      const { pebble, gateway } = await startPair(t, { validitySeconds: days * 86_400 }, { clock });
      t.match(await outcome(gateway), { type: "certificate-ordered" });
      const first = gateway.running.tls().fallback;
      const key = new X509Certificate(first.certPem).publicKey.asymmetricKeyDetails;
      t.equal(key?.namedCurve, "prime256v1");
      const look = async () => {
        await gateway.running.issuer.look();
        await gateway.running.lookAtCertificates();
      };
      clock.advance(days * dayMs * 0.6);
      await look();
      t.equal(orders(pebble), 1, "not before its time");
      const warned = gateway.events.filter(({ type }) => type === "certificate-expiring");
      t.same(warned, [], "nobody is warned of what renews itself in time");
      clock.advance(days * dayMs * 0.07);
      await look();
      t.match(await outcome(gateway, 1), { type: "certificate-renewed", names: ["odoo.test"] });
      t.equal(orders(pebble), 2);
      const second = gateway.running.tls().fallback;
      t.not(second.serial, first.serial, "in the live listener");
      t.equal(await shown(gateway.httpsPort, "odoo.test", await pebble.root()), "DNS:odoo.test");
    },
  );
}

t.test(
  "a certificate of six days that cannot be renewed is warned of in its last third",
  withPebble,
  async (t) => {
    const clock = manualClock(Date.now());
    const { pebble, gateway } = await startPair(t, { validitySeconds: 6 * 86_400 }, { clock });
    t.match(await outcome(gateway), { type: "certificate-ordered" });
    await pebble.stop();
    clock.advance(3.9 * dayMs);
    await gateway.running.lookAtCertificates();
    const warned = () => gateway.events.filter(({ type }) => type === "certificate-expiring");
    t.same(warned(), [], "14 days would be its whole life");
    clock.advance(0.3 * dayMs);
    await gateway.running.lookAtCertificates();
    t.match(warned(), [{ names: ["odoo.test"], daysLeft: 1 }]);
  },
);

t.test(
  "killed between the signed certificate and its file: the next start fetches that one",
  withPebble,
  async (t) => {
    const kept = fresh(".order");
    const certs = fresh("certs");
    // The order's file as it stands while the order runs, which is what kill -9 leaves behind.
    const copy = `if (action === "remove") {
    const { copyFileSync, readdirSync } = await import("node:fs");
    const at = ${JSON.stringify(join(certs, "acme"))};
    const [authority] = readdirSync(at);
    const name = readdirSync(at + "/" + authority).find((one) => one.endsWith(".order"));
    copyFileSync(at + "/" + authority + "/" + name, ${JSON.stringify(kept)});
  }`;
    const hook = { ACME_DNS_HOOK: "" };
    const { pebble, gateway, env } = await startPair(t, {}, { env: { CERTS_DIR: certs } }, async (pebble) => {
      hook.ACME_DNS_HOOK = dnsHook(pebble, copy);
      return hook;
    });
    t.match(await outcome(gateway), { type: "certificate-ordered" });
    const { serial } = gateway.running.tls().fallback;
    await gateway.running.stop();
    const folder = join(certs, "acme", readdirSync(join(certs, "acme"))[0] ?? "");
    const file = readdirSync(folder).find((name) => name.endsWith(".pem")) ?? "";
    rmSync(join(folder, file));
    copyFileSync(kept, join(folder, file.replace(/\.pem$/, ".order")));
    const again = await startTestGateway({
      env: { ...env, HTTP_LISTEN: "127.0.0.1:0", HTTPS_LISTEN: "127.0.0.1:0" },
    });
    t.teardown(() => again.close());
    t.match(await outcome(again), { type: "certificate-ordered" });
    t.equal(again.running.tls().fallback.serial, serial, "the same certificate");
    t.equal(orders(pebble), 1, "and no second order");
    t.notOk(readdirSync(folder).some((name) => name.endsWith(".order")));
  },
);

t.test(
  "the local certificate of a running gateway is renewed before it ends, without a restart",
  async (t) => {
    const clock = manualClock(Date.now());
    const gateway = await startTestGateway({ clock });
    t.teardown(() => gateway.close());
    const { serial, notAfterMs } = gateway.running.tls().fallback;
    clock.advance(59 * dayMs);
    await gateway.running.lookAtCertificates();
    t.equal(gateway.running.tls().fallback.serial, serial);
    clock.advance(3 * dayMs);
    await gateway.running.lookAtCertificates();
    const { fallback } = gateway.running.tls();
    t.not(fallback.serial, serial);
    t.ok(fallback.notAfterMs > notAfterMs + 50 * dayMs);
  },
);
