import { X509Certificate } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { err } from "../../src/base/result.ts";
import { loadSettings } from "../../src/settings/load.ts";
import { acmeDirectory, createDiskStore } from "../../src/tls/acme-store.ts";
import { heldFor } from "../../src/tls/issuer-job.ts";
import { loadTls } from "../../src/tls/load.ts";
import { Notices } from "../../src/tls/notices.ts";
import { issuedChain } from "../contracts/acme-store.ts";
import { fresh, outcome } from "../support/acme-pair.ts";
import { startTestGateway } from "../support/gateway.ts";
import { startLyingAuthority } from "../support/lying-authority.ts";

const dayMs = 86_400_000;

for (const file of ["local-ca.pem", "local-ca.key", "local.key", "local.pem"]) {
  t.test(
    `a damaged ${file} keeps no authority's certificate from being shown, nor the gateway from starting`,
    async (t) => {
      const clock = manualClock(Date.now());
      const authority = await startLyingAuthority(t, () => clock.wallMs());
      const certs = fresh("certs");
      const env = {
        ...{ TLS_MODE: "acme", CERTS_DIR: certs, ACME_CA_FILE: authority.caFile },
        ...{ ACME_DIRECTORY: authority.directoryUrl },
      };
      const gateway = await startTestGateway({ clock, env });
      t.teardown(() => gateway.close());
      t.match(await outcome(gateway), { type: "certificate-ordered" });
      const path = join(certs, file);
      renameSync(path, `${path}.whole`);
      writeFileSync(path, "torn");
      clock.advance(62 * dayMs);
      await gateway.running.issuer.look();
      t.match(await outcome(gateway, 1), { type: "certificate-renewed" });
      const { serial } = gateway.running.tls().fallback;
      t.equal(serial, gateway.running.issuer.status?.serial, "the renewed one is shown");
      t.ok(
        gateway.events.some((event) => event.type === "warning" && event.what === path),
        "told with its place",
      );
      t.equal(readFileSync(path, "utf8"), "torn", "and left as it is");

      const again = await startTestGateway({ clock, env });
      t.teardown(() => again.close());
      t.equal(again.running.tls().fallback.serial, serial);

      renameSync(`${path}.whole`, path);
      clock.advance(3_600_000);
      await again.running.lookAtCertificates();
      t.ok(again.running.tls().renewsSerial !== null, "repaired: looked at again within the hour");
    },
  );
}

t.test("a damaged local certificate with nothing else to show stays a problem at the start", async (t) => {
  const authority = await startLyingAuthority(t);
  const certs = fresh("certs");
  const env = {
    ...{ TLS_MODE: "acme", CERTS_DIR: certs, ACME_CA_FILE: authority.caFile },
    ...{ ACME_DIRECTORY: authority.directoryUrl },
  };
  const gateway = await startTestGateway({ env: { ...env, DOMAIN: "localhost" } });
  await gateway.close();
  writeFileSync(join(certs, "local-ca.pem"), "torn");
  await t.rejects(startTestGateway({ env }), /local-ca\.pem is no certificate/);
});

