import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import t from "tap";
import { issuedChain } from "../contracts/acme-store.ts";
import { Load } from "./load.ts";
import { WorkersGateway } from "./process.ts";

/** Of this machine, and never limited. */
const unlimited = "127.0.0.3";
const folder = mkdtempSync(join(tmpdir(), "gateway-swap-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];

async function put(names: readonly string[]): Promise<void> {
  const { certPem, keyPem } = await issuedChain(names, Date.now(), 30);
  writeFileSync(keyFile, keyPem, { mode: 0o600 });
  writeFileSync(certFile, certPem);
}

/** Names in the certificate that a new connection is shown. */
function shown(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const at = { host: "127.0.0.1", port, localAddress: unlimited, servername: "odoo.test" };
    const socket = connect({ ...at, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().subjectaltname ?? "");
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

t.test("certificates are swapped under load in every worker, and no request is lost", async (t) => {
  await put(["odoo.test"]);
  const gateway = await WorkersGateway.start(() => ({
    TLS_MODE: "files",
    TLS_CERT_FILE: certFile,
    TLS_KEY_FILE: keyFile,
    TRUSTED_NETWORKS: unlimited,
  }));
  t.teardown(() => gateway.close());
  const load = new Load(gateway, unlimited);
  for (let swap = 1; swap <= 5; swap += 1) {
    const before = load.asked;
    await put(["odoo.test", `swap-${swap}.odoo.test`]);
    const { revision } = (await gateway.status()).plan;
    gateway.child.kill("SIGHUP");
    await gateway.until(async () => (await gateway.status()).plan.revision === revision + 1);
    // Four connections go to both workers.
    const names = `DNS:odoo.test, DNS:swap-${swap}.odoo.test`;
    await gateway.until(async () => {
      const all = await Promise.all([1, 2, 3, 4].map(() => shown(gateway.httpsPort)));
      return all.every((one) => one === names);
    });
    await gateway.until(() => load.asked > before + 20);
  }
  const { asked, failures } = await load.stop();
  t.same(failures, [], `${asked} requests`);
  t.notOk(gateway.out.includes("reload-refused"));
});
