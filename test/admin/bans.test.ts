import { spawn } from "node:child_process";
import { once } from "node:events";
import t from "tap";
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

t.test("odoo-gateway bans", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  t.same(await cli(gateway), { code: 0, out: "nobody is banned\n" });
  t.match(await cli(gateway, "add", "2001:db8::7", "30m"), {
    code: 0,
    out: /^2001:db8::\/64 is banned until 20\d\d-\S+Z\n$/,
  });
  t.match(await cli(gateway, "list"), { code: 0, out: /^2001:db8::\/64 +until 20\d\d-.*operator\n$/ });
  const removed = await cli(gateway, "remove", "2001:db8::9");
  t.match(
    removed,
    { code: 0, out: /^2001:db8::\/64 is no longer banned\n$/ },
    "an address stands for its /64",
  );
  t.match(await cli(gateway, "remove", "2001:db8::9"), { code: 1, out: /is not banned/ });
  t.match(await cli(gateway, "add", "nobody"), { code: 1, out: /one IPv4 or IPv6 address/ });
  t.match(await cli(gateway, "ad"), { code: 2, out: /Usage/ });
});
