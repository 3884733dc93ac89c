import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { CLIENT_FILES, fileUrl } from "../../src/demo/pageload.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { type RawAnswer, rawTalk, sessionPair, valuesOf } from "../support/upstream-raw.ts";
import { echoOf, h1, h2, hostOf, openHttp2, openTls, recordOf, seen, until } from "./clients.ts";

/** A log-in as a browser does it: the page for its cookie and token, then the form. */
async function login(
  gateway: TestGateway,
  user: string,
  password: string,
  lines: readonly string[] = [],
): Promise<RawAnswer> {
  const page = await h1(gateway, "GET /web/login", lines);
  const token = /name="csrf_token" value="([^"]+)"/.exec(page.body)?.[1] ?? "";
  const body = new URLSearchParams({ csrf_token: token, login: user, password }).toString();
  const form = [
    "Content-Type: application/x-www-form-urlencoded",
    `Cookie: ${sessionPair(page)}`,
    "Accept: text/html",
  ];
  return h1(gateway, "POST /web/login", [...form, ...lines], body);
}

function authenticate(
  gateway: TestGateway,
  password: string,
  path = "/web/session/authenticate",
): Promise<RawAnswer> {
  const body = JSON.stringify({ jsonrpc: "2.0", params: { db: "prod", login: "admin", password } });
  return h1(gateway, `POST ${path}`, ["Content-Type: application/json"], body);
}

/** Bans would come first; they have tests of their own. */
const limitsOnly = { env: { LOGIN_BANS: "off" } };

t.test("guessing by the log-in form: six attempts, then 429 with Retry-After, as a page", async (t) => {
  const gateway = await startTestGateway(limitsOnly);
  t.teardown(() => gateway.close());
  for (let i = 0; i < 6; i += 1) {
    const answer = await login(gateway, "admin", `guess${i}`);
    t.equal(answer.status, 200);
    t.match(answer.body, /Wrong login\/password/);
  }
  const answer = await login(gateway, "admin", "guess7");
  t.equal(answer.status, 429);
  const seconds = Number(valuesOf(answer, "retry-after")[0]);
  // One point in 12.05 s: 5 a minute are 83 thousandths a second, as in nginx.
  t.ok(seconds >= 11 && seconds <= 13, `Retry-After: ${seconds}`);
  t.match(valuesOf(answer, "content-type")[0], /^text\/html/);
  t.equal((await login(gateway, "admin", "admin")).status, 429, "the right password helps no more");
  t.equal((await authenticate(gateway, "admin")).status, 429, "nor does another door");
  t.equal((await h1(gateway, "GET /web/login")).status, 200, "the page itself is no attempt");
  const record = gateway.records().find((one) => one.status === 429);
  t.match(record, { limit: "login", rule: "login", verdict: "limited", upstreamMs: null });
  t.equal(gateway.events.filter((event) => event.type === "limited").length, 3);
});

t.test("guessing by JSON-RPC: an answer the web client shows calmly", async (t) => {
  const gateway = await startTestGateway(limitsOnly);
  t.teardown(() => gateway.close());
  for (let i = 0; i < 6; i += 1) t.match((await authenticate(gateway, `guess${i}`)).body, /AccessDenied/);
  const answer = await authenticate(gateway, "admin");
  t.equal(answer.status, 429);
  t.match(valuesOf(answer, "content-type")[0], /^application\/json/);
  const shape: { error: { data: { name: string; arguments: string[] } } } = JSON.parse(answer.body);
  t.equal(shape.error.data.name, "odoo.exceptions.UserError");
  t.match(shape.error.data.arguments[0], /try again in/);
  for (const path of ["/fr/web/session/authenticate", "/web/session/authenticate/"]) {
    t.equal((await authenticate(gateway, "x", path)).status, 429, `${path} is the same door`);
  }
});

t.test("people who know their password never meet the log-in limit", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  for (let i = 0; i < 10; i += 1) {
    t.equal((await login(gateway, "demo", "demo")).status, 303);
    t.match((await authenticate(gateway, "admin")).body, /"uid": 2/);
  }
});

t.test("ten cold web clients behind one address, all at once, meet no limit", async (t) => {
  const gateway = await startTestGateway({ demo: { workers: 8 } });
  t.teardown(() => gateway.close());
  const oneClient = async (n: number): Promise<number[]> => {
    const answer = await login(gateway, n % 2 === 0 ? "admin" : "demo", n % 2 === 0 ? "admin" : "demo");
    const session = await openHttp2(gateway);
    const cookie = sessionPair(answer);
    const own: readonly { path: string; rpc: boolean; large: boolean }[] = [
      { path: "/odoo", rpc: false, large: false },
      ...CLIENT_FILES.map((file) => ({
        path: fileUrl(file),
        rpc: file.content === "jsonrpc",
        large: file.bytes > 100_000,
      })),
      ...Array.from({ length: 6 }, (_, i) => ({
        path: `/web/dataset/call_kw/m/read?${i}`,
        rpc: true,
        large: false,
      })),
    ];
    const answers = await Promise.all(
      own.map(({ path, rpc, large }) =>
        rpc
          ? h2(
              session,
              gateway,
              { ":method": "POST", ":path": path, cookie, "content-type": "application/json" },
              "{}",
            )
          : h2(session, gateway, { ":method": large ? "HEAD" : "GET", ":path": path, cookie }),
      ),
    );
    session.close();
    return answers.map((one) => one.status);
  };
  const statuses = (await Promise.all(Array.from({ length: 10 }, (_, n) => oneClient(n)))).flat();
  t.equal(statuses.length, 300);
  t.same(
    statuses.filter((status) => status === 429 || status >= 500),
    [],
  );
});

