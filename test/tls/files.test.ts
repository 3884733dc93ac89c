import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { issuedChain } from "../contracts/acme-store.ts";
import { startTestGateway } from "../support/gateway.ts";

const folder = mkdtempSync(join(tmpdir(), "gateway-files-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
const dayMs = 86_400_000;

function shown(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(
      { host: "127.0.0.1", port, servername: "odoo.test", rejectUnauthorized: false },
      () => {
        resolve(socket.getPeerCertificate().subjectaltname ?? "");
        socket.destroy();
      },
    );
    socket.on("error", reject);
  });
}

t.test("replaced files are taken when they fit, and left alone when they do not", async (t) => {
  const clock = manualClock(Date.now());
  const put = (chain: { readonly certPem: string; readonly keyPem: string }) => {
    writeFileSync(certFile, chain.certPem);
    writeFileSync(keyFile, chain.keyPem, { mode: 0o600 });
  };
  const first = await issuedChain(["odoo.test"], Date.now(), 30);
  const second = await issuedChain(["odoo.test", "new.odoo.test"], Date.now(), 90);
  put(first);
  const gateway = await startTestGateway({
    clock,
    env: { TLS_MODE: "files", TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile },
  });
  t.teardown(() => gateway.close());
  const look = () => gateway.running.lookAtCertificates();
  const count = (type: string) => gateway.events.filter((event) => event.type === type).length;
  await look();
  t.equal(count("certificate-loaded"), 1, "nothing changed, nothing done");
  writeFileSync(certFile, second.certPem);
  await look();
  t.equal(count("reload-refused"), 1, "the key is not there yet");
  t.equal(await shown(gateway.httpsPort), "DNS:odoo.test");
  await look();
  t.equal(count("reload-refused"), 1, "told once");
  writeFileSync(keyFile, second.keyPem);
  await look();
  t.equal(await shown(gateway.httpsPort), "DNS:odoo.test, DNS:new.odoo.test");
  const warnings = () => gateway.events.filter(({ type }) => type === "warning");
  t.same(warnings(), []);
  const other = await issuedChain(["other.test"], Date.now(), 90);
  writeFileSync(keyFile, other.keyPem);
  writeFileSync(certFile, other.certPem);
  await look();
  t.match(
    warnings(),
    [{ detail: /does not cover odoo\.test; it is for other\.test/ }],
    "told without a restart",
  );
  t.equal(count("certificate-expiring"), 0);
  clock.advance(80 * dayMs);
  await look();
  await look();
  t.equal(count("certificate-expiring"), 1, "once a day");
  clock.advance(dayMs);
  await look();
  t.equal(count("certificate-expiring"), 2);
});

t.test("a certificate that is not valid yet is taken when it is, without being written again", async (t) => {
  const clock = manualClock(Date.now());
  const first = await issuedChain(["odoo.test"], Date.now(), 30);
  const early = await issuedChain(["odoo.test", "new.odoo.test"], Date.now() + dayMs + 60_000, 90);
  writeFileSync(certFile, first.certPem);
  writeFileSync(keyFile, first.keyPem);
  const gateway = await startTestGateway({
    clock,
    env: { TLS_MODE: "files", TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile },
  });
  t.teardown(() => gateway.close());
  const look = () => gateway.running.lookAtCertificates();
  const refused = () => gateway.events.filter((event) => event.type === "reload-refused");
  writeFileSync(certFile, early.certPem);
  writeFileSync(keyFile, early.keyPem);
  await look();
  t.match(refused(), [{ problems: [/is not valid before/] }]);
  await look();
  t.equal(refused().length, 1, "told once");
  clock.advance(120_000);
  await look();
  t.equal(await shown(gateway.httpsPort), "DNS:odoo.test, DNS:new.odoo.test");
});

t.test("files that are replaced while the gateway starts are read again", async (t) => {
  const first = await issuedChain(["odoo.test"], Date.now(), 30);
  const second = await issuedChain(["odoo.test", "new.odoo.test"], Date.now(), 90);
  writeFileSync(certFile, first.certPem);
  writeFileSync(keyFile, first.keyPem);
  let isReplaced = false;
  const gateway = await startTestGateway({
    env: {
      ...{ TLS_MODE: "files", TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile },
      ...{ ODOO_URL: "http://odoo.internal:8069", ODOO_BUS_URL: "http://odoo.internal:8072" },
    },
    // Asked behind the reading of files, and before they are looked at again.
    lookup: async () => {
      if (!isReplaced) {
        writeFileSync(certFile, second.certPem);
        writeFileSync(keyFile, second.keyPem);
      }
      isReplaced = true;
      return [{ address: "127.0.0.1", family: 4 }];
    },
  });
  t.teardown(() => gateway.close());
  t.ok(isReplaced);
  await gateway.running.lookAtCertificates();
  t.equal(await shown(gateway.httpsPort), "DNS:odoo.test, DNS:new.odoo.test");
});
