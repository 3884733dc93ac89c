import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { ChildGateway } from "../support/child-gateway.ts";
import { fill, large, mount, skip } from "./disks.ts";

t.test("a full disk takes large requests only, and no ban", { skip }, async (t) => {
  const gateway = await ChildGateway.start({ mounts: true, before: mount("state", "1m") });
  t.teardown(() => gateway.close());
  t.equal((await gateway.get("/demo/echo", large)).status, 200, "there is room at first");
  gateway.inside(fill);
  t.equal((await gateway.get("/demo/echo", large)).status, 503, "no room for the spool");
  await gateway.until(() =>
    gateway
      .events("warning")
      .some(
        ({ what, detail }) =>
          what === "spool" &&
          /state\/spool cannot be used: ENOSPC.*free the disk, or name another STATE_DIR/.test(
            String(detail),
          ),
      ),
  );
  t.equal((await gateway.get("/web/login")).status, 200);
  t.equal((await gateway.get("/demo/echo", Buffer.from("small"))).status, 200);
  const big = await gateway.get("/demo/big?bytes=3000000");
  t.equal(big.body.length, 3_000_000, "a large answer is read at the client's pace");
  t.equal((await gateway.admin("POST /bans?address=192.0.2.2")).status, 200, "a ban holds all the same");
  await gateway.until(() => gateway.events("warning").some(({ what }) => what === "ban-journal"));
  const closed = await gateway.admin("POST /maintenance", "maintenance");
  t.match(JSON.parse(closed.body), {
    maintenance: "on",
    warning: /a restart would open the site: .*(?:ENOSPC|full)/,
  });
  t.equal((await gateway.get("/web/login")).status, 503, "maintenance holds all the same");
  t.equal((await gateway.admin("DELETE /maintenance", "maintenance")).status, 200);

  gateway.inside('rm "$FOLDER/state/filler"');
  t.equal((await gateway.get("/demo/echo", large)).status, 200, "room again: as before");
  t.equal(await gateway.stop(), 0);
});

t.test("bans made on a full or read-only disk are written when it works again", { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-fault-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const readOnly = 'mount -o remount,ro "$FOLDER/state"';
  const gateway = await ChildGateway.start({
    mounts: true,
    before: `${mount("state", "1m")}\n${readOnly}`,
    folder,
  });
  t.teardown(() => gateway.close());
  t.equal((await gateway.admin("POST /bans?address=192.0.2.3")).status, 200);
  t.equal((await gateway.get("/web/login")).status, 200, "nobody is stopped");
  t.equal((await gateway.get("/demo/echo", large)).status, 503);
  gateway.inside('mount -o remount,rw "$FOLDER/state"');
  gateway.inside(fill);
  t.equal((await gateway.admin("POST /bans?address=192.0.2.4")).status, 200);
  gateway.inside('rm "$FOLDER/state/filler"');
  t.equal((await gateway.admin("POST /bans?address=192.0.2.5")).status, 200);
  gateway.inside('cp "$FOLDER/state/bans.jsonl" "$FOLDER/kept"');
  // The folder goes with the process: a copy takes its place.
  const restarted = await ChildGateway.start({
    mounts: true,
    folder,
    before: `${mount("state", "1m")}\ncp "$FOLDER/kept" "$FOLDER/state/bans.jsonl"`,
  });
  t.teardown(() => restarted.close());
  const { bans } = JSON.parse((await restarted.admin("GET /bans")).body);
  const addresses = bans.map(({ address }: { address: string }) => address).sort();
  t.same(addresses, ["192.0.2.3", "192.0.2.4", "192.0.2.5"], "none is lost");
});
