import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { ipKey64, parseIp } from "../../src/base/ip.ts";
import { Jail } from "../../src/guard/jail.ts";
import { jailRules } from "../../src/guard/jail-rules.ts";

t.test("a million addresses leave a bounded memory behind", (t) => {
  const rules = jailRules("standard");
  if (rules === null) throw new Error("no rules");
  const jail = new Jail({
    clock: manualClock(),
    news: { strike: () => {}, ban: () => {}, spared: () => {} },
  });
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  collect();
  const beforeBytes = process.memoryUsage().heapUsed;
  for (let i = 0; i < 1_000_000; i += 1) {
    const address = `${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}.1`;
    const entry = jail.enter(
      { client: address, address, account: `hash${i}`, written: `hash${i}`, device: null },
      rules,
    );
    if (!(entry instanceof Promise) && entry.kind === "go") entry.settle("failure");
  }
  collect();
  const grownMiB = (process.memoryUsage().heapUsed - beforeBytes) / 2 ** 20;
  t.ok(grownMiB < 96, `${Math.round(grownMiB)} MiB`);
  t.equal(jail.banOf("203.0.113.1"), null, "and the jail is still there");
  const ip = parseIp("2001:db8::1");
  t.equal(ip === null ? "" : ipKey64(ip), "2001:db8::/64");
  t.end();
});
