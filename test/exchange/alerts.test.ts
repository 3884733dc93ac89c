import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { type Clock, type ManualClock, manualClock } from "../../src/base/clock.ts";
import { startDemo } from "../../src/demo/start.ts";
import { ensureLocalCertificate } from "../../src/tls/local-ca.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { Hook } from "../support/hook.ts";
import { freePorts } from "../support/ports.ts";
import { rawTalk } from "../support/upstream-raw.ts";

const main = new URL("../../src/main.js", import.meta.url).pathname;

async function cli(args: readonly string[], env: Readonly<Record<string, string>>, cwd: string) {
  const child = spawn(process.execPath, [main, "alert", ...args], {
    env: { PATH: process.env["PATH"], ...env },
    cwd,
  });
  let out = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      out += text;
    });
  const [code] = await once(child, "close");
  return { code, out };
}

function admin(gateway: TestGateway, start: string, ...lines: string[]) {
  const host = `Host: 127.0.0.1:${gateway.adminPort}`;
  return rawTalk(
    gateway.adminPort,
    [`${start} HTTP/1.1`, host, "Connection: close", ...lines, "", ""].join("\r\n"),
  );
}

async function sceneWith(env: Readonly<Record<string, string>> = {}, clock?: Clock) {
  const hook = await Hook.start();
  const [webPort = 0, busPort = 0] = await freePorts(2);
  const odoo = { now: await startDemo({ webPort, busPort }) };
  const settings: Record<string, string> = { ALERT_URL: hook.url(), ALERT_AFTER: "1s", ...env };
  const upstream = { webPort, busPort };
  const gateway = await startTestGateway({
    env: settings,
    upstream,
    ...(clock === undefined ? {} : { clock }),
  });
  t.teardown(async () => {
    await gateway.close();
    await odoo.now.close();
    await hook.close();
  });
  return {
    hook,
    gateway,
    settings,
    stopOdoo: () => odoo.now.close(),
    startOdoo: async () => {
      odoo.now = await startDemo({ webPort, busPort });
    },
  };
}

t.test(
  "Odoo stops at night, when nobody asks for anything, and somebody is told; and again when it is back",
  async (t) => {
    const { hook, gateway, stopOdoo, startOdoo } = await sceneWith();
    await stopOdoo();
    await hook.until(() => hook.messages.length === 1);
    t.equal(gateway.records().length, 0);
    const began = hook.told[0] ?? {};
    t.match(began, {
      name: "OdooGatewayOdooAway",
      state: "firing",
      severity: "critical",
      ended: null,
      times: 1,
      summary: "Odoo is away",
      meaning: /^Odoo does not answer\./,
      remedy: /^Look whether Odoo and its database run/,
      site: "odoo.test",
      instance: hostname(),
      version: /^\d+\./,
    });
    await startOdoo();
    await hook.until(() => hook.messages.length === 2);
    t.match(hook.told[1], { name: "OdooGatewayOdooAway", state: "resolved", since: began["since"] });
    t.ok(String(hook.told[1]?.["ended"]) > String(began["since"]));
    const log = gateway.events.filter((event) => event.type === "alert");
    t.match(log, [{ state: "firing" }, { state: "resolved" }]);
    t.notMatch(JSON.stringify(gateway.events), /hunter2/);
  },
);

t.test("a hook that hangs is no hindrance: neither to what is served nor to a stop", async (t) => {
  const { hook, gateway, stopOdoo } = await sceneWith();
  hook.answer = () => {};
  await stopOdoo();
  await hook.until(() => hook.messages.length === 1);
  t.equal((await admin(gateway, "GET /healthz")).status, 200);
  t.match(JSON.parse((await admin(gateway, "GET /alerts")).body), {
    hooks: [{ to: /^http:\/\/127\.0\.0\.1:\d+\/\*\*\*$/, format: "json", waiting: 1, last: null }],
    firing: [{ name: "OdooGatewayOdooAway", summary: "Odoo is away" }],
    messages: { delivered: 0, failed: 0, dropped: 0 },
  });
  await gateway.running.stop();
});

t.test(
  "a refused reload is told, and the one that is put in place; an address that changes loses nothing",
  async (t) => {
    const { hook, gateway, settings } = await sceneWith();
    settings["PRESET"] = "standart";
    t.equal((await gateway.running.reload()).length, 1);
    await hook.until(() => hook.messages.length === 1);
    t.match(hook.told, [{ name: "OdooGatewayReloadRefused", state: "firing" }]);
    const other = await Hook.start();
    t.teardown(() => other.close());
    settings["PRESET"] = "standard";
    settings["ALERT_URL"] = `${hook.url()} ${other.url()}`;
    t.same(await gateway.running.reload(), []);
    await Promise.all([
      hook.until(() => hook.messages.length === 2),
      other.until(() => other.messages.length === 2),
    ]);
    t.match(hook.told, [{}, { name: "OdooGatewayReloadRefused", state: "resolved" }]);
    t.match(other.told, [{ state: "firing" }, { state: "resolved" }]);
  },
);

