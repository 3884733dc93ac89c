import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { RunningMark, runningMarkFile } from "../../src/start/running-mark.ts";
import { ChildGateway } from "../support/child-gateway.ts";
import { Hook } from "../support/hook.ts";

const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-restart-"));
const hook = await Hook.start();
t.teardown(async () => {
  await hook.close();
  rmSync(folder, { recursive: true, force: true });
});

t.test(
  "a gateway that was killed at night says so when it is back; one that was stopped does not",
  async (t) => {
    const start = () => ChildGateway.start({ folder, env: { ALERT_URL: hook.url(), ALERT_AFTER: "1s" } });
    const first = await start();
    t.ok(existsSync(join(folder, "state", runningMarkFile)));
    await first.close();
    const second = await start();
    t.teardown(() => second.close());
    await hook.until(() => hook.messages.length === 1);
    t.match(hook.told, [
      {
        name: "OdooGatewayWorkerLost",
        state: "firing",
        summary: "A process of the gateway ended without being told to: all of it, and it was started again",
      },
    ]);
    t.equal(await second.stop(), 0);
    t.notOk(existsSync(join(folder, "state", runningMarkFile)));
    const third = await start();
    t.teardown(() => third.close());
    t.equal(await third.stop(), 0);
    t.equal(hook.messages.length, 1);
  },
);

t.test("without ALERT_URL nothing is written", async (t) => {
  const gateway = await ChildGateway.start({ folder });
  t.teardown(() => gateway.close());
  t.notOk(existsSync(join(folder, "state", runningMarkFile)));
});

t.test("a mark of a gateway that lives, or a disk without marks, says nothing", async (t) => {
  const place = mkdtempSync(join(tmpdir(), "odoo-gateway-mark-"));
  t.teardown(() => rmSync(place, { recursive: true, force: true }));
  const found = (text: string) => {
    writeFileSync(join(place, runningMarkFile), text);
    const mark = new RunningMark(place);
    mark.set(true);
    return mark.wasThere;
  };
  t.equal(found(`${process.ppid}\n`), false, "somebody else shares the folder");
  t.equal(found(`${process.pid}\n`), true, "in a container the one before had our number");
  t.equal(found(""), true, "torn");
  const nowhere = new RunningMark(join(place, "none"));
  nowhere.set(true);
  nowhere.set(false);
  t.equal(nowhere.wasThere, false);
});
