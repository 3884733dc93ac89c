import { writeFileSync } from "node:fs";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { fresh, orders, outcome, startPair, withPebble } from "../support/acme-pair.ts";
import { freePorts } from "../support/ports.ts";

const dayMs = 86_400_000;

t.test("an authority that asks for an account binding", withPebble, async (t) => {
  const key = Buffer.from("a secret of at least 32 bytes, really").toString("base64url");
  const eab = { "kid-1": key };
  const good = await startPair(t, { eab }, { env: { ACME_EAB_KID: "kid-1", ACME_EAB_HMAC_KEY: key } });
  t.match(await outcome(good.gateway), { type: "certificate-ordered" });
  t.notMatch(JSON.stringify(good.gateway.events), key);
  const none = await startPair(t, { eab });
  t.match(await outcome(none.gateway), {
    type: "certificate-failed",
    detail: /externalAccountRequired.*set ACME_EAB_KID and ACME_EAB_HMAC_KEY/,
  });
});

t.test("a wrong binding key is told as that, and not tried again and again", withPebble, async (t) => {
  const clock = manualClock(Date.now());
  const key = Buffer.from("a secret of at least 32 bytes, really").toString("base64url");
  const wrong = Buffer.from("another secret of at least 32 bytes!!").toString("base64url");
  const env = { ACME_EAB_KID: "kid-1", ACME_EAB_HMAC_KEY: wrong };
  const { pebble, gateway } = await startPair(t, { eab: { "kid-1": key } }, { clock, env });
  const failed = await outcome(gateway);
  t.match(failed, {
    type: "certificate-failed",
    failures: 1,
    detail: /the account binding is not accepted: check the key id and the HMAC key \(ACME_EAB_KID/,
  });
  t.notMatch(JSON.stringify(gateway.events), wrong);
  const asked = () => pebble.log().match(/POST \/sign-me-up /g)?.length ?? 0;
  const before = asked();
  t.equal(before, 1);
  await gateway.running.issuer.look();
  t.equal(asked(), before, "backed off");
  clock.advance(70_000);
  await gateway.running.issuer.look();
  t.match(await outcome(gateway, 1), { type: "certificate-failed", failures: 2 });
  t.equal(orders(pebble), 0);
});

t.test("the second directory has a binding of its own, its key in a file", withPebble, async (t) => {
  const clock = manualClock(Date.now());
  const [nobody = 0] = await freePorts(1);
  const key = Buffer.from("a secret of at least 32 bytes, really").toString("base64url");
  const keyFile = fresh(".key");
  writeFileSync(keyFile, `${key}\n`, { mode: 0o600 });
  const { gateway } = await startPair(t, { eab: { second: key } }, { clock }, async (pebble) => ({
    ACME_DIRECTORY: `https://127.0.0.1:${nobody}/dir`,
    ACME_EAB_KID: "first",
    ACME_EAB_HMAC_KEY: Buffer.from("the first directory's own secret, 32+").toString("base64url"),
    ACME_FALLBACK_DIRECTORY: pebble.directoryUrl,
    ACME_FALLBACK_EAB_KID: "second",
    ACME_FALLBACK_EAB_HMAC_KEY_FILE: keyFile,
  }));
  for (let failures = 1; failures <= 3; failures += 1) {
    t.match(await outcome(gateway, failures - 1), { type: "certificate-failed", failures });
    clock.advance(dayMs);
    await gateway.running.issuer.look();
  }
  t.match(await outcome(gateway, 3), { type: "certificate-ordered" });
  t.notMatch(JSON.stringify(gateway.events), key);
});

for (const percent of ["5", "15"]) {
  t.test(`${percent} % of nonces refused by the authority are no failure`, withPebble, async (t) => {
    const env = { PEBBLE_WFE_NONCEREJECT: percent };
    const { gateway } = await startPair(
      t,
      { env },
      { env: { REDIRECT_DOMAINS: "a.odoo.test b.odoo.test c.odoo.test" } },
    );
    t.match(await outcome(gateway), { type: "certificate-ordered" });
  });
}
