import t from "tap";
import { parseIp } from "../../src/base/ip.ts";
import { ok } from "../../src/base/result.ts";
import { checkBounds } from "../../src/check/bounds.ts";
import type { DemoOptions } from "../../src/demo/start.ts";
import { startDemo } from "../../src/demo/start.ts";
import type { Report } from "../../src/report/finding.ts";
import { startTestGateway } from "../support/gateway.ts";
import { findingIn, type LookOptions, lookAt, requestsOf, troubles } from "../support/look.ts";
import { documentationNginx, guideNginx, type OdooPorts, plainCaddy } from "../support/peer-configs.ts";
import { type PeerName, type PeerPlace, peerMissing, startPeer } from "../support/peers.ts";
import { freePorts } from "../support/ports.ts";

/** Nobody can tell over loopback whether Odoo's own ports are open to others. */
const always = ["addresses skipped", "direct-ports skipped"];
/** From another address than 127.0.0.1, which the guide lets in. */
const stranger = process.platform === "linux" ? "127.0.0.2" : null;

async function throughPeer(
  t: Tap,
  name: PeerName,
  config: (place: PeerPlace, odoo: OdooPorts) => string,
  demoOptions: DemoOptions,
  options: LookOptions = {},
): Promise<Report> {
  const demo = await startDemo(demoOptions);
  t.teardown(() => demo.close());
  const [https = 0, http = 0] = await freePorts(2);
  const peer = await startPeer(name, [https, http], (place) =>
    config(place, { web: demo.webPort, bus: demo.busPort }),
  );
  t.teardown(() => peer.close());
  const { caFile } = peer;
  const report = await lookAt(`https://odoo.test:${https}`, {
    caFile,
    httpPort: http,
    from: stranger,
    ...options,
  });
  const calls = demo.requests.map(({ method, path }) => `${method} ${path}`);
  t.notOk(
    calls.some((call) => /database\/(?:create|duplicate|drop|backup|restore|change_password)/.test(call)),
    "nothing that changes anything was asked",
  );
  t.ok(requestsOf(report) <= checkBounds.requestsMax, `${requestsOf(report)} requests`);
  return report;
}
type Tap = Pick<typeof t, "teardown" | "notOk" | "ok">;

t.test("the gateway passes, wrong guesses included", async (t) => {
  const gateway = await startTestGateway({ env: { PRESET: "strict" } });
  t.teardown(() => gateway.close());
  const { caFile, httpPort } = gateway;
  const url = `https://odoo.test:${gateway.httpsPort}`;
  const report = await lookAt(url, { caFile, httpPort, loginCanary: true });
  // The stand-in has the accounts Odoo comes with.
  t.same(
    troubles(report),
    [...always, "default-logins fail"].sort(),
    report.findings.map(({ id, seen }) => `${id}: ${seen}`).join("\n"),
  );
  t.match(findingIn(report, "login-limit").seen, /Guess \d+ was answered with (?:403|429), Retry-After: \d+/);
  t.ok(requestsOf(report) <= checkBounds.requestsMax, `${requestsOf(report)} requests`);
  const heard = gateway.demo.requests.filter(({ path }) => /database|\/xmlrpc|\/jsonrpc/.test(path));
  t.same(heard, [], "Odoo heard of nothing guarded");
});

t.test(
  "the gateway's standard preset tells the version to the mobile app and tracebacks to programs, and fails nothing",
  async (t) => {
    const gateway = await startTestGateway();
    t.teardown(() => gateway.close());
    const { caFile, httpPort } = gateway;
    const report = await lookAt(`https://odoo.test:${gateway.httpsPort}`, { caFile, httpPort });
    t.same(
      troubles(report),
      [
        "default-logins skipped",
        "error-details warn",
        "login-limit skipped",
        "login-limit-doors skipped",
        "version-leaks warn",
        ...always,
      ].sort(),
    );
  },
);

t.test("a copy behind the staging preset's password fails nothing", async (t) => {
  const env = { PRESET: "staging", STAGING_USER: "tester", STAGING_PASSWORD: "a password for testers" };
  const gateway = await startTestGateway({ env });
  t.teardown(() => gateway.close());
  const { caFile, httpPort } = gateway;
  const report = await lookAt(`https://odoo.test:${gateway.httpsPort}`, { caFile, httpPort });
  t.same(
    report.findings.filter(({ outcome }) => outcome === "fail" || outcome === "warn").map(({ id }) => id),
    ["odoo-answers"],
    report.findings.map(({ id, seen }) => `${id}: ${seen}`).join("\n"),
  );
  t.match(findingIn(report, "websocket"), { outcome: "skipped", seen: /401, as every page here/ });
});

