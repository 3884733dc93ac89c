import { once } from "node:events";
import t from "tap";
import { WebSocket } from "ws";
import { startDemo } from "../../src/demo/start.ts";
import { freePort } from "../support/ports.ts";
import { WorkersGateway } from "./process.ts";

t.test("what becomes of Odoo's bus port is told once for all workers, at the start and later", async (t) => {
  const [webPort, deadPort] = [await freePort(), await freePort()];
  const prefork = await startDemo({ workers: 8, webPort });
  const gateway = await WorkersGateway.start(() => ({
    ODOO_URL: `http://127.0.0.1:${webPort}`,
    ODOO_BUS_URL: `http://127.0.0.1:${deadPort}`,
  }));
  t.teardown(() => gateway.close());
  const warnings = () => gateway.out.split('"what":"bus"').length - 1;
  const told = (type: string) => gateway.out.split(`"event":"${type}"`).length - 1;
  await gateway.until(() => warnings() > 0);
  // Each worker in turn has the next connection, and knows by now.
  t.same(await Promise.all([1, 2, 3, 4].map(() => handshake(gateway))), [502, 502, 502, 502]);
  t.equal(told("bus-fallback"), 0);
  // Odoo is started again, with workers=0.
  await prefork.close();
  const threaded = await startDemo({ workers: 0, webPort });
  t.teardown(() => threaded.close());
  await gateway.until(async () => {
    const statuses = await Promise.all([1, 2, 3, 4].map(() => handshake(gateway)));
    return statuses.every((status) => status === 101);
  });
  await gateway.until(() => told("bus-fallback") > 0);
  await gateway.close();
  t.equal(warnings(), 1);
  t.equal(told("bus-fallback"), 1);
});

/** What a websocket's handshake is answered with. */
async function handshake(gateway: WorkersGateway): Promise<number> {
  const tls = { servername: "odoo.test", rejectUnauthorized: false };
  const host = `odoo.test:${gateway.httpsPort}`;
  const socket = new WebSocket(`wss://127.0.0.1:${gateway.httpsPort}/websocket?version=19.0-2`, {
    ...tls,
    headers: { Host: host, Origin: `https://${host}` },
  });
  socket.on("error", () => {});
  const refused = once(socket, "unexpected-response").then(([, answer]) => Number(answer.statusCode));
  const status = await Promise.race([refused, once(socket, "open").then(() => 101)]);
  socket.terminate();
  return status;
}
