import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { packageRoot } from "../../src/base/package-root.ts";
import {
  dnsHook,
  folder,
  fresh,
  type Owner,
  orders,
  outcome,
  shown,
  startPair,
  withPebble,
} from "../support/acme-pair.ts";
import { startTestGateway } from "../support/gateway.ts";
import { startPebble } from "../support/pebble.ts";
import { freePorts } from "../support/ports.ts";
import { ready } from "../support/status.ts";

const dayMs = 86_400_000;

t.test(
  "first start: local certificate and red readyz until the name is proved over plain HTTP",
  withPebble,
  async (t) => {
    const { pebble, gateway, env } = await startPair(t, {}, { env: { REDIRECT_DOMAINS: "www.odoo.test" } });
    t.match(await outcome(gateway), { type: "certificate-ordered", names: ["odoo.test", "www.odoo.test"] });
    const root = await pebble.root();
    t.equal(await shown(gateway.httpsPort, "odoo.test", root), "DNS:odoo.test, DNS:www.odoo.test");
    t.equal(await shown(gateway.httpsPort, "www.odoo.test", root), "DNS:odoo.test, DNS:www.odoo.test");
    t.match(await ready(gateway), /^200 /);
    const loaded = gateway.events.filter((event) => event.type === "certificate-loaded");
    t.equal(loaded.length, 2, "the local one first, then the authority's");
    t.match(
      gateway.records().map(({ rule, status }) => `${rule} ${status}`),
      ["certificate-challenge 200"],
    );
    t.notMatch(JSON.stringify(gateway.events), /PRIVATE KEY/);

    const again = await startTestGateway({
      env: { ...env, HTTP_LISTEN: "127.0.0.1:0", HTTPS_LISTEN: "127.0.0.1:0" },
    });
    t.teardown(() => again.close());
    await again.running.issuer.look();
    t.equal(await shown(again.httpsPort, "odoo.test", root), "DNS:odoo.test, DNS:www.odoo.test");
    t.equal(orders(pebble), 1, "a restart orders nothing");
    t.match(await ready(again), /^200 /);
  },
);

t.test(
  "without a plain listener the name is proved in the TLS handshake, and nobody else notices",
  withPebble,
  async (t) => {
    const { pebble, gateway } = await startPair(t, {}, { env: { HTTP_LISTEN: "off" } });
    t.match(await outcome(gateway), { type: "certificate-ordered" });
    t.equal(await shown(gateway.httpsPort, "odoo.test", await pebble.root()), "DNS:odoo.test");
  },
);

t.test(
  "port 80 that leads elsewhere: the TLS port is tried at once, and remembered",
  withPebble,
  async (t) => {
    const [closed = 0] = await freePorts(1);
    const clock = manualClock(Date.now());
    const { pebble, gateway } = await startPair(
      t,
      { httpPort: closed, validitySeconds: 90 * 86_400 },
      { clock },
    );
    t.match(await outcome(gateway), { type: "certificate-ordered" });
    t.equal(orders(pebble), 2);
    clock.advance(61 * dayMs);
    await gateway.running.issuer.look();
    t.match(await outcome(gateway, 1), { type: "certificate-renewed" });
    t.equal(orders(pebble), 3, "the renewal does not try port 80 again");
  },
);

t.test("a wildcard is proved by the DNS hook", withPebble, async (t) => {
  const { pebble, gateway } = await startPair(
    t,
    {},
    { env: { DOMAIN: "erp.odoo.test shop.odoo.test odoo.test", ACME_NAMES: "odoo.test *.odoo.test" } },
    async (pebble) => ({ ACME_DNS_HOOK: dnsHook(pebble) }),
  );
  t.match(await outcome(gateway), { type: "certificate-ordered", names: ["odoo.test", "*.odoo.test"] });
  const root = await pebble.root();
  for (const name of ["erp.odoo.test", "shop.odoo.test", "odoo.test"]) {
    t.equal(await shown(gateway.httpsPort, name, root), "DNS:odoo.test, DNS:*.odoo.test", name);
  }
});

t.test("a hook that fails is told with what it said last", withPebble, async (t) => {
  const { gateway } = await startPair(t, {}, {}, async (pebble) => ({
    ACME_DNS_HOOK: dnsHook(pebble, 'console.error("provider says: zone is locked"); process.exit(3);'),
  }));
  t.match(await outcome(gateway), {
    type: "certificate-failed",
    detail:
      /ACME_DNS_HOOK add _acme-challenge\.odoo\.test ended with status 3: provider says: zone is locked/,
  });
});

