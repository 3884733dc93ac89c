import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { startDemo } from "../../src/demo/start.ts";
import { ChildGateway, canMount } from "../support/child-gateway.ts";

const skip = canMount ? false : "nothing can be mounted here: names that vanish are left out";

t.test("Odoo's name vanishes, comes back, and leads elsewhere", { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-fault-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const odoo = await startDemo();
  t.teardown(() => odoo.close());
  const hosts = (line: string) => writeFileSync(join(folder, "hosts"), `127.0.0.1 localhost\n${line}\n`);
  hosts("127.0.0.1 odoo.inside");
  // Nobody answers for names but the file.
  writeFileSync(join(folder, "resolv.conf"), "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
  const gateway = await ChildGateway.start({
    folder,
    mounts: true,
    before: 'mount --bind "$FOLDER/hosts" /etc/hosts\nmount --bind "$FOLDER/resolv.conf" /etc/resolv.conf',
    env: {
      ODOO_URL: `http://odoo.inside:${odoo.webPort}`,
      ODOO_BUS_URL: `http://odoo.inside:${odoo.busPort}`,
    },
  });
  t.teardown(() => gateway.close());
  t.equal((await gateway.get("/web/login")).status, 200);
  hosts("");
  const { status } = await gateway.get("/web/login");
  t.ok(status === 200 || status === 502, `${status}: by the last known address, or told at once`);
  t.equal((await gateway.admin("GET /healthz")).status, 200);
  hosts("127.0.0.1 odoo.inside");
  const endMs = performance.now() + 60_000;
  let back = 0;
  while (back !== 200 && performance.now() < endMs) back = (await gateway.get("/web/login")).status;
  t.equal(back, 200, "it is back");
  const moved = await startDemo({ host: "127.0.0.2", webPort: odoo.webPort, busPort: odoo.busPort });
  t.teardown(() => moved.close());
  hosts("127.0.0.2 odoo.inside");
  await gateway.until(() => {
    void gateway.get("/web/login").catch(() => {});
    return moved.requests.length > 0;
  });
  t.pass("and it is followed to its new address");
  t.equal(await gateway.stop(), 0);
});
