import { writeFileSync } from "node:fs";
import { Agent } from "node:https";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import t from "tap";
import { WebSocket } from "ws";
import { withWideLogin } from "../support/bans.ts";
import { Load } from "./load.ts";
import { lives, WorkersGateway } from "./process.ts";

/** Of this machine, and never limited: a loop on a quick machine asks more than a hundred times a second. */
const unlimited = "127.0.0.3";
const gateway = await WorkersGateway.start((folder) => ({
  LOGIN_BANS: "standard",
  TUNNELS_PER_CLIENT: "3",
  CONNECTIONS_PER_CLIENT: "60",
  TRUSTED_NETWORKS: unlimited,
  ...withWideLogin(join(folder, "policies")),
}));
t.teardown(() => gateway.close());

const login = "/web/session/authenticate";
const guess = (i: number) =>
  gateway.ask(login, { json: { params: { db: "prod", login: "admin", password: `g${i}` } } });

t.test("two processes serve one port, and /status sums what both did", async (t) => {
  const before = await gateway.status();
  t.same(
    before.workers.map(({ state }) => state),
    ["ready", "ready"],
  );
  const answers = await Promise.all(Array.from({ length: 10 }, () => gateway.ask("/web/login")));
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]));
  t.equal((await gateway.status()).counters.exchanges - before.counters.exchanges, 10);
  const lines = gateway.out.split("\n").filter((line) => line.includes('"access"'));
  const ids = new Set(lines.map((line) => /"id":"([0-9a-f]+)-/.exec(line)?.[1]));
  await gateway.until(() => gateway.out.split('"event":"access"').length > 10);
  t.ok(ids.size <= 2);
});

t.test("a TLS session of one worker is resumed by the other", async (t) => {
  const first = await tlsSession(null);
  const again = await Promise.all([1, 2, 3, 4].map(() => tlsSession(first.session)));
  t.same(
    again.map(({ reused }) => reused),
    [true, true, true, true],
  );
});

t.test("a limit lets no more through over two workers than over one", async (t) => {
  const startMs = performance.now();
  const ask = async () => (await gateway.ask("/web/signup?signup_email=a@example.com")).status !== 429;
  let passed = (await Promise.all(Array.from({ length: 24 }, ask))).filter((isPassed) => isPassed).length;
  // A worker that is busy for longer than a recall waits keeps the points it was lent; they come back when its lease is over.
  while (passed < 6 && performance.now() - startMs < 10_000) if (await ask()) passed += 1;
  // 5/min, burst 5: six at once, and one more each twelve seconds this may have taken.
  t.ok(passed >= 6 && passed <= 6 + Math.ceil((performance.now() - startMs) / 12_000), `${passed} passed`);
});

t.test("websockets of one client are counted over all workers, and given back", async (t) => {
  const open = async () => {
    // `servername` goes through to tls.connect; the types of ws do not name it.
    const tls = { servername: "odoo.test", rejectUnauthorized: false };
    const socket = new WebSocket(`wss://127.0.0.1:${gateway.httpsPort}/websocket?version=19.0-2`, {
      ...tls,
      headers: { Host: `odoo.test:${gateway.httpsPort}`, Origin: `https://odoo.test:${gateway.httpsPort}` },
    });
    const ok = await new Promise<boolean>((resolve) => {
      socket.on("open", () => resolve(true));
      socket.on("error", () => resolve(false));
    });
    return { socket, ok };
  };
  const sockets = await Promise.all([open(), open(), open(), open(), open()]);
  t.equal(sockets.filter(({ ok }) => ok).length, 3);
  t.equal(
    (await gateway.status()).workers.reduce((sum, { tunnels }) => sum + tunnels, 0),
    3,
  );
  for (const { socket } of sockets) socket.terminate();
  await gateway.until(async () => (await gateway.status()).workers.every(({ tunnels }) => tunnels === 0));
  const next = await open();
  t.ok(next.ok);
  next.socket.terminate();
});

t.test("an operator's ban holds in every worker, and so does its end", async (t) => {
  t.equal((await gateway.admin("POST", "/bans?address=127.0.0.1&for=1h")).status, 200);
  const banned = await Promise.all([1, 2, 3, 4].map(() => gateway.ask("/web/login")));
  t.same(
    banned.map(({ status }) => status),
    [403, 403, 403, 403],
  );
  t.equal((await gateway.admin("DELETE", "/bans?address=127.0.0.1")).status, 200);
  const free = await Promise.all([1, 2, 3, 4].map(() => gateway.ask("/web/login")));
  t.same(
    free.map(({ status }) => status),
    [200, 200, 200, 200],
  );
});

t.test("maintenance closes the site in every worker, and opens it again", async (t) => {
  const statuses = async () =>
    new Set(
      (await Promise.all([1, 2, 3, 4].map(() => gateway.ask("/web/login")))).map(({ status }) => status),
    );
  await gateway.admin("POST", "/maintenance?message=soon");
  t.same(await statuses(), new Set([503]));
  await gateway.admin("DELETE", "/maintenance");
  t.same(await statuses(), new Set([200]));
});

