import t from "tap";
import { startDemo } from "../../src/demo/start.ts";
import { Hook } from "../support/hook.ts";
import { freePorts } from "../support/ports.ts";
import { WorkersGateway } from "./process.ts";

const hook = await Hook.start();
// Ports that nobody else is given while Odoo is away.
const [webPort = 0, busPort = 0] = await freePorts(2);
let odoo = await startDemo({ webPort, busPort });
const gateway = await WorkersGateway.start(() => ({
  ODOO_URL: `http://127.0.0.1:${webPort}`,
  ODOO_BUS_URL: `http://127.0.0.1:${busPort}`,
  ALERT_URL: hook.url(),
  ALERT_AFTER: "1s",
}));
t.teardown(async () => {
  await gateway.close();
  await odoo.close();
  await hook.close();
});

t.test(
  "several processes tell once that Odoo is away, whoever asks for what, and once that it is back",
  async (t) => {
    await odoo.close();
    // Both workers find out by themselves.
    const asked = Promise.all(Array.from({ length: 6 }, () => gateway.ask("/web/login")));
    await hook.until(() => hook.messages.length === 1);
    t.match(hook.told, [{ name: "OdooGatewayOdooAway", state: "firing", times: 1, site: "odoo.test" }]);
    odoo = await startDemo({ webPort, busPort });
    await hook.until(() => hook.messages.length === 2);
    await asked;
    t.match(hook.told, [{}, { name: "OdooGatewayOdooAway", state: "resolved" }]);
  },
);

t.test("a worker that is killed is told once", async (t) => {
  const [first = 0] = await gateway.serving();
  process.kill(first, "SIGKILL");
  await hook.until(() => hook.messages.length === 3);
  t.match(hook.told[2], {
    name: "OdooGatewayWorkerLost",
    state: "firing",
    summary: "A process of the gateway ended without being told to: 1 in 15 minutes",
  });
  await gateway.until(async () => (await gateway.serving()).length === 2);
  const page = await gateway.admin("GET", "/metrics");
  t.match(page.body, /^odoo_gateway_workers_lost_total 1$/m);
  t.match(page.body, /^odoo_gateway_alerts_firing\{alert="OdooGatewayWorkerLost"\} 1$/m);
  t.equal(hook.messages.length, 3);
  await gateway.until(() =>
    gateway.out.includes('"event":"alert","stream":"gateway","name":"OdooGatewayWorkerLost"'),
  );
  t.notMatch(`${gateway.out}${gateway.errors}`, /hunter2/);
});

t.test("workers that are replaced on purpose are nobody's news, and a stop tells nothing", async (t) => {
  const before = await gateway.serving();
  gateway.child.kill("SIGUSR2");
  await gateway.until(async () => (await gateway.serving()).every((pid) => !before.includes(pid)));
  gateway.child.kill("SIGTERM");
  t.equal(await gateway.ended, 0);
  t.equal(hook.messages.length, 3);
});