t.test("certificate files that are not taken are told until they are good", async (t) => {
  const hook = await Hook.start();
  const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-alerts-"));
  const made = await ensureLocalCertificate({ directory: folder, names: ["odoo.test"], wallMs: Date.now() });
  if (!made.ok) throw new Error("no certificate");
  const { certFile, keyFile } = made.value;
  const env = { ALERT_URL: hook.url(), ALERT_AFTER: "1s", TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile };
  const gateway = await startTestGateway({ env });
  t.teardown(async () => {
    await gateway.close();
    await hook.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const good = readFileSync(certFile);
  writeFileSync(certFile, "nothing");
  await gateway.running.lookAtCertificates();
  await hook.until(() => hook.messages.length === 1);
  t.match(hook.told, [{ name: "OdooGatewayReloadRefused", state: "firing" }]);
  writeFileSync(certFile, good);
  await gateway.running.lookAtCertificates();
  await hook.until(() => hook.messages.length === 2);
  t.match(hook.told, [{}, { name: "OdooGatewayReloadRefused", state: "resolved" }]);
});

t.test(
  "an Odoo that is stopped for maintenance is no news, and one that stays away after it is",
  async (t) => {
    const clock = manualClock(Date.now());
    const { hook, gateway, stopOdoo } = await sceneWith({}, clock);
    const field = "X-Odoo-Gateway: maintenance";
    await admin(gateway, "POST /maintenance?for=1h", field);
    await stopOdoo();
    for (let looks = 0; looks < 10; looks += 1) {
      await gateway.running.alerts.tick();
      clock.advance(60_000);
    }
    t.same(hook.messages, []);
    await admin(gateway, "DELETE /maintenance", field);
    t.match(await lookUntilTold(gateway, hook, clock, 1_000), {
      name: "OdooGatewayOdooAway",
      state: "firing",
    });
  },
);

/** Looks again and again, each time so much later, until somebody was told. */
async function lookUntilTold(gateway: TestGateway, hook: Hook, clock: ManualClock, stepMs: number) {
  for (let looks = 0; looks < 200 && hook.messages.length === 0; looks += 1) {
    await gateway.running.alerts.tick();
    clock.advance(stepMs);
  }
  return hook.told[0] ?? {};
}

t.test(
  "a bus that is away where there should be one is told; where Odoo runs without workers it is not",
  async (t) => {
    const [busPort = 0] = await freePorts(1);
    const odoo = await startDemo();
    const hook = await Hook.start();
    const clock = manualClock(Date.now());
    const upstream = { webPort: odoo.webPort, busPort };
    const env = { ALERT_URL: hook.url() };
    const gateway = await startTestGateway({ env, upstream, clock });
    t.teardown(async () => {
      await gateway.close();
      await odoo.close();
      await hook.close();
    });
    t.match(await lookUntilTold(gateway, hook, clock, 60_000), {
      name: "OdooGatewayBusDown",
      state: "firing",
      summary: "Odoo's bus is away",
    });
    hook.messages.length = 0;
    const plainClock = manualClock(Date.now());
    const plain = await startTestGateway({ env: { ...env, ODOO_BUS_URL: "" }, upstream, clock: plainClock });
    t.teardown(() => plain.close());
    for (let looks = 0; looks < 30; looks += 1) {
      await plain.running.alerts.tick();
      plainClock.advance(60_000);
    }
    t.same(hook.messages, []);
  },
);

t.test("a disk without room for one body is told, and maintenance that was forgotten", async (t) => {
  const hook = await Hook.start();
  const clock = manualClock(Date.now());
  const env: Record<string, string> = { ALERT_URL: hook.url(), BODY_MAX: "4000TiB", SPOOL_MAX: "4000TiB" };
  const gateway = await startTestGateway({ env, clock });
  t.teardown(async () => {
    await gateway.close();
    await hook.close();
  });
  t.match(await lookUntilTold(gateway, hook, clock, 60_000), {
    name: "OdooGatewaySpoolFull",
    summary: /^The disk of STATE_DIR is nearly full: [\d.]+[KMGT]iB are free$/,
  });
  env["BODY_MAX"] = "1MiB";
  t.same(await gateway.running.reload(), []);
  for (let looks = 0; looks < 1_000 && hook.messages.length < 2; looks += 1)
    await gateway.running.alerts.tick();
  t.match(hook.told[1], { name: "OdooGatewaySpoolFull", state: "resolved" });
  hook.messages.length = 0;
  await admin(gateway, "POST /maintenance", "X-Odoo-Gateway: maintenance");
  t.match(await lookUntilTold(gateway, hook, clock, 3_600_000), { name: "OdooGatewayMaintenanceForgotten" });
});

t.test("`alert test` says of each address what came back, and `alert` what is wrong now", async (t) => {
  const { hook, gateway, settings, stopOdoo } = await sceneWith();
  const where = { ADMIN_LISTEN: `127.0.0.1:${gateway.adminPort}` };
  const shown = `http://127.0.0.1:${hook.port}/***`;
  t.same(await cli(["test"], where, gateway.folder), {
    code: 0,
    out: `arrived  ${shown} answered with status 200\n`,
  });
  t.match(hook.told, [{ name: "OdooGatewayTest", state: "test", summary: "This is a test" }]);
  t.match(await cli([], where, gateway.folder), {
    code: 0,
    out: /^nothing needs a person\nto {8}http:\/\/127\.0\.0\.1:\d+\/\*\*\* as json: nothing was sent yet\n$/,
  });
  hook.answer = (response) => response.writeHead(404).end();
  const failed = await cli(["test"], where, gateway.folder);
  t.equal(failed.code, 1);
  t.match(
    failed.out,
    /^failed {3}http:\/\/127\.0\.0\.1:\d+\/\*\*\* answered with status 404: there is no such hook/,
  );
  await stopOdoo();
  await hook.until(() => hook.messages.length === 3);
  const status = await cli(["status"], where, gateway.folder);
  t.match(status.out, /^critical {2}Odoo is away, since 20\S+Z\n {10}Look whether Odoo/);
  t.notMatch(`${failed.out}${status.out}`, /hunter2/);
  t.match(await cli(["tset"], where, gateway.folder), { code: 2, out: /there is no "tset"/ });
  const page = await admin(gateway, "GET /metrics");
  t.match(page.body, /^odoo_gateway_alerts_firing\{alert="OdooGatewayOdooAway"\} 1$/m);
  t.match(page.body, /^odoo_gateway_alert_messages_total\{outcome="dropped"\} 1$/m);
  t.equal((await admin(gateway, "POST /alerts/test")).status, 403, "no page of another site can send it");
  t.equal((await admin(gateway, "GET /alerts/test", "X-Odoo-Gateway: alerts")).status, 405);
  settings["ALERT_URL"] = "none";
  await gateway.running.reload();
  t.match(await cli(["test"], where, gateway.folder), {
    code: 1,
    out: "ALERT_URL is not set: nobody is told\n",
  });
  t.match(await cli([], where, gateway.folder), { code: 0, out: "nobody is told: ALERT_URL is not set\n" });
});

t.test(
  "`alert test` without a gateway sends by itself, over TLS that the environment vouches for",
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-alerts-"));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const made = await ensureLocalCertificate({
      directory: folder,
      names: ["localhost"],
      wallMs: Date.now(),
    });
    if (!made.ok) throw new Error("no certificate");
    const { certFile, keyFile, caFile } = made.value;
    const hook = await Hook.start({ cert: readFileSync(certFile), key: readFileSync(keyFile) });
    t.teardown(() => hook.close());
    const [nobody = 0] = await freePorts(1);
    const env = {
      ADMIN_LISTEN: `127.0.0.1:${nobody}`,
      ALERT_URL: `https://user:hunter2@localhost:${hook.port}/hunter2`,
      ALERT_FORMAT: "ntfy",
      DOMAIN: "erp.example.com",
    };
    const trusted = await cli(["test"], { ...env, NODE_EXTRA_CA_CERTS: caFile }, folder);
    t.match(trusted, {
      code: 0,
      out: /no gateway answers here[\s\S]*arrived {2}https:\/\/localhost:\d+\/\*\*\* answered/,
    });
    t.match(hook.messages, [
      {
        path: "/hunter2",
        headers: {
          title: "TEST erp.example.com: This is a test",
          authorization: `Basic ${Buffer.from("user:hunter2").toString("base64")}`,
        },
      },
    ]);
    const strange = await cli(["test"], env, folder);
    t.match(strange, {
      code: 1,
      out: /failed {3}https:\/\/localhost:\d+\/\*\*\* shows a certificate that is not trusted/,
    });
    t.notMatch(`${trusted.out}${strange.out}`, /hunter2/);
    const unset = await cli(["test"], { ADMIN_LISTEN: "off" }, folder);
    t.match(unset, { code: 1, out: /ALERT_URL is not set here/ });
  },
);