t.test("reports of the content security policy are summed up over all workers", async (t) => {
  const report = {
    "document-uri": `https://odoo.test:${gateway.httpsPort}/shop`,
    "effective-directive": "script-src-elem",
    "blocked-uri": "https://cdn.example.net/x.js",
  };
  const send = (from: string) =>
    gateway.ask("/.well-known/csp-report", {
      json: { "csp-report": report },
      type: "application/csp-report",
      from,
    });
  // One at a time, so that the workers take turns.
  const answers: Awaited<ReturnType<typeof send>>[] = [];
  for (let i = 0; i < 8; i += 1) answers.push(await send(`127.0.0.${10 + (i % 4)}`));
  t.same(new Set(answers.map(({ status }) => status)), new Set([204]));
  const entries = async () => JSON.parse((await gateway.admin("GET", "/csp")).body).entries;
  await gateway.until(async () => (await entries())[0]?.count === 8);
  t.match(await entries(), [{ directive: "script-src", source: "https://cdn.example.net", clients: 4 }]);
  const { body } = await gateway.admin("GET", "/metrics");
  t.match(body, /^odoo_gateway_csp_reports_total\{directive="script-src"\} 8$/m);
});

t.test("a session in two hands is told once, whichever workers they come to", async (t) => {
  const json = { params: { db: "prod", login: "admin", password: "admin" } };
  const { cookie } = await gateway.ask(login, { json, from: "127.0.20.1" });
  const told = () => gateway.out.split("\n").filter((line) => line.includes('"session-moved"'));
  // From another network with another program, until both workers have had it.
  for (let i = 0; i < 8; i += 1)
    await gateway.ask("/odoo", { cookie, from: "127.0.21.1", agentName: "curl/8.5.0" });
  await gateway.until(() => told().length > 0);
  t.equal(told().length, 1);
  const line = JSON.parse(told()[0] ?? "");
  t.match(line, { why: "other-browser", networks: ["127.0.20.0/24", "127.0.21.0/24"], stream: "security" });
  t.type(line.account, "string", "the account, as in the login line");
  const { body } = await gateway.admin("GET", "/metrics");
  t.match(body, /^odoo_gateway_sessions_moved_total\{why="other-browser"\} 1$/m);
});

t.test("/metrics sums what all workers did", async (t) => {
  const exchanges = async () => {
    const lines = (await gateway.admin("GET", "/metrics")).body.split("\n");
    const counts = lines.filter((line) => line.startsWith("odoo_gateway_exchanges_total{"));
    return counts.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  };
  const before = await exchanges();
  await Promise.all(Array.from({ length: 8 }, () => gateway.ask("/web/login")));
  t.equal((await exchanges()) - before, 8);
});

t.test("connections of one client are counted over all workers", async (t) => {
  const none = async () => (await gateway.status()).workers.every(({ connections }) => connections === 0);
  await gateway.until(none);
  const held: TLSSocket[] = [];
  const hold = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect({ port: gateway.httpsPort, host: "127.0.0.1", rejectUnauthorized: false });
      held.push(socket);
      // With the ticket the handshake is over on both sides.
      socket.on("session", () => resolve(true));
      socket.on("error", () => resolve(false));
      socket.on("close", () => resolve(false));
    });
  const got = (await Promise.all(Array.from({ length: 70 }, hold))).filter((ok) => ok).length;
  t.equal(got, 60);
  for (const socket of held) socket.destroy();
  await gateway.until(none);
  t.equal((await gateway.ask("/web/login")).status, 200);
});

t.test("fifty guesses at once over two workers are five tries", async (t) => {
  gateway.demo.forget();
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => guess(i)));
  const tried = gateway.demo.requests.filter(({ path }) => path === login).length;
  t.equal(tried, 5);
  t.equal(answers.filter(({ status }) => status === 403).length, 45);
  t.equal((await gateway.status()).counters.bans["pair"], 1);
  await gateway.admin("DELETE", "/bans?address=127.0.0.1");
});

t.test(
  "over two workers, too, the wrong password that brings a ban is answered with the ban's page",
  async (t) => {
    const statuses: number[] = [];
    for (let i = 0; i < 5; i += 1) {
      const page = await gateway.ask("/web/login");
      const token = /name="csrf_token" value="([^"]+)"/.exec(page.body)?.[1] ?? "";
      const fields = new URLSearchParams({ csrf_token: token, login: "demo", password: `g${i}` });
      const answer = await gateway.ask("/web/login", { form: { fields, cookie: page.cookie } });
      statuses.push(answer.status);
    }
    t.same(statuses, [200, 200, 200, 200, 403]);
    await gateway.admin("DELETE", "/bans?address=127.0.0.1");
  },
);

