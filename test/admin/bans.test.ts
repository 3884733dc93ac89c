import { spawn } from "node:child_process";
import { once } from "node:events";
import t from "tap";
import { jailRules } from "../../src/guard/jail-rules.ts";
import { h1 } from "../exchange/clients.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { rawTalk } from "../support/upstream-raw.ts";

function admin(gateway: TestGateway, start: string, ...lines: string[]) {
  const head = [
    `${start} HTTP/1.1`,
    `Host: 127.0.0.1:${gateway.adminPort}`,
    "Connection: close",
    ...lines,
    "",
    "",
  ];
  return rawTalk(gateway.adminPort, head.join("\r\n"));
}

async function cli(gateway: TestGateway, ...args: string[]) {
  const main = new URL("../../src/main.js", import.meta.url).pathname;
  const env = { PATH: process.env["PATH"], ADMIN_LISTEN: `127.0.0.1:${gateway.adminPort}` };
  const child = spawn(process.execPath, [main, "bans", ...args], { env, cwd: gateway.folder });
  let out = "";
  child.stdout.on("data", (chunk) => {
    out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    out += chunk;
  });
  const [code] = await once(child, "close");
  return { code, out };
}

const field = "X-Odoo-Gateway: bans";
const [pair, address] = [2, 3].map((marks) => ({ marks, windowMs: 60_000 }));
const standard = jailRules("standard");
if (standard === null || pair === undefined || address === undefined) throw new Error("no rules");
const strict = { ...standard, pair, address, scanner: pair };

t.test("the admin listener lists, adds and lifts bans, and no web page can make it", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  t.same(JSON.parse((await admin(gateway, "GET /bans")).body), { bans: [] });
  t.equal((await admin(gateway, "POST /bans?address=127.0.0.1")).status, 403, "without our field");
  t.equal(
    (
      await admin(
        gateway,
        "OPTIONS /bans",
        "Origin: https://evil.test",
        "Access-Control-Request-Method: POST",
      )
    ).status,
    405,
  );
  t.equal((await admin(gateway, "POST /bans?address=everybody", field)).status, 400);
  const misspelt = await admin(gateway, "POST /bans?address=127.0.0.1&fro=2h", field);
  t.equal(misspelt.status, 400);
  t.match(misspelt.body, /there is no \\"fro\\": address, for/);
  t.equal((await admin(gateway, "POST /bans?address=127.0.0.1&for=1h&for=2h", field)).status, 400);
  t.match((await admin(gateway, "PUT /bans")).text, /\r\nAllow: GET, HEAD, POST, DELETE\r\n/);
  t.match((await admin(gateway, "GET /cache/clear")).text, /\r\nAllow: POST\r\n/);
  t.match((await admin(gateway, "GET /nothing")).body, /"\/cache"/);
  t.equal((await admin(gateway, "POST /bans?address=127.0.0.1&for=soon", field)).status, 400);
  t.equal((await h1(gateway, "GET /")).status, 200);
  t.equal((await admin(gateway, "POST /bans?address=127.0.0.1&for=2h", field)).status, 200);
  t.equal((await h1(gateway, "GET /")).status, 403);
  t.match(JSON.parse((await admin(gateway, "GET /bans")).body), {
    bans: [{ address: "127.0.0.1", reason: "operator", times: 1 }],
  });
  t.equal((await admin(gateway, "DELETE /bans?address=127.0.0.1", field)).status, 200);
  t.equal((await admin(gateway, "DELETE /bans?address=127.0.0.1", field)).status, 404);
  t.equal((await h1(gateway, "GET /")).status, 200);
  t.ok(gateway.events.some((event) => event.type === "ban-lifted"));
});

t.test("a ban that has no effect says so", async (t) => {
  const env = { TRUSTED_NETWORKS: "127.0.0.1 2001:db8::/32", TRUSTED_PROXIES: "192.0.2.7" };
  const gateway = await startTestGateway({ env });
  t.teardown(() => gateway.close());
  const { status, body } = await admin(gateway, "POST /bans?address=127.0.0.1", field);
  t.equal(status, 200);
  t.equal(
    JSON.parse(body).warning,
    "127.0.0.1 is in TRUSTED_NETWORKS, which are never banned: the ban takes effect when it is taken out",
  );
  t.equal((await h1(gateway, "GET /")).status, 200);
  const told = await cli(gateway, "add", "2001:db8::7");
  t.match(told, {
    code: 0,
    out: /^2001:db8::\/64 is banned until .*\nwarning: 2001:db8::7 is in TRUSTED_NETWORKS, /,
  });
  t.match((await cli(gateway, "add", "192.0.2.7")).out, /^warning: 192\.0\.2\.7 is in TRUSTED_PROXIES: /m);
  t.notMatch((await cli(gateway, "add", "192.0.2.8")).out, /warning/);
});

t.test("odoo-gateway bans", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  t.same(await cli(gateway), { code: 0, out: "nobody is banned\n" });
  t.match(await cli(gateway, "add", "2001:db8::7", "30m"), {
    code: 0,
    out: /^2001:db8::\/64 is banned until 20\d\d-\S+Z\n$/,
  });
  t.match(await cli(gateway, "list"), {
    code: 0,
    out: /^2001:db8::\/64 +until 20\d\d-.* {2}added by hand\n$/,
  });
  const machine = await cli(gateway, "list", "--json");
  t.match(JSON.parse(machine.out), { bans: [{ address: "2001:db8::/64", reason: "operator", times: 1 }] });
  t.match(await cli(gateway, "remove", "2001:db8::9", "--json"), { code: 2, out: /Usage/ });
  const removed = await cli(gateway, "remove", "2001:db8::9");
  t.match(
    removed,
    { code: 0, out: /^2001:db8::\/64 is no longer banned\n$/ },
    "an address stands for its /64",
  );
  t.match(await cli(gateway, "remove", "2001:db8::9"), { code: 1, out: /is not banned/ });
  t.match(await cli(gateway, "add", "nobody"), { code: 1, out: /one IPv4 or IPv6 address/ });
  for (const address of ["192.0.2.1", "192.0.2.1"])
    gateway.running.shared.jail.scanned({ client: address, address }, strict);
  const guesses = (account: string) => ({
    client: "192.0.2.2",
    address: "192.0.2.2",
    account,
    written: account,
    device: null,
  });
  for (const account of ["a", "a"]) gateway.running.shared.jail.failed(guesses(account), strict);
  for (const account of ["a", "b", "c"])
    gateway.running.shared.jail.failed({ ...guesses(account), address: "192.0.2.3" }, strict);
  const { out } = await cli(gateway);
  t.match(out, /^192\.0\.2\.1 .* {2}requests that only scanners make$/m);
  t.match(out, /^192\.0\.2\.2 .* {2}wrong passwords for one account$/m);
  t.match(out, /^192\.0\.2\.3 .* {2}too many failed log-ins, for several accounts$/m);
  t.match(await cli(gateway, "ad"), { code: 2, out: /Usage/ });
});
