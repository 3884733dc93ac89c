import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
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
