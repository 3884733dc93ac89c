import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { ensureLocalCertificate } from "../../src/tls/local-ca.ts";
import { ChildGateway } from "../support/child-gateway.ts";
import { fill, large, mount, skip } from "./disks.ts";

t.test(
  "a machine that starts with a read-only or full state folder serves, and says so",
  { skip },
  async (t) => {
    for (const [fault, before] of [
      ["read-only", `${mount("state", "1m")}\nmount -o remount,ro "$FOLDER/state"`],
      ["full", `${mount("state", "64k")}\n${fill}`],
    ] as const) {
      const gateway = await ChildGateway.start({ mounts: true, before });
      t.teardown(() => gateway.close());
      t.equal((await gateway.get("/web/login")).status, 200, fault);
      t.equal((await gateway.get("/demo/echo", large)).status, 503, `${fault}: large requests have no room`);
      await gateway.until(() => gateway.events("warning").some(({ what }) => what === "STATE_DIR"));
      t.equal(await gateway.stop(), 0);
    }
  },
);

t.test("a certificate that is due serves on when its folder cannot be written", { skip }, async (t) => {
  for (const fault of ["read-only", "full"]) {
    const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-fault-"));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const before70Days = Date.now() - 70 * 86_400_000;
    const made = await ensureLocalCertificate({
      directory: join(folder, "made"),
      names: ["odoo.test"],
      wallMs: before70Days,
    });
    t.ok(made.ok);
    const full = 'dd if=/dev/zero of="$FOLDER/certs/filler" bs=4k 2>/dev/null || true';
    const before = [
      mount("certs", "64k"),
      'cp -p "$FOLDER"/made/* "$FOLDER/certs/"',
      fault === "full" ? full : 'mount -o remount,ro "$FOLDER/certs"',
    ].join("\n");
    const gateway = await ChildGateway.start({ mounts: true, before, folder });
    t.teardown(() => gateway.close());
    t.equal((await gateway.get("/web/login")).status, 200, fault);
    await gateway.until(() =>
      gateway
        .events("warning")
        .some(({ detail }) => /due for renewal and cannot be written/.test(String(detail))),
    );
    const { certificates } = JSON.parse((await gateway.admin("GET /status")).body);
    t.equal(certificates[0].daysLeft, 19, "the old one is shown");
    gateway.child.kill("SIGHUP");
    await gateway.until(() => gateway.events("plan-loaded").length === 2);
    t.equal((await gateway.get("/web/login")).status, 200, "and a reload goes through");
    t.equal(await gateway.stop(), 0);
  }
});
