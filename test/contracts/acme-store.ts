import t from "tap";
import { type ManualClock, manualClock } from "../../src/base/clock.ts";
import { type AcmeStore, freshState, type IssuerState } from "../../src/tls/acme-store.ts";
import { staleMs } from "../../src/tls/lock.ts";
import { makeAuthority, makeKeyPem, makeServerCertificate } from "../../src/tls/x509.ts";

const dayMs = 86_400_000;

/** A chain as an authority sends it, and its key. */
export async function issuedChain(names: readonly string[], nowMs: number, days = 90) {
  const life = { notBeforeMs: nowMs - dayMs, notAfterMs: nowMs + days * dayMs };
  const authorityKeyPem = makeKeyPem();
  const authorityPem = await makeAuthority({ keyPem: authorityKeyPem, commonName: "test", ...life });
  const keyPem = makeKeyPem();
  const leaf = await makeServerCertificate({ authorityPem, authorityKeyPem, keyPem, names, ...life });
  return { keyPem, certPem: leaf + authorityPem };
}

/** What every store of certificates, accounts and back-off must do. `open` opens the same place again, as another process would. */
export function acmeStoreContract(name: string, make: () => { open(clock: ManualClock): AcmeStore }): void {
  const nowMs = Date.now();
  t.test(name, (t) => {
    t.test("a certificate is found again by another process, and replaced as a whole", async (t) => {
      const place = make();
      const store = place.open(manualClock());
      t.same(await store.certificates(nowMs), { found: [], problems: [] }, "nothing at first");
      const first = await issuedChain(["a.example", "*.b.example"], nowMs);
      t.equal(await store.saveCertificate("set-1", first.keyPem, first.certPem), null);
      const second = await issuedChain(["a.example"], nowMs);
      const other = place.open(manualClock());
      const [before] = (await other.certificates(nowMs)).found;
      t.same(before?.certificate.names, ["a.example", "*.b.example"]);
      t.equal(before?.set, "set-1");
      t.notMatch(before?.certificate.certPem, /PRIVATE KEY/, "the chain does not carry the key");
      t.equal(await store.saveCertificate("set-1", second.keyPem, second.certPem), null);
      const after = await other.certificates(nowMs);
      t.same(
        after.found.map((one) => one.certificate.names),
        [["a.example"]],
      );
      t.same(after.problems, []);
      t.same(
        await other.certificates(nowMs + 91 * dayMs),
        { found: [], problems: [] },
        "an ended one is left out",
      );
      t.equal(await store.dropCertificate("set-1"), null);
      t.same(await other.certificates(nowMs), { found: [], problems: [] });
    });

    t.test("all processes get one account", async (t) => {
      const place = make();
      const accounts = await Promise.all(
        Array.from({ length: 5 }, () => place.open(manualClock()).account()),
      );
      const keys = new Set(
        accounts.map((account) => (account.ok ? account.value.keyPem : account.error.thing)),
      );
      t.equal(keys.size, 1);
      const [account] = accounts;
      if (account === undefined || !account.ok) return void t.fail("no account");
      t.equal(account.value.url, null);
      const registered = { ...account.value, url: "https://ca.example/acct/1", email: "it@a.example" };
      t.equal(await place.open(manualClock()).saveAccount(registered), null);
      t.same(await place.open(manualClock()).account(), { ok: true, value: registered });
    });

    t.test("back-off and order survive a restart", async (t) => {
      const place = make();
      const store = place.open(manualClock());
      t.same(await store.state("s"), { ok: true, value: freshState });
      t.same(await store.pendingOrder("s"), { ok: true, value: null });
      const state: IssuerState = {
        failures: 3,
        nextTryMs: nowMs + 5_000,
        lastFailure: { wallMs: nowMs, detail: "rateLimited: too many" },
        challenge: "tls-alpn-01",
        renewal: {
          serial: "0a",
          atMs: nowMs + 1,
          askAgainMs: nowMs + 2,
          window: { startMs: nowMs, endMs: nowMs + 9 },
        },
      };
      const order = {
        names: ["a.example"],
        url: "https://ca.example/order/1",
        keyPem: makeKeyPem(),
        wallMs: nowMs,
      };
      t.equal(await store.saveState("s", state), null);
      t.equal(await store.savePendingOrder("s", order), null);
      const again = place.open(manualClock());
      t.same(await again.state("s"), { ok: true, value: state });
      t.same(await again.pendingOrder("s"), { ok: true, value: order });
      t.equal(await again.dropPendingOrder("s"), null);
      t.equal(await again.dropPendingOrder("s"), null, "dropping nothing is fine");
      t.same(await store.pendingOrder("s"), { ok: true, value: null });
    });

    t.test(
      "one process holds the lock; a silent holder loses it after a while, a beating one never",
      async (t) => {
        const place = make();
        const [clock1, clock2] = [manualClock(), manualClock()];
        const first = place.open(clock1).lock("s");
        const second = place.open(clock2).lock("s");
        t.equal(await first.take(), true);
        t.equal(await first.take(), true, "its own");
        t.equal(await second.take(), false);
        clock2.advance(staleMs - 1);
        t.equal(await second.take(), false);
        t.equal(await first.beat(), true);
        clock2.advance(staleMs - 1);
        t.equal(await second.take(), false, "the heartbeat was seen");
        clock2.advance(staleMs);
        t.equal(await second.take(), true, "silent for too long");
        t.equal(await first.beat(), false, "the first one learns that it was lost");
        t.equal(first.isHeld, false);
        await first.release();
        t.equal(await second.beat(), true, "a lost lock cannot be released");
        await second.release();
        t.equal(await first.take(), true);
        await first.release();
      },
    );

    t.test("of many that ask at once exactly one gets the lock", async (t) => {
      const place = make();
      const locks = Array.from({ length: 8 }, () => place.open(manualClock()).lock("s"));
      const taken = await Promise.all(locks.map((lock) => lock.take()));
      t.equal(taken.filter((one) => one).length, 1);
      await Promise.all(locks.map((lock) => lock.release()));
    });
    t.end();
  });
}