t.test("SIGUSR2 and SIGHUP: every worker is another, and no request is lost", async (t) => {
  const before = await gateway.serving();
  const idle = new Agent({ keepAlive: true, maxSockets: 1 });
  t.not((await gateway.ask("/web/login", { agent: idle })).connection, "close");
  const load = new Load(gateway, unlimited);
  gateway.child.kill("SIGUSR2");
  await gateway.until(() => gateway.out.includes("workers: changed"));
  t.same(
    await gateway.ask("/web/login", { agent: idle }).then(({ status, connection }) => [status, connection]),
    [200, "close"],
  );
  await gateway.until(() => before.every((pid) => !lives(pid)));
  const { revision } = (await gateway.status()).plan;
  gateway.child.kill("SIGHUP");
  await gateway.until(async () => (await gateway.status()).plan.revision === revision + 1);
  const { asked, failures } = await load.stop();
  idle.destroy();
  t.same(failures, [], `${asked} requests`);
  const after = await gateway.serving();
  t.equal(after.length, 2);
  t.notOk(after.some((pid) => before.includes(pid)));
});

t.test("SIGHUP: all workers take the new policy, or none", async (t) => {
  const file = join(gateway.folder, "policies", "05-test.yaml");
  const rule = (status: number, extra = "") =>
    `rules:\n  - id: test-page\n    why: A page of this test.\n    match: { path: /test-page }\n    deny: ${status}\n${extra}`;
  const statuses = async () =>
    new Set(
      (await Promise.all([1, 2, 3, 4].map(() => gateway.ask("/test-page")))).map(({ status }) => status),
    );
  writeFileSync(file, rule(403));
  const { revision } = (await gateway.status()).plan;
  gateway.child.kill("SIGHUP");
  await gateway.until(async () => (await gateway.status()).plan.revision === revision + 1);
  t.same(await statuses(), new Set([403]));
  writeFileSync(file, rule(404, "nonsense: 1\n"));
  gateway.child.kill("SIGHUP");
  await gateway.until(() => gateway.out.includes("reload-refused"));
  t.same(await statuses(), new Set([403]), "the old plan stays everywhere");
  writeFileSync(file, rule(403));
});

t.test("SIGHUP twice in a row: every worker has what stands in the files last", async (t) => {
  const file = join(gateway.folder, "policies", "05-test.yaml");
  const rule = (status: number) =>
    `rules:\n  - id: test-page\n    why: A page of this test.\n    match: { path: /test-page }\n    deny: ${status}\n`;
  for (const status of [404, 403]) {
    const { revision } = (await gateway.status()).plan;
    writeFileSync(file, rule(status));
    gateway.child.kill("SIGHUP");
    // Behind the first one's beginning, and before its end: workers read and compile for longer.
    await gateway.ask("/web/login");
    gateway.child.kill("SIGHUP");
    await gateway.until(async () => (await gateway.status()).plan.revision === revision + 2);
    const answers = await Promise.all([1, 2, 3, 4].map(() => gateway.ask("/test-page")));
    t.same(
      answers.map((one) => one.status),
      [status, status, status, status],
    );
  }
});

t.test("a worker that is killed is replaced, and the site stays up", async (t) => {
  const [victim = 0, other = 0] = await gateway.serving();
  process.kill(victim, "SIGKILL");
  await gateway.until(() => !lives(victim));
  await gateway.until(() => gateway.out.includes(`worker ${victim} ended by SIGKILL`));
  t.equal((await gateway.ask("/web/login")).status, 200);
  await gateway.until(async () => (await gateway.serving()).length === 2);
  t.ok((await gateway.serving()).includes(other));
});

t.test("SIGTERM: a request under way is answered, then every process ends", async (t) => {
  const pids = await gateway.serving();
  const slow = gateway.ask("/demo/slow?ms=500");
  await gateway.until(() => gateway.demo.requests.some(({ path }) => path === "/demo/slow"));
  gateway.child.kill("SIGTERM");
  t.equal((await slow).status, 200);
  t.equal(await gateway.ended, 0);
  t.notOk(pids.some(lives));
  t.ok(gateway.out.includes('"event":"stopped"'));
  t.match(gateway.out, /"event":"draining"[^\n]*"exchanges":1,"tunnels":0/, "what the workers had under way");
});

t.test("a supervisor that is killed leaves no worker behind", async (t) => {
  const second = await WorkersGateway.start();
  const pids = await second.serving();
  second.child.kill("SIGKILL");
  const endMs = performance.now() + 30_000;
  while (pids.some(lives) && performance.now() < endMs)
    await new Promise((resolve) => setTimeout(resolve, 20));
  t.notOk(pids.some(lives));
  await second.close();
});

function tlsSession(session: Buffer | null): Promise<{ readonly session: Buffer; readonly reused: boolean }> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      port: gateway.httpsPort,
      host: "127.0.0.1",
      servername: "odoo.test",
      rejectUnauthorized: false,
      ...(session === null ? {} : { session }),
    });
    socket.on("error", reject);
    const done = (ticket: Buffer) => {
      resolve({ session: ticket, reused: socket.isSessionReused() });
      socket.destroy();
    };
    // A ticket comes behind the handshake; who resumes waits for no other.
    if (session === null) socket.on("session", done);
    else {
      let reused = false;
      socket.on("secureConnect", () => {
        reused = socket.isSessionReused();
      });
      socket.on("close", () => resolve({ session, reused }));
      socket.resume().write("GET / HTTP/1.1\r\nHost: odoo.test\r\nConnection: close\r\n\r\n");
    }
  });
}