t.test(
  "nginx as the guide has it: its known holes are found",
  { skip: peerMissing("nginx") ?? false },
  async (t) => {
    const report = await throughPeer(t, "nginx", guideNginx, { listDb: false });
    t.equal(findingIn(report, "database-manager").outcome, stranger === null ? "fail" : "pass");
    const spellings = findingIn(report, "database-manager-spellings");
    t.equal(spellings.outcome, "fail");
    t.match(spellings.seen, "GET /fr/web/database/manager (behind the language fr)");
    t.match(spellings.seen, "POST /en/web/database/list");
    const service = findingIn(report, "database-service");
    t.equal(service.outcome, "fail");
    t.match(service.seen, "POST /jsonrpc (JSON-RPC)");
    t.match(service.seen, "POST /xmlrpc/2/db");
    const websocket = findingIn(report, "websocket");
    t.equal(websocket.outcome, "fail");
    t.match(websocket.seen, /400: the proxy does not pass Upgrade and Connection on/);
    const cache = findingIn(report, "cache-private");
    t.equal(cache.outcome, "fail");
    t.match(cache.seen, /\/web\/content\/1\/\S+\.jpg: 200 with Cache-Control: .*public, immutable/);
    t.match(cache.seen, /\/odoo\/\S+\.css: 303/);
    for (const id of [
      "tls-versions",
      "tls-ciphers",
      "hsts",
      "plain-redirect",
      "header-csp",
      "headers-on-errors",
    ])
      t.equal(findingIn(report, id).outcome, "pass", `what the guide does well: ${id}`);
    t.equal(findingIn(report, "cookie-flags").outcome, "fail");
    t.match(
      findingIn(report, "headers-doubled").seen,
      "x-frame-options on the log-in page: SAMEORIGIN | SAMEORIGIN",
    );
    t.equal(findingIn(report, "header-permissions-policy").outcome, "warn", "calls are switched off");
  },
);

t.test("every door of the standard preset limits guesses", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const { caFile, httpPort } = gateway;
  const url = `https://odoo.test:${gateway.httpsPort}`;
  const ids = ["login-limit", "login-limit-doors"];
  t.same(troubles(await lookAt(url, { caFile, httpPort, loginCanary: true, ids })), []);
});

t.test("the guide limits one door of five", { skip: peerMissing("nginx") ?? false }, async (t) => {
  const options = { loginCanary: true, ids: ["login-limit", "login-limit-doors"] };
  const report = await throughPeer(t, "nginx", guideNginx, {}, options);
  t.match(findingIn(report, "login-limit"), { outcome: "pass", seen: /^Guess \d was answered with 429/ });
  const doors = "POST /en/web/login, POST /web/session/authenticate, POST /jsonrpc, POST /xmlrpc/2/common";
  t.match(findingIn(report, "login-limit-doors"), { outcome: "fail", seen: doors });
});

t.test("nginx as Odoo's documentation has it", { skip: peerMissing("nginx") ?? false }, async (t) => {
  const report = await throughPeer(t, "nginx", documentationNginx, {}, { loginCanary: true });
  for (const id of ["database-manager", "database-manager-spellings", "database-service", "database-list"])
    t.equal(findingIn(report, id).outcome, "fail", id);
  for (const id of ["websocket", "cookie-flags", "proxy-mode", "cache-private", "hsts"])
    t.equal(findingIn(report, id).outcome, "pass", id);
  t.match(findingIn(report, "websocket-origin"), { outcome: "warn", seen: /foreign Origin got 101/ });
  t.match(findingIn(report, "tls-versions"), { outcome: "warn", seen: /^Accepted: TLS 1\.2;/ });
  t.match(findingIn(report, "banner"), { outcome: "fail", seen: /nginx\/\d/ });
  t.match(findingIn(report, "login-limit"), {
    outcome: "fail",
    seen: /12 wrong guesses in a row were all tried/,
  });
  t.match(findingIn(report, "compression"), { outcome: "warn", seen: /gzip, but no Vary/ });
});

t.test(
  "a site with everything open and several addresses is looked at to the end",
  { skip: peerMissing("nginx") ?? (stranger === null ? "Linux only" : false) },
  async (t) => {
    const others = ["127.0.0.3", "127.0.0.4", "127.0.0.5"];
    const report = await throughPeer(
      t,
      "nginx",
      documentationNginx,
      { listDb: true },
      {
        loginCanary: true,
        address: null,
        resolve: async () => ok([...others, "127.0.0.1"].flatMap((text) => parseIp(text) ?? [])),
        directPorts: await freePorts(3),
      },
    );
    t.equal(findingIn(report, "addresses").outcome, "fail");
    t.match(findingIn(report, "login-limit"), { outcome: "fail", seen: /1[0-2] wrong guesses in a row/ });
  },
);

t.test("Caddy with a name and reverse_proxy", { skip: peerMissing("caddy") ?? false }, async (t) => {
  const report = await throughPeer(t, "caddy", plainCaddy, {});
  for (const id of [
    "database-manager",
    "database-manager-spellings",
    "database-service",
    "cookie-flags",
    "hsts",
  ])
    t.equal(findingIn(report, id).outcome, "fail", id);
  t.match(findingIn(report, "websocket"), { outcome: "fail", seen: /500: it reached Odoo's port 8069/ });
  t.match(findingIn(report, "banner"), { outcome: "fail", seen: /Werkzeug/ });
  t.match(findingIn(report, "forwarded-host"), { outcome: "fail", seen: /X_Forwarded_Host/ });
  t.equal(findingIn(report, "http2").outcome, "pass");
  t.equal(findingIn(report, "compression").outcome, "warn");
});

t.test("Odoo with nothing in front", async (t) => {
  const demo = await startDemo();
  t.teardown(() => demo.close());
  const report = await lookAt(`http://127.0.0.1:${demo.webPort}`, { directPorts: [demo.webPort] });
  for (const id of [
    "https",
    "plain-redirect",
    "database-manager",
    "database-service",
    "forwarded-host",
    "banner",
  ])
    t.equal(findingIn(report, id).outcome, "fail", id);
  t.match(findingIn(report, "direct-ports"), {
    outcome: "fail",
    seen: /the site itself was given with this port/,
  });
  t.match(findingIn(report, "tls-versions"), { outcome: "skipped", seen: /plain HTTP/ });
});