t.test(
  "names that cannot be validated: told with the authority's words, and not asked again after a restart",
  withPebble,
  async (t) => {
    const [httpPort = 0, tlsPort = 0] = await freePorts(2);
    const clock = manualClock(Date.now());
    const { pebble, gateway, env } = await startPair(t, { httpPort, tlsPort }, { clock });
    const failed = await outcome(gateway);
    t.match(failed, {
      type: "certificate-failed",
      failures: 1,
      detail:
        /odoo\.test could not be validated by http-01: .*refused.*; then: odoo\.test could not be validated by tls-alpn-01: .*port 80 of this name must lead to HTTP_LISTEN.*; or: port 443/,
    });
    t.match(
      await ready(gateway),
      /^503 .*no trusted certificate for odoo\.test yet: .*could not be validated/,
    );
    const before = orders(pebble);
    t.equal(before, 2);
    await gateway.running.issuer.look();
    const again = await startTestGateway({
      clock,
      env: { ...env, HTTP_LISTEN: "127.0.0.1:0", HTTPS_LISTEN: "127.0.0.1:0" },
    });
    t.teardown(() => again.close());
    await again.running.issuer.look();
    t.equal(orders(pebble), before, "a restart cannot burn the authority's limits");
    t.match(await ready(again), /^503 .*could not be validated/, "and still knows why");
    clock.advance(70_000);
    await again.running.issuer.look();
    t.match(await outcome(again), { type: "certificate-failed", failures: 2 });
    t.ok(orders(pebble) > before, "a minute later it is tried again");
  },
);

t.test("the authority is down at the first start, and comes back", withPebble, async (t) => {
  const clock = manualClock(Date.now());
  const first = await startPair(t, {}, { clock, env: { DOMAIN: "odoo.test" } }, async (pebble) => {
    await pebble.stop();
    return {};
  });
  const { pebble, gateway } = first;
  t.match(await outcome(gateway), {
    type: "certificate-failed",
    detail: /ECONNREFUSED.*check ACME_DIRECTORY/,
  });
  t.match(await ready(gateway), /^503 /);
  t.match(
    await shown(
      gateway.httpsPort,
      "odoo.test",
      readFileSync(join(String(first.env["CERTS_DIR"]), "local-ca.pem"), "utf8"),
    ),
    /DNS:odoo\.test/,
    "the local certificate meanwhile",
  );
  await pebble.start();
  await gateway.running.issuer.look();
  t.equal(orders(pebble), 0, "not before its time");
  clock.advance(70_000);
  await gateway.running.issuer.look();
  t.match(await outcome(gateway, 1), { type: "certificate-ordered" });
  t.match(await ready(gateway), /^200 /);
});

t.test(
  "60 days later, authority down: the old certificate stays, the new one comes without cutting a connection",
  withPebble,
  async (t) => {
    const clock = manualClock(Date.now());
    const { pebble, gateway } = await startPair(t, { validitySeconds: 90 * 86_400 }, { clock });
    t.match(await outcome(gateway), { type: "certificate-ordered" });
    const root = await pebble.root();
    const open = await new Promise<TLSSocket>((resolve) => {
      const socket = connectTls(
        { host: "127.0.0.1", port: gateway.httpsPort, servername: "odoo.test", ca: root },
        () => resolve(socket),
      );
    });
    t.teardown(() => open.destroy());
    const serial = open.getPeerCertificate().serialNumber;
    await pebble.stop();
    clock.advance(61 * dayMs);
    await gateway.running.issuer.look();
    t.match(await outcome(gateway, 1), { type: "certificate-failed", failures: 1 });
    t.match(await ready(gateway), /^200 /, "there is a good certificate still");
    clock.advance(17 * dayMs);
    await gateway.running.issuer.look();
    await gateway.running.lookAtCertificates();
    t.ok(gateway.events.some((event) => event.type === "certificate-expiring" && event.daysLeft < 14));
    await pebble.start();
    const newRoot = await pebble.root();
    clock.advance(dayMs);
    await gateway.running.issuer.look();
    const renewed = gateway.events.find(({ type }) => type === "certificate-renewed");
    t.ok(renewed, "renewed, though the authority has forgotten our account");
    t.equal(await shown(gateway.httpsPort, "odoo.test", newRoot), "DNS:odoo.test");
    t.not(gateway.running.tls().fallback.serial, serial.toLowerCase());
    open.write("GET /web/login HTTP/1.1\r\nHost: odoo.test\r\nConnection: close\r\n\r\n");
    const [answer] = await once(open, "data");
    t.match(String(answer), /^HTTP\/1\.1 200 /, "the old connection still works");
  },
);

/** The gateway as a process of its own. */
function startProcess(
  t: Owner,
  env: Readonly<Record<string, string>>,
): { readonly child: ChildProcess; event(test: RegExp): Promise<string> } {
  const child = spawn(process.execPath, [join(packageRoot().directory, "build/src/main.js"), "run"], {
    cwd: folder,
    env: {
      PATH: process.env["PATH"] ?? "",
      DOMAIN: "odoo.test",
      ODOO_URL: "http://127.0.0.1:9",
      ADMIN_LISTEN: "off",
      STATE_DIR: fresh("state"),
      ...env,
    },
    stdio: ["ignore", "pipe", "ignore"],
  });
  t.teardown(() => child.kill("SIGKILL"));
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  return {
    child,
    event: (test) =>
      new Promise((resolve) => {
        const look = () => {
          const line = said.split("\n").find((one) => test.test(one));
          if (line !== undefined) resolve(line);
        };
        child.stdout.on("data", look);
        look();
      }),
  };
}

