import { once } from "node:events";
import { createServer } from "node:net";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { startDemo } from "../../src/demo/start.ts";
import { BusWatch } from "../../src/upstream/bus-watch.ts";
import { member, Pool } from "../../src/upstream/pool.ts";
import { freePort } from "../support/ports.ts";

t.test("what other processes see of the bus port is looked at again, and told once", async (t) => {
  const demo = await startDemo({ workers: 0 });
  t.teardown(() => demo.close());
  const port = await freePort();
  const clock = manualClock();
  const places = [{ at: member("127.0.0.1", port), isBackup: false, addresses: [] }];
  const pool = new Pool({ name: "bus", places, keepAlive: true, isSticky: false, clock });
  t.teardown(() => pool.close());
  const told: string[] = [];
  const web = member("127.0.0.1", demo.webPort);
  const watch = new BusWatch(pool, web, { emit: ({ type }) => told.push(type) }, clock);
  t.teardown(() => watch.stop());
  await Promise.all([watch.look(), watch.lookNow(), watch.lookNow()]);
  t.same(told, ["bus-fallback"]);
  t.ok(watch.hasFallenBack);
  // It looked a moment ago, and what it was told is newer.
  const bus = createServer((socket) => socket.destroy()).listen(port, "127.0.0.1");
  await once(bus, "listening");
  await Promise.all([watch.lookNow(), watch.lookNow()]);
  t.same(told, ["bus-fallback", "bus-restored"]);
  t.notOk(watch.hasFallenBack);
  bus.close();
  await once(bus, "close");
  await watch.lookNow();
  t.same(told, ["bus-fallback", "bus-restored", "bus-fallback"]);
});
