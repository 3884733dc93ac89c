import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { createServer as createTls } from "node:tls";
import t from "tap";
import { systemClock } from "../../src/base/clock.ts";
import { packageRoot } from "../../src/base/package-root.ts";
import { checkSelf, openTrap, selfCheckField } from "../../src/check/self.ts";
import { h1 } from "../exchange/clients.ts";
import { startTestGateway } from "../support/gateway.ts";
import { makeCertificate } from "../support/peers.ts";

/** A copy of the shipped policies, with one file changed. */
function policies(folder: string, file: string, change: (text: string) => string): string {
  cpSync(join(packageRoot().directory, "policies"), folder, { recursive: true });
  const path = join(folder, file);
  const before = readFileSync(path, "utf8");
  const after = change(before);
  if (before === after) throw new Error(`${file} reads otherwise than this test believes`);
  writeFileSync(path, after);
  return folder;
}

const openManager = (text: string) =>
  text.replace("    deny: 404\n", "    forward: web\n    limits: [everything]\n");

t.test(
  "a policy that lets strangers to the manager does not start, and says which rule, file and line",
  async (t) => {
    const folder = policies(t.testdir({}), "10-database.yaml", openManager);
    const line =
      readFileSync(join(folder, "10-database.yaml"), "utf8").split("\n").indexOf("  - id: database-manager") +
      1;
    await t.rejects(startTestGateway({ env: { POLICIES_DIR: folder } }), {
      message: new RegExp(
        `10-database\\.yaml:${line}\\S* rule database-manager lets strangers .* GET /web/database/manager .*; put a rule before it .*ADMIN_NETWORKS`,
      ),
    });
  },
);

t.test("a rule that closes the manager's page and forgets its actions does not start either", async (t) => {
  const page = policies(t.testdir({}), "10-database.yaml", (text) =>
    text.replaceAll(
      "path: [/web/database/**, /*/web/database/**]",
      "path: [/web/database/manager, /web/database/selector]",
    ),
  );
  await t.rejects(startTestGateway({ env: { POLICIES_DIR: page } }), {
    message: /90-odoo\.yaml:\d+\S* rule odoo\S* lets strangers .*\/web\/database\/(?:create|list)/,
  });
});

t.test("a rule that closes the manager to all but one name of a program does not start either", async (t) => {
  const folder = policies(t.testdir({}), "10-database.yaml", (text) =>
    text.replace(
      "path: [/web/database/**, /*/web/database/**]\n    deny: 404",
      "path: [/web/database/**, /*/web/database/**]\n      not: { user_agent: OurBackup }\n    deny: 404",
    ),
  );
  await t.rejects(startTestGateway({ env: { POLICIES_DIR: folder } }), {
    message: /90-odoo\.yaml:\d+\S* rule odoo\S* lets strangers reach the database manager/,
  });
});

t.test("a rule cannot open the manager for one host, one form or visitors without a session", async (t) => {
  const env = { DOMAIN: "odoo.test,shop.test" };
  for (const [match, said] of [
    ["host: shop.test", "to shop.test"],
    ["not: { host: odoo.test }", "to shop.test"],
    ["session: none", "GET /web/database/manager"],
    ["not: { session: present }", "GET /web/database/manager"],
    ["method: [POST], content_type: application/x-www-form-urlencoded", "POST /web/database/"],
    ["content_type: multipart/form-data", "POST /web/database/"],
    ["method: [OPTIONS]", "OPTIONS /web/database/"],
    ["method: [PUT]", "PUT /(?:xmlrpc|jsonrpc)"],
    ["content_type: application/json-rpc", "POST /jsonrpc"],
    ["content_type: application/xml", "POST /xmlrpc/db"],
    ["user_agent: OurBackup", "GET /web/database/manager"],
    ["session: known, user_agent: [OurBackup, curl]", "GET /web/database/manager"],
    ["not: { user_agent: Mozilla }", "GET /web/database/manager"],
  ] as const) {
    const folder = policies(t.testdir({}), "00-reserved.yaml", (text) => `${text}\n`);
    const rule = `{ id: own, why: opens what is closed, match: { path: [/web/database/**, /xmlrpc/**, /jsonrpc], ${match} }, forward: web }`;
    writeFileSync(join(folder, "08-own.yaml"), `rules:\n  - ${rule}\n`);
    await t.rejects(
      startTestGateway({ env: { ...env, POLICIES_DIR: folder } }),
      { message: new RegExp(`08-own\\.yaml:2\\S* rule own lets strangers .*${said}`) },
      match,
    );
  }
  const lan = policies(t.testdir({}), "00-reserved.yaml", (text) => `${text}\n`);
  const rule =
    "{ id: own, why: for the office alone, match: { path: /web/database/**, host: shop.test, from: 10.0.0.0/8 }, forward: web }";
  writeFileSync(join(lan, "08-own.yaml"), `rules:\n  - ${rule}\n`);
  const gateway = await startTestGateway({ env: { ...env, POLICIES_DIR: lan } });
  await gateway.close();
});

