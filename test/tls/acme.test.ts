import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get as getHttp } from "node:http";
import { createServer as createHttpsServer, get as getHttps } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { packageRoot } from "../../src/base/package-root.ts";
import type { GatewayEvent } from "../../src/observe/events.ts";
import { askRenewalInfo } from "../../src/tls/renewal-info.ts";
import { issuedChain } from "../contracts/acme-store.ts";
import { startTestGateway, type TestGateway, type TestGatewayOptions } from "../support/gateway.ts";
import { freePorts, type Pebble, type PebbleOptions, pebbleMissing, startPebble } from "../support/pebble.ts";

const missing = pebbleMissing();
const withPebble = missing === null ? {} : { skip: missing };
const dayMs = 86_400_000;
const folder = mkdtempSync(join(tmpdir(), "gateway-acme-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
function fresh(suffix: string): string {
  files += 1;
  return join(folder, `${files}${suffix}`);
}

interface Owner {
  teardown(work: () => unknown): unknown;
}

interface Pair {
  readonly pebble: Pebble;
  readonly gateway: TestGateway;
  /** Settings of the gateway, to start another beside or after it. */
  readonly env: Record<string, string>;
}

/** A gateway with TLS_MODE=acme on ports of its own, and a pebble that validates on them. */
async function startPair(
  t: Owner,
  pebbleOptions: Partial<PebbleOptions> = {},
  gatewayOptions: TestGatewayOptions = {},
  prepare: (pebble: Pebble) => Promise<Readonly<Record<string, string>>> = async () => ({}),
): Promise<Pair> {
  const [httpPort = 0, tlsPort = 0] = await freePorts(2);
  const pebble = await startPebble({ httpPort, tlsPort, ...pebbleOptions });
  t.teardown(() => pebble.close());
  const env: Record<string, string> = {
    TLS_MODE: "acme",
    ACME_EMAIL: "it@odoo.test",
    ACME_DIRECTORY: pebble.directoryUrl,
    ACME_CA_FILE: pebble.caFile,
    HTTP_LISTEN: `127.0.0.1:${httpPort}`,
    HTTPS_LISTEN: `127.0.0.1:${tlsPort}`,
    CERTS_DIR: fresh("certs"),
    ...gatewayOptions.env,
    ...(await prepare(pebble)),
  };
  const gateway = await startTestGateway({ ...gatewayOptions, env });
  t.teardown(() => gateway.close());
  return { pebble, gateway, env };
}

/** The next word about the certificate, past or future, behind those seen before. */
function outcome(gateway: TestGateway, skip = 0): Promise<GatewayEvent> {
  const isOutcome = ({ type }: GatewayEvent) => /^certificate-(ordered|renewed|failed)$/.test(type);
  let seen = 0;
  return gateway.event((event) => {
    if (!isOutcome(event)) return false;
    seen += 1;
    return seen > skip;
  });
}

/** Names of the certificate a client that trusts `ca` alone is shown; or why it refuses. */
function shown(port: number, name: string, ca: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectTls({ host: "127.0.0.1", port, servername: name, ca });
    socket.on("error", (error) => resolve(`refused: ${error.message}`));
    socket.on("secureConnect", () => {
      resolve(socket.getPeerCertificate().subjectaltname ?? "");
      socket.destroy();
    });
  });
}

function ready(gateway: TestGateway): Promise<string> {
  return new Promise((resolve, reject) => {
    getHttp({ host: "127.0.0.1", port: gateway.adminPort, path: "/readyz" }, (answer) => {
      let text = `${answer.statusCode} `;
      answer.on("data", (chunk) => {
        text += chunk;
      });
      answer.on("end", () => resolve(text));
    }).on("error", reject);
  });
}

const orders = (pebble: Pebble) => pebble.log().match(/POST \/order-plz /g)?.length ?? 0;