t.test(
  "killed between order and certificate: the next start finishes the same order",
  withPebble,
  async (t) => {
    const [httpPort = 0, tlsPort = 0] = await freePorts(2);
    const pebble = await startPebble({ httpPort, tlsPort });
    t.teardown(() => pebble.close());
    const env = {
      TLS_MODE: "acme",
      ACME_DIRECTORY: pebble.directoryUrl,
      ACME_CA_FILE: pebble.caFile,
      CERTS_DIR: fresh("certs"),
      HTTP_LISTEN: "127.0.0.1:0",
      HTTPS_LISTEN: "127.0.0.1:0",
    };
    // Records are taken away when the proofs were judged and before the order is finished: there the hook kills its parent.
    const killer = dnsHook(pebble, 'if (action === "remove") process.kill(process.ppid, "SIGKILL");');
    const { child } = startProcess(t, { ...env, ACME_DNS_HOOK: killer });
    const [, signal] = await once(child, "exit");
    t.equal(signal, "SIGKILL");
    const [authority = ""] = readdirSync(join(env.CERTS_DIR, "acme"));
    const left = readdirSync(join(env.CERTS_DIR, "acme", authority));
    t.ok(
      left.some((name) => name.endsWith(".order")) && left.some((name) => name.endsWith(".lock")),
      left.join(" "),
    );
    t.equal(orders(pebble), 1);
    const gateway = await startTestGateway({ env: { ...env, ACME_DNS_HOOK: dnsHook(pebble) } });
    t.teardown(() => gateway.close());
    t.match(await outcome(gateway), { type: "certificate-ordered" });
    t.equal(orders(pebble), 1, "one order, one certificate");
    t.equal(await shown(gateway.httpsPort, "odoo.test", await pebble.root()), "DNS:odoo.test");
    await gateway.running.issuer.look();
    const names = readdirSync(join(env.CERTS_DIR, "acme", authority)).filter((name) => !name.startsWith("."));
    t.notMatch(names.join(" "), /\.order|\.lock/, "nothing is left behind");
  },
);

t.test(
  "two processes that share the folder make one order, and both show its certificate",
  withPebble,
  async (t) => {
    const [httpPort = 0, tlsPort = 0] = await freePorts(2);
    const pebble = await startPebble({ httpPort, tlsPort });
    t.teardown(() => pebble.close());
    const env = {
      TLS_MODE: "acme",
      ACME_DIRECTORY: pebble.directoryUrl,
      ACME_CA_FILE: pebble.caFile,
      ACME_DNS_HOOK: dnsHook(pebble),
      CERTS_DIR: fresh("certs"),
      HTTP_LISTEN: "127.0.0.1:0",
      HTTPS_LISTEN: "127.0.0.1:0",
    };
    const both = [startProcess(t, env), startProcess(t, env)];
    const ports = await Promise.all(
      both.map(async ({ event }) => {
        const listening = await event(/"event":"listening".*"what":"https"/);
        await event(/"event":"certificate-loaded".*"notAfter":"20(3|29|28)/);
        return Number(/127\.0\.0\.1:(\d+)/.exec(listening)?.[1]);
      }),
    );
    const root = await pebble.root();
    for (const port of ports) t.equal(await shown(port, "odoo.test", root), "DNS:odoo.test");
    t.equal(orders(pebble), 1);
  },
);

t.test("a second directory is asked when the first fails again and again", withPebble, async (t) => {
  const clock = manualClock(Date.now());
  const [nobody = 0] = await freePorts(1);
  const { gateway } = await startPair(t, {}, { clock }, async (pebble) => ({
    ACME_DIRECTORY: `https://127.0.0.1:${nobody}/dir`,
    ACME_FALLBACK_DIRECTORY: pebble.directoryUrl,
  }));
  for (let failures = 1; failures <= 3; failures += 1) {
    t.match(await outcome(gateway, failures - 1), { type: "certificate-failed", failures });
    clock.advance(dayMs);
    await gateway.running.issuer.look();
  }
  t.match(await outcome(gateway, 3), { type: "certificate-ordered", directory: /\/dir$/ });
  t.match(await ready(gateway), /^200 /);
});

t.test(
  "a reload with a new name orders for it, and the old certificate serves meanwhile",
  withPebble,
  async (t) => {
    const { pebble, gateway, env } = await startPair(t);
    t.match(await outcome(gateway), { type: "certificate-ordered", names: ["odoo.test"] });
    env["DOMAIN"] = "odoo.test shop.odoo.test";
    t.same(await gateway.running.reload(), []);
    const root = await pebble.root();
    t.equal(await shown(gateway.httpsPort, "odoo.test", root), "DNS:odoo.test");
    await outcome(gateway, 1);
    const names = "DNS:odoo.test, DNS:shop.odoo.test";
    t.equal(await shown(gateway.httpsPort, "shop.odoo.test", root), names);
    t.equal(await shown(gateway.httpsPort, "odoo.test", root), names);
    t.equal(orders(pebble), 2);
  },
);