t.test("JSON-RPC whose body nobody reads does not start", async (t) => {
  const unread = policies(t.testdir({}), "30-rpc.yaml", (text) => text.replace("    rpc: envelope\n", ""));
  await t.rejects(startTestGateway({ env: { POLICIES_DIR: unread } }), {
    message: /30-rpc\.yaml:\d+\S* rule rpc-json lets strangers .*\/jsonrpc/,
  });
});

t.test("opening RPC to the world does not open the manager", async (t) => {
  const folder = policies(t.testdir({}), "10-database.yaml", openManager);
  const env = { POLICIES_DIR: folder, API_NETWORKS: "0.0.0.0/0, ::/0", TRUSTED_PROXIES: "203.0.113.0/24" };
  await t.rejects(startTestGateway({ env }), { message: /rule database-manager lets strangers/ });
  const open = await startTestGateway({ env: { POLICIES_DIR: folder, ADMIN_NETWORKS: "0.0.0.0/0, ::/0" } });
  await open.close();
});

t.test("who opened the manager on purpose is respected", async (t) => {
  for (const env of [
    { ADMIN_NETWORKS: "127.0.0.0/8" },
    { ADMIN_NETWORKS: "0.0.0.0/0, ::/0" },
    { DATABASE_SELECTOR: "allow" },
    { DATABASE_MANAGER: "redirect" },
    { PRESET: "strict" },
    { PRESET: "nginx-guide" },
    { PRESET: "staging", STAGING_USER: "a", STAGING_PASSWORD: "correct horse battery" },
  ] as Record<string, string>[]) {
    const gateway = await startTestGateway({ env });
    t.teardown(() => gateway.close());
    t.same(gateway.demo.requests, [], `${JSON.stringify(env)}: Odoo hears nothing of it`);
    t.same(gateway.records(), [], "and no line of it is in the log");
  }
});

t.test("the requests are really sent, and ready is said only behind them", async (t) => {
  const gateway = await startTestGateway({ env: { LOGIN_BANS: "standard" } });
  t.teardown(() => gateway.close());
  const done = gateway.events.findIndex(({ type }) => type === "self-checked");
  t.ok(done > gateway.events.findIndex(({ type }) => type === "listening"));
  const event = gateway.events[done];
  t.ok(event?.type === "self-checked" && event.refused >= 20, JSON.stringify(event));
  const answer = await h1(gateway, "GET /web/login", [`${selfCheckField}: ${"0".repeat(48)}`]);
  t.equal(answer.status, 200);
  t.equal(gateway.records().length, 1, "a guessed mark hides nothing from the log");
});

t.test("a reload to such a policy is refused, and the old one serves on", async (t) => {
  const folder = policies(t.testdir({}), "00-reserved.yaml", (text) => `${text}\n`);
  const gateway = await startTestGateway({ env: { POLICIES_DIR: folder } });
  t.teardown(() => gateway.close());
  policies(folder, "10-database.yaml", openManager);
  const problems = await gateway.running.reload();
  t.match(problems[0]?.thing, /rule database-manager lets strangers/);
  t.equal((await h1(gateway, "GET /web/database/manager")).status, 404);
});

t.test("what gets through on the wire is seen although the rules say no", async (t) => {
  const folder = t.testdir({});
  const [cert, key] = [join(folder, "c.pem"), join(folder, "k.pem")];
  makeCertificate(cert, key, "DNS:odoo.test");
  const trap = await openTrap();
  if (trap === null) throw new Error("no trap");
  t.teardown(() => trap.close());
  // An edge that passes one spelling on, whatever it was told.
  const server = createTls({ cert: readFileSync(cert), key: readFileSync(key) }, (socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      const text = chunk.toString("latin1");
      const refuse = () => socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
      if (text.startsWith("GET /fr/web/database"))
        connect(trap.port, "127.0.0.1").on("data", refuse).on("error", refuse);
      else refuse();
    });
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const at = server.address();
      resolve(typeof at === "object" && at !== null ? at.port : 0);
    });
  });
  t.teardown(() => server.close());
  const options = {
    address: "127.0.0.1",
    from: null,
    host: "odoo.test",
    authority: "odoo.test",
    token: "x",
    selectorOpen: false,
    reached: trap.reached,
    clock: systemClock,
  };
  const proof = await checkSelf({ ...options, port });
  t.match(proof, { kind: "reached", request: { target: "/fr/web/database/manager" } });
  server.close();
  t.match(await checkSelf({ ...options, port: trap.port, reached: () => false }), { kind: "unasked" });
});