/** A hook in the words of pebble's name server; `more` runs after the record is set or taken away. */
function dnsHook(pebble: Pebble, more = ""): string {
  const path = fresh(".mjs");
  writeFileSync(
    path,
    `#!${process.execPath}
const [action, name, value] = process.argv.slice(2);
const path = action === "add" ? "set-txt" : "clear-txt";
const body = JSON.stringify({ host: name + ".", value });
const answer = await fetch("http://127.0.0.1:${pebble.controlPort}/" + path, { method: "POST", body });
if (!answer.ok) process.exit(1);
${more}
`,
  );
  chmodSync(path, 0o755);
  return path;
}

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

t.test("an authority that asks for an account binding", withPebble, async (t) => {
  const key = Buffer.from("a secret of at least 32 bytes, really").toString("base64url");
  const eab = { "kid-1": key };
  const good = await startPair(t, { eab }, { env: { ACME_EAB_KID: "kid-1", ACME_EAB_HMAC_KEY: key } });
  t.match(await outcome(good.gateway), { type: "certificate-ordered" });
  t.notMatch(JSON.stringify(good.gateway.events), key);
  const none = await startPair(t, { eab });
  t.match(await outcome(none.gateway), {
    type: "certificate-failed",
    detail: /externalAccountRequired.*set ACME_EAB_KID and ACME_EAB_HMAC_KEY/,
  });
});

