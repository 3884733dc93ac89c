import { connect } from "node:tls";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import type { GatewayEvent } from "../../src/observe/events.ts";
import { linesMax, tellAgainMs, UnknownNames, windowMs } from "../../src/tls/unknown-names.ts";
import { startTestGateway } from "../support/gateway.ts";

/** Names of the certificate shown for a name; the client verifies nothing. */
function shown(port: number, servername: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, servername, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().subjectaltname ?? "");
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

const missing = (events: readonly GatewayEvent[]) =>
  events.filter((event) => event.type === "certificate-missing");

t.test("a name without certificate gets the default one, and the log says which name", async (t) => {
  const clock = manualClock(Date.now());
  const gateway = await startTestGateway({ clock });
  t.teardown(() => gateway.close());
  t.equal(await shown(gateway.httpsPort, "odoo.test"), "DNS:odoo.test");
  t.equal(await shown(gateway.httpsPort, "ODOO.test"), "DNS:odoo.test");
  t.same(missing(gateway.events), [], "a served name, in any spelling, is no news");
  t.equal(await shown(gateway.httpsPort, "Forgotten.odoo.test"), "DNS:odoo.test");
  t.equal(await shown(gateway.httpsPort, "forgotten.odoo.test"), "DNS:odoo.test");
  t.same(missing(gateway.events), [
    { type: "certificate-missing", name: "forgotten.odoo.test", shown: ["odoo.test"], untold: 0 },
  ]);
  clock.advance(tellAgainMs);
  await shown(gateway.httpsPort, "forgotten.odoo.test");
  t.match(missing(gateway.events).slice(1), [{ name: "forgotten.odoo.test", untold: 1 }]);
  t.equal(missing(gateway.events).length, 2);
});

t.test("a flood of names that somebody thought up does not fill the log", async (t) => {
  const clock = manualClock();
  const events: GatewayEvent[] = [];
  const names = new UnknownNames({ emit: (event) => void events.push(event) }, clock);
  for (let i = 0; i < 5_000; i += 1) names.met(`n${i}.example`, []);
  t.equal(events.length, linesMax);
  clock.advance(windowMs);
  names.met("real.example", []);
  t.match(events.slice(linesMax), [{ name: "real.example", untold: 5_000 - linesMax }]);
  for (let window = 0; window < 20; window += 1) {
    clock.advance(windowMs);
    for (let i = 0; i < 50; i += 1) names.met(`w${window}-${i}.example`, []);
  }
  t.equal(events.length, linesMax + 1 + 20 * linesMax);
});