t.test("a flood of one visitor is stopped before Odoo, and the static files go on", async (t) => {
  // Time stands still: however long a busy machine takes for the flood, nothing is earned back meanwhile.
  const gateway = await startTestGateway({ demo: { workers: 8 }, clock: manualClock(Date.now()) });
  t.teardown(() => gateway.close());
  const session = await openHttp2(gateway);
  const answers = await Promise.all(
    Array.from({ length: 300 }, (_, i) =>
      h2(session, gateway, { ":path": `/demo/status?code=200&flood=${i}` }),
    ),
  );
  const limited = answers.filter((one) => one.status === 429).length;
  t.ok(limited > 100 && limited < 200, `${limited} of 300`);
  t.equal(gateway.demo.stats.connections, 300 - limited);
  t.equal((await h2(session, gateway, { ":path": "/web/static/img/logo.png" })).status, 200);
  session.close();
});

t.test("TRUSTED_NETWORKS is never limited", async (t) => {
  const gateway = await startTestGateway({ env: { TRUSTED_NETWORKS: "127.0.0.0/8" } });
  t.teardown(() => gateway.close());
  for (let i = 0; i < 10; i += 1) t.equal((await login(gateway, "admin", "wrong")).status, 200);
});

t.test(
  "behind trusted proxies the client is read from the right, and each is counted for itself",
  async (t) => {
    const gateway = await startTestGateway({
      env: { ...limitsOnly.env, TRUSTED_PROXIES: "127.0.0.1 10.0.0.0/8" },
    });
    t.teardown(() => gateway.close());
    for (const [chain, client] of [
      ["203.0.113.7", "203.0.113.7"],
      ["6.6.6.6, 203.0.113.7", "203.0.113.7"],
      ["6.6.6.6, 203.0.113.7, 10.1.2.3", "203.0.113.7"],
      ["6.6.6.6, unknown, 10.1.2.3", "10.1.2.3"],
      ["2001:db8::1", "2001:db8::1"],
    ] as const) {
      const echo = echoOf(
        (await h1(gateway, `GET /demo/echo?${client}`, [`X-Forwarded-For: ${chain}`])).body,
      );
      t.same(seen(echo, "x-forwarded-for"), [client], chain);
      t.same(seen(echo, "x-real-ip"), [client]);
    }
    const record = await recordOf(gateway, "/demo/echo?203.0.113.7");
    t.match(record, { client: "203.0.113.7", peer: "127.0.0.1" });
    const from = (address: string) => [`X-Forwarded-For: ${address}`];
    for (let i = 0; i < 6; i += 1) await login(gateway, "admin", "wrong", from("203.0.113.9"));
    t.equal((await login(gateway, "admin", "admin", from("203.0.113.9"))).status, 429);
    t.equal((await login(gateway, "admin", "admin", from("203.0.113.10"))).status, 303);
    t.equal(
      (await login(gateway, "admin", "admin", from(`203.0.113.10, 203.0.113.9`))).status,
      429,
      "the left is the attacker's own text",
    );
    // IPv6 is counted by /64.
    for (let i = 0; i < 6; i += 1) await login(gateway, "admin", "wrong", from(`2001:db8::${i + 1}`));
    t.equal((await login(gateway, "admin", "admin", from("2001:db8::77"))).status, 429);
    t.notOk(gateway.events.some((event) => event.type === "untrusted-forwarding"));
  },
);

t.test("one record for each exchange, also for refused ones, and no secret in any", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  await h1(
    gateway,
    "GET /demo/echo?token=s3cret&access_token=s3cret&password=s3cret&db=s3cret&login=s3cret&x=1",
    [
      "Cookie: session_id=s3cret",
      "Authorization: Bearer s3cret",
      "User-Agent: test/1",
      "X-Forwarded-For: 6.6.6.6",
    ],
  );
  await h1(gateway, "GET /.env?token=s3cret");
  await h1(gateway, "GET /u?db=s3cret", [], "", { host: "evil.example" });
  await h1(gateway, "GET /a/../b?password=s3cret");
  await h1(gateway, "GET /x?login=s3cret", [], "", { plain: true });
  await rawTalk(0, "not http at all\r\n\r\n", { socket: await openTls(gateway) });
  await rawTalk(0, `GET / HTTP/1.1\r\nHost: ${hostOf(gateway)}\r\nBad Name: s3cret\r\n\r\n`, {
    socket: await openTls(gateway),
  });
  await until(() => gateway.records().length >= 7);
  const records = gateway.records();
  t.equal(records.length, 7);
  t.notMatch(JSON.stringify(gateway.events), /s3cret/);
  t.same(
    records.map((record) => record.status),
    [200, 404, 421, 400, 301, 400, 400],
  );
  const [first] = records;
  t.match(first, {
    client: "127.0.0.1",
    method: "GET",
    host: hostOf(gateway),
    rule: "odoo",
    verdict: "forward",
    userAgent: "test/1",
    protocol: "HTTP/1.1",
  });
  t.match(first?.target, /x=1$/);
  t.ok((first?.upstreamMs ?? -1) >= 0 && (first?.totalMs ?? -1) >= (first?.upstreamMs ?? 0));
  t.ok(
    gateway.events.some(
      (event) => event.type === "untrusted-forwarding" && event.field === "x-forwarded-for",
    ),
  );
  t.ok(gateway.events.some((event) => event.type === "denied" && event.rule === "scanner-dotfiles"));
});