t.test("nonces that the authority refuses now and then are no failure", withPebble, async (t) => {
  const env = { PEBBLE_WFE_NONCEREJECT: "15" };
  const { gateway } = await startPair(
    t,
    { env },
    { env: { REDIRECT_DOMAINS: "a.odoo.test b.odoo.test c.odoo.test" } },
  );
  t.match(await outcome(gateway), { type: "certificate-ordered" });
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

/** An authority's renewal information, and a directory that names it; everything else is pebble's. */
async function startRenewalInfo(t: Owner, directory: () => Promise<object>) {
  const nowMs = Date.now();
  const { keyPem, certPem } = await issuedChain(["127.0.0.1"], nowMs);
  const asked: string[] = [];
  const window = { startMs: 0, endMs: 0, retryAfter: "21600", status: 200 };
  /** Orders that came here, when it takes them in pebble's place; all are refused. */
  const ordered: object[] = [];
  const takes = { orders: false };
  const server = createHttpsServer({ key: keyPem, cert: certPem }, (request, response) => {
    void (async () => {
      const url = request.url ?? "";
      if (url === "/dir")
        return response.end(
          JSON.stringify({
            ...(await directory()),
            renewalInfo: `https://127.0.0.1:${port}/ari`,
            ...(takes.orders ? { newOrder: `https://127.0.0.1:${port}/order` } : {}),
          }),
        );
      if (url === "/order") {
        const parts: Buffer[] = [];
        for await (const part of request) parts.push(part);
        const { payload } = JSON.parse(Buffer.concat(parts).toString());
        ordered.push(JSON.parse(Buffer.from(payload, "base64url").toString()));
        response.writeHead(ordered.length === 1 ? 409 : 429, { "Retry-After": "7200" });
        const type = ordered.length === 1 ? "alreadyReplaced" : "rateLimited";
        return response.end(
          JSON.stringify({ type: `urn:ietf:params:acme:error:${type}`, detail: `no: ${type}` }),
        );
      }
      asked.push(url);
      response.writeHead(window.status, { "Retry-After": window.retryAfter });
      const suggestedWindow = {
        start: new Date(window.startMs).toISOString(),
        end: new Date(window.endMs).toISOString(),
      };
      return response.end(JSON.stringify({ suggestedWindow }));
    })();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const caPem = certPem.slice(certPem.lastIndexOf("-----BEGIN"));
  return { url: `https://127.0.0.1:${port}/dir`, asked, window, ordered, takes, caPem };
}

t.test("renewal information is read with its bounds", async (t) => {
  const nowMs = Date.now();
  const ari = await startRenewalInfo(t, async () => ({}));
  const ask = () => askRenewalInfo(ari.url, ari.caPem, "a.b", nowMs);
  Object.assign(ari.window, { startMs: nowMs + 1_000, endMs: nowMs + 5_000 });
  t.same(await ask(), {
    ok: true,
    value: { startMs: nowMs + 1_000, endMs: nowMs + 5_000, askAgainInMs: 21_600_000 },
  });
  ari.window.retryAfter = "1";
  t.match(await ask(), { ok: true, value: { askAgainInMs: 60_000 } }, "not each second");
  ari.window.retryAfter = "99999999";
  t.match(await ask(), { ok: true, value: { askAgainInMs: dayMs } }, "not once a year");
  ari.window.endMs = ari.window.startMs;
  t.match(await ask(), { ok: false, error: /no renewal window/ });
  ari.window.status = 503;
  t.match(await ask(), { ok: false, error: /answered 503/ });
  t.match(await askRenewalInfo(ari.url, null, "a.b", nowMs), { ok: false }, "an untrusted directory");
  t.match(await askRenewalInfo("https://127.0.0.1:1/dir", null, "a.b", nowMs), {
    ok: false,
    error: /ECONNREFUSED/,
  });
});

t.test(
  "the authority wants a certificate renewed early: done in its window, as a replacement",
  withPebble,
  async (t) => {
    const clock = manualClock(Date.now());
    const { pebble, gateway } = await startPair(
      t,
      { validitySeconds: 90 * 86_400 },
      { clock, env: { ACME_PROFILE: "shortlived" } },
      async (pebble) => {
        const directory = () =>
          new Promise<object>((resolve, reject) => {
            getHttps(pebble.directoryUrl, { ca: readFileSync(pebble.caFile) }, (answer) => {
              let text = "";
              answer.on("data", (chunk) => {
                text += chunk;
              });
              answer.on("end", () => resolve(JSON.parse(text)));
            }).on("error", reject);
          });
        stub = await startRenewalInfo(t, directory);
        Object.assign(stub.window, {
          startMs: clock.wallMs() + 55 * dayMs,
          endMs: clock.wallMs() + 58 * dayMs,
        });
        const bundle = fresh(".pem");
        writeFileSync(bundle, readFileSync(pebble.caFile, "utf8") + stub.caPem);
        return { ACME_DIRECTORY: stub.url, ACME_CA_FILE: bundle };
      },
    );
    t.match(await outcome(gateway), { type: "certificate-ordered" });
    const { status } = gateway.running.issuer;
    const inDays = ((status?.renewAtMs ?? 0) - clock.wallMs()) / dayMs;
    t.ok(inDays >= 55 && inDays <= 58, `in ${inDays} days`);
    // A month later it wants it at once.
    Object.assign(stub?.window ?? {}, { startMs: clock.wallMs() + dayMs, endMs: clock.wallMs() + 2 * dayMs });
    clock.advance(30 * dayMs);
    await gateway.running.issuer.look();
    t.match(await outcome(gateway, 1), { type: "certificate-renewed" });
    t.ok((stub?.asked.length ?? 0) >= 2);
    t.match(stub?.asked[0], /^\/ari\/[\w-]+\.[\w-]+$/);
    t.equal(orders(pebble), 2);

    // An authority that will not have it as a replacement gets an ordinary order; and how long it says to wait is kept to.
    if (stub !== null) stub.takes.orders = true;
    clock.advance(3 * dayMs);
    Object.assign(stub?.window ?? {}, { startMs: clock.wallMs() - 2, endMs: clock.wallMs() - 1 });
    await gateway.running.issuer.look();
    const failed = await outcome(gateway, 2);
    t.match(failed, {
      type: "certificate-failed",
      detail: /rateLimited: no: rateLimited; nothing to do but wait/,
    });
    const identifiers = [{ type: "dns", value: "odoo.test" }];
    t.match(stub?.ordered, [
      { identifiers, profile: "shortlived", replaces: /^[\w-]+\.[\w-]+$/ },
      { identifiers },
    ]);
    t.notMatch(stub?.ordered[1], { replaces: /./ });
    t.match(gateway.running.issuer.status, { failures: 1, nextTryMs: clock.wallMs() + 7_200_000 });
  },
);
let stub: Awaited<ReturnType<typeof startRenewalInfo>> | null = null;
