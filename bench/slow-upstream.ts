import { startDemo } from "../src/demo/start.ts";

/**
 * The stand-in Odoo as a process of its own, so that what it does for slow clients delays nobody who measures: eight workers, each held until
 * its answer is written. Tells `{webPort, busPort}` once, then for every message `{active, waiting}`.
 */
const workers = 8;

const demo = await startDemo({ workers, recordMax: 1 });
process.on("message", () =>
  process.send?.({ active: demo.stats.activeWorkers, waiting: demo.stats.waiting }),
);
process.on("disconnect", () => process.exit(0));
process.send?.({ webPort: demo.webPort, busPort: demo.busPort });