t.test(
  "a short-lived certificate of the second authority is used before one of the first that is due",
  async (t) => {
    const certs = fresh("certs");
    const nowMs = Date.now();
    const [directory, fallbackDirectory] = ["https://one.test/dir", "https://two.test/dir"];
    const put = async (url: string, daysOld: number, days: number) => {
      const { keyPem, certPem } = await issuedChain(["odoo.test"], nowMs - daysOld * dayMs, days);
      await createDiskStore(acmeDirectory(certs, url), manualClock()).saveCertificate("set", keyPem, certPem);
      return new X509Certificate(certPem).serialNumber.toLowerCase();
    };
    // 30 days are left of the first: ordered anew at each look, were it still the one to be renewed.
    await put(directory, 60, 90);
    const second = await put(fallbackDirectory, 0, 6);
    const read = loadSettings({
      env: {
        ...{ TLS_MODE: "acme", DOMAIN: "odoo.test", CERTS_DIR: certs, ODOO_URL: "http://127.0.0.1:9" },
        ...{ ACME_DIRECTORY: directory, ACME_FALLBACK_DIRECTORY: fallbackDirectory },
      },
      cwd: certs,
      readFile: () => err({ missing: true, detail: "" }),
    });
    if (!read.ok || read.value.settings.acme === null) return void t.fail("settings");
    const { settings } = read.value;
    const storeOf = (url: string) => createDiskStore(acmeDirectory(certs, url), manualClock());
    const notices = new Notices({ emit: () => {} }, manualClock());
    const held = await heldFor(
      { acme: read.value.settings.acme, names: ["odoo.test"] },
      storeOf,
      notices,
      nowMs,
    );
    t.equal(held?.certificate.serial, second);
    const loaded = await loadTls(settings, nowMs);
    t.equal(loaded.ok ? loaded.value.fallback.serial : "", second, "and shown");
  },
);

t.test("a certificate for none of the served names is not read again at each look", async (t) => {
  const authority = await startLyingAuthority(t);
  const env = {
    ...{ TLS_MODE: "acme", CERTS_DIR: fresh("certs"), ACME_CA_FILE: authority.caFile },
    ...{ ACME_DIRECTORY: authority.directoryUrl, ACME_NAMES: "other.test" },
  };
  const gateway = await startTestGateway({ env });
  t.teardown(() => gateway.close());
  t.match(await outcome(gateway), { type: "certificate-ordered" });
  const loaded = () => gateway.events.filter(({ type }) => type === "certificate-loaded").length;
  const before = loaded();
  await gateway.running.issuer.look();
  await gateway.running.issuer.look();
  t.equal(loaded(), before);
});

t.test("many certificates of names that were served once do not hide the one in use", async (t) => {
  const clock = manualClock(Date.now());
  const authority = await startLyingAuthority(t, () => clock.wallMs());
  const certs = fresh("certs");
  const at = acmeDirectory(certs, authority.directoryUrl);
  mkdirSync(at, { recursive: true });
  const old = await issuedChain(["a.test"], Date.now() - 200 * dayMs, 90);
  for (let count = 0; count < 120; count += 1) {
    const path = join(at, `a${count}.test-000000000000.pem`);
    writeFileSync(path, old.keyPem + old.certPem);
    utimesSync(path, 1_600_000_000, 1_600_000_000);
  }
  const env = {
    ...{ TLS_MODE: "acme", CERTS_DIR: certs, ACME_CA_FILE: authority.caFile },
    ...{ ACME_DIRECTORY: authority.directoryUrl },
  };
  const gateway = await startTestGateway({ clock, env });
  t.teardown(() => gateway.close());
  t.match(await outcome(gateway), { type: "certificate-ordered" });
  clock.advance(60_000);
  await gateway.running.issuer.look();
  t.equal(authority.asked.filter((path) => path === "/order").length, 1, "not ordered again");
  t.match(gateway.running.tls().fallback.issuer, /a lying authority/, "and shown");
});

t.test(
  "a certificate that is of no use once it is written is a failure, not ordered again and again",
  async (t) => {
    const clock = manualClock(Date.now());
    const authority = await startLyingAuthority(t, () => clock.wallMs());
    // The date is set a year ahead while the order runs.
    authority.lies.set("/certificate/1", () => {
      clock.advance(365 * dayMs);
      return false;
    });
    const env = {
      ...{ TLS_MODE: "acme", CERTS_DIR: fresh("certs"), ACME_CA_FILE: authority.caFile },
      ...{ ACME_DIRECTORY: authority.directoryUrl },
    };
    const gateway = await startTestGateway({ clock, env });
    t.teardown(() => gateway.close());
    const detail = /is not found in .*who else writes there/;
    t.match(await outcome(gateway), { type: "certificate-failed", detail });
    await gateway.running.issuer.look();
    t.equal(authority.asked.filter((path) => path === "/order").length, 1);
  },
);
