import t from "tap";
import { checkBounds } from "../../src/check/bounds.ts";
import { startDemo } from "../../src/demo/start.ts";
import { startTestGateway } from "../support/gateway.ts";
import { findingIn, lookAt, requestsOf, troubles } from "../support/look.ts";
import { freePorts } from "../support/pebble.ts";
import { documentationNginx, guideNginx, plainCaddy } from "../support/peer-configs.ts";
import { peerMissing, startPeer } from "../support/peers.ts";

t.test("X", async (t) => {
  const gateway = await startTestGateway({ env: { PRESET: process.env["P"] ?? "standard" } });
  t.teardown(() => gateway.close());
  const report = await lookAt(`https://odoo.test:${gateway.httpsPort}`, {
    caFile: gateway.caFile,
    httpPort: gateway.httpPort,
    loginCanary: true,
  });
  console.error(
    requestsOf(report),
    report.lastedMs,
    report.findings.filter((f) => f.outcome !== "pass").map((f) => `${f.id} ${f.outcome} ${f.seen}`),
  );
});
for (const [name, program, config] of [
  ["guide", "nginx", guideNginx],
  ["doc", "nginx", documentationNginx],
  ["caddy", "caddy", plainCaddy],
] as const)
  t.test(name, async (t) => {
    const demo = await startDemo({ listDb: name !== "guide" });
    const [a = 0, b = 0] = await freePorts(2);
    const peer = await startPeer(program, [a, b], (place) =>
      config(place, { web: demo.webPort, bus: demo.busPort }),
    );
    t.teardown(async () => {
      await peer.close();
      await demo.close();
    });
    const report = await lookAt(`https://odoo.test:${peer.httpsPort}`, {
      caFile: peer.caFile,
      httpPort: peer.httpPort,
      from: "127.0.0.2",
      loginCanary: true,
    });
    console.error(
      name,
      requestsOf(report),
      report.lastedMs,
      report.findings.map((f) => `${f.id} ${f.outcome} ${f.seen}`),
    );
  });
void peerMissing;
void checkBounds;
void findingIn;
void troubles;
